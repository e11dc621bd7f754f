"""One side of the NBD protocol: a server's handshake with one client, and the loop of its requests.

The fixed newstyle handshake, with structured replies and the metadata context `base:allocation`.
Source: doc/proto.md of the NetworkBlockDevice project. A client that does not keep to the
protocol is hung up on; whatever it sends, what is held of it is bounded.
"""

import errno
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from amictl.errors import UNREADABLE, AmictlError

READ_SIZE_MAX = 32 * 1024 * 1024
_OPTION_SIZE_MAX = 16 * 1024
_PREFERRED_BLOCK_SIZE = 4096
_OLD_PADDING = bytes(124)
CONTEXT = b"base:allocation"
CONTEXT_ID = 1

_GREETING = struct.pack(">8s8sH", b"NBDMAGIC", b"IHAVEOPT", 0b11)
_FIXED_NEWSTYLE, _NO_ZEROES = 1, 2
HAS_FLAGS, READ_ONLY = 1, 2

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
CHUNK_NONE, CHUNK_OFFSET_DATA, CHUNK_BLOCK_STATUS, _CHUNK_ERROR = 0, 1, 5, 2**15 + 1
CMD_READ, CMD_WRITE, CMD_DISC, CMD_TRIM, CMD_WRITE_ZEROES, CMD_BLOCK_STATUS = 0, 1, 2, 4, 6, 7
FLAG_DF, FLAG_REQ_ONE = 1 << 2, 1 << 3


class HangUpError(Exception):
    """The client is gone, or does not keep to the protocol."""


class _OptionError(Exception):
    """An option that is refused; the number is that of the reply."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class RequestError(Exception):
    """A request that is refused; the number is that of the error."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.number = number


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks for."""

    flags: int
    command: int
    handle: int
    offset: int
    length: int


class Session:
    """One connection, and what was agreed on."""

    flags = HAS_FLAGS

    def __init__(self, connection: socket.socket, size_bytes: int) -> None:
        self.connection = connection
        self.size_bytes = size_bytes
        self.no_zeroes = False
        self.structured = False
        self.context = False
        self.failure: AmictlError | None = None
        self._begun = False

    # --- the handshake -------------------------------------------------------------------------

    def agree(self) -> bool:
        """Whether the client wants to read now, rather than leave."""
        self.connection.sendall(_GREETING)
        (flags,) = struct.unpack(">I", self.receive(4))
        if flags & ~(_FIXED_NEWSTYLE | _NO_ZEROES):
            raise HangUpError
        self.no_zeroes = bool(flags & _NO_ZEROES)
        while not self._begun:
            magic, option, length = _OPTION.unpack(self.receive(_OPTION.size))
            if magic != b"IHAVEOPT" or length > _OPTION_SIZE_MAX:
                raise HangUpError
            data = self.receive(length)
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
            _OPT_SET_META_CONTEXT: self.set_contexts,
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
            raise HangUpError  # this option has no reply that says no
        padding = b"" if self.no_zeroes else _OLD_PADDING
        self.connection.sendall(struct.pack(">QH", self.size_bytes, self.flags) + padding)
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
        export = struct.pack(">HQH", _INFO_EXPORT, self.size_bytes, self.flags)
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
        queries = self.queries(data)
        if not queries or CONTEXT in queries or b"base:" in queries:
            self._reply(option, _REP_META_CONTEXT, struct.pack(">I", 0) + CONTEXT)

    def set_contexts(self, option: int, data: bytes) -> None:
        self.context = False
        self.context = CONTEXT in self.queries(data)
        if self.context:
            self._reply(option, _REP_META_CONTEXT, struct.pack(">I", CONTEXT_ID) + CONTEXT)

    def queries(self, data: bytes) -> list[bytes]:
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
                self.answer_one(request)
            except RequestError as error:
                self._refuse(request, error.number, str(error))
            except UNREADABLE as error:
                self.failure = self.failure or error
                self._refuse(request, errno.EIO, error.message)

    def _requests(self) -> Iterator[Request]:
        while True:
            magic, *numbers = _REQUEST.unpack(self.receive(_REQUEST.size))
            request = Request(*numbers)
            if magic != _REQUEST_MAGIC:
                raise HangUpError
            if request.command == CMD_DISC:
                return
            if request.command == CMD_WRITE:
                self.take_payload(request.length)
            yield request

    def take_payload(self, length: int) -> None:
        """Receive what follows the head of a write."""
        raise NotImplementedError

    def answer_one(self, request: Request) -> None:
        """Raises RequestError; AmictlError if the disk cannot do it."""
        raise NotImplementedError

    def require_inside(self, request: Request, *, flags: int) -> None:
        """Raises RequestError unless it has these flags at most, and a range inside the disk."""
        if request.flags & ~flags:
            raise RequestError(errno.EINVAL, "unknown flags")
        if not request.length or request.offset + request.length > self.size_bytes:
            raise RequestError(errno.EINVAL, "not inside the disk")

    def send_simply(self, request: Request, number: int = 0) -> None:
        """Send the head of a reply to a client that does without structure; 0: it was done."""
        self.connection.sendall(_SIMPLE_REPLY.pack(_SIMPLE_REPLY_MAGIC, number, request.handle))

    def _refuse(self, request: Request, number: int, text: str) -> None:
        if not self.structured:
            self.send_simply(request, number)
            return
        message = text.encode()[:1000]
        payload = struct.pack(">IH", number, len(message)) + message
        self.send_chunk(request, _CHUNK_ERROR, payload)

    def send_chunk(self, request: Request, kind: int, payload: bytes, following: int = 0) -> None:
        """Send the only chunk of a reply; as many bytes of it as `following` come later."""
        length = len(payload) + following
        head = _CHUNK.pack(_CHUNK_MAGIC, _CHUNK_DONE, kind, request.handle, length)
        self.connection.sendall(head + payload)

    # --- bytes ---------------------------------------------------------------------------------

    def receive(self, length: int) -> bytes:
        """So many bytes, never many. Raises HangUpError at the end."""
        data = bytearray(length)
        self.receive_into(memoryview(data))
        return bytes(data)

    def receive_into(self, rest: memoryview) -> None:
        while rest:
            count = self.connection.recv_into(rest)
            if count == 0:
                raise HangUpError
            rest = rest[count:]


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
