"""Power cuts while snapshots are tagged, locked and deleted, and while several are made at once."""

from amictl.actions.creating import CreateSnapshotsRequest, create_snapshots
from amictl.actions.locking import LockRequest, lock_snapshot, unlock_snapshot
from amictl.actions.snapshots import delete_snapshot
from amictl.actions.tagging import create_tags, delete_tags
from amictl.model.locks import lock_of
from amictl.store import catalog
from amictl.store.store import Store
from tests.faults.test_recycle_bin import look_at_what_is_left
from tests.faults.worlds import SURROUNDINGS, content_of, make_disk, search, world

TAGGED_AND_LOCKED = [(False, False), (True, False), (True, True), (True, False), (False, False)]
"""After none, one, … of the changes."""


def test_what_was_done_to_a_snapshot_stays_done_after_a_power_cut() -> None:
    with world() as here:
        here.create_store()
        snapshot_id = here.snapshot(make_disk(here.disks / "disk.raw"))
        here.settle()
        promises = {}
        with here.open() as store:
            create_tags(store, [snapshot_id], [("stage", "prod")])
            promises["tagged"] = here.now()
            lock = LockRequest(snapshot_id, "governance", duration_days=1)
            lock_snapshot(store, lock, SURROUNDINGS)
            promises["locked"] = here.now()
            unlock_snapshot(store, snapshot_id, SURROUNDINGS)
            promises["unlocked"] = here.now()
            delete_tags(store, [snapshot_id])
            promises["untagged"] = here.now()
            delete_snapshot(store, snapshot_id, SURROUNDINGS)
            promises["deleted"] = here.now()

        def inspect(store: Store, done: set[str]) -> None:
            if not catalog.exists(store, snapshot_id):
                assert len(done) >= 4
                return
            assert content_of(store, snapshot_id) == here.contents[snapshot_id]
            attributes = catalog.read_attributes(store, snapshot_id)
            assert attributes.generation in (len(done), len(done) + 1)
            found = (bool(attributes.tags), lock_of(attributes) is not None)
            assert found == TAGGED_AND_LOCKED[attributes.generation]

        assert look_at_what_is_left(here, promises, inspect) >= 10


def test_several_snapshots_break_no_promise_after_a_power_cut() -> None:
    with world() as here:
        here.create_store()
        here.settle()
        paths = tuple(make_disk(here.disks / f"disk{at}.raw", seed=at) for at in range(2))

        def secured(result: dict[str, list[dict[str, str]]]) -> None:
            for shape, path in zip(result["Snapshots"], paths, strict=True):
                here.contents[shape["SnapshotId"]] = path.read_bytes()

        with here.open() as store:
            create_snapshots(store, CreateSnapshotsRequest(paths), SURROUNDINGS, secured)
        here.promised |= dict.fromkeys(here.contents, here.now())
        result = search(here, seed=1, choices=2)
    assert result.violations == []
    assert result.inspected >= 20
