"""A collection that ends with an error leaves nothing that a later writer could be misled by.

Nodes leave a store before what leads to them does, and whoever copies a snapshot takes a node that
is there for whole. So what may not be whole stays condemned until a collection finishes.
"""

import errno
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from amictl.actions.collecting import CollectGarbageRequest, collect_garbage
from amictl.errors import AmictlError, BusyError, StorageError
from amictl.formats.pack import PackKind
from amictl.model.blockmap import Name
from amictl.model.surroundings import Surroundings
from amictl.store import catalog, repacking
from amictl.store.deleting import delete_snapshot
from amictl.store.garbage import Limits
from amictl.store.opening import open_store
from amictl.store.store import Store
from amictl.store.walking import map_of
from amictl.store.writing import Writer
from tests.faults.recording_disk import RecordingDisk
from tests.workshop import SEGMENT, Workshop

ALL = CollectGarbageRequest(False, Limits(most=True))


class Full(RecordingDisk):
    """Has no room for one of its changes."""

    def __init__(self, root: Path, at: int) -> None:
        super().__init__(root)
        self.left = at

    def before(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise OSError(errno.ENOSPC, "No space left on device")


class KilledError(BaseException):
    """From here on nothing is done any more."""


class Killed(Full):
    """Fails at one of its changes, and at every one after it."""

    def before(self) -> None:
        self.left -= 1
        if self.left <= 0:
            raise KilledError


class Deleted:
    """A region where two of three snapshots were deleted.

    The map of the second one leads to a leaf that is in a pack with one that is needed, and
    nothing is needed of the pack where its own root is.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.workshop = Workshop(folder)
        disk = self.workshop.file("disk", {}, size=3 * SEGMENT)
        taken = []
        for seeds in ((1, 2, 3), (1, 2, 4), (1, 5, 6)):
            with disk.open("r+b") as file:
                for index, seed in enumerate(seeds):
                    file.seek(index * SEGMENT)
                    file.write(self.workshop.noise(30_000, seed))
            taken.append(self.workshop.snapshot_id(disk))
        self.last = taken.pop()
        self.content = disk.read_bytes()
        with self.workshop.open() as store:
            cores = [catalog.read_snapshot(store, one) for one in taken]
            self.roots = [map_of(core).root for core in cores]
            for one in taken:
                delete_snapshot(store, one, self.surroundings, dry_run=False)

    @property
    def surroundings(self) -> Surroundings:
        return self.workshop.surroundings

    def collect(self, disk: RecordingDisk | None = None) -> None:
        with open_store(self.workshop.root, disk) as store:
            collect_garbage(store, ALL, self.surroundings)

    def require_all_whole(self) -> None:
        """Whatever a writer finds of what was deleted is there with all that it leads to."""
        with (
            self.workshop.open() as store,
            Writer(store, self.surroundings.random_bytes) as writer,
        ):
            for root in self.roots:
                assert root is not None
                require_whole(store, writer, root)
        assert self.workshop.restored(self.last) == self.content

    def require_finished(self) -> None:
        """The next collection removes everything, and condemns nothing any more."""
        self.collect()
        with self.workshop.open() as store:
            current = store.index.current
            assert current.condemned == ()
            assert sum(row.length for row in current.packs) < 1.2 * 3 * 30_000
        self.require_all_whole()


def require_whole(store: Store, writer: Writer, name: Name) -> None:
    if writer.index.find(name) is None:
        return
    node = store.read_clear_node(name)
    for child in node.children:
        assert writer.index.find(child) is not None
        if node.level:
            require_whole(store, writer, child)


def moments(folder: Path, happen: Callable[[Deleted, int], bool]) -> int:
    """How many moments there were; every third one is tried, of each kind there are several."""
    at = 1
    while happen(Deleted(folder / str(at)), at):
        at += 3
    return at


def test_an_error_at_any_moment_leaves_no_node_that_is_not_whole(tmp_path: Path) -> None:
    def happen(region: Deleted, at: int) -> bool:
        disk = Full(region.workshop.root, at)
        with suppress(StorageError):
            region.collect(disk)
        region.require_all_whole()
        region.require_finished()
        return disk.left <= 0

    assert moments(tmp_path, happen) > 60


def test_one_that_waits_in_vain_after_one_that_was_killed_leaves_none_either(
    tmp_path: Path,
) -> None:
    def happen(region: Deleted, at: int) -> bool:
        disk = Killed(region.workshop.root, at)
        with suppress(KilledError):
            region.collect(disk)
        with (
            region.workshop.open() as store,
            Writer(store, region.surroundings.random_bytes),
            suppress(BusyError),
        ):
            region.collect()
        region.require_all_whole()
        region.require_finished()
        return disk.left <= 0

    assert moments(tmp_path, happen) > 60


def test_one_from_which_a_pack_of_nodes_stayed_leaves_none_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    region = Deleted(tmp_path)
    piece = repacking.Repacker._piece
    found: list[int] = []

    def unreadable_once(self, kind, place, *, whole):  # type: ignore[no-untyped-def]
        found.append(place.pack)
        if kind is PackKind.NODES and place.pack == max(found):
            raise StorageError("the cable is out")
        return piece(self, kind, place, whole=whole)

    with monkeypatch.context() as broken:
        broken.setattr(repacking.Repacker, "_piece", unreadable_once)
        with suppress(AmictlError):
            region.collect()
    region.require_all_whole()
    region.require_finished()


def test_after_one_that_finished_what_is_there_is_trusted_again(tmp_path: Path) -> None:
    region = Deleted(tmp_path)
    region.collect()
    assert region.workshop.snapshot(region.workshop.folder / "disk")["Amictl"]["Unchanged"]
