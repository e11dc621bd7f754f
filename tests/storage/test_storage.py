"""The contract of `storage.interface`, for every implementation; then what a directory adds."""

import fcntl
import os
import resource
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amictl.errors import BusyError, CorruptStoreError, ObjectMissingError, StorageError
from amictl.storage.directory import DirectoryStorage
from amictl.storage.disk import Disk
from amictl.storage.interface import Storage
from tests.buckets.servers import KINDS, Region, Server, Servers

FOLDERS = ("packs", "index", "staging", "locks", "pending", "marks")


def directory_storage(root: Path) -> DirectoryStorage:
    for folder in FOLDERS:
        (root / folder).mkdir(mode=0o700, parents=True)
    for name in ("replace", "epoch-0", "epoch-1"):
        (root / "locks" / name).touch(0o600)
    return DirectoryStorage(root)


def bucket_storage(server: Server, cache: Path) -> Storage:
    return Region(server, server.new_bucket(), cache).storage()


@pytest.fixture(params=["directory", *KINDS])
def storage(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Iterator[Storage]:
    if request.param == "directory":
        made: Storage = directory_storage(tmp_path / "storage")
    else:
        made = bucket_storage(servers.get(request.param), tmp_path / "cache")
    yield made
    made.close()


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
    ],
    ids=["read", "map", "size", "read_into"],
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


def test_an_upload_is_not_seen_before_it_is_whole(storage: Storage) -> None:
    upload = storage.begin("packs/a")
    upload.append(b"content")
    assert names(storage, "packs") == set()
    upload.discard()


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


def test_a_sealed_upload_that_is_discarded_is_gone(storage: Storage) -> None:
    upload = storage.begin("packs/a")
    upload.append(b"content")
    upload.seal()
    upload.discard()
    assert names(storage, "packs") == set()


def test_a_published_upload_stays_when_it_is_discarded(storage: Storage) -> None:
    upload = storage.begin("packs/a")
    upload.seal()
    storage.publish([upload])
    upload.discard()
    assert names(storage, "packs") == {("packs/a", 0)}


@pytest.mark.parametrize("place", ["packs/a", "packs/b", "index"])
def test_is_there_is_true_of_what_is_there(storage: Storage, place: str) -> None:
    storage.write("packs/a", b"")
    assert storage.is_there(place) == (place != "packs/b")


def test_cleaning_removes(storage: Storage) -> None:
    storage.write("packs/a", b"content")
    storage.clean("packs/a")
    storage.clean("packs/a")
    assert names(storage, "packs") == set()


def test_where_names_the_place(storage: Storage) -> None:
    assert storage.where("packs/a") == f"{storage.where()}/packs/a"


def test_what_was_distrusted_is_read_again(storage: Storage) -> None:
    storage.write("packs/a", b"before")
    target = bytearray(6)
    storage.read_into("packs/a", 0, memoryview(target))
    storage.write("packs/a", b"behind")
    storage.distrust("packs/a")
    storage.read_into("packs/a", 0, memoryview(target))
    assert target == b"behind"


def test_a_storage_that_can_be_written_says_so(storage: Storage) -> None:
    storage.require_writable()


def test_the_folders_for_local_files_are_there(storage: Storage) -> None:
    assert (storage.staging.is_dir(), storage.marks.is_dir()) == (True, True)


# --- the contract: locks and work in hand -------------------------------------------------------

EPOCHS = ("locks/epoch-0", "locks/epoch-1")


def test_many_hold_a_lock_together(storage: Storage) -> None:
    holds = [storage.hold(EPOCHS[0]) for _ in range(3)]
    for hold in holds:
        hold.release()
        hold.release()


@pytest.mark.parametrize("name", EPOCHS)
def test_nobody_is_alone_beside_a_hold(storage: Storage, name: str) -> None:
    hold = storage.hold(name)
    with pytest.raises(BusyError), storage.alone(EPOCHS):
        pass
    hold.release()
    with storage.alone(EPOCHS):
        pass


def test_two_are_not_alone(storage: Storage) -> None:
    with storage.alone(EPOCHS), pytest.raises(BusyError), storage.alone(EPOCHS):
        pass


def test_who_is_alone_keeps_holders_waiting(storage: Storage) -> None:
    order = []

    def held() -> None:
        hold = storage.hold(EPOCHS[0])
        order.append("held")
        hold.release()

    with storage.alone(EPOCHS):
        waiting = threading.Thread(target=held)
        waiting.start()
        waiting.join(0.3)
        order.append("alone")
    waiting.join()
    assert order == ["alone", "held"]


def test_changes_under_a_lock_come_one_after_the_other(storage: Storage) -> None:
    storage.write("packs/a", b"0")

    def count() -> None:
        for _ in range(3):
            with storage.exclusively("locks/catalog"):
                storage.write("packs/a", b"%d" % (int(storage.read("packs/a")) + 1))

    threads = [threading.Thread(target=count) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert storage.read("packs/a") == b"9"


def test_a_lock_is_free_after_an_error(storage: Storage) -> None:
    with pytest.raises(ZeroDivisionError), storage.exclusively("locks/catalog"):
        raise ZeroDivisionError
    with storage.exclusively("locks/catalog"):
        pass


def test_work_in_hand_is_alive_and_says_its_head(storage: Storage) -> None:
    work = storage.begin_work("pending/a", b"head\n")
    assert storage.read_work("pending/a") == (b"head\n", True)
    assert storage.is_worked_on("pending/a")
    work.release()


def test_work_that_was_ended_says_its_last_word(storage: Storage) -> None:
    work = storage.begin_work("pending/a", b"head\n")
    work.write(b"a long state\n")
    work.end(b"state\n")
    work.release()
    assert storage.read_work("pending/a") == (b"head\nstate\n", False)
    assert not storage.is_worked_on("pending/a")


def test_work_that_was_let_go_says_what_it_said(storage: Storage) -> None:
    work = storage.begin_work("pending/a", b"head\n")
    work.write(b"state\n")
    work.release()
    work.release()
    assert storage.read_work("pending/a") == (b"head\nstate\n", False)


def test_work_that_is_done_is_gone(storage: Storage) -> None:
    work = storage.begin_work("pending/a", b"head\n")
    work.remove()
    work.release()
    assert storage.read_work("pending/a") is None
    assert not storage.is_worked_on("pending/a")


def test_work_that_was_never_begun_is_not_there(storage: Storage) -> None:
    assert (storage.read_work("pending/a"), storage.is_worked_on("pending/a")) == (None, False)


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


def test_a_folder_that_is_not_there_is_told(shared: DirectoryStorage) -> None:
    with pytest.raises(ObjectMissingError):
        list(shared.names("absent"))


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
