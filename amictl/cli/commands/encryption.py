"""Encryption by default, and the default key of a region."""

import click

from amictl.cli.command import Result, command
from amictl.cli.invocation import Invocation
from amictl.cli.options import dry_run


@command(
    "enable-ebs-encryption-by-default",
    examples=[("From now on", "amictl enable-ebs-encryption-by-default")],
)
@dry_run()
def enable_ebs_encryption_by_default(invocation: Invocation, dry_run: bool | None) -> Result:
    """Encrypt everything that is new in a region, with the default key.

    Nothing can ask to stay plain then; what exists stays as it is. There must be a key: create-key.
    """
    from amictl.actions import encryption

    with invocation.open_store_for_writing(dry_run=dry_run) as store:
        return encryption.change_ebs_encryption_by_default(
            store, enabled=True, dry_run=bool(dry_run)
        )


@command(
    "disable-ebs-encryption-by-default",
    examples=[("Only what is asked for", "amictl disable-ebs-encryption-by-default")],
)
@dry_run()
def disable_ebs_encryption_by_default(invocation: Invocation, dry_run: bool | None) -> Result:
    """Encrypt only what is asked for, and what is made of something encrypted."""
    from amictl.actions import encryption

    with invocation.open_store_for_writing(dry_run=dry_run) as store:
        return encryption.change_ebs_encryption_by_default(
            store, enabled=False, dry_run=bool(dry_run)
        )


@command(
    "get-ebs-encryption-by-default",
    examples=[("Whether everything new is encrypted", "amictl get-ebs-encryption-by-default")],
)
@dry_run()
def get_ebs_encryption_by_default(invocation: Invocation, dry_run: bool | None) -> Result:
    """Show whether everything that is new in a region is encrypted."""
    from amictl.actions import encryption

    with invocation.open_store_for_listing() as store:
        return encryption.get_ebs_encryption_by_default(store, dry_run=bool(dry_run))


@command(
    "get-ebs-default-kms-key-id",
    examples=[("The default key", "amictl get-ebs-default-kms-key-id")],
)
@dry_run()
def get_ebs_default_kms_key_id(invocation: Invocation, dry_run: bool | None) -> Result:
    """Show the key that encrypts in a region when no key is named.

    It is alias/aws/ebs until another was chosen; the first create-key makes a key of that name.
    """
    from amictl.actions import encryption

    with invocation.open_store_for_listing() as store:
        return encryption.get_ebs_default_kms_key_id(store, dry_run=bool(dry_run))


@command(
    "modify-ebs-default-kms-key-id",
    examples=[
        ("Another default", "amictl modify-ebs-default-kms-key-id --kms-key-id alias/backups")
    ],
)
@click.option("--kms-key-id", required=True, metavar="KEY", help="Its id, or alias/NAME.")
@dry_run()
def modify_ebs_default_kms_key_id(
    invocation: Invocation, kms_key_id: str, dry_run: bool | None
) -> Result:
    """Choose the key that encrypts in a region when no key is named."""
    from amictl.actions import encryption

    with invocation.open_store_for_writing(dry_run=dry_run) as store:
        return encryption.modify_ebs_default_kms_key_id(store, kms_key_id, dry_run=bool(dry_run))


@command(
    "reset-ebs-default-kms-key-id",
    examples=[("The first key again", "amictl reset-ebs-default-kms-key-id")],
)
@dry_run()
def reset_ebs_default_kms_key_id(invocation: Invocation, dry_run: bool | None) -> Result:
    """Choose alias/aws/ebs again as the key that encrypts when no key is named."""
    from amictl.actions import encryption

    with invocation.open_store_for_writing(dry_run=dry_run) as store:
        return encryption.reset_ebs_default_kms_key_id(store, dry_run=bool(dry_run))
