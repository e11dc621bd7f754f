"""What a region encrypts by default, and with which key, as EC2 answers it."""

from dataclasses import replace
from typing import Any

from amictl.errors import DryRunError, KeyUnavailableError
from amictl.model.keys import DEFAULT_ALIAS
from amictl.model.records import RegionSettings
from amictl.store import settings
from amictl.store.store import Store


def get_ebs_encryption_by_default(store: Store, *, dry_run: bool = False) -> dict[str, Any]:
    """Whether everything new is encrypted."""
    found = settings.read(store)
    if dry_run:
        raise DryRunError
    return _by_default(found)


def change_ebs_encryption_by_default(
    store: Store, *, enabled: bool, dry_run: bool = False
) -> dict[str, Any]:
    """Encrypt everything new, or only what is asked for; what exists stays as it is.

    Durable when it returns.
    """
    store.require_features("write")
    if dry_run:
        raise DryRunError
    return _by_default(
        settings.change(store, lambda before: replace(before, encryption_by_default=enabled))
    )


def get_ebs_default_kms_key_id(store: Store, *, dry_run: bool = False) -> dict[str, Any]:
    """The id of the key for what is to be encrypted with no key named, or alias/aws/ebs."""
    found = settings.read(store)
    if dry_run:
        raise DryRunError
    return _default_key(found)


def modify_ebs_default_kms_key_id(
    store: Store, name: str, *, dry_run: bool = False
) -> dict[str, Any]:
    """Choose that key, by its id, an alias or an ARN. Durable when it returns.

    Raises KeyNotFoundError, KeyUnavailableError.
    """
    store.require_features("write")
    if store.keyring is None:
        raise KeyUnavailableError(f"the key {name} is needed, and no keys are at hand")
    key_id = store.keyring.resolve(name)
    if dry_run:
        raise DryRunError
    return _default_key(settings.change(store, lambda before: replace(before, default_key=key_id)))


def reset_ebs_default_kms_key_id(store: Store, *, dry_run: bool = False) -> dict[str, Any]:
    """Choose alias/aws/ebs again. Durable when it returns."""
    store.require_features("write")
    if dry_run:
        raise DryRunError
    return _default_key(settings.change(store, lambda before: replace(before, default_key=None)))


def _by_default(found: RegionSettings) -> dict[str, Any]:
    return {"EbsEncryptionByDefault": found.encryption_by_default}


def _default_key(found: RegionSettings) -> dict[str, Any]:
    return {"KmsKeyId": found.default_key or DEFAULT_ALIAS}
