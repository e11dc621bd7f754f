"""Values that stand in files: `file://PATH` in place of a value, as the AWS CLI has it."""

import os
from pathlib import Path

from amictl.errors import StorageError, UsageError

PREFIX = "file://"
SIZE_MAX = 4 * 1024 * 1024
"""The longest file, in characters: devices and pipes may have no end."""


def text_or_file(text: str) -> str:
    """The text itself, or what the file of `file://PATH` holds, without space at its ends.

    Raises UsageError if that is not text or longer than SIZE_MAX, StorageError if it cannot be
    read.
    """
    if text.startswith(PREFIX):
        return _text_of(text.removeprefix(PREFIX))
    return text


def _text_of(path: str) -> str:
    try:
        path = os.path.expandvars(os.path.expanduser(path))  # noqa: PTH111 - keeps ~unknown
        with Path(path).open(encoding="utf-8") as file:
            text = file.read(SIZE_MAX + 1)
    except ValueError:
        raise UsageError(f"the file {path!r} is not UTF-8 text") from None
    except OSError as error:
        raise StorageError.from_os_error(error, "read the parameter file") from error
    if len(text) > SIZE_MAX:
        raise UsageError(f"the file {path!r} is larger than {SIZE_MAX} characters")
    return text.strip()
