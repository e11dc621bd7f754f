"""What the readers of foreign disk formats share: bounded reads, what they find, refusals."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from amictl.errors import CorruptStoreError, UnsupportedError, UsageError

SECTOR_SIZE = 512
DISK_SIZE_MAX = 64 << 40
"""The largest volume of EC2, in bytes: what claims more is refused before anything is read."""
TAKE_AGAIN = "the file is cut short or damaged: take it again from where it came from"
_SHOWN = 200

Read = Callable[[int, int], bytes]


@dataclass(frozen=True, slots=True)
class ForeignDisk:
    """A disk in a format that is not raw, after its header was looked at.

    `format` is our word for it, `driver` QEMU's; `options` go to the driver. `size_bytes` is the
    size of the disk inside. `ends_early` says that the format's tables may lead beyond the end of
    a truncated file without QEMU noticing.
    """

    format: str
    driver: str
    size_bytes: int
    options: tuple[tuple[str, str], ...] = ()
    ends_early: bool = False


class ForeignFile:
    """The bytes of a file in a foreign format; `where` is its name for messages."""

    def __init__(self, where: str, size_bytes: int, read: Read) -> None:
        self.where = where
        self.size_bytes = size_bytes
        self._read = read

    def take(self, offset: int, length: int, what: str) -> bytes:
        """So many bytes, which `what` names. Raises CorruptStoreError where the file has none."""
        self.require_inside(offset, length, what)
        return self._read(offset, length)

    def fields(self, layout: str, offset: int, what: str) -> tuple[Any, ...]:
        """The numbers of a struct layout at `offset`. Raises CorruptStoreError."""
        return struct.unpack(layout, self.take(offset, struct.calcsize(layout), what))

    def require_inside(self, offset: int, length: int, what: str) -> None:
        """Raises CorruptStoreError unless the range is in the file."""
        if offset + length > self.size_bytes:
            raise self.broken(f"its {what} would be behind its end; it may have been truncated")

    def require_disk_size(self, size_bytes: int) -> int:
        """The size, if a volume can have it. Raises CorruptStoreError, UnsupportedError."""
        if size_bytes == 0:
            raise self.broken("it says that its disk is empty")
        if size_bytes > DISK_SIZE_MAX:
            raise UnsupportedError(
                f"{self.where} says that its disk has {size_bytes} bytes; the most is 64 TiB",
                code="DiskImageSizeTooLarge",
            )
        return size_bytes

    def broken(self, why: str) -> CorruptStoreError:
        """The error for a header that no program should have written."""
        return CorruptStoreError(
            f"{self.where} is damaged: {why}", hint=TAKE_AGAIN, code="InvalidFormat"
        )

    def refused(self, what: str, hint: str) -> UnsupportedError:
        """The error for what is sound, and not read here."""
        return UnsupportedError(f"{self.where} {what}", hint=hint, code="InvalidFormat")


def shown(text: bytes) -> str:
    """Text out of a file, so that it can be printed anywhere."""
    return repr(text[:_SHOWN].decode("utf-8", "replace"))


def other_format(where: str, found: str | None, wanted: str) -> UsageError:
    """The error for a file that is not in the format which the user named."""
    is_what = f"is a {found} image" if found else "does not begin as one"
    return UsageError(
        f"{where} {is_what}, not {wanted}",
        hint=f"give Format={found}" if found else "look at it with: file PATH",
        code="InvalidFormat",
    )
