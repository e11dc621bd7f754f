"""What a key opens: wrapping it anew, deleting the key, and checking it."""

import os
from typing import Any

import click

from amictl.cli.command import Presentation, Result, command
from amictl.cli.invocation import Invocation
from amictl.cli.key_options import key_id_option, passphrase_options
from amictl.cli.option_types import WordsType
from amictl.cli.options import list_option
from amictl.cli.passphrases import PassphraseOptions, new_passphrase
from amictl.errors import UsageError

_KEY = Presentation(identifier="KeyId")
_FAULTS = Presentation(identifier="KeyId", faults=True)


@command(
    "rewrap-key",
    presentation=_FAULTS,
    examples=[
        ("Another passphrase", "amictl rewrap-key --key-id alias/secret --passphrase"),
        (
            "A recovery key that is kept offline",
            "amictl rewrap-key --key-id alias/backups"
            " --recipients age1s2m0f8n4upaxvd7urm4pqe65wzel5te5eukkeceev60cl5qjffgqstrkmf",
        ),
    ],
)
@key_id_option()
@click.option(
    "--passphrase/--no-passphrase",
    default=None,
    help="Protect the identity with a new passphrase, which is asked for; or with none.",
)
@passphrase_options
@list_option(
    "--recipients",
    WordsType(),
    metavar="RECIPIENT...",
    help="All others who can open what this key opens: age1… or 'ssh-ed25519 AAAA…'.",
)
@click.option("--no-recipients", is_flag=True, help="Nobody else.")
def rewrap_key(
    invocation: Invocation,
    key_id: str,
    passphrase: bool | None,
    recipients: tuple[str, ...],
    no_recipients: bool,
    **options: Any,
) -> Result:
    """Give a key another passphrase, or further recipients.

    For recipients, the secret of every domain of the key is wrapped anew in every region; exit
    status 3 says that one could not be reached: run the command again then. Copies of a region
    that were made before keep their recipients. Without any option everything is wrapped anew to
    the recipients that the key has.
    """
    from amictl.actions import key_use, keys
    from amictl.cli import regions, user_keys

    if no_recipients and recipients:
        raise UsageError(
            "--recipients and --no-recipients contradict each other",
            code="InvalidParameterCombination",
        )
    given = PassphraseOptions.taken_from(options)
    protects = passphrase or given.is_given
    if protects and passphrase is False:
        raise UsageError("--no-passphrase takes none", code="InvalidParameterCombination")
    folder = user_keys.folder()
    new = new_passphrase(given, "the key") if protects else None
    result: Result = keys.export_recipient(folder, key_id)
    if recipients or no_recipients or not (protects or passphrase is False):
        places = regions.every_region(invocation.options, os.environ)
        wanted = recipients if recipients or no_recipients else None
        keyring = user_keys.keyring()
        result = key_use.rewrap_key(folder, keyring, key_id, wanted, places)
    if protects or passphrase is False:
        keys.change_protection(folder, key_id, new, user_keys.passphrases())
    return result


@command(
    "schedule-key-deletion",
    presentation=_KEY,
    examples=[
        (
            "In the shortest time",
            "amictl schedule-key-deletion --key-id alias/old --pending-window-in-days 7",
        )
    ],
)
@key_id_option()
@click.option(
    "--pending-window-in-days",
    type=click.IntRange(7, 30),
    default=30,
    show_default=True,
    metavar="DAYS",
    help="After how many days, 7 to 30.",
)
def schedule_key_deletion(
    invocation: Invocation, key_id: str, pending_window_in_days: int
) -> Result:
    """Delete a key, and with it the content of every snapshot that is encrypted with it.

    Until the time has come nothing can be opened with it, and cancel-key-deletion gives it back.
    The first command about keys after that time overwrites and removes the identity. The member
    Amictl names the snapshots of all regions that would be lost.
    """
    from amictl.actions import key_use
    from amictl.cli import failures, regions, user_keys

    places = regions.every_region(invocation.options, os.environ)
    result = key_use.schedule_key_deletion(
        user_keys.folder(), key_id, pending_window_in_days, places, invocation.surroundings
    )
    for warning in _warnings(result):
        failures.complain(warning)
    return result


def _warnings(result: Result) -> list[str]:
    ours = result["Amictl"]
    lost = [f"{item['SnapshotId']} ({item['RegionName']})" for item in ours["Snapshots"]]
    warnings = [
        f"warning: {problem['RegionName']} could not be looked at: {problem['Problem']}"
        for problem in ours["Problems"]
    ]
    if lost:
        warnings.append(f"warning: on {result['DeletionDate']} these are lost: {', '.join(lost)}")
    return warnings


@command(
    "cancel-key-deletion",
    presentation=_KEY,
    examples=[("Use it again", "amictl cancel-key-deletion --key-id alias/old")],
)
@key_id_option()
def cancel_key_deletion(invocation: Invocation, key_id: str) -> Result:
    """Let a key be used again that is scheduled for deletion."""
    from amictl.actions import key_use
    from amictl.cli import user_keys

    return key_use.cancel_key_deletion(user_keys.folder(), key_id, invocation.surroundings)


@command(
    "check-key",
    presentation=_FAULTS,
    examples=[("Whether a key is the right one", "amictl check-key --key-id alias/backups")],
)
@key_id_option()
def check_key(invocation: Invocation, key_id: str) -> Result:
    """Open with a key what is encrypted with it in a region, and show what that is.

    So is what other keys opened that it is a further recipient of (rewrap-key), and what is in a
    domain whose header is missing, which may have been of this key. The first frames of every
    snapshot are opened. `Authenticity` is authentic when a record was
    made with the key, unconfirmed when it is a copy that was made without it, and forged. Exit
    status 3 says that something is forged, damaged or not opened.
    """
    from amictl.actions import key_use

    with invocation.open_store_for_listing() as store:
        return key_use.check_key(store, key_id)
