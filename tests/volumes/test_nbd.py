"""The server of network block devices against clients that are right, wrong, or neither."""

import errno
import socket
import struct
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amictl.errors import InterruptedBySignalError
from amictl.volumes.nbd import READ_SIZE_MAX, serve
from tests.volumes.nbd_client import (
    DAMAGED,
    DISK_SIZE,
    GREETING,
    ZEROS,
    Client,
    MemoryDisk,
    Served,
    SoundDisk,
    contexts,
    served,
    text,
    wish,
)

UNSUPPORTED, INVALID, UNKNOWN = 2**31 + 1, 2**31 + 3, 2**31 + 6
EXPORT = struct.pack(">QH", DISK_SIZE, 0b11)
CONTENT = SoundDisk().content


@pytest.fixture
def one() -> Iterator[Served]:
    with served() as one:
        yield one


@pytest.fixture
def client(one: Served) -> Client:
    """A client that has not said anything."""
    return one.client


@pytest.fixture
def greeted(client: Client) -> Client:
    client.greet()
    return client


@pytest.fixture
def reader(client: Client) -> Client:
    """A client that agreed on everything."""
    client.go()
    return client


# --- options -----------------------------------------------------------------------------------


def test_unknown_flags_of_the_client_end_the_talk(client: Client) -> None:
    client.greet(0b101)
    assert client.receive(1) == b""


@pytest.mark.parametrize(("flags", "padding"), [(1, 124), (3, 0)])
def test_the_old_way_to_begin_gives_size_and_flags(
    client: Client, flags: int, padding: int
) -> None:
    client.greet(flags)
    client.send(b"IHAVEOPT", struct.pack(">II", 1, 0))
    assert client.receive(10 + padding) == EXPORT + bytes(padding)
    client.request(0, 4, 8)
    assert client.simple() == 0
    assert client.receive(8) == CONTENT[4:12]


def test_the_old_way_with_a_name_ends_the_talk(greeted: Client) -> None:
    greeted.send(b"IHAVEOPT", struct.pack(">II", 1, 3), b"web")
    assert greeted.receive(1) == b""


def test_abort_is_acknowledged(greeted: Client) -> None:
    assert greeted.option(2) == (1, b"")
    assert greeted.receive(1) == b""


def test_there_is_one_disk_without_a_name(greeted: Client) -> None:
    assert greeted.option(3) == (2, text(b""))
    assert greeted.reply(3) == (1, b"")


@pytest.mark.parametrize("option", [6, 7])
def test_info_and_go_tell_size_flags_and_block_sizes(greeted: Client, option: int) -> None:
    assert greeted.option(option, wish(b"", 3)) == (3, struct.pack(">H", 0) + EXPORT)
    assert greeted.reply(option) == (3, struct.pack(">HIII", 3, 1, 4096, READ_SIZE_MAX))
    assert greeted.reply(option) == (1, b"")


def test_after_info_the_talk_goes_on_and_after_go_reading_begins(greeted: Client) -> None:
    assert greeted.option(6, wish())[0] == 3
    assert greeted.reply(6) == (1, b"")
    assert greeted.option(7, wish())[0] == 3
    assert greeted.reply(7) == (1, b"")
    greeted.request(0, 0, 4)
    assert (greeted.simple(), greeted.receive(4)) == (0, bytes(4))


def test_contexts_are_listed(greeted: Client) -> None:
    assert greeted.option(8) == (1, b"")
    for queries in ((), (b"base:",), (b"x-y:z", b"base:allocation")):
        assert greeted.option(9, contexts(*queries)) == (4, bytes(4) + b"base:allocation")
        assert greeted.reply(9) == (1, b"")
    assert greeted.option(9, contexts(b"x-y:z")) == (1, b"")


def test_a_context_is_set_and_taken_back(greeted: Client) -> None:
    greeted.option(8)
    assert greeted.option(10, contexts(b"base:allocation"))[0] == 4
    assert greeted.reply(10) == (1, b"")
    assert greeted.option(10, contexts()) == (1, b"")
    greeted.option(7, wish())
    greeted.reply(7)
    greeted.request(7, 0, 512)
    assert greeted.chunk()[0] == 2**15 + 1


@pytest.mark.parametrize(
    ("option", "data", "error"),
    [
        (5, b"", UNSUPPORTED),  # no TLS
        (99, b"what", UNSUPPORTED),
        (3, b"x", INVALID),
        (8, b"x", INVALID),
        (6, wish(b"web"), UNKNOWN),
        (7, wish(b"web"), UNKNOWN),
        (7, b"", INVALID),
        (7, wish() + b"x", INVALID),
        (7, struct.pack(">I", 2**32 - 1), INVALID),
        (7, text(b"") + struct.pack(">H", 9), INVALID),
        (9, contexts(), INVALID),  # without structured replies
        (10, contexts(b"base:allocation"), INVALID),
    ],
)
def test_an_option_is_refused_and_the_talk_goes_on(
    greeted: Client, option: int, data: bytes, error: int
) -> None:
    assert greeted.option(option, data) == (error, b"")
    assert greeted.option(3)[0] == 2


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (contexts(name=b"web"), UNKNOWN),
        (contexts() + b"x", INVALID),
        (text(b"") + struct.pack(">I", 2**32 - 1), INVALID),
    ],
)
@pytest.mark.parametrize("option", [9, 10])
def test_contexts_are_refused(greeted: Client, option: int, data: bytes, error: int) -> None:
    greeted.option(8)
    assert greeted.option(option, data) == (error, b"")


@pytest.mark.parametrize(
    "data",
    [b"HAVEOPTI" + struct.pack(">II", 3, 0), b"IHAVEOPT" + struct.pack(">II", 3, 16 * 1024 + 1)],
    ids=["magic", "length"],
)
def test_what_is_no_option_ends_the_talk(greeted: Client, data: bytes) -> None:
    greeted.send(data)
    assert greeted.receive(1) == b""


# --- requests ----------------------------------------------------------------------------------


def test_bytes_are_read(one: Served, reader: Client) -> None:
    reader.request(0, 1001, 2002)
    assert reader.chunk() == (1, struct.pack(">Q", 1001) + CONTENT[1001:3003])
    assert one.end() is None


def test_extents_tell_zeros_from_data(reader: Client) -> None:
    reader.request(7, ZEROS - 1000, 3000)
    assert reader.chunk() == (5, struct.pack(">IIIII", 1, 1000, 0, 2000, 3))


def test_one_extent_is_one(reader: Client) -> None:
    reader.request(7, ZEROS - 1000, 3000, flags=8)
    assert reader.chunk() == (5, struct.pack(">III", 1, 1000, 0))


def test_what_cannot_be_had_is_an_error_and_the_next_read_works(
    one: Served, reader: Client
) -> None:
    reader.request(0, DAMAGED.start - 1, 2)
    message = b"damaged here"
    expected = struct.pack(">IH", errno.EIO, len(message)) + message
    assert reader.chunk() == (2**15 + 1, expected)
    reader.request(0, 0, 8)
    assert reader.chunk()[1][8:] == CONTENT[:8]
    failure = one.end()
    assert failure is not None
    assert failure.message == "damaged here"


def test_an_interruption_is_not_an_error_of_the_disk() -> None:
    class Interrupted(SoundDisk):
        def read(self, offset: int, length: int) -> bytes:
            raise InterruptedBySignalError(15)

    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(bytes(3) + b"\3IHAVEOPT" + struct.pack(">II", 1, 0))
        Client(ours).request(0, 0, 8)
        with pytest.raises(InterruptedBySignalError):
            serve(theirs, Interrupted())


def test_errors_are_simple_where_structured_replies_were_not_agreed_on(
    one: Served, greeted: Client
) -> None:
    greeted.send(b"IHAVEOPT", struct.pack(">II", 1, 0))
    assert greeted.receive(10) == EXPORT
    greeted.request(0, DAMAGED.start, 1)
    assert greeted.simple() == errno.EIO
    greeted.request(7, 0, 512)
    assert greeted.simple() == errno.EINVAL


@pytest.mark.parametrize(
    ("command", "offset", "length", "flags", "error"),
    [
        (0, DISK_SIZE - 1, 2, 0, errno.EINVAL),
        (0, 2**64 - 1, 2, 0, errno.EINVAL),
        (0, 0, 0, 0, errno.EINVAL),
        (0, 0, 8, 8, errno.EINVAL),
        (7, DISK_SIZE, 1, 0, errno.EINVAL),
        (7, 0, 512, 1, errno.EINVAL),
        (3, 0, 0, 0, errno.EINVAL),  # flush
        (4, 0, 512, 0, errno.EPERM),
        (6, 0, 512, 0, errno.EPERM),
        (99, 0, 512, 0, errno.EINVAL),
    ],
)
def test_a_request_is_refused_and_the_next_is_answered(
    reader: Client, command: int, offset: int, length: int, flags: int, error: int
) -> None:
    reader.request(command, offset, length, flags)
    kind, payload = reader.chunk()
    assert (kind, struct.unpack(">I", payload[:4])) == (2**15 + 1, (error,))
    reader.request(0, 0, 8)
    assert reader.chunk()[0] == 1


def test_too_much_at_once_is_refused() -> None:
    with served(SoundDisk(2 * READ_SIZE_MAX)) as one:
        one.client.go()
        one.client.request(0, 0, READ_SIZE_MAX + 1)
        assert struct.unpack(">I", one.client.chunk()[1][:4]) == (errno.EOVERFLOW,)


def test_what_is_written_is_passed_over(reader: Client) -> None:
    reader.request(1, 0, 200_000)
    reader.send(bytes(200_000))
    assert struct.unpack(">I", reader.chunk()[1][:4]) == (errno.EPERM,)
    reader.request(0, 0, 8)
    assert reader.chunk()[1][8:] == CONTENT[:8]


def test_what_is_no_request_ends_the_talk(reader: Client) -> None:
    reader.send(bytes(28))
    assert reader.receive(1) == b""


def test_a_client_that_says_goodbye_gets_no_reply(one: Served, reader: Client) -> None:
    reader.request(2, 0, 0)
    assert reader.receive(1) == b""
    assert one.end() is None


# --- any client --------------------------------------------------------------------------------

_NUMBERS = st.sampled_from([0, 1, 2, 7, 124, 2**15, 2**31, 2**32 - 1])
_DATA = st.one_of(
    st.binary(max_size=40),
    st.builds(wish, st.binary(max_size=3), st.integers(0, 9)),
    st.lists(st.binary(max_size=20)).map(lambda queries: contexts(*queries)),
)
_OPTIONS = st.builds(
    lambda option, data, length: (
        b"IHAVEOPT" + struct.pack(">II", option, len(data) if length is None else length) + data
    ),
    st.integers(0, 12),
    _DATA,
    st.none() | _NUMBERS,
)
_REQUESTS = st.builds(
    lambda flags, command, offset, length: struct.pack(
        ">IHHQQI", 0x25609513, flags, command, 77, offset, length
    ),
    st.sampled_from([0, 1, 4, 8]),
    st.integers(0, 9),
    st.integers(0, DISK_SIZE + 10) | st.integers(0, 2**64 - 1),
    st.integers(0, 5000) | _NUMBERS,
)
_BEGIN = b"".join(
    b"IHAVEOPT" + struct.pack(">II", option, len(data)) + data
    for option, data in ((8, b""), (10, contexts(b"base:allocation")), (7, wish()))
)


@settings(max_examples=200)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.lists(_OPTIONS, max_size=8).map(lambda options: bytes(3) + b"\3" + b"".join(options)),
        st.lists(_REQUESTS | st.binary(max_size=40), max_size=8).map(
            lambda requests: bytes(3) + b"\3" + _BEGIN + b"".join(requests)
        ),
    )
)
def test_whatever_a_client_sends_the_server_ends_with_it(sent: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(60)
        received = bytearray()
        taker = threading.Thread(target=_take_all, args=(ours, received))
        taker.start()
        ours.sendall(sent)
        ours.shutdown(socket.SHUT_WR)
        serve(theirs, MemoryDisk())
        theirs.close()
        taker.join(60)
    assert received.startswith(GREETING)


def _take_all(connection: socket.socket, received: bytearray) -> None:
    try:
        while piece := connection.recv(1 << 16):
            received += piece
    except ConnectionResetError:
        pass  # the server left, and some of what was sent was not read


def test_memory_does_not_grow_with_what_a_client_announces(reader: Client) -> None:
    tracemalloc.start()
    try:
        reader.request(1, 0, 2**32 - 1)
        reader.send(bytes(1 << 20))
        reader.socket.shutdown(socket.SHUT_WR)
        assert reader.receive(1) == b""
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20


# --- other people's clients --------------------------------------------------------------------


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Where a sound disk is served to one client after the other."""
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        over = threading.Event()
        thread = threading.Thread(target=_serve_all, args=(listener, over))
        thread.start()
        yield f"nbd+unix:///?socket={path}"
        over.set()
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(str(path))
        thread.join(60)
        assert not thread.is_alive()


def _serve_all(listener: socket.socket, over: threading.Event) -> None:
    while not over.is_set():
        connection, _ = listener.accept()
        with connection:
            serve(connection, SoundDisk())


@pytest.mark.needs_tool("nbdinfo")
def test_nbdinfo_reads_size_and_extents(address: str, tool) -> None:
    assert tool("nbdinfo", "--size", address).strip() == str(DISK_SIZE)
    lines = [line.split() for line in tool("nbdinfo", "--map", address).splitlines()]
    assert lines == [
        ["0", str(ZEROS), "0", "data"],
        [str(ZEROS), str(DISK_SIZE - ZEROS), "3", "hole,zero"],
    ]
    assert "is_read_only: true" in tool("nbdinfo", "--list", address)


@pytest.mark.needs_tool("nbdcopy")
def test_nbdcopy_reads_the_same_bytes(address: str, tmp_path: Path, tool) -> None:
    tool("nbdcopy", address, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == CONTENT


@pytest.mark.needs_tool("qemu-img")
def test_qemu_reads_the_same_bytes_and_extents(address: str, tmp_path: Path, tool) -> None:
    tool("qemu-img", "convert", "-f", "raw", "-O", "raw", address, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes()[:DISK_SIZE] == CONTENT
