"""The server of network block devices against clients that write."""

import errno
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from amictl.errors import StorageError
from amictl.volumes.nbd import READ_SIZE_MAX
from tests.volumes.nbd_client import Client, Served, contexts, filled, wish

SIZE = 100_000
READ, WRITE, TRIM, FLUSH = 0, 1, 4, 3


@dataclass
class Paper:
    """A disk that remembers, and of which the end cannot be written."""

    size_bytes: int = SIZE
    content: bytearray = field(default_factory=lambda: bytearray(SIZE))

    def write(self, offset: int, data: memoryview) -> None:
        if offset + len(data) > 90_000:
            raise StorageError("no room")
        self.content[offset : offset + len(data)] = data


@pytest.fixture
def paper() -> Paper:
    return Paper()


@pytest.fixture
def one(paper: Paper) -> Iterator[Served]:
    with filled(paper) as one:
        yield one


@pytest.fixture
def client(one: Served) -> Client:
    """A client that agreed on structured replies, and learned nothing of what is allocated."""
    client = one.client
    client.greet()
    assert client.option(8) == (1, b"")
    assert client.option(10, contexts(b"base:allocation")) == (1, b"")
    assert client.option(7, wish()) == (3, struct.pack(">HQH", 0, SIZE, 1))
    assert client.reply(7) == (1, b"")
    return client


def test_what_is_written_is_taken(client: Client, paper: Paper) -> None:
    client.request(WRITE, 1000, 5)
    client.send(b"hello")
    assert client.chunk() == (0, b"")
    client.request(WRITE, 1005, 3)
    client.send(b"you")
    assert client.chunk() == (0, b"")
    assert paper.content[999:1009] == b"\0helloyou\0"


def test_client_without_structured_replies_is_answered_simply(one: Served, paper: Paper) -> None:
    one.client.greet()
    assert one.client.option(7, wish())[0] == 3
    one.client.reply(7)
    one.client.request(WRITE, 0, 4)
    one.client.send(b"data")
    assert one.client.simple() == 0
    one.client.request(READ, 0, 4)
    assert one.client.simple() == errno.EINVAL
    assert paper.content[:4] == b"data"


@pytest.mark.parametrize("command", [READ, TRIM, FLUSH])
def test_writer_can_do_nothing_else(client: Client, command: int) -> None:
    client.request(command, 0, 4)
    kind, payload = client.chunk()
    assert (kind, struct.unpack(">I", payload[:4])) == (2**15 + 1, (errno.EINVAL,))


@pytest.mark.parametrize(("offset", "length", "flags"), [(SIZE, 1, 0), (SIZE - 1, 2, 0), (0, 1, 1)])
def test_write_that_is_not_inside_the_disk_is_refused(
    client: Client, offset: int, length: int, flags: int
) -> None:
    client.request(WRITE, offset, length, flags)
    client.send(bytes(length))
    kind, payload = client.chunk()
    assert (kind, struct.unpack(">I", payload[:4])) == (2**15 + 1, (errno.EINVAL,))


def test_too_much_at_once_is_hung_up_on(client: Client) -> None:
    client.request(WRITE, 0, READ_SIZE_MAX + 1)
    assert client.receive(1) == b""


def test_failure_of_the_disk_is_returned_in_the_end(one: Served, client: Client) -> None:
    client.request(WRITE, 95_000, 4)
    client.send(b"data")
    kind, payload = client.chunk()
    assert (kind, struct.unpack(">I", payload[:4])) == (2**15 + 1, (errno.EIO,))
    failure = one.end()
    assert isinstance(failure, StorageError)
