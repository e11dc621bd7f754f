"""Regions whose removal is killed: it can be done again, or the place can be used again."""

import itertools

from amictl.errors import RegionNotFoundError
from amictl.store import emptying
from amictl.store.opening import create_store, open_store
from tests.faults.planted import Killed, KilledDisk
from tests.faults.worlds import SURROUNDINGS, World, make_disk, world


def removed(here: World) -> None:
    with here.open() as store:
        emptying.remove_store(store)


def removed_after(changes: int) -> bool:
    """Kill a removal and do it again; whether it was killed."""
    with world(KilledDisk) as here:
        disk = here.disk
        assert isinstance(disk, KilledDisk)
        here.create_store()
        disk.changes_left = changes
        try:
            removed(here)
        except Killed:
            disk.start_again()
        else:
            assert not here.directory.exists()
            return False
        try:
            removed(here)
        except RegionNotFoundError:
            make_disk(here.disks / "disk.raw")
            here.create_store()
            here.snapshot(here.disks / "disk.raw")
        else:
            assert not here.directory.exists()
        return True


def test_a_removal_that_was_killed_can_be_done_again() -> None:
    kills = next(changes for changes in itertools.count() if not removed_after(changes))
    assert kills >= 20


def test_the_place_of_a_removed_store_can_be_used_again() -> None:
    with world() as here:
        here.create_store()
        removed(here)
        create_store(
            here.directory, chunk_size_bytes=16_384, compression_level=3, surroundings=SURROUNDINGS
        ).close()
        open_store(here.directory).close()
