"""Commands in hints: made to act on the region that the command was given, when pasted."""

import re
import shlex

from amictl.cli.global_options import GlobalOptions
from amictl.cli.invocation import Invocation
from amictl.errors import AmictlError, InterruptedBySignalError

WITHOUT_REGION = frozenset(
    {
        "cancel-key-deletion",
        "create-alias",
        "create-key",
        "create-region",
        "delete-alias",
        "delete-region",
        "describe-key",
        "describe-keys",
        "describe-regions",
        "export-key",
        "import-key",
        "modify-region",
        "rewrap-key",
        "schedule-key-deletion",
    }
)
"""Commands that are about keys, or name the region that they are about."""

_COMMAND = re.compile(r"\bamictl (?>((?:wait )?[a-z]+-[a-z-]+))(?! --(?:region|store|help)\b)")
_COPIES = ("copy-image", "copy-snapshot")
_GO_ON = frozenset(
    {
        *_COPIES,
        "create-image",
        "create-restore-image-task",
        "create-snapshot",
        "create-snapshots",
        "import-image",
        "import-snapshot",
    }
)
"""Commands that bring content into a region, from time to time for good."""


def of_command(name: str, error: AmictlError) -> str | None:
    """The hint of an error, with how much is lost where an interrupted command goes on."""
    if not isinstance(error, InterruptedBySignalError) or name not in _GO_ON:
        return error.hint
    return (
        f"{error.hint}; it goes on from what is stored, and stores again at most what came after"
        " the last 16 packs or 60 seconds"
    )


def of_invocation(text: str, invocation: Invocation) -> str:
    """The hint of an error. Those of a copy may be about its source, and stay as they are."""
    if any(word in invocation.arguments for word in _COPIES):
        return text
    return in_region(text, invocation.given)


def in_region(text: str, given: GlobalOptions) -> str:
    """The text, with --region or --store in its commands if one was given on the command line.

    What the environment says is still said when a command is pasted.
    """
    if given.region is not None:
        words = f"--region {shlex.quote(given.region)}"
    elif given.store is not None:
        words = f"--store {shlex.quote(str(given.store))}"
    else:
        return text

    def completed(found: re.Match[str]) -> str:
        return found[0] if found[1] in WITHOUT_REGION else f"{found[0]} {words}"

    return _COMMAND.sub(completed, text)
