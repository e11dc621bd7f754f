"""The label of a disk image file that amictl wrote as a volume of a key: an extended attribute.

It goes where the file goes, by another name or to another region, which records of a path do not.
A clone or a copy of the file does not have it unless it was asked for.
"""

import errno
import os
from contextlib import suppress
from pathlib import Path

from amictl.model.keys import LABEL, is_key_id
from amictl.progress import Progress
from amictl.storage.disk import Disk, as_storage_error

# Block devices and some file systems have no such attributes, and say so in these words.
_NO_LABEL = (errno.ENODATA, errno.ENOTSUP, errno.EPERM, errno.ENOSYS)


def label(disk: Disk, descriptor: int, key_id: str) -> None:
    """Write the id of its key on an open file, where that can be done. Durable when the file is."""
    with suppress(OSError):
        disk.set_attribute(descriptor, LABEL, key_id.encode())


def unlabel(disk: Disk, descriptor: int) -> None:
    """Remove the label, if there is one. Durable when the file is."""
    with suppress(OSError):
        disk.remove_attribute(descriptor, LABEL)


def labelled_key(descriptor: int, path: Path, progress: Progress) -> str | None:
    """The id of the key that is written on an open file; None if there is none.

    What is no id is told of. Raises StorageError where the label cannot be read.
    """
    try:
        text = os.getxattr(descriptor, LABEL).decode("ascii", "backslashreplace")
    except OSError as error:
        if error.errno in _NO_LABEL:
            return None
        raise as_storage_error(error, "read the label of", path) from error
    if is_key_id(text):
        return text
    progress.note(f"the attribute {LABEL} of {str(path)!r} is no id of a key, and does not count")
    return None
