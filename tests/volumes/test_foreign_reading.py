"""Foreign disks as a stream: qemu-img between two sockets, and nothing left of it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from amictl.errors import CorruptStoreError, StorageError
from amictl.formats import foreign
from amictl.formats.foreign_header import ForeignDisk, ForeignFile
from amictl.model.blockmap import SEGMENT_SIZE
from amictl.volumes.foreign_reading import ConvertedDisk
from tests.conftest import await_end

pytestmark = pytest.mark.needs_tool("qemu-img")
SEGMENTS = 12


class Bytes:
    """A file in memory, of which some reads fail."""

    where = "the disk"

    def __init__(self, data: bytes, failing: range = range(0)) -> None:
        self.size = len(data)
        self._data = data
        self._failing = failing

    def read(self, offset: int, length: int) -> bytes:
        if offset in self._failing:
            raise StorageError("the network is gone")
        return self._data[offset : offset + length]


def looked_at(file: Bytes) -> ForeignDisk:
    found = foreign.looked_at(ForeignFile(file.where, file.size, file.read), None)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def qcow2(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A disk of twelve segments, each full of its number, but for the fifth."""
    folder = tmp_path_factory.mktemp("qcow2")
    raw, made = folder / "raw", folder / "made"
    raw.write_bytes(b"".join(bytes([at + 1]) * SEGMENT_SIZE for at in range(SEGMENTS)))
    with raw.open("r+b") as file:
        file.seek(5 * SEGMENT_SIZE)
        file.write(bytes(SEGMENT_SIZE))
    words = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(made)]
    subprocess.run(words, check=True)
    return made.read_bytes()


def children() -> set[str]:
    """Our processes that have not ended."""
    found = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return {child for child in found if "qemu" in Path(f"/proc/{child}/comm").read_text()}


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def read_all(disk: ConvertedDisk) -> list[bytes]:
    """The content of each segment, until something is wrong."""
    target = memoryview(bytearray(SEGMENT_SIZE))
    found = []
    for index in disk.segments():
        disk.read(index * SEGMENT_SIZE, target)
        found.append(bytes(target))
    return found


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    descriptors = open_descriptors()
    yield
    assert children() == set()
    assert open_descriptors() <= descriptors  # others may have been collected meanwhile


def test_segments_come_in_order_without_those_of_zeros(qcow2: bytes) -> None:
    file = Bytes(qcow2)
    with ConvertedDisk(looked_at(file), file) as disk:
        found = read_all(disk)
    expected = [at + 1 for at in range(SEGMENTS) if at != 5]
    assert found == [bytes([number]) * SEGMENT_SIZE for number in expected]


def test_reader_that_gives_up_leaves_nothing(qcow2: bytes) -> None:
    file = Bytes(qcow2)
    with ConvertedDisk(looked_at(file), file) as disk:
        assert next(iter(disk.segments())) == 0


def test_reader_that_never_begins_leaves_nothing(qcow2: bytes) -> None:
    file = Bytes(qcow2)
    with ConvertedDisk(looked_at(file), file):
        pass


def test_what_reading_the_file_raises_is_raised(qcow2: bytes) -> None:
    file = Bytes(qcow2, range(20 * 65_536, len(qcow2)))
    found = looked_at(Bytes(qcow2))
    gone = pytest.raises(StorageError, match="the network is gone")
    with ConvertedDisk(found, file) as disk, gone:
        read_all(disk)


def test_interruption_of_a_reading_thread_ends_the_whole(qcow2: bytes) -> None:
    class Interrupted(Bytes):
        def read(self, offset: int, length: int) -> bytes:
            raise RuntimeError("not one of ours")

    file = Interrupted(qcow2)
    found = looked_at(Bytes(qcow2))
    with ConvertedDisk(found, file) as disk, pytest.raises(RuntimeError, match="not one of ours"):
        list(disk.segments())


def test_qemu_img_says_what_is_wrong_with_a_file(qcow2: bytes) -> None:
    data = bytearray(qcow2)
    data[36:40] = bytes(4)  # no first table, although the disk is not empty
    file = Bytes(bytes(data))
    wrong = pytest.raises(CorruptStoreError, match="QCOW2: L1 table is too small")
    with ConvertedDisk(looked_at(file), file) as disk, wrong as raised:
        read_all(disk)
    assert raised.value.code == "InvalidFormat"
    assert "qemu-img check" in str(raised.value.hint)


def test_backing_file_of_a_header_is_not_opened_even_unseen(qcow2: bytes, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret" * 100_000)
    found = looked_at(Bytes(qcow2))
    data = bytearray(qcow2)
    name = str(secret).encode()
    data[8:20] = (60_000).to_bytes(8, "big") + len(name).to_bytes(4, "big")
    data[60_000 : 60_000 + len(name)] = name
    file = Bytes(bytes(data))
    with ConvertedDisk(found, file) as disk:  # as if the file had changed after it was looked at
        assert not any(b"secret" in content for content in read_all(disk))


def test_qemu_img_ends_with_us(qcow2: bytes, tmp_path: Path) -> None:
    path = tmp_path / "disk"
    path.write_bytes(qcow2)
    program = (
        "import sys\n"
        "from tests.volumes.test_foreign_reading import Bytes, ConvertedDisk, looked_at\n"
        "file = Bytes(open(sys.argv[1], 'rb').read())\n"
        "disk = ConvertedDisk(looked_at(file), file)\n"
        "disk.__enter__()\n"
        "print(disk._process.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        converter = int(process.stdout.readline())
        process.kill()
    await_end(converter)


def test_a_file_that_was_cut_short_is_told_in_our_words(tmp_path: Path) -> None:
    raw, made = tmp_path / "raw", tmp_path / "made"
    raw.write_bytes(b"text" * SEGMENT_SIZE)
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "vhdx", raw, made], check=True)
    file = Bytes(made.read_bytes()[: 6 << 20])
    wrong = pytest.raises(CorruptStoreError)
    with ConvertedDisk(looked_at(file), file) as disk, wrong as raised:
        read_all(disk)
    why = "its tables lead behind its end; it may have been truncated"
    assert raised.value.message == f"the disk cannot be read as VHDX: {why}"
    assert "take it again" in str(raised.value.hint)
