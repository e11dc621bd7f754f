"""Keys in the key folder: making, bringing, naming, showing and exporting them."""

import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from amictl.cli.command import Presentation, Result, command
from amictl.cli.invocation import Invocation
from amictl.cli.key_options import key_id_option, passphrase_options
from amictl.cli.option_types import FILE, WordsType
from amictl.cli.options import Decorator, list_option
from amictl.cli.passphrases import PassphraseOptions, Passphrases, new_passphrase
from amictl.errors import UsageError

if TYPE_CHECKING:
    from amictl.actions.keys import NewKey

_KEY = Presentation(identifier="KeyId")
_ALIAS = Presentation(identifier="AliasName")
_EXAMPLE_ID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"


def _names(function: Callable[..., Any]) -> Callable[..., Any]:
    """What a new key is called."""
    for option in (
        click.option("--description", metavar="TEXT", default="", help="What it is for."),
        click.option(
            "--alias",
            "--alias-name",
            metavar="NAME",
            help="A name for it; alias/ is put before it if it is not there.",
        ),
    ):
        function = option(function)
    return function


@command(
    "create-key",
    presentation=_KEY,
    examples=[
        ("A key that timers can use", "amictl create-key --alias backups"),
        ("A key with a passphrase", "amictl create-key --alias secret --passphrase"),
        ("A key of an identity that age-keygen made", "amictl create-key --key-file key.txt"),
    ],
)
@_names
@click.option(
    "--passphrase",
    is_flag=True,
    help="Protect it with a passphrase: that of the environment, or else one that is asked for.",
)
@passphrase_options
@click.option("--key-file", type=FILE, metavar="FILE", help="Take the identity in this file.")
def create_key(
    invocation: Invocation,
    alias: str | None,
    description: str,
    passphrase: bool,
    key_file: Path | None,
    **options: Any,
) -> Result:
    """Make a key, an age identity in the key folder.

    Without a passphrase its file has mode 0600 and nothing else protects it. The first key is
    called alias/aws/ebs, too: what is encrypted with no key named is encrypted with it. Keep a copy
    in another place (export-key): what is encrypted is lost with its key.
    """
    from amictl.actions import keys
    from amictl.cli import user_keys

    given = PassphraseOptions.taken_from(options)
    new = keys.NewKey(alias, description, may_be_default=True)
    if key_file is not None:
        return _imported(invocation, key_file, new, given)
    if passphrase and not given.is_given:
        given = PassphraseOptions.of_environment(os.environ)
    secret = new_passphrase(given, "the key") if passphrase or given.is_given else None
    return keys.create_key(user_keys.folder(), new, secret, invocation.surroundings)


@command(
    "import-key",
    presentation=_KEY,
    examples=[
        ("The key of another machine", "amictl import-key backups.age --alias backups"),
        ("An SSH key", "amictl import-key ~/.ssh/id_ed25519 --alias laptop"),
    ],
)
@_names
@click.option(
    "--recipient", metavar="RECIPIENT", help="The public half, if a plugin's file does not name it."
)
@passphrase_options
@click.argument("file", type=FILE, metavar="FILE")
def import_key(
    invocation: Invocation,
    file: Path,
    alias: str | None,
    description: str,
    recipient: str | None,
    **options: Any,
) -> Result:
    """Take an identity file over as a key.

    FILE is what export-key or age-keygen wrote, an SSH key of type ed25519, or the identity file of
    a plugin, as for a hardware key; or an age file with a passphrase around one of them, which it
    keeps. The same identity has the same KeyId on every machine.
    """
    from amictl.actions.keys import NewKey

    given = PassphraseOptions.taken_from(options)
    return _imported(invocation, file, NewKey(alias, description, recipient=recipient), given)


def _imported(
    invocation: Invocation, path: Path, new: "NewKey", given: PassphraseOptions
) -> Result:
    from amictl.actions import keys
    from amictl.cli import failures, user_keys

    result = keys.import_key(
        user_keys.folder(),
        path,
        new,
        ask=Passphrases(given) if given.is_given else user_keys.passphrases(),
        talk=user_keys.conversation(),
        surroundings=invocation.surroundings,
    )
    if keys.is_readable_by_others(path):
        failures.complain(
            f"note: others can read {str(path)!r}, and may have the key."
            f" If it stays: chmod 600 {shlex.quote(str(path))}"
        )
    return result


@command(
    "export-key",
    presentation=_KEY,
    examples=[
        ("A copy for the safe", "amictl export-key --key-id alias/backups --output-file key.age"),
        ("What others seal for it with", "amictl export-key --key-id alias/x --recipient-only"),
    ],
)
@key_id_option()
@click.option("--output-file", type=FILE, metavar="FILE", help="A new file for the identity.")
@click.option("--recipient-only", is_flag=True, help="Show the public half, and write nothing.")
def export_key(
    invocation: Invocation, key_id: str, output_file: Path | None, recipient_only: bool
) -> Result:
    """Write the identity of a key to a new file, which has mode 0600.

    It is as it is kept, with its passphrase if it has one; age and other programs of its format can
    use it. It is never shown on a terminal. Aliases and further recipients are not in it: they are
    in the .json file of the key folder, and are given anew after an import.
    """
    from amictl.actions import keys
    from amictl.cli import user_keys

    if recipient_only == (output_file is not None):
        raise UsageError(
            "export-key needs --output-file or --recipient-only, and not both",
            code="InvalidParameterCombination",
        )
    if output_file is None:
        return keys.export_recipient(user_keys.folder(), key_id)
    return keys.export_key(user_keys.folder(), key_id, output_file)


@command(
    "describe-keys",
    presentation=Presentation(
        identifier="KeyId",
        columns=("KeyId", "Amictl.Aliases", "KeyState", "Amictl.Protection", "Description"),
        faults=True,
    ),
    examples=[("All keys", "amictl describe-keys")],
)
@list_option("--key-ids", WordsType(), metavar="KEY...", help="Only these: ids, or alias/NAME.")
def describe_keys(invocation: Invocation, key_ids: tuple[str, ...]) -> Result:
    """Show the keys in the key folder.

    `Protection` says what keeps the identity from others: a passphrase, or only the mode of its
    file. The members are those of KMS. A key whose record cannot be read is named among `Faults`,
    with exit status 3.
    """
    from amictl.actions import keys
    from amictl.cli import user_keys

    return keys.describe_keys(user_keys.folder(), key_ids, invocation.surroundings)


@command(
    "describe-key",
    presentation=_KEY,
    examples=[("The default key", "amictl describe-key --key-id alias/aws/ebs")],
)
@key_id_option()
def describe_key(invocation: Invocation, key_id: str) -> Result:
    """Show one key."""
    from amictl.actions import keys
    from amictl.cli import user_keys

    return keys.describe_key(user_keys.folder(), key_id, invocation.surroundings)


def _alias_name() -> Decorator:
    return click.option("--alias-name", required=True, metavar="NAME", help="As alias/NAME.")


@command(
    "create-alias",
    presentation=_ALIAS,
    examples=[
        (
            "A name for a key",
            f"amictl create-alias --alias-name alias/web --target-key-id {_EXAMPLE_ID}",
        )
    ],
)
@_alias_name()
@click.option("--target-key-id", required=True, metavar="ID", help="The key, by its id.")
def create_alias(invocation: Invocation, alias_name: str, target_key_id: str) -> Result:
    """Give a key one more name."""
    from amictl.actions import keys
    from amictl.cli import user_keys

    folder = user_keys.folder()
    return keys.create_alias(folder, alias_name, target_key_id, invocation.surroundings)


@command(
    "delete-alias",
    presentation=_ALIAS,
    examples=[("The key itself stays", "amictl delete-alias --alias-name alias/web")],
)
@_alias_name()
def delete_alias(invocation: Invocation, alias_name: str) -> Result:
    """Take a name away from its key."""
    from amictl.actions import keys
    from amictl.cli import user_keys

    return keys.delete_alias(user_keys.folder(), alias_name, invocation.surroundings)
