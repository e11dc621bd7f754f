"""What is deleted goes to the recycle bin where a rule says so, and comes back as it was."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from amictl.actions import recycling as actions
from amictl.actions.creating import CreateImageRequest, create_image
from amictl.actions.deregistering import deregister_image
from amictl.actions.events import DescribeEventsRequest, describe_events
from amictl.actions.retention import CreateRuleRequest, create_rule
from amictl.actions.snapshots import delete_snapshot
from amictl.errors import (
    AmictlError,
    ConflictError,
    CorruptStoreError,
    DryRunError,
    ImageNameDuplicateError,
    ImageNotFoundError,
    MalformedIdError,
    NotFoundError,
    SnapshotNotFoundError,
)
from amictl.model import facts
from amictl.model.records import Attributes
from amictl.model.surroundings import Surroundings
from amictl.model.times import parse_timestamp, timestamp
from amictl.progress import Silent
from amictl.store import catalog, image_names, layout, recycling
from tests.oracle import require_ec2_shape
from tests.workshop import Workshop, ignore

DAY = timedelta(days=1)


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path, start=datetime(2026, 11, 22, 12, 0, tzinfo=UTC))


class Bin:
    """A workshop whose deleted things go to the recycle bin."""

    def __init__(self, workshop: Workshop) -> None:
        self.workshop = workshop

    def rule(self, kind: str, days: int = 7, **words: Any) -> None:
        period = {"RetentionPeriodValue": days, "RetentionPeriodUnit": "DAYS"}
        with self.workshop.open() as store:
            create_rule(store, CreateRuleRequest(kind, period, **words), self.workshop.surroundings)

    def rules(self, days: int = 7) -> None:
        self.rule("EC2_IMAGE", days)
        self.rule("EBS_SNAPSHOT", days)

    def image(self, name: str = "web", **words: Any) -> tuple[str, str]:
        """An image and its snapshot."""
        disk = self.workshop.file("disk.raw", self.workshop.noise(50_000))
        image_id = self.workshop.image(name, disk, **words)
        with self.workshop.open() as store:
            (mapping,) = catalog.read_image(store, image_id).mappings
        assert mapping.snapshot_id is not None
        return image_id, mapping.snapshot_id

    def deregister(self, image_id: str) -> None:
        with self.workshop.open() as store:
            deregister_image(store, image_id, self.workshop.surroundings)

    def delete(self, snapshot_id: str) -> None:
        with self.workshop.open() as store:
            delete_snapshot(store, snapshot_id, self.workshop.surroundings)

    def images(self, *ids: str, after: timedelta = timedelta(0)) -> list[dict[str, Any]]:
        with self.workshop.open() as store:
            result = actions.list_images_in_recycle_bin(store, ids, self.later(after))
        require_ec2_shape("ListImagesInRecycleBin", result)
        found = result["Images"]
        assert isinstance(found, list)
        return found

    def snapshots(self, *ids: str, after: timedelta = timedelta(0)) -> list[dict[str, Any]]:
        with self.workshop.open() as store:
            result = actions.list_snapshots_in_recycle_bin(store, ids, self.later(after))
        require_ec2_shape("ListSnapshotsInRecycleBin", result)
        found = result["Snapshots"]
        assert isinstance(found, list)
        return found

    def restore(
        self, record_id: str, after: timedelta = timedelta(0), *, dry_run: bool = False
    ) -> dict[str, Any]:
        kind = "image" if record_id.startswith("ami-") else "snapshot"
        operation = getattr(actions, f"restore_{kind}_from_recycle_bin")
        with self.workshop.open() as store:
            result = operation(store, record_id, self.later(after), dry_run=dry_run)
        require_ec2_shape(f"Restore{kind.capitalize()}FromRecycleBin", result)
        assert isinstance(result, dict)
        return result

    def later(self, after: timedelta) -> Surroundings:
        own = self.workshop.surroundings
        return Surroundings(lambda: own.now() + after, own.random_bytes, Silent())

    def attributes(self, record_id: str) -> Attributes:
        with self.workshop.open() as store:
            return catalog.read_attributes(store, record_id)

    def exists(self, record_id: str) -> bool:
        with self.workshop.open() as store:
            return catalog.exists(store, record_id)


@pytest.fixture
def recycle_bin(workshop: Workshop) -> Bin:
    return Bin(workshop)


def without_generation(attributes: Attributes) -> dict[str, Any]:
    return {name: getattr(attributes, name) for name in ("id", "state", "description", "tags")} | {
        "further": attributes.further
    }


def test_without_a_rule_what_is_deleted_is_gone(recycle_bin: Bin) -> None:
    image_id, snapshot_id = recycle_bin.image()
    recycle_bin.rule("EC2_IMAGE", resource_tags=({"ResourceTagKey": "other"},))
    recycle_bin.deregister(image_id)
    recycle_bin.delete(snapshot_id)
    assert recycle_bin.images() == recycle_bin.snapshots() == []
    left = [path.name for path in recycle_bin.workshop.root.rglob("*") if image_id in path.name]
    assert left == []


def test_a_rule_for_images_does_not_keep_snapshots(recycle_bin: Bin) -> None:
    image_id, snapshot_id = recycle_bin.image()
    recycle_bin.rule("EC2_IMAGE")
    recycle_bin.deregister(image_id)
    recycle_bin.delete(snapshot_id)
    assert [one["ImageId"] for one in recycle_bin.images()] == [image_id]
    assert recycle_bin.snapshots() == []


def test_what_is_in_the_bin_is_listed(recycle_bin: Bin) -> None:
    image_id, snapshot_id = recycle_bin.image(description="mine")
    recycle_bin.rules()
    recycle_bin.deregister(image_id)
    recycle_bin.delete(snapshot_id)
    (image,), (snapshot,) = recycle_bin.images(), recycle_bin.snapshots()
    entered = parse_timestamp(image["RecycleBinEnterTime"])
    assert image == {
        "ImageId": image_id,
        "Name": "web",
        "Description": "mine",
        "RecycleBinEnterTime": timestamp(entered),
        "RecycleBinExitTime": timestamp(entered + 7 * DAY),
    }
    assert snapshot["SnapshotId"] == snapshot_id
    assert snapshot["VolumeId"].startswith("vol-")
    assert image_id in snapshot["Description"]
    assert not recycle_bin.exists(image_id)
    assert not recycle_bin.exists(snapshot_id)


def test_what_was_deleted_first_is_listed_first(recycle_bin: Bin) -> None:
    recycle_bin.rules()
    ids = [recycle_bin.image(name)[0] for name in ("one", "two", "three")]
    for image_id in reversed(ids):
        recycle_bin.deregister(image_id)
    assert [one["ImageId"] for one in recycle_bin.images()] == ids[::-1]
    assert [one["ImageId"] for one in recycle_bin.images(ids[0], ids[0])] == [ids[0]]


def test_everything_comes_back_under_the_same_ids(recycle_bin: Bin) -> None:
    image_id, snapshot_id = recycle_bin.image(
        description="mine", image_tags={"a": "1"}, snapshot_tags={"b": ""}
    )
    recycle_bin.rules()
    with recycle_bin.workshop.open() as store:
        catalog.change_attributes(
            store, image_id, lambda old: old.with_facts({facts.DEPRECATION_TIME: "2030"})
        )
    before = [without_generation(recycle_bin.attributes(one)) for one in (image_id, snapshot_id)]
    recycle_bin.deregister(image_id)
    recycle_bin.delete(snapshot_id)
    assert recycle_bin.restore(snapshot_id)["State"] == "completed"
    assert recycle_bin.restore(image_id) == {"Return": True}
    after = [without_generation(recycle_bin.attributes(one)) for one in (image_id, snapshot_id)]
    assert after == before
    assert recycle_bin.images() == recycle_bin.snapshots() == []
    content = recycle_bin.workshop.noise(50_000)
    assert recycle_bin.workshop.restored(snapshot_id) == content
    with recycle_bin.workshop.open() as store:
        assert image_names.name_holder(store, "web") == image_id
        assert catalog.users_of(store, snapshot_id) == [image_id]


def test_a_disabled_image_comes_back_disabled(recycle_bin: Bin) -> None:
    image_id, _ = recycle_bin.image()
    recycle_bin.rules()
    with recycle_bin.workshop.open() as store:
        catalog.change_attributes(
            store, image_id, lambda old: Attributes(old.id, 0, "disabled", "", old.tags)
        )
    recycle_bin.deregister(image_id)
    recycle_bin.restore(image_id)
    assert recycle_bin.attributes(image_id).state == "disabled"


def test_an_image_needs_its_snapshots(recycle_bin: Bin) -> None:
    workshop = recycle_bin.workshop
    disks = [workshop.file(name, name.encode() * 999) for name in ("a.raw", "b.raw")]
    image_id = workshop.image("two", *disks)
    recycle_bin.rules()
    recycle_bin.deregister(image_id)
    with workshop.open() as store:
        ids = catalog.snapshot_ids(store)
    for snapshot_id in ids:
        recycle_bin.delete(snapshot_id)
    for dry_run in (False, True):
        with pytest.raises(ConflictError) as caught:
            recycle_bin.restore(image_id, dry_run=dry_run)
        assert all(snapshot_id in caught.value.message for snapshot_id in ids)
    recycle_bin.restore(ids[0])
    with pytest.raises(ConflictError, match=ids[1]) as caught:
        recycle_bin.restore(image_id)
    assert ids[0] not in caught.value.message
    assert not recycle_bin.exists(image_id)
    recycle_bin.restore(ids[1])
    recycle_bin.restore(image_id)
    assert recycle_bin.exists(image_id)


def test_an_image_whose_snapshot_is_gone_cannot_be_restored(recycle_bin: Bin) -> None:
    image_id, snapshot_id = recycle_bin.image()
    recycle_bin.rule("EC2_IMAGE", 7)
    recycle_bin.rule("EBS_SNAPSHOT", 1)
    recycle_bin.deregister(image_id)
    recycle_bin.delete(snapshot_id)
    with pytest.raises(SnapshotNotFoundError, match=snapshot_id):
        recycle_bin.restore(image_id, after=2 * DAY)
    assert not recycle_bin.exists(image_id)


def test_a_snapshot_that_only_an_image_in_the_bin_maps_is_no_fault_when_it_is_gone(
    recycle_bin: Bin,
) -> None:
    image_id, snapshot_id = recycle_bin.image()
    recycle_bin.rule("EC2_IMAGE")
    recycle_bin.deregister(image_id)
    recycle_bin.delete(snapshot_id)
    assert recycle_bin.workshop.check()["Faults"] == []


def test_a_name_that_was_given_away_stays_given_away(recycle_bin: Bin) -> None:
    image_id, _ = recycle_bin.image()
    recycle_bin.rules()
    recycle_bin.deregister(image_id)
    other, _ = recycle_bin.image()
    before = recycle_bin.attributes(image_id)
    for dry_run in (False, True):
        with pytest.raises(ImageNameDuplicateError, match=other):
            recycle_bin.restore(image_id, dry_run=dry_run)
    assert recycle_bin.attributes(image_id) == before
    with recycle_bin.workshop.open() as store:
        assert image_names.name_holder(store, "web") == other
    recycle_bin.deregister(other)
    recycle_bin.restore(image_id)
    assert recycle_bin.exists(image_id)


def test_a_name_goes_to_one_of_two_who_want_it_at_once(recycle_bin: Bin) -> None:
    workshop = recycle_bin.workshop
    recycle_bin.rules()
    disk = workshop.file("other.raw", b"other" * 999)
    for turn in range(8):
        name = f"web-{turn}"
        image_id, _ = recycle_bin.image(name)
        recycle_bin.deregister(image_id)
        barrier = threading.Barrier(2)
        won: list[str] = []

        def back(image_id: str = image_id, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            try:
                recycle_bin.restore(image_id)
            except ImageNameDuplicateError:
                return
            won.append("restored")  # noqa: B023 - the thread ends in this turn

        def make(name: str = name, barrier: threading.Barrier = barrier) -> None:
            request = CreateImageRequest(name, ((None, disk),))
            with workshop.open() as store:
                barrier.wait()
                try:
                    create_image(store, request, workshop.surroundings, ignore)
                except ImageNameDuplicateError:
                    return
            won.append("created")  # noqa: B023 - the thread ends in this turn

        threads = [threading.Thread(target=back), threading.Thread(target=make)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        with workshop.open() as store:
            holders = [
                one
                for one in catalog.image_ids(store)
                if catalog.exists(store, one) and catalog.read_image(store, one).name == name
            ]
        assert len(holders) == 1


def test_nobody_takes_the_name_of_an_image_that_is_being_restored(
    recycle_bin: Bin, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_id, _ = recycle_bin.image()
    recycle_bin.rules()
    recycle_bin.deregister(image_id)
    taken: list[str | None] = []

    def take() -> None:
        with recycle_bin.workshop.open() as store:
            taken.append(image_names.reserve_name(store, "web", "ami-" + "1" * 17))

    thread = threading.Thread(target=take)
    put_back = recycling.put_back

    def slowly(*arguments: Any) -> Attributes:
        thread.start()
        thread.join(0.2)
        return put_back(*arguments)

    monkeypatch.setattr(recycling, "put_back", slowly)
    recycle_bin.restore(image_id)
    thread.join()
    assert taken == [image_id]


def test_what_is_due_is_gone_by_the_clock_and_still_a_root(recycle_bin: Bin) -> None:
    image_id, snapshot_id = recycle_bin.image()
    recycle_bin.rules(1)
    recycle_bin.deregister(image_id)
    recycle_bin.delete(snapshot_id)
    until = parse_timestamp(recycle_bin.snapshots()[0]["RecycleBinExitTime"])
    clock = [until - timedelta(milliseconds=1)]
    surroundings = Surroundings(
        lambda: clock[0], recycle_bin.workshop.surroundings.random_bytes, Silent()
    )
    with recycle_bin.workshop.open() as store:
        listed = actions.list_snapshots_in_recycle_bin(store, (), surroundings)
        assert [one["SnapshotId"] for one in listed["Snapshots"]] == [snapshot_id]
        clock[0] = until
        assert actions.list_snapshots_in_recycle_bin(store, (), surroundings) == {"Snapshots": []}
        with pytest.raises(SnapshotNotFoundError):
            actions.list_snapshots_in_recycle_bin(store, (snapshot_id,), surroundings)
        with pytest.raises(SnapshotNotFoundError):
            actions.restore_snapshot_from_recycle_bin(store, snapshot_id, surroundings)
        assert catalog.read_snapshot_core(store, snapshot_id).size_bytes == 50_000
    assert recycle_bin.images(after=2 * DAY) == []
    with pytest.raises(ImageNotFoundError):
        recycle_bin.restore(image_id, after=2 * DAY)
    assert (recycle_bin.workshop.root / layout.core(image_id)).exists()


def test_the_name_of_what_is_in_the_bin_is_free(recycle_bin: Bin) -> None:
    image_id, _ = recycle_bin.image()
    recycle_bin.rules()
    recycle_bin.deregister(image_id)
    other, _ = recycle_bin.image()
    assert recycle_bin.exists(other)


def test_what_is_in_the_bin_cannot_be_deleted_again(recycle_bin: Bin) -> None:
    image_id, snapshot_id = recycle_bin.image()
    recycle_bin.rules()
    recycle_bin.deregister(image_id)
    recycle_bin.delete(snapshot_id)
    before = [recycle_bin.attributes(one) for one in (image_id, snapshot_id)]
    now = recycle_bin.workshop.surroundings.now()
    for record_id in (image_id, snapshot_id):
        with recycle_bin.workshop.open() as store, pytest.raises(NotFoundError):
            recycling.discard(store, record_id, now)
    with pytest.raises(AmictlError):
        recycle_bin.deregister(image_id)
    with pytest.raises(SnapshotNotFoundError):
        recycle_bin.delete(snapshot_id)
    assert [recycle_bin.attributes(one) for one in (image_id, snapshot_id)] == before


def test_discarding_says_until_when(recycle_bin: Bin) -> None:
    image_id, _ = recycle_bin.image()
    other, _ = recycle_bin.image("other")
    recycle_bin.rule("EC2_IMAGE", 3)
    now = datetime(2026, 12, 1, tzinfo=UTC)
    with recycle_bin.workshop.open() as store:
        assert recycling.discard(store, image_id, now) == now + 3 * DAY
        recycling.change_rules(store, lambda _: ())
        assert recycling.discard(store, other, now) is None
        assert not (recycle_bin.workshop.root / layout.attributes(other)).exists()


def test_a_rule_that_comes_later_does_not_change_what_is_in_the_bin(recycle_bin: Bin) -> None:
    image_id, _ = recycle_bin.image()
    recycle_bin.rule("EC2_IMAGE", 1)
    recycle_bin.deregister(image_id)
    (before,) = recycle_bin.images()
    recycle_bin.rule("EC2_IMAGE", 30)
    with recycle_bin.workshop.open() as store:
        recycling.change_rules(store, lambda _: ())
    assert recycle_bin.images() == [before]


def test_the_tags_at_the_time_of_deletion_decide(recycle_bin: Bin) -> None:
    tagged, _ = recycle_bin.image("one", image_tags={"keep": "yes"})
    plain, _ = recycle_bin.image("two")
    recycle_bin.rule(
        "EC2_IMAGE", resource_tags=({"ResourceTagKey": "keep", "ResourceTagValue": "yes"},)
    )
    recycle_bin.deregister(tagged)
    recycle_bin.deregister(plain)
    assert [one["ImageId"] for one in recycle_bin.images()] == [tagged]


def test_an_id_that_is_not_in_the_bin_is_not_found(recycle_bin: Bin) -> None:
    image_id, snapshot_id = recycle_bin.image()
    unknown = "ami-" + "0" * 17
    for record_id in (image_id, unknown):
        with pytest.raises(ImageNotFoundError, match=record_id):
            recycle_bin.restore(record_id)
        with pytest.raises(ImageNotFoundError, match=record_id):
            recycle_bin.images(record_id)
    with pytest.raises(SnapshotNotFoundError, match=snapshot_id):
        recycle_bin.restore(snapshot_id)
    with pytest.raises(MalformedIdError):
        recycle_bin.snapshots(image_id)
    assert recycle_bin.exists(image_id)


def test_a_dry_run_restores_nothing(recycle_bin: Bin) -> None:
    image_id, snapshot_id = recycle_bin.image()
    recycle_bin.rules()
    recycle_bin.deregister(image_id)
    with pytest.raises(DryRunError):
        recycle_bin.restore(image_id, dry_run=True)
    recycle_bin.delete(snapshot_id)
    with pytest.raises(DryRunError):
        recycle_bin.restore(snapshot_id, dry_run=True)
    assert not recycle_bin.exists(image_id)
    assert not recycle_bin.exists(snapshot_id)
    with recycle_bin.workshop.open() as store:
        surroundings = recycle_bin.workshop.surroundings
        with pytest.raises(DryRunError):
            actions.list_images_in_recycle_bin(store, (image_id,), surroundings, dry_run=True)
        with pytest.raises(DryRunError):
            actions.list_snapshots_in_recycle_bin(store, (), surroundings, dry_run=True)


def torn(path: Path) -> None:
    path.write_bytes(b"torn")


def of_a_newer_version(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"version":1', b'"version":2'))


@pytest.mark.parametrize("unreadable", [torn, of_a_newer_version])
def test_damage_in_the_bin_does_not_hide_the_rest(
    recycle_bin: Bin, unreadable: Callable[[Path], None]
) -> None:
    ids = [recycle_bin.image(name)[0] for name in ("one", "two", "three")]
    recycle_bin.rules()
    for image_id in ids:
        recycle_bin.deregister(image_id)
    unreadable(recycle_bin.workshop.root / layout.attributes(ids[0]))
    unreadable(recycle_bin.workshop.root / layout.core(ids[1]))
    assert [one.get("Name") for one in recycle_bin.images()] == [None, "three"]


def test_what_is_in_the_bin_without_its_times_is_damaged(recycle_bin: Bin) -> None:
    image_id, _ = recycle_bin.image()
    with recycle_bin.workshop.open() as store:
        catalog.change_attributes(
            store, image_id, lambda old: Attributes(old.id, 0, catalog.IN_BIN, "", ())
        )
    with pytest.raises(CorruptStoreError, match=image_id):
        recycle_bin.restore(image_id)
    assert recycle_bin.images() == []


def test_nothing_is_deleted_while_the_rules_cannot_be_read(recycle_bin: Bin) -> None:
    image_id, _ = recycle_bin.image()
    (recycle_bin.workshop.root / layout.RULES).write_bytes(b"torn")
    with pytest.raises(CorruptStoreError):
        recycle_bin.deregister(image_id)
    assert recycle_bin.exists(image_id)


def test_coming_back_leaves_events(recycle_bin: Bin) -> None:
    image_id, snapshot_id = recycle_bin.image()
    recycle_bin.rules()
    recycle_bin.deregister(image_id)
    recycle_bin.delete(snapshot_id)
    recycle_bin.restore(snapshot_id)
    recycle_bin.restore(image_id)
    with recycle_bin.workshop.open() as store:
        events = describe_events(store, DescribeEventsRequest())["Events"]
    assert [(one["EventName"], one["Outcome"]) for one in events] == [
        ("CreateImage", "available"),
        ("CreateRule", "available"),
        ("CreateRule", "available"),
        ("DeregisterImage", "recoverable"),
        ("DeleteSnapshot", "recoverable"),
        ("RestoreSnapshotFromRecycleBin", "completed"),
        ("RestoreImageFromRecycleBin", "available"),
    ]


def test_what_has_damaged_tags_is_only_deleted_where_no_rule_could_be_for_it(
    recycle_bin: Bin,
) -> None:
    image_id, snapshot_id = recycle_bin.image()
    recycle_bin.rule("EC2_IMAGE", resource_tags=({"ResourceTagKey": "keep"},))
    for record_id in (image_id, snapshot_id):
        (recycle_bin.workshop.root / layout.attributes(record_id)).write_bytes(b"torn")
    now = recycle_bin.workshop.surroundings.now()
    with recycle_bin.workshop.open() as store:
        with pytest.raises(CorruptStoreError):
            recycling.discard(store, image_id, now)
        assert recycling.discard(store, snapshot_id, now) is None
        assert not catalog.exists(store, snapshot_id)
        assert catalog.exists(store, image_id)


GARBAGE = {
    "state": {facts.STATE_BEFORE_BIN: catalog.IN_BIN},
    "state-of-others": {facts.STATE_BEFORE_BIN: "completed"},
    "exit-time": {facts.BIN_EXIT_TIME: "zzz"},
    "enter-time": {facts.BIN_ENTER_TIME: "2026-11-22T12:00:00"},
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_a_stay_that_cannot_be_is_damage(recycle_bin: Bin, garbage: dict[str, str | None]) -> None:
    image_id, _ = recycle_bin.image()
    recycle_bin.rules()
    recycle_bin.deregister(image_id)
    with recycle_bin.workshop.open() as store:
        catalog.change_attributes(store, image_id, lambda old: old.with_facts(garbage))
    with pytest.raises(CorruptStoreError, match=image_id):
        recycle_bin.restore(image_id)
    assert recycle_bin.images() == []
