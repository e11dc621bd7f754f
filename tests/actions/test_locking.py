"""Snapshot locks: what is locked cannot be deleted, until the clock or somebody says so."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from amictl.actions.locking import (
    LockRequest,
    describe_locked_snapshots,
    lock_snapshot,
    unlock_snapshot,
)
from amictl.actions.snapshots import delete_snapshot
from amictl.errors import (
    AmictlError,
    ConflictError,
    CorruptStoreError,
    DryRunError,
    SnapshotNotFoundError,
    UnsupportedError,
    UsageError,
)
from amictl.model import facts
from amictl.model.surroundings import Surroundings
from amictl.model.times import parse_timestamp
from amictl.store import catalog, events
from tests.oracle import require_ec2_shape
from tests.workshop import Workshop

START = datetime(2030, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
NO_SNAPSHOT = "snap-0123456789abcdef0"


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path, start=START)


@pytest.fixture
def snapshot_id(workshop: Workshop) -> str:
    return workshop.snapshot_id(workshop.file("disk", b"content"))


def at(workshop: Workshop, moment: datetime) -> Surroundings:
    """The surroundings at a moment at which the clock stands still."""
    own = workshop.surroundings
    return Surroundings(lambda: moment, own.random_bytes, own.progress)


def lock(
    workshop: Workshop,
    snapshot_id: str,
    now: datetime = START,
    mode: str = "governance",
    **words: Any,
) -> dict[str, Any]:
    with workshop.open() as store:
        shape = lock_snapshot(store, LockRequest(snapshot_id, mode, **words), at(workshop, now))
    require_ec2_shape("LockSnapshot", shape)
    return shape


def unlock(workshop: Workshop, snapshot_id: str, **words: Any) -> dict[str, Any]:
    with workshop.open() as store:
        shape = unlock_snapshot(store, snapshot_id, workshop.surroundings, **words)
    require_ec2_shape("UnlockSnapshot", shape)
    return shape


def locks(
    workshop: Workshop, *snapshot_ids: str, now: datetime = START, filters: Sequence[Any] = ()
) -> list[dict[str, Any]]:
    with workshop.open() as store:
        found = describe_locked_snapshots(store, now, snapshot_ids, filters)
    require_ec2_shape("DescribeLockedSnapshots", found)
    return list(found["Snapshots"])


def delete(workshop: Workshop, snapshot_id: str, now: datetime) -> None:
    with workshop.open() as store:
        delete_snapshot(store, snapshot_id, at(workshop, now))


def test_a_lock_for_some_days_says_until_when(workshop: Workshop, snapshot_id: str) -> None:
    assert lock(workshop, snapshot_id, duration_days=30) == {
        "SnapshotId": snapshot_id,
        "LockState": "governance",
        "LockDuration": 30,
        "LockCreatedOn": "2030-01-01T00:00:00.000Z",
        "LockDurationStartTime": "2030-01-01T00:00:00.000Z",
        "LockExpiresOn": "2030-01-31T00:00:00.000Z",
    }


def test_a_lock_until_a_date_says_for_how_many_days(workshop: Workshop, snapshot_id: str) -> None:
    shape = lock(workshop, snapshot_id, expires=START + timedelta(days=2, hours=1))
    assert shape["LockDuration"] == 3
    assert shape["LockExpiresOn"] == "2030-01-03T01:00:00.000Z"


def test_a_locked_snapshot_cannot_be_deleted_until_its_lock_expires(
    workshop: Workshop, snapshot_id: str
) -> None:
    lock(workshop, snapshot_id, duration_days=1)
    with pytest.raises(ConflictError, match=f"{snapshot_id} is locked") as caught:
        delete(workshop, snapshot_id, START + DAY - timedelta(milliseconds=1))
    assert caught.value.code == "OperationNotPermitted"
    delete(workshop, snapshot_id, START + DAY)
    with pytest.raises(SnapshotNotFoundError):
        workshop.core(snapshot_id)


def test_an_unlocked_snapshot_can_be_deleted(workshop: Workshop, snapshot_id: str) -> None:
    lock(workshop, snapshot_id, duration_days=1)
    assert unlock(workshop, snapshot_id) == {"SnapshotId": snapshot_id}
    assert locks(workshop) == []
    delete(workshop, snapshot_id, START)


@pytest.mark.parametrize("days", [1, 90])
def test_a_lock_can_become_shorter_and_longer(
    workshop: Workshop, snapshot_id: str, days: int
) -> None:
    lock(workshop, snapshot_id, duration_days=30)
    shape = lock(workshop, snapshot_id, START + 7 * DAY, duration_days=days)
    assert shape["LockCreatedOn"] == "2030-01-01T00:00:00.000Z"
    assert shape["LockDurationStartTime"] == "2030-01-08T00:00:00.000Z"
    assert parse_timestamp(shape["LockExpiresOn"]) == START + (7 + days) * DAY


def test_a_lock_after_one_that_expired_is_a_new_one(workshop: Workshop, snapshot_id: str) -> None:
    lock(workshop, snapshot_id, duration_days=1)
    shape = lock(workshop, snapshot_id, START + 2 * DAY, duration_days=1)
    assert shape["LockCreatedOn"] == "2030-01-03T00:00:00.000Z"


def test_an_expired_lock_is_shown_as_expired(workshop: Workshop, snapshot_id: str) -> None:
    lock(workshop, snapshot_id, duration_days=1)
    (before,) = locks(workshop, now=START + DAY - timedelta(milliseconds=1))
    (after,) = locks(workshop, now=START + DAY)
    assert (before["LockState"], after["LockState"]) == ("governance", "expired")
    assert after == before | {"LockState": "expired"}


def test_locks_are_found_by_state(workshop: Workshop, snapshot_id: str) -> None:
    other = workshop.snapshot_id(workshop.file("other", b"other"))
    lock(workshop, snapshot_id, duration_days=1)
    lock(workshop, other, duration_days=9)
    states = {
        state: [
            one["SnapshotId"]
            for one in locks(
                workshop, now=START + DAY, filters=[{"Name": "lock-state", "Values": [state]}]
            )
        ]
        for state in ("governance", "expired", "compliance")
    }
    assert states == {"governance": [other], "expired": [snapshot_id], "compliance": []}


def test_named_snapshots_without_a_lock_are_left_out(workshop: Workshop, snapshot_id: str) -> None:
    other = workshop.snapshot_id(workshop.file("other", b"other"))
    lock(workshop, snapshot_id, duration_days=1)
    assert [one["SnapshotId"] for one in locks(workshop, other, snapshot_id)] == [snapshot_id]


def test_an_unknown_snapshot_has_no_lock_to_show(workshop: Workshop) -> None:
    with pytest.raises(SnapshotNotFoundError):
        locks(workshop, NO_SNAPSHOT)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ({}, "MissingParameter"),
        ({"duration_days": 1, "expires": START + DAY}, "InvalidParameterCombination"),
        ({"duration_days": 0}, "InvalidParameterValue"),
        ({"duration_days": 36_501}, "InvalidParameterValue"),
        ({"expires": START}, "InvalidParameterValue"),
        ({"expires": datetime.max.replace(tzinfo=UTC)}, "InvalidParameterValue"),
        ({"mode": "legal-hold", "duration_days": 1}, "InvalidParameterValue"),
    ],
)
def test_wrong_locks_are_refused(
    workshop: Workshop, snapshot_id: str, words: dict[str, Any], code: str
) -> None:
    with pytest.raises(UsageError) as caught:
        lock(workshop, snapshot_id, **words)
    assert caught.value.code == code
    assert locks(workshop) == []


def test_compliance_mode_is_refused_where_nothing_could_enforce_it(
    workshop: Workshop, snapshot_id: str
) -> None:
    with pytest.raises(UnsupportedError, match="whoever may write to the directory"):
        lock(workshop, snapshot_id, mode="compliance", duration_days=1)
    assert locks(workshop) == []


@pytest.mark.parametrize(
    ("snapshot_id", "code"),
    [(NO_SNAPSHOT, "InvalidSnapshot.NotFound"), ("snap-1", "InvalidSnapshotID.Malformed")],
)
def test_what_does_not_exist_cannot_be_locked(
    workshop: Workshop, snapshot_id: str, code: str
) -> None:
    with pytest.raises(AmictlError) as caught:
        lock(workshop, snapshot_id, duration_days=1)
    assert caught.value.code == code


def test_what_is_being_made_cannot_be_locked_yet(workshop: Workshop) -> None:
    refused: list[str] = []

    def lock_pending(shape: dict[str, Any]) -> None:
        with pytest.raises(ConflictError, match="in state pending") as caught:
            lock(workshop, shape["SnapshotId"], duration_days=1)
        refused.append(caught.value.code)

    workshop.snapshot(workshop.file("disk", b"content"), lock_pending)
    assert refused == ["IncorrectState"]


def test_what_failed_cannot_be_locked(workshop: Workshop) -> None:
    ids: list[str] = []

    def fail(shape: dict[str, Any]) -> None:
        ids.append(shape["SnapshotId"])
        raise ConflictError("stop")

    with pytest.raises(ConflictError, match="stop"):
        workshop.snapshot(workshop.file("disk", b"content"), fail)
    with pytest.raises(ConflictError, match="in state error"):
        lock(workshop, ids[0], duration_days=1)


def test_what_is_not_locked_cannot_be_unlocked(workshop: Workshop, snapshot_id: str) -> None:
    with pytest.raises(ConflictError, match="is not locked") as caught:
        unlock(workshop, snapshot_id)
    assert caught.value.code == "IncorrectState"


def test_dry_runs_change_nothing(workshop: Workshop, snapshot_id: str) -> None:
    with pytest.raises(DryRunError):
        lock(workshop, snapshot_id, duration_days=1, dry_run=True)
    assert locks(workshop) == []
    lock(workshop, snapshot_id, duration_days=1)
    with pytest.raises(DryRunError):
        unlock(workshop, snapshot_id, dry_run=True)
    assert len(locks(workshop)) == 1
    with workshop.open() as store, pytest.raises(DryRunError):
        describe_locked_snapshots(store, START, dry_run=True)


def test_locking_and_unlocking_leave_events(workshop: Workshop, snapshot_id: str) -> None:
    lock(workshop, snapshot_id, duration_days=1)
    unlock(workshop, snapshot_id)
    with workshop.open() as store:
        found = {(one.operation, one.ids, one.outcome) for one in events.read_all(store).events}
    assert {
        ("LockSnapshot", (snapshot_id,), "locked"),
        ("UnlockSnapshot", (snapshot_id,), "unlocked"),
    } <= found


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (facts.LOCK_EXPIRES, None),
        (facts.LOCK_EXPIRES, "soon"),
        (facts.LOCK_EXPIRES, "2030-01-01T00:00:00"),
        (facts.LOCK_DURATION, "x"),
    ],
)
def test_a_lock_that_cannot_be_read_protects(
    workshop: Workshop, snapshot_id: str, key: str, value: str | None
) -> None:
    lock(workshop, snapshot_id, duration_days=1)
    with workshop.open() as store:
        catalog.change_attributes(store, snapshot_id, lambda old: old.with_facts({key: value}))
    with pytest.raises(CorruptStoreError, match=snapshot_id):
        delete(workshop, snapshot_id, START + 9 * DAY)
