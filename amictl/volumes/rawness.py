"""Refuse disk images of virtual machine monitors that are not raw, and say how to convert them."""

import os
from pathlib import Path

from amictl.errors import UnsupportedError
from amictl.formats import foreign


def require_raw(descriptor: int, path: Path) -> None:
    """Raises UnsupportedError when the file is in an image format that is not raw, else OSError."""
    size = os.lseek(descriptor, 0, os.SEEK_END)
    head = os.pread(descriptor, foreign.HEAD_SIZE, 0)
    tail = os.pread(descriptor, foreign.HEAD_SIZE, max(0, size - foreign.HEAD_SIZE))
    found = foreign.recognised(head, tail)
    if found is not None:
        raise _not_raw(path, found)


def _not_raw(path: Path, found: str) -> UnsupportedError:
    from shlex import quote  # loads the regular expressions, for this error only

    name = found.lower()
    if found in foreign.READ:
        hint = f"import it: amictl import-snapshot {quote(str(path))}"
    else:
        target = path.with_suffix(".converted.raw" if path.suffix == ".raw" else ".raw")
        names = f"{quote(str(path))} {quote(str(target))}"
        hint = f"convert it: qemu-img convert -f {foreign.driver(found)} -O raw {names}"
    return UnsupportedError(f"{str(path)!r} is a {name} image; amictl reads raw disks", hint=hint)
