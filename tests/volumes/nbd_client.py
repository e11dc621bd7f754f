"""One end of an NBD connection for tests, beside `serve` at the other: bytes out, bytes in."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from amictl.errors import AmictlError, CorruptStoreError
from amictl.volumes.nbd import FilledDisk, receive, serve

GREETING = b"NBDMAGICIHAVEOPT\x00\x03"
DISK_SIZE = 200_000
DAMAGED = range(100_000, 100_512)
ZEROS = 150_000
"""From here on the disk is zeros."""
_NUMBERS = b"".join(struct.pack(">I", number) for number in range(ZEROS // 4))


@dataclass
class MemoryDisk:
    """Numbered bytes, of which some cannot be had, and zeros."""

    size_bytes: int = DISK_SIZE
    content: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.content = _NUMBERS.ljust(self.size_bytes, b"\0")

    def read(self, offset: int, length: int) -> bytes:
        if offset < DAMAGED.stop and offset + length > DAMAGED.start:
            raise CorruptStoreError("damaged here")
        return self.content[offset : offset + length]

    def extents(self, offset: int, length: int) -> list[tuple[int, bool]]:
        data = max(0, min(offset + length, ZEROS) - offset)
        return [(size, zero) for size, zero in ((data, False), (length - data, True)) if size]


@dataclass
class SoundDisk(MemoryDisk):
    """The same, and everything can be had."""

    def read(self, offset: int, length: int) -> bytes:
        return self.content[offset : offset + length]


@dataclass
class Client:
    """What a client does, by hand. Reads at the end of the connection give fewer bytes."""

    socket: socket.socket

    def send(self, *pieces: bytes) -> None:
        self.socket.sendall(b"".join(pieces))

    def receive(self, length: int) -> bytes:
        data = b""
        while len(data) < length and (piece := self.socket.recv(length - len(data))):
            data += piece
        return data

    def greet(self, flags: int = 3) -> None:
        assert self.receive(18) == GREETING
        self.send(struct.pack(">I", flags))

    def option(self, option: int, data: bytes = b"") -> tuple[int, bytes]:
        """Ask for an option; kind and data of the next reply to it."""
        self.send(b"IHAVEOPT", struct.pack(">II", option, len(data)), data)
        return self.reply(option)

    def reply(self, option: int) -> tuple[int, bytes]:
        magic, same, kind, length = struct.unpack(">QIII", self.receive(20))
        assert (magic, same) == (0x3E889045565A9, option)
        return kind, self.receive(length)

    def go(self) -> None:
        """Agree on everything that there is, and begin."""
        self.greet()
        assert self.option(8) == (1, b"")
        assert self.option(10, contexts(b"base:allocation"))[0] == 4
        assert self.reply(10) == (1, b"")
        assert self.option(7, wish())[0] == 3
        assert self.reply(7) == (1, b"")

    def request(self, command: int, offset: int, length: int, flags: int = 0) -> None:
        self.send(struct.pack(">IHHQQI", 0x25609513, flags, command, 77, offset, length))

    def chunk(self) -> tuple[int, bytes]:
        """Kind and payload of a reply, which has one chunk."""
        magic, flags, kind, handle, length = struct.unpack(">IHHQI", self.receive(20))
        assert (magic, flags, handle) == (0x668E33EF, 1, 77)
        return kind, self.receive(length)

    def simple(self) -> int:
        """The error of a simple reply; 0 for none."""
        magic, error, handle = struct.unpack(">IIQ", self.receive(16))
        assert (magic, handle) == (0x67446698, 77)
        return int(error)


def wish(name: bytes = b"", *kinds: int) -> bytes:
    """The data of the options INFO and GO."""
    return text(name) + struct.pack(f">H{len(kinds)}H", len(kinds), *kinds)


def contexts(*queries: bytes, name: bytes = b"") -> bytes:
    """The data of the options about metadata contexts."""
    return text(name) + struct.pack(">I", len(queries)) + b"".join(map(text, queries))


def text(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


@dataclass
class Served:
    """A client, and what the server returned once the client is gone."""

    client: Client
    outcome: list[AmictlError | None]
    thread: threading.Thread

    def end(self) -> AmictlError | None:
        """Leave; what the server returned."""
        self.client.socket.close()
        self.thread.join(60)
        return self.outcome[0]


def served(disk: MemoryDisk | None = None) -> AbstractContextManager[Served]:
    """A client that reads."""
    return _attended(lambda connection: serve(connection, disk or MemoryDisk()))


def filled(disk: FilledDisk) -> AbstractContextManager[Served]:
    """A client that writes."""
    return _attended(lambda connection: receive(connection, disk))


@contextmanager
def _attended(attend: Callable[[socket.socket], AmictlError | None]) -> Iterator[Served]:
    ours, theirs = socket.socketpair()
    ours.settimeout(60)
    outcome: list[AmictlError | None] = []

    def run() -> None:
        with theirs:
            outcome.append(attend(theirs))

    thread = threading.Thread(target=run)
    thread.start()
    one = Served(Client(ours), outcome, thread)
    try:
        yield one
    finally:
        ours.close()
        thread.join(60)
        assert not thread.is_alive()
