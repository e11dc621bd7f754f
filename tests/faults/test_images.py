"""Power cuts while images are registered and deregistered, with their snapshots and without."""

import pytest

from amictl.actions.deregistering import deregister_image
from amictl.actions.registering import RegisterImageRequest, register_image
from amictl.store import catalog, image_names
from amictl.store.image_states import registered_image
from amictl.store.store import Store
from tests.faults.test_recycle_bin import look_at_what_is_left
from tests.faults.worlds import SURROUNDINGS, TAGS, World, content_of, make_disk, world


def registered(store: Store, name: str, snapshot_id: str) -> str:
    mapping = {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot_id}}
    request = RegisterImageRequest(name, (mapping,), description="copy", tags=TAGS)
    return str(register_image(store, request, SURROUNDINGS)["ImageId"])


def test_an_image_is_registered_whole_or_not_at_all_after_a_power_cut() -> None:
    with world() as here:
        here.create_store()
        snapshot_id = here.snapshot(make_disk(here.disks / "disk.raw"))
        here.settle()
        with here.open() as store:
            image_id = registered(store, "web", snapshot_id)
            whole = registered_image(store, image_id)
        promises = {"registered": here.now()}

        def inspect(store: Store, done: set[str]) -> None:
            if catalog.exists(store, image_id):
                assert registered_image(store, image_id) == whole
                assert image_names.name_holder(store, "web") == image_id
                assert catalog.users_of(store, snapshot_id) == [image_id]
                return
            assert not done
            assert image_names.name_holder(store, "web") is None
            assert catalog.users_of(store, snapshot_id) == []
            again = registered(store, "web", snapshot_id)
            assert image_names.name_holder(store, "web") == again

        assert look_at_what_is_left(here, promises, inspect) >= 20


def image_with_a_disk(here: World) -> tuple[str, str]:
    here.create_store()
    image_id = here.image("web", make_disk(here.disks / "disk.raw"))
    here.settle()
    return image_id, here.mappings[image_id][0]


@pytest.mark.parametrize("delete_snapshots", [False, True])
def test_a_deregistered_image_is_gone_after_a_power_cut(delete_snapshots: bool) -> None:
    with world() as here:
        image_id, snapshot_id = image_with_a_disk(here)
        with here.open() as store:
            whole = registered_image(store, image_id)
            deregister_image(store, image_id, SURROUNDINGS, delete_snapshots=delete_snapshots)
        promises = {"deregistered": here.now()}

        def inspect(store: Store, done: set[str]) -> None:
            if catalog.exists(store, image_id):
                assert not done
                assert registered_image(store, image_id) == whole
                assert image_names.name_holder(store, "web") == image_id
                assert content_of(store, snapshot_id) == here.contents[snapshot_id]
                return
            assert image_names.name_holder(store, "web") is None
            if catalog.exists(store, snapshot_id):
                assert not (done and delete_snapshots)
                assert content_of(store, snapshot_id) == here.contents[snapshot_id]
            else:
                assert delete_snapshots

        assert look_at_what_is_left(here, promises, inspect) >= 5
