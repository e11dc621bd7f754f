"""Collecting removes what nobody needs, and nothing else, whoever is at work meanwhile."""

import errno
import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from amictl.actions.collecting import CollectGarbageRequest, collect_garbage
from amictl.actions.recycling import list_snapshots_in_recycle_bin
from amictl.actions.retention import CreateRuleRequest, create_rule
from amictl.errors import AmictlError, BusyError, ConflictError, CorruptStoreError
from amictl.store import layout
from amictl.store.deleting import delete_snapshot
from amictl.store.garbage import Limits
from amictl.store.opening import open_store
from amictl.store.store import Store
from amictl.store.writing import Writer
from tests.faults.recording_disk import RecordingDisk
from tests.workshop import MIB, SEGMENT, Workshop, flip

ALL = Limits(most=True)


def delete(workshop: Workshop, snapshot_id: str) -> None:
    with workshop.open() as store:
        delete_snapshot(store, snapshot_id, workshop.surroundings, dry_run=False)


def collect(workshop: Workshop, limits: Limits = ALL, *, dry_run: bool = False) -> dict[str, Any]:
    with workshop.open() as store:
        return collect_in(workshop, store, limits, dry_run=dry_run)


def collect_in(
    workshop: Workshop, store: Store, limits: Limits = ALL, *, dry_run: bool = False
) -> dict[str, Any]:
    request = CollectGarbageRequest(dry_run, limits)
    return collect_garbage(store, request, workshop.surroundings)


def pack_bytes(workshop: Workshop) -> int:
    return sum(path.stat().st_size for path in (workshop.root / "packs").iterdir())


def change(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


@pytest.fixture
def aged(workshop: Workshop) -> tuple[Workshop, str, bytes]:
    """A store in which a disk was taken four times, of which the last one is left."""
    disk = workshop.file("disk", workshop.noise(2 * SEGMENT))
    taken = [workshop.snapshot_id(disk)]
    for seed in (1, 2, 3):
        change(disk, SEGMENT // 2, workshop.noise(2 * MIB, seed))
        taken.append(workshop.snapshot_id(disk))
    for snapshot_id in taken[:-1]:
        delete(workshop, snapshot_id)
    return workshop, taken[-1], disk.read_bytes()


def require_whole(workshop: Workshop, contents: dict[str, bytes]) -> None:
    for snapshot_id, content in contents.items():
        assert workshop.restored(snapshot_id) == content
    assert workshop.check(read_data=True)["Faults"] == []


def test_what_only_deleted_snapshots_needed_is_freed(aged: tuple[Workshop, str, bytes]) -> None:
    workshop, last, content = aged
    before = pack_bytes(workshop)
    result = collect(workshop)
    assert before - pack_bytes(workshop) == result["FreedBytes"] > 5 * MIB
    assert pack_bytes(workshop) < 1.05 * len(content)
    require_whole(workshop, {last: content})


def test_a_dry_run_foretells_what_is_freed_and_changes_nothing(
    aged: tuple[Workshop, str, bytes],
) -> None:
    workshop, _, _ = aged
    before = {path: path.read_bytes() for path in workshop.root.rglob("*") if path.is_file()}
    foretold = collect(workshop, dry_run=True)
    assert {
        path: path.read_bytes() for path in workshop.root.rglob("*") if path.is_file()
    } == before
    freed = collect(workshop)["FreedBytes"]
    assert abs(freed - foretold["FreedBytes"]) <= 0.02 * freed


def test_a_second_collection_finds_nothing_to_do(aged: tuple[Workshop, str, bytes]) -> None:
    workshop, _, _ = aged
    collect(workshop)
    before = pack_bytes(workshop)
    again = collect(workshop)
    assert (again["FreedBytes"], again["MovedBytes"]) == (0, 0)
    assert pack_bytes(workshop) == before


def test_the_next_snapshot_after_a_collection_is_an_increment(
    aged: tuple[Workshop, str, bytes],
) -> None:
    workshop, last, content = aged
    collect(workshop)
    disk = workshop.folder / "disk"
    change(disk, 0, b"x")
    following = workshop.snapshot(disk)
    assert following["Amictl"]["NewBytes"] < 256 * 1024
    require_whole(workshop, {last: content, following["SnapshotId"]: disk.read_bytes()})


def test_the_index_can_be_made_again_after_a_collection(aged: tuple[Workshop, str, bytes]) -> None:
    workshop, last, content = aged
    collect(workshop)
    (workshop.root / layout.CURRENT).unlink()
    from amictl.actions.rebuilding import rebuild_index

    with workshop.open() as store:
        rebuild_index(store, workshop.surroundings)
    require_whole(workshop, {last: content})


def test_encrypted_snapshots_are_collected_without_their_key(workshop: Workshop) -> None:
    key = workshop.keys.new()
    workshop.encrypt_by_default(key)
    disk = workshop.file("disk", workshop.noise(2 * SEGMENT))
    first = workshop.snapshot_id(disk)
    change(disk, 0, workshop.noise(3 * MIB, 5))
    second = workshop.snapshot_id(disk)
    delete(workshop, first)
    with open_store(workshop.root) as store:
        assert store.keyring is None
        assert collect_in(workshop, store)["FreedBytes"] > 2 * MIB
    require_whole(workshop, {second: disk.read_bytes()})


def test_what_is_in_the_recycle_bin_stays_until_its_time_is_over(workshop: Workshop) -> None:
    with workshop.open() as store:
        period = {"RetentionPeriodValue": 7, "RetentionPeriodUnit": "DAYS"}
        rule = CreateRuleRequest("EBS_SNAPSHOT", period)
        create_rule(store, rule, workshop.surroundings)
    disk = workshop.file("disk", workshop.noise(SEGMENT))
    snapshot_id = workshop.snapshot_id(disk)
    other = workshop.snapshot_id(workshop.file("other", workshop.noise(SEGMENT, 8)))
    delete(workshop, snapshot_id)
    before = pack_bytes(workshop)
    assert collect(workshop)["Removed"] == []
    assert pack_bytes(workshop) > 0.99 * before
    workshop._now += timedelta(days=8)
    assert collect(workshop)["Removed"] == [snapshot_id]
    assert pack_bytes(workshop) < 0.6 * before
    with workshop.open() as store:
        assert list_snapshots_in_recycle_bin(store, (), workshop.surroundings)["Snapshots"] == []
    require_whole(workshop, {other: (workshop.folder / "other").read_bytes()})


@pytest.mark.parametrize("kind", ["record", "node"])
def test_what_cannot_be_read_stops_it_with_nothing_deleted(
    aged: tuple[Workshop, str, bytes], kind: str
) -> None:
    workshop, last, _ = aged
    if kind == "record":
        flip(workshop.root / layout.core(last), 40)
    else:
        for pack in workshop.packs(1):
            for offset in range(40, pack.stat().st_size, 200):
                flip(pack, offset)
    before = sorted((workshop.root / "packs").iterdir())
    with pytest.raises(CorruptStoreError):
        collect(workshop)
    assert sorted((workshop.root / "packs").iterdir()) == before


def test_most_of_a_store_goes_only_if_that_is_meant(workshop: Workshop) -> None:
    disk = workshop.file("disk", workshop.noise(SEGMENT))
    for seed in (1, 2):
        path = workshop.file("other", workshop.noise(80 * MIB, seed))
        delete(workshop, workshop.snapshot_id(path))
    kept = workshop.snapshot_id(disk)
    with pytest.raises(ConflictError) as raised:
        collect(workshop, Limits())
    assert raised.value.code == "OperationNotPermitted"
    assert "--yes-delete-most" in (raised.value.hint or "")
    collect(workshop)
    require_whole(workshop, {kept: disk.read_bytes()})


def test_a_store_with_nothing_in_it_is_left_as_it_is(workshop: Workshop) -> None:
    before = {path: path.read_bytes() for path in workshop.root.rglob("*") if path.is_file()}
    assert collect(workshop)["FreedBytes"] == 0
    assert {
        path: path.read_bytes() for path in workshop.root.rglob("*") if path.is_file()
    } == before


def test_two_collections_do_not_meet(aged: tuple[Workshop, str, bytes]) -> None:
    workshop, _, _ = aged
    with (
        workshop.open() as store,
        store.storage.alone([layout.COLLECT_LOCK]),
        pytest.raises(BusyError),
    ):
        collect(workshop)


def test_a_writer_that_began_before_is_waited_for_and_nothing_is_condemned_for_long(
    aged: tuple[Workshop, str, bytes],
) -> None:
    workshop, last, content = aged
    with workshop.open() as store, Writer(store, workshop.surroundings.random_bytes):
        with pytest.raises(BusyError) as raised:
            collect(workshop)
        assert "--lock-timeout" in (raised.value.hint or "")
        with workshop.open() as other:
            assert other.index.current.condemned == ()
    assert collect(workshop)["FreedBytes"] > 0
    require_whole(workshop, {last: content})


def test_what_a_writer_has_stored_and_not_yet_recorded_is_no_garbage(workshop: Workshop) -> None:
    workshop.snapshot_id(workshop.file("disk", workshop.noise(SEGMENT)))
    foretold: list[dict[str, Any]] = []

    def look(_: object) -> None:
        foretold.append(collect(workshop, dry_run=True))

    workshop.snapshot(workshop.file("other", workshop.noise(SEGMENT, 8)), look)
    (seen,) = foretold
    assert seen["WritersAtWork"]
    assert seen["FreedBytes"] < 100_000
    assert not collect(workshop, dry_run=True)["WritersAtWork"]


def test_where_there_is_no_room_to_move_anything_the_dead_packs_go(
    aged: tuple[Workshop, str, bytes],
) -> None:
    workshop, last, content = aged
    alone = workshop.file("alone", workshop.noise(70 * MIB, 9))
    delete(workshop, workshop.snapshot_id(alone))
    workshop.snapshot_id(workshop.file("more", workshop.noise(SEGMENT, 10)))

    class Full(RecordingDisk):
        """Nothing as long as a pack can be written."""

        def write_at(self, descriptor: int, data: bytes | memoryview, offset: int) -> None:
            if offset + len(data) > 2 * MIB:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            super().write_at(descriptor, data, offset)

    before = pack_bytes(workshop)
    with open_store(workshop.root, Full(workshop.root)) as store:
        result = collect_in(workshop, store)
    assert any("No space left" in reason for reason in result["Kept"])
    assert before - pack_bytes(workshop) == result["FreedBytes"] > 60 * MIB
    require_whole(workshop, {last: content})


def test_files_that_a_killed_writer_left_go(workshop: Workshop) -> None:
    kept = workshop.snapshot_id(workshop.file("disk", workshop.noise(SEGMENT)))
    stray = workshop.root / "packs" / f"{'ab' * 16}.pack"
    stray.write_bytes(b"nobody names it")
    foreign = workshop.root / "packs" / "notes.txt"
    foreign.write_text("somebody's")
    assert collect(workshop)["FreedBytes"] == 15
    assert not stray.exists()
    assert foreign.read_text() == "somebody's"
    foreign.unlink()
    require_whole(workshop, {kept: (workshop.folder / "disk").read_bytes()})


class Watched(RecordingDisk):
    """Calls somebody before one of its changes, or soon after, when no short lock is held."""

    def __init__(self, root: Path, at: int, then: Callable[[], None]) -> None:
        super().__init__(root)
        self.left = at
        self._then: Callable[[], None] | None = then

    def before(self) -> None:
        self.left -= 1
        if self.left <= 0 and self._then is not None and self._is_free():
            then, self._then = self._then, None
            then()

    def _is_free(self) -> bool:
        for name in ("locks/replace", layout.CATALOG_LOCK):
            with (self.root / name).open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return False
        return True


class KilledError(BaseException):
    """From here on nothing is done any more."""


class Killing(RecordingDisk):
    """Fails at one of its changes, and at every one after it."""

    def __init__(self, root: Path, at: int, kill: Callable[[], None]) -> None:
        super().__init__(root)
        self._left = at
        self._kill = kill

    def before(self) -> None:
        self._left -= 1
        if self._left <= 0:
            self._kill()


def moments(happen: Callable[[int], bool]) -> Iterator[int]:
    """Numbers from 1 on, until something did not happen any more."""
    at = 1
    while happen(at):
        yield at
        at += 1


def aged_in(folder: Path) -> tuple[Workshop, str, Path]:
    """A small store with garbage of every kind: a dead pack, one to move, nodes."""
    folder.mkdir()
    workshop = Workshop(folder)
    disk = workshop.file("disk", workshop.noise(600_000))
    taken = [workshop.snapshot_id(disk)]
    for seed in (1, 2):
        change(disk, 100_000, workshop.noise(200_000, seed))
        taken.append(workshop.snapshot_id(disk))
    for snapshot_id in taken[:-1]:
        delete(workshop, snapshot_id)
    # What the deleted ones had comes back: a writer may find it in packs that are condemned.
    change(disk, 100_000, workshop.noise(200_000, 1))
    return workshop, taken[-1], disk


def test_whole_snapshots_taken_at_any_moment_of_a_collection_stay_whole(tmp_path: Path) -> None:
    def happen(at: int) -> bool:
        workshop, last, disk = aged_in(tmp_path / f"during{at}")
        before = workshop.restored(last)
        taken: list[str] = []
        disk_store = Watched(workshop.root, at, lambda: taken.append(workshop.snapshot_id(disk)))
        with open_store(workshop.root, disk_store) as store:
            collect_in(workshop, store)
        contents = {last: before} | dict.fromkeys(taken, disk.read_bytes())
        require_whole(workshop, contents)
        collect(workshop)
        require_whole(workshop, contents)
        return bool(taken)

    assert len(list(moments(happen))) > 15


def test_a_collection_at_any_moment_of_a_snapshot_leaves_it_whole(tmp_path: Path) -> None:
    refused = []

    def happen(at: int) -> bool:
        workshop, last, disk = aged_in(tmp_path / f"between{at}")
        before = workshop.restored(last)
        began: list[int] = []

        def collect_now() -> None:
            began.append(at)
            try:
                collect(workshop)
            except BusyError:
                refused.append(at)

        with open_store(workshop.root, Watched(workshop.root, at, collect_now)) as store:
            from amictl.actions.creating import CreateSnapshotRequest, create_snapshot

            request = CreateSnapshotRequest(disk)
            done = create_snapshot(store, request, workshop.surroundings, lambda _: None)
        contents = {last: before, done["SnapshotId"]: disk.read_bytes()}
        require_whole(workshop, contents)
        collect(workshop)
        require_whole(workshop, contents)
        return bool(began)

    assert len(list(moments(happen))) > 15
    assert refused


def test_a_writer_that_ends_while_it_is_waited_for_keeps_what_it_found(tmp_path: Path) -> None:
    """It began before, and its snapshot is made of what was garbage until then."""
    workshop, last, disk = aged_in(tmp_path / "waiting")
    before = workshop.restored(last)
    begun, go_on = threading.Event(), threading.Event()
    result: list[dict[str, Any]] = []

    def write() -> None:
        def secured(_: object) -> None:
            begun.set()
            go_on.wait(30)

        result.append(workshop.snapshot(disk, secured))

    writer = threading.Thread(target=write)
    writer.start()
    assert begun.wait(30)
    threading.Timer(0.5, go_on.set).start()
    collect(workshop, Limits(wait_seconds=30, most=True))
    writer.join()
    require_whole(workshop, {last: before, result[0]["SnapshotId"]: disk.read_bytes()})


def test_killed_at_any_moment_the_next_collection_finishes(tmp_path: Path) -> None:
    def happen(at: int) -> bool:
        workshop, last, _ = aged_in(tmp_path / f"killed{at}")
        before = workshop.restored(last)
        killed: list[int] = []

        def kill() -> None:
            killed.append(at)
            raise KilledError

        disk = Killing(workshop.root, at, kill)
        with suppress(KilledError), open_store(workshop.root, disk) as store:
            collect_in(workshop, store)
        require_whole(workshop, {last: before})
        with suppress(AmictlError):
            collect(workshop)
        require_whole(workshop, {last: before})
        assert pack_bytes(workshop) < 1.25 * len(before)
        with workshop.open() as store:
            assert store.index.current.condemned == ()
        return bool(killed)

    assert len(list(moments(happen))) > 15
