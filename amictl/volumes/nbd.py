"""A disk served to one client as a network block device over a socket, to read or to write."""

import errno
import socket
import struct
from typing import Protocol

from amictl.errors import AmictlError
from amictl.volumes.nbd_session import (
    CHUNK_BLOCK_STATUS,
    CHUNK_NONE,
    CHUNK_OFFSET_DATA,
    CMD_BLOCK_STATUS,
    CMD_READ,
    CMD_TRIM,
    CMD_WRITE,
    CMD_WRITE_ZEROES,
    CONTEXT_ID,
    FLAG_DF,
    FLAG_REQ_ONE,
    HAS_FLAGS,
    READ_ONLY,
    READ_SIZE_MAX,
    HangUpError,
    Request,
    RequestError,
    Session,
)

_DISCARDED_AT_ONCE = 64 * 1024
_HOLE_AND_ZERO = 3


class ServedDisk(Protocol):
    """What is served: a disk that does not change. It is asked by one thread."""

    @property
    def size_bytes(self) -> int: ...

    def read(self, offset: int, length: int) -> bytes | bytearray | memoryview:
        """Bytes that lie inside the disk. Raises AmictlError where they cannot be had."""
        ...

    def extents(self, offset: int, length: int) -> list[tuple[int, bool]]:
        """Lengths, from `offset` on, of what may hold data (False) and what is zeros (True).

        At least one, none of them empty, together at most `length`. Raises AmictlError.
        """
        ...


class FilledDisk(Protocol):
    """What is written to, by one thread. What is never written is zeros."""

    @property
    def size_bytes(self) -> int: ...

    def write(self, offset: int, data: memoryview) -> None:
        """Take bytes that lie inside the disk; `data` changes when this has returned."""
        ...


def serve(connection: socket.socket, disk: ServedDisk) -> AmictlError | None:
    """Answer one reader until it is gone; returns the first error that the disk had, if any.

    To the client such an error is EIO; those are UNREADABLE. What else reading raises ends it.
    """
    return _attend(_ReadSession(connection, disk.size_bytes, disk))


def receive(connection: socket.socket, disk: FilledDisk) -> AmictlError | None:
    """The same for one writer, who cannot read."""
    return _attend(_WriteSession(connection, disk.size_bytes, disk))


def _attend(session: Session) -> AmictlError | None:
    try:
        if session.agree():
            session.answer()
    except (HangUpError, ConnectionError):
        pass
    return session.failure


class _ReadSession(Session):
    """A client that reads."""

    flags = HAS_FLAGS | READ_ONLY

    def __init__(self, connection: socket.socket, size_bytes: int, disk: ServedDisk) -> None:
        super().__init__(connection, size_bytes)
        self._disk = disk

    def take_payload(self, length: int) -> None:
        while length:
            length -= len(self.receive(min(length, _DISCARDED_AT_ONCE)))

    def answer_one(self, request: Request) -> None:
        if request.command == CMD_READ:
            self.require_inside(request, flags=FLAG_DF)
            if request.length > READ_SIZE_MAX:
                raise RequestError(errno.EOVERFLOW, "too much at once")
            self._send_data(request, self._disk.read(request.offset, request.length))
        elif request.command == CMD_BLOCK_STATUS and self.context:
            self.require_inside(request, flags=FLAG_REQ_ONE)
            extents = self._disk.extents(request.offset, request.length)
            self._send_extents(request, extents[: 1 if request.flags else None])
        elif request.command in (CMD_WRITE, CMD_TRIM, CMD_WRITE_ZEROES):
            raise RequestError(errno.EPERM, "the disk is read-only")
        else:
            raise RequestError(errno.EINVAL, "no such command was agreed on")

    def _send_data(self, request: Request, data: bytes | bytearray | memoryview) -> None:
        assert len(data) == request.length
        if self.structured:
            place = struct.pack(">Q", request.offset)
            self.send_chunk(request, CHUNK_OFFSET_DATA, place, len(data))
        else:
            self.send_simply(request)
        self.connection.sendall(data)

    def _send_extents(self, request: Request, extents: list[tuple[int, bool]]) -> None:
        pairs = (struct.pack(">II", length, zero * _HOLE_AND_ZERO) for length, zero in extents)
        payload = struct.pack(">I", CONTEXT_ID) + b"".join(pairs)
        self.send_chunk(request, CHUNK_BLOCK_STATUS, payload)


class _WriteSession(Session):
    """A client that writes. Nothing is said of what is allocated."""

    def __init__(self, connection: socket.socket, size_bytes: int, disk: FilledDisk) -> None:
        super().__init__(connection, size_bytes)
        self._disk = disk
        self._payload = bytearray()

    def set_contexts(self, option: int, data: bytes) -> None:
        self.queries(data)

    def take_payload(self, length: int) -> None:
        if length > READ_SIZE_MAX:
            raise HangUpError
        if length > len(self._payload):
            self._payload = bytearray(length)
        self.receive_into(memoryview(self._payload)[:length])

    def answer_one(self, request: Request) -> None:
        if request.command != CMD_WRITE:
            raise RequestError(errno.EINVAL, "no such command was agreed on")
        self.require_inside(request, flags=0)
        self._disk.write(request.offset, memoryview(self._payload)[: request.length])
        if self.structured:
            self.send_chunk(request, CHUNK_NONE, b"")
        else:
            self.send_simply(request)
