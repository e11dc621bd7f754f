"""QEMU's image locks: by them a virtual machine tells others what it does with its disk.

A user of an image holds a shared lock on byte 100 + n for each permission n that it uses, and one
on byte 200 + n for each permission that others must not use. Permissions: 0 is reading consistent
data, 1 writing, 2 writing what does not change the content, 3 resizing. Other readers do no harm.
Source: `block/file-posix.c` of QEMU.
"""

import fcntl
import struct

_USED = 100
_DENIED = 200
_READ, _WRITE, _WRITE_UNCHANGED, _RESIZE = range(4)

_MEANS_A_WRITER = (_USED + _WRITE, _USED + _WRITE_UNCHANGED, _USED + _RESIZE, _DENIED + _READ)
_HELD_BY_A_READER = (_USED + _READ, _DENIED + _WRITE, _DENIED + _RESIZE)
_HELD_BY_A_WRITER = (
    *(_USED + permission for permission in (_READ, _WRITE, _RESIZE)),
    *(_DENIED + permission for permission in (_READ, _WRITE, _WRITE_UNCHANGED, _RESIZE)),
)

_FLOCK = struct.Struct("hhqqi4x")  # struct flock: type, whence, start, length, process


def written_by_a_machine(descriptor: int) -> bool:
    """Whether a virtual machine may write to the image, or lets nobody read it. Raises OSError."""
    return any(_is_locked(descriptor, byte) for byte in _MEANS_A_WRITER)


def lock_as_reader(descriptor: int) -> None:
    """Let no QEMU open the image for writing until the descriptor is closed.

    Raises BlockingIOError when somebody holds these bytes for himself, else OSError. Who already
    writes is not kept out: `written_by_a_machine`, asked afterwards, tells.
    """
    _lock(descriptor, _HELD_BY_A_READER)


def lock_as_writer(descriptor: int) -> None:
    """Let no QEMU open the image at all until the descriptor is closed.

    Otherwise as `lock_as_reader`.
    """
    _lock(descriptor, _HELD_BY_A_WRITER)


def _lock(descriptor: int, bytes_locked: tuple[int, ...]) -> None:
    for byte in bytes_locked:
        request = _FLOCK.pack(fcntl.F_RDLCK, 0, byte, 1, 0)
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, request)


def _is_locked(descriptor: int, byte: int) -> bool:
    question = _FLOCK.pack(fcntl.F_WRLCK, 0, byte, 1, 0)
    answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, question)
    return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)
