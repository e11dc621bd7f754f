"""Identifiers: a prefix and 17 hexadecimal digits, as EC2 writes them.

EC2 once gave out 8 digits, and still takes these; here nothing was ever made with them.
"""

import re
from collections.abc import Callable

from amictl.errors import MalformedIdError

_RESOURCES = ("ami", "snap", "vol")
_TASKS = ("store", "restore-ami", "import-ami", "import-snap", "export-ami")
_PATTERNS = {kind: re.compile(rf"{kind}-[0-9a-f]{{17}}") for kind in (*_RESOURCES, *_TASKS)}
_OLD_PATTERNS = {kind: re.compile(rf"{kind}-[0-9a-f]{{8}}") for kind in _RESOURCES}
_MALFORMED_CODES = {
    "ami": "InvalidAMIID.Malformed",
    "snap": "InvalidSnapshotID.Malformed",
    "vol": "InvalidVolumeID.Malformed",
    "export-ami": "InvalidExportTaskID.Malformed",
} | dict.fromkeys(("import-ami", "import-snap"), "InvalidConversionTaskId.Malformed")


def new_id(kind: str, random_bytes: Callable[[int], bytes]) -> str:
    """A fresh `ami-…`, `snap-…` or `vol-…`, or the id of a task."""
    return f"{kind}-{random_bytes(9).hex()[:17]}"


def is_id(kind: str, text: str) -> bool:
    """Whether `text` has the form of an identifier of this kind that amictl makes."""
    return _PATTERNS[kind].fullmatch(text) is not None


def is_well_formed(kind: str, text: str) -> bool:
    """Whether EC2 would look for `text`: an identifier, or one with 8 digits."""
    old = _OLD_PATTERNS.get(kind)
    return is_id(kind, text) or (old is not None and old.fullmatch(text) is not None)


def require_id(kind: str, text: str) -> str:
    """Return `text` if it is well-formed. Raises MalformedIdError with EC2's code."""
    if not is_well_formed(kind, text):
        raise MalformedIdError(
            f'Invalid id: "{text}" (expecting "{kind}-...")',
            hint=f"an id is {kind}- and 17 hexadecimal digits",
            code=_MALFORMED_CODES[kind],
        )
    return text
