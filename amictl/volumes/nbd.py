"""A disk served read-only to one client, as a network block device over a socket.

The fixed newstyle handshake of the NBD protocol, with structured replies and the metadata context
`base:allocation`. Source: doc/proto.md of the NetworkBlockDevice project. A client that does not
keep to the protocol is hung up on; whatever it sends, what is held of it is bounded.
"""

import errno
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from amictl.errors import UNREADABLE, AmictlError

READ_SIZE_MAX = 32 * 1024 * 1024
_OPTION_SIZE_MAX = 16 * 1024
_DISCARDED_AT_ONCE = 64 * 1024
_PREFERRED_BLOCK_SIZE = 4096
_OLD_PADDING = bytes(124)
CONTEXT = b"base:allocation"
_CONTEXT_ID = 1

_GREETING = struct.pack(">8s8sH", b"NBDMAGIC", b"IHAVEOPT", 0b11)
_FIXED_NEWSTYLE, _NO_ZEROES = 1, 2
_HAS_FLAGS, _READ_ONLY = 1, 2
_EXPORT_FLAGS = _HAS_FLAGS | _READ_ONLY

_OPTION = struct.Struct(">8sII")
_OPTION_REPLY = struct.Struct(">QIII")
_OPTION_REPLY_MAGIC = 0x3E889045565A9
_OPT_EXPORT_NAME, _OPT_ABORT, _OPT_LIST, _OPT_INFO, _OPT_GO = 1, 2, 3, 6, 7
_OPT_STRUCTURED_REPLY, _OPT_LIST_META_CONTEXT, _OPT_SET_META_CONTEXT = 8, 9, 10
_REP_ACK, _REP_SERVER, _REP_INFO, _REP_META_CONTEXT = 1, 2, 3, 4
_REP_ERR_UNSUP, _REP_ERR_INVALID, _REP_ERR_UNKNOWN = 2**31 + 1, 2**31 + 3, 2**31 + 6
_INFO_EXPORT, _INFO_BLOCK_SIZE = 0, 3

_REQUEST = struct.Struct(">IHHQQI")
_REQUEST_MAGIC = 0x25609513
_SIMPLE_REPLY = struct.Struct(">IIQ")
_SIMPLE_REPLY_MAGIC = 0x67446698
_CHUNK = struct.Struct(">IHHQI")
_CHUNK_MAGIC = 0x668E33EF
_CHUNK_DONE = 1
_CHUNK_OFFSET_DATA, _CHUNK_BLOCK_STATUS, _CHUNK_ERROR = 1, 5, 2**15 + 1
_CMD_READ, _CMD_WRITE, _CMD_DISC, _CMD_TRIM, _CMD_WRITE_ZEROES, _CMD_BLOCK_STATUS = 0, 1, 2, 4, 6, 7
_FLAG_DF, _FLAG_REQ_ONE = 1 << 2, 1 << 3
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


def serve(connection: socket.socket, disk: ServedDisk) -> AmictlError | None:
    """Answer one client until it is gone; returns the first error that the disk had, if any.

    To the client such an error is EIO; those are UNREADABLE. What else reading raises ends it.
    """
    session = _Session(connection, disk)
    try:
        if session.agree():
            session.answer()
    except (_HangUpError, ConnectionError):
        pass
    return session.failure


class _HangUpError(Exception):
    """The client is gone, or does not keep to the protocol."""


class _OptionError(Exception):
    """An option that is refused; the number is that of the reply."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class _RequestError(Exception):
    """A request that is refused; the number is that of the error."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.number = number


@dataclass(frozen=True, slots=True)
class _Request:
    flags: int
    command: int
    handle: int
    offset: int
    length: int


@dataclass(slots=True)
class _Session:
    """One connection, and what was agreed on."""

    connection: socket.socket
    disk: ServedDisk
    no_zeroes: bool = False
    structured: bool = False
    context: bool = False
    failure: AmictlError | None = None
    _begun: bool = field(default=False)

    # --- the handshake -------------------------------------------------------------------------

    def agree(self) -> bool:
        """Whether the client wants to read now, rather than leave."""
        self.connection.sendall(_GREETING)
        (flags,) = struct.unpack(">I", self._receive(4))
        if flags & ~(_FIXED_NEWSTYLE | _NO_ZEROES):
            raise _HangUpError
        self.no_zeroes = bool(flags & _NO_ZEROES)
        while not self._begun:
            magic, option, length = _OPTION.unpack(self._receive(_OPTION.size))
            if magic != b"IHAVEOPT" or length > _OPTION_SIZE_MAX:
                raise _HangUpError
            data = self._receive(length)
            if option == _OPT_EXPORT_NAME:
                self._begin_old_way(data)
            elif option == _OPT_ABORT:
                self._reply(option, _REP_ACK)
                return False
            else:
                self._take_option(option, data)
        return True

    def _take_option(self, option: int, data: bytes) -> None:
        takers: dict[int, Callable[[int, bytes], None]] = {
            _OPT_LIST: self._list,
            _OPT_INFO: self._inform,
            _OPT_GO: self._go,
            _OPT_STRUCTURED_REPLY: self._structure,
            _OPT_LIST_META_CONTEXT: self._list_contexts,
            _OPT_SET_META_CONTEXT: self._set_contexts,
        }
        try:
            if option not in takers:
                raise _OptionError(_REP_ERR_UNSUP)
            takers[option](option, data)
        except _OptionError as error:
            self._reply(option, error.number)
        else:
            self._reply(option, _REP_ACK)

    def _begin_old_way(self, name: bytes) -> None:
        if name:
            raise _HangUpError  # this option has no reply that says no
        padding = b"" if self.no_zeroes else _OLD_PADDING
        self.connection.sendall(struct.pack(">QH", self.disk.size_bytes, _EXPORT_FLAGS) + padding)
        self._begun = True

    def _list(self, option: int, data: bytes) -> None:
        _require(not data)
        self._reply(option, _REP_SERVER, struct.pack(">I", 0))

    def _inform(self, option: int, data: bytes) -> None:
        rest = _Fields(data)
        name = rest.text()
        kinds = rest.take(2 * rest.number(">H"))
        _require(rest.at_end)
        _require_own(name)
        export = struct.pack(">HQH", _INFO_EXPORT, self.disk.size_bytes, _EXPORT_FLAGS)
        self._reply(option, _REP_INFO, export)
        if (_INFO_BLOCK_SIZE,) in struct.iter_unpack(">H", kinds):
            sizes = (1, _PREFERRED_BLOCK_SIZE, READ_SIZE_MAX)
            self._reply(option, _REP_INFO, struct.pack(">HIII", _INFO_BLOCK_SIZE, *sizes))

    def _go(self, option: int, data: bytes) -> None:
        self._inform(option, data)
        self._begun = True

    def _structure(self, _: int, data: bytes) -> None:
        _require(not data)
        self.structured = True

    def _list_contexts(self, option: int, data: bytes) -> None:
        queries = self._queries(data)
        if not queries or CONTEXT in queries or b"base:" in queries:
            self._reply(option, _REP_META_CONTEXT, struct.pack(">I", 0) + CONTEXT)

    def _set_contexts(self, option: int, data: bytes) -> None:
        self.context = False
        self.context = CONTEXT in self._queries(data)
        if self.context:
            self._reply(option, _REP_META_CONTEXT, struct.pack(">I", _CONTEXT_ID) + CONTEXT)

    def _queries(self, data: bytes) -> list[bytes]:
        _require(self.structured)
        rest = _Fields(data)
        name = rest.text()
        # Each takes four bytes at least, so a number that is too high ends with the data.
        queries = [rest.text() for _ in range(rest.number(">I"))]
        _require(rest.at_end)
        _require_own(name)
        return queries

    def _reply(self, option: int, kind: int, data: bytes = b"") -> None:
        head = _OPTION_REPLY.pack(_OPTION_REPLY_MAGIC, option, kind, len(data))
        self.connection.sendall(head + data)

    # --- requests ------------------------------------------------------------------------------

    def answer(self) -> None:
        """Answer requests until the client leaves."""
        for request in self._requests():
            try:
                self._answer(request)
            except _RequestError as error:
                self._refuse(request, error.number, str(error))
            except UNREADABLE as error:
                self.failure = self.failure or error
                self._refuse(request, errno.EIO, error.message)

    def _requests(self) -> Iterator[_Request]:
        while True:
            magic, *numbers = _REQUEST.unpack(self._receive(_REQUEST.size))
            request = _Request(*numbers)
            if magic != _REQUEST_MAGIC:
                raise _HangUpError
            if request.command == _CMD_DISC:
                return
            if request.command == _CMD_WRITE:
                self._discard(request.length)
            yield request

    def _answer(self, request: _Request) -> None:
        """Raises _RequestError; AmictlError if the disk cannot be read."""
        if request.command == _CMD_READ:
            self._require_inside(request, flags=_FLAG_DF)
            if request.length > READ_SIZE_MAX:
                raise _RequestError(errno.EOVERFLOW, "too much at once")
            self._send_data(request, self.disk.read(request.offset, request.length))
        elif request.command == _CMD_BLOCK_STATUS and self.context:
            self._require_inside(request, flags=_FLAG_REQ_ONE)
            extents = self.disk.extents(request.offset, request.length)
            self._send_extents(request, extents[: 1 if request.flags else None])
        elif request.command in (_CMD_WRITE, _CMD_TRIM, _CMD_WRITE_ZEROES):
            raise _RequestError(errno.EPERM, "the disk is read-only")
        else:
            raise _RequestError(errno.EINVAL, "no such command was agreed on")

    def _require_inside(self, request: _Request, *, flags: int) -> None:
        """Raises _RequestError unless it has these flags at most, and a range inside the disk."""
        if request.flags & ~flags:
            raise _RequestError(errno.EINVAL, "unknown flags")
        if not request.length or request.offset + request.length > self.disk.size_bytes:
            raise _RequestError(errno.EINVAL, "not inside the disk")

    def _send_data(self, request: _Request, data: bytes | bytearray | memoryview) -> None:
        assert len(data) == request.length
        if self.structured:
            place = struct.pack(">Q", request.offset)
            self._send_chunk(request, _CHUNK_OFFSET_DATA, place, len(data))
        else:
            self.connection.sendall(_SIMPLE_REPLY.pack(_SIMPLE_REPLY_MAGIC, 0, request.handle))
        self.connection.sendall(data)

    def _send_extents(self, request: _Request, extents: list[tuple[int, bool]]) -> None:
        pairs = (struct.pack(">II", length, zero * _HOLE_AND_ZERO) for length, zero in extents)
        payload = struct.pack(">I", _CONTEXT_ID) + b"".join(pairs)
        self._send_chunk(request, _CHUNK_BLOCK_STATUS, payload)

    def _refuse(self, request: _Request, number: int, text: str) -> None:
        if not self.structured:
            reply = _SIMPLE_REPLY.pack(_SIMPLE_REPLY_MAGIC, number, request.handle)
            self.connection.sendall(reply)
            return
        message = text.encode()[:1000]
        payload = struct.pack(">IH", number, len(message)) + message
        self._send_chunk(request, _CHUNK_ERROR, payload)

    def _send_chunk(self, request: _Request, kind: int, payload: bytes, following: int = 0) -> None:
        """Send the only chunk of a reply; as many bytes of it as `following` come later."""
        length = len(payload) + following
        head = _CHUNK.pack(_CHUNK_MAGIC, _CHUNK_DONE, kind, request.handle, length)
        self.connection.sendall(head + payload)

    # --- bytes ---------------------------------------------------------------------------------

    def _receive(self, length: int) -> bytes:
        """So many bytes, never many. Raises _HangUpError at the end."""
        data = bytearray(length)
        rest = memoryview(data)
        while rest:
            count = self.connection.recv_into(rest)
            if count == 0:
                raise _HangUpError
            rest = rest[count:]
        return bytes(data)

    def _discard(self, length: int) -> None:
        while length:
            length -= len(self._receive(min(length, _DISCARDED_AT_ONCE)))


class _Fields:
    """The data of an option, taken from its beginning. Raises _OptionError where they end."""

    def __init__(self, data: bytes) -> None:
        self._rest = data

    @property
    def at_end(self) -> bool:
        return not self._rest

    def take(self, length: int) -> bytes:
        _require(length <= len(self._rest))
        taken, self._rest = self._rest[:length], self._rest[length:]
        return taken

    def number(self, layout: str) -> int:
        (number,) = struct.unpack(layout, self.take(struct.calcsize(layout)))
        return int(number)

    def text(self) -> bytes:
        """A text after its length."""
        return self.take(self.number(">I"))


def _require(holds: bool) -> None:
    if not holds:
        raise _OptionError(_REP_ERR_INVALID)


def _require_own(name: bytes) -> None:
    """There is one disk, and it has no name."""
    if name:
        raise _OptionError(_REP_ERR_UNKNOWN)
