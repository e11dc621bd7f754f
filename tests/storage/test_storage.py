"""The contract of `storage.interface`, for every implementation; then what a directory adds."""

import fcntl
import os
import resource
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amictl.errors import CorruptStoreError, ObjectMissingError, StorageError
from amictl.storage.directory import DirectoryStorage
from amictl.storage.disk import Disk
from amictl.storage.interface import Storage

FOLDERS = ("packs", "index", "staging", "locks")
MakeStorage = Callable[[Path], Storage]


def directory_storage(root: Path) -> DirectoryStorage:
    for folder in FOLDERS:
        (root / folder).mkdir(mode=0o700, parents=True)
    (root / "locks" / "replace").touch(0o600)
    return DirectoryStorage(root)


IMPLEMENTATIONS: dict[str, MakeStorage] = {"directory": directory_storage}


@pytest.fixture(params=sorted(IMPLEMENTATIONS))
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    return IMPLEMENTATIONS[request.param](tmp_path / "storage")


def names(storage: Storage, folder: str) -> set[tuple[str, int]]:
    return set(storage.names(folder))


# --- the contract: one process -----------------------------------------------------------------


def test_what_is_written_is_read(storage: Storage) -> None:
    storage.write("packs/a", b"content")
    assert storage.read("packs/a") == b"content"


def test_an_object_may_be_empty(storage: Storage) -> None:
    storage.write("packs/a", b"")
    assert storage.read("packs/a") == b""


def test_write_replaces_whole(storage: Storage) -> None:
    storage.write("packs/a", b"long content")
    storage.write("packs/a", b"short")
    assert storage.read("packs/a") == b"short"


@pytest.mark.parametrize(
    "reading",
    [
        lambda storage: storage.read("packs/a"),
        lambda storage: storage.map("packs/a"),
        lambda storage: storage.size("packs/a"),
        lambda storage: storage.read_into("packs/a", 0, memoryview(bytearray(1))),
        lambda storage: list(storage.names("absent")),
    ],
    ids=["read", "map", "size", "read_into", "names"],
)
def test_reading_what_is_not_there_says_so(
    storage: Storage, reading: Callable[[Storage], object]
) -> None:
    with pytest.raises(ObjectMissingError):
        reading(storage)


@settings(max_examples=30)
@given(content=st.binary(max_size=50), start=st.integers(0, 50), length=st.integers(0, 50))
def test_read_into_fills_the_target_or_says_that_the_object_ends(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, start: int, length: int
) -> None:
    storage = directory_storage(tmp_path_factory.mktemp("storage") / "root")
    storage.write("packs/a", content)
    target = bytearray(length)
    try:
        storage.read_into("packs/a", start, memoryview(target))
    except CorruptStoreError:
        assert start + length > len(content)
        return
    assert bytes(target) == content[start : start + length]


def test_read_into_a_short_object_names_it_and_the_byte(storage: Storage) -> None:
    storage.write("packs/a", b"12345")
    with pytest.raises(CorruptStoreError, match="packs/a ends before byte 9"):
        storage.read_into("packs/a", 4, memoryview(bytearray(5)))


@pytest.mark.parametrize("content", [b"", b"content"])
def test_a_mapped_object_has_its_bytes(storage: Storage, content: bytes) -> None:
    storage.write("packs/a", content)
    assert bytes(storage.map("packs/a")) == content


def test_a_mapped_object_stays_readable_when_it_is_deleted(storage: Storage) -> None:
    storage.write("packs/a", b"content")
    mapped = storage.map("packs/a")
    storage.delete("packs/a")
    assert bytes(mapped) == b"content"


def test_the_size_is_in_bytes(storage: Storage) -> None:
    storage.write("packs/a", bytes(12345))
    assert storage.size("packs/a") == 12345


def test_names_are_those_of_one_folder_with_lengths(storage: Storage) -> None:
    storage.write("packs/a", b"1")
    storage.write("packs/b", b"22")
    storage.write("index/c", b"333")
    assert names(storage, "packs") == {("packs/a", 1), ("packs/b", 2)}


def test_write_if_absent_writes(storage: Storage) -> None:
    assert storage.write_if_absent("packs/a", b"content")
    assert storage.read("packs/a") == b"content"


def test_write_if_absent_leaves_what_is_there(storage: Storage) -> None:
    storage.write("packs/a", b"first")
    assert not storage.write_if_absent("packs/a", b"second")
    assert storage.read("packs/a") == b"first"


def test_replace_if_unchanged_replaces_what_is_unchanged(storage: Storage) -> None:
    storage.write("packs/a", b"first")
    assert storage.replace_if_unchanged("packs/a", b"second", b"first")
    assert storage.read("packs/a") == b"second"


@pytest.mark.parametrize("expected", [None, b"", b"other", b"first "])
def test_replace_if_unchanged_leaves_what_changed(storage: Storage, expected: bytes | None) -> None:
    storage.write("packs/a", b"first")
    assert not storage.replace_if_unchanged("packs/a", b"second", expected)
    assert storage.read("packs/a") == b"first"


def test_replace_if_unchanged_writes_what_was_expected_to_be_absent(storage: Storage) -> None:
    assert storage.replace_if_unchanged("packs/a", b"first", None)
    assert storage.read("packs/a") == b"first"


def test_replace_if_unchanged_does_not_write_what_was_expected_to_be_there(
    storage: Storage,
) -> None:
    assert not storage.replace_if_unchanged("packs/a", b"second", b"first")
    assert names(storage, "packs") == set()


def test_delete_removes(storage: Storage) -> None:
    storage.write("packs/a", b"content")
    storage.delete("packs/a")
    assert names(storage, "packs") == set()


def test_deleting_what_is_not_there_is_no_error(storage: Storage) -> None:
    storage.delete("packs/a")


def test_an_upload_is_not_seen_before_it_is_published(storage: Storage) -> None:
    upload = storage.begin("packs/a")
    upload.append(b"content")
    upload.seal()
    assert names(storage, "packs") == set()


def test_published_uploads_have_all_that_was_appended(storage: Storage) -> None:
    uploads = [storage.begin("packs/a"), storage.begin("index/b")]
    for upload in uploads:
        upload.append(b"one ")
        upload.append(b"two")
        upload.seal()
    storage.publish(uploads)
    assert (storage.read("packs/a"), storage.read("index/b")) == (b"one two", b"one two")


def test_an_upload_knows_its_size(storage: Storage) -> None:
    upload = storage.begin("packs/a")
    upload.append(bytes(5))
    upload.append(bytes(6))
    assert upload.size == 11
    upload.discard()


def test_a_discarded_upload_is_gone(storage: Storage) -> None:
    upload = storage.begin("packs/a")
    upload.append(b"content")
    upload.discard()
    upload.discard()
    assert names(storage, "packs") == set()


# --- the contract: many processes --------------------------------------------------------------

WORKER = """
import sys
from pathlib import Path
from amictl.storage.directory import DirectoryStorage
storage = DirectoryStorage(Path(sys.argv[1]))
sys.stdin.readline()
"""
WIN = "print(storage.write_if_absent('packs/a', sys.argv[2].encode()))"
COUNT = """
done = 0
while done < 20:
    present = storage.read('packs/a')
    done += storage.replace_if_unchanged('packs/a', str(int(present) + 1).encode(), present)
"""
REPLACE = """
for _ in range(200):
    for byte in b'ab':
        storage.write('packs/a', bytes([byte]) * 100_000)
"""
COME_AND_GO = """
for number in range(3000):
    storage.root.joinpath('packs', str(number)).touch()
    storage.root.joinpath('packs', str(number)).unlink()
"""


def started(root: Path, script: str, number: int = 0) -> subprocess.Popen[str]:
    """A process that runs the script once it is let go."""
    return subprocess.Popen(
        [sys.executable, "-c", WORKER + script, root, str(number)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def all_run(root: Path, script: str, count: int) -> list[str]:
    """What so many processes print that run the script at the same time."""
    processes = [started(root, script, number) for number in range(count)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * count
    return outputs


@pytest.fixture
def shared(tmp_path: Path) -> DirectoryStorage:
    """A storage that other processes can open by its path."""
    return directory_storage(tmp_path / "storage")


def test_of_eight_processes_one_writes_what_was_absent(shared: DirectoryStorage) -> None:
    outputs = all_run(shared.root, WIN, 8)
    assert sorted(outputs) == ["False\n"] * 7 + ["True\n"]
    assert shared.read("packs/a") == str(outputs.index("True\n")).encode()


def test_of_eight_processes_none_loses_an_update(shared: DirectoryStorage) -> None:
    shared.write("packs/a", b"0")
    all_run(shared.root, COUNT, 8)
    assert shared.read("packs/a") == b"160"


def test_who_reads_while_others_replace_sees_one_or_the_other(shared: DirectoryStorage) -> None:
    whole = {b"a" * 100_000, b"b" * 100_000}
    shared.write("packs/a", b"a" * 100_000)
    process = started(shared.root, REPLACE)
    assert process.stdin is not None
    with process, process.stdin:
        process.stdin.write("go\n")
        process.stdin.flush()
        while process.poll() is None:
            assert shared.read("packs/a") in whole


def test_who_lists_while_others_delete_sees_no_error(shared: DirectoryStorage) -> None:
    process = started(shared.root, COME_AND_GO)
    assert process.stdin is not None
    with process, process.stdin:
        process.stdin.write("go\n")
        process.stdin.flush()
        while process.poll() is None:
            assert len(names(shared, "packs")) <= 2


# --- a directory -------------------------------------------------------------------------------


def staged(storage: DirectoryStorage) -> list[Path]:
    return list((storage.root / "staging").iterdir())


@pytest.fixture(params=[0o022, 0o000, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_files_are_for_their_owner_only(shared: DirectoryStorage) -> None:
    shared.write("packs/a", b"1")
    shared.write_if_absent("packs/b", b"2")
    modes = {stat.S_IMODE((shared.root / "packs" / name).stat().st_mode) for name in "ab"}
    assert modes == {0o600}


def test_nothing_stays_in_staging(shared: DirectoryStorage) -> None:
    shared.write("packs/a", b"1")
    shared.write_if_absent("packs/a", b"2")
    shared.write_if_absent("packs/b", b"2")
    shared.replace_if_unchanged("packs/a", b"3", b"1")
    assert staged(shared) == []


WRITING: dict[str, Callable[[DirectoryStorage], object]] = {
    "write": lambda storage: storage.write("absent/a", b"1"),
    "write_if_absent": lambda storage: storage.write_if_absent("absent/a", b"1"),
    "replace_if_unchanged": lambda storage: storage.replace_if_unchanged("absent/a", b"1", None),
}


@pytest.mark.parametrize("writing", WRITING.values(), ids=WRITING)
def test_writing_into_a_missing_folder_fails_and_leaves_nothing(
    shared: DirectoryStorage, writing: Callable[[DirectoryStorage], object]
) -> None:
    with pytest.raises(StorageError, match="absent"):
        writing(shared)
    assert staged(shared) == []


def test_a_name_that_is_a_folder_cannot_be_written(shared: DirectoryStorage) -> None:
    (shared.root / "packs" / "a").mkdir()
    with pytest.raises(StorageError, match="packs/a"):
        shared.write("packs/a", b"1")
    assert staged(shared) == []


def test_a_name_that_is_a_folder_cannot_be_read(shared: DirectoryStorage) -> None:
    with pytest.raises(StorageError, match="packs"):
        shared.read("packs")


@pytest.mark.parametrize("reading", ["map", "read_into"])
def test_a_symbolic_link_is_not_an_object(shared: DirectoryStorage, reading: str) -> None:
    shared.write("index/b", b"content")
    (shared.root / "packs" / "a").symlink_to(shared.root / "index" / "b")
    words = {"map": (), "read_into": (0, memoryview(bytearray(1)))}[reading]
    with pytest.raises(StorageError, match="packs/a"):
        getattr(shared, reading)("packs/a", *words)


@pytest.fixture
def file_size_limit() -> Iterator[int]:
    """No file may have more than so many bytes: a disk that is full, for any user."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    yield 50_000
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_write_that_fails_half_way_leaves_nothing(
    shared: DirectoryStorage, file_size_limit: int
) -> None:
    with pytest.raises(StorageError, match="File too large"):
        shared.write("packs/a", bytes(file_size_limit + 1))
    assert (staged(shared), names(shared, "packs")) == ([], set())


def test_a_replacement_that_fails_half_way_leaves_what_was(
    shared: DirectoryStorage, file_size_limit: int
) -> None:
    shared.write("packs/a", b"first")
    with pytest.raises(StorageError, match="File too large"):
        shared.replace_if_unchanged("packs/a", bytes(file_size_limit + 1), b"first")
    assert shared.read("packs/a") == b"first"


def test_a_lock_is_free_after_a_replacement_that_failed(
    shared: DirectoryStorage, file_size_limit: int
) -> None:
    with pytest.raises(StorageError):
        shared.replace_if_unchanged("packs/a", bytes(file_size_limit + 1), None)
    assert shared.replace_if_unchanged("packs/a", b"first", None)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    mount = tmp_path / "small"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", mount], check=True)
    try:
        yield mount
    finally:
        subprocess.run(["umount", "--lazy", mount], check=True)


@pytest.mark.needs("root", "mount")
def test_a_full_disk_is_told_with_the_way_out(small_disk: Path) -> None:
    storage = directory_storage(small_disk / "storage")
    with pytest.raises(StorageError, match="No space left") as caught:
        storage.write("packs/a", bytes(1_000_000))
    assert "free some space" in (caught.value.hint or "")
    assert staged(storage) == []


@pytest.mark.needs("root", "mount")
def test_a_disk_that_is_read_only_is_told_and_can_be_read(small_disk: Path) -> None:
    storage = directory_storage(small_disk / "storage")
    storage.write("packs/a", b"content")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(StorageError, match="Read-only") as caught:
        storage.write("packs/b", b"1")
    assert "read-only" in (caught.value.hint or "")
    assert storage.read("packs/a") == b"content"


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_few_files_stay_open(shared: DirectoryStorage) -> None:
    before = open_files()
    for number in range(200):
        shared.write(f"packs/{number}", b"content")
        shared.read_into(f"packs/{number}", 0, memoryview(bytearray(7)))
    assert open_files() - before <= 64


def test_close_closes_the_files_that_were_kept_open(shared: DirectoryStorage) -> None:
    before = open_files()
    shared.write("packs/a", b"content")
    shared.read_into("packs/a", 0, memoryview(bytearray(7)))
    shared.close()
    assert open_files() == before


def test_a_lock_keeps_others_waiting(shared: DirectoryStorage) -> None:
    shared.write("packs/a", b"first")
    with shared.locked("locks/replace"):
        process = started(shared.root, "storage.replace_if_unchanged('packs/a', b'2', b'first')")
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
        time.sleep(0.5)
        assert shared.read("packs/a") == b"first"
    assert process.wait(timeout=60) == 0
    process.communicate()
    assert shared.read("packs/a") == b"2"


def test_nothing_is_deleted_while_it_is_replaced(shared: DirectoryStorage) -> None:
    """Who replaces what was read before would bring it back."""
    lock = os.open(shared.root / "locks" / "replace", os.O_RDONLY)
    deleted = []

    class AsksWhetherItIsLocked(Disk):
        def unlink(self, path: Path) -> None:
            with pytest.raises(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            deleted.append(path.name)

    DirectoryStorage(shared.root, AsksWhetherItIsLocked()).delete("packs/a")
    os.close(lock)
    assert deleted == ["a"]


def test_a_missing_lock_file_is_told(shared: DirectoryStorage) -> None:
    (shared.root / "locks" / "replace").unlink()
    with pytest.raises(StorageError, match="locks/replace"):
        shared.replace_if_unchanged("packs/a", b"1", None)


def test_a_name_that_is_a_pipe_cannot_be_read_and_nobody_waits(shared: DirectoryStorage) -> None:
    os.mkfifo(shared.root / "packs" / "a")
    with pytest.raises(CorruptStoreError, match="not a file"):
        shared.read("packs/a")


def test_an_object_that_memory_cannot_hold_is_refused(shared: DirectoryStorage) -> None:
    with (shared.root / "packs" / "a").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(CorruptStoreError, match="impossibly large"):
        shared.read("packs/a")
