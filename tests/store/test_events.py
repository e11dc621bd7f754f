"""Events: written after a change, folded when there are many, and never a reason to fail."""

import errno
import os
import shutil
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from amictl.formats import records
from amictl.model.records import Event, EventLog
from amictl.model.surroundings import Surroundings
from amictl.progress import Silent
from amictl.storage.disk import Disk
from amictl.store import catalog, events, layout
from amictl.store.opening import open_store
from tests.workshop import Workshop

IMAGE = "ami-" + "1" * 17
FEW = 10


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events are folded when there are more than a few."""
    monkeypatch.setattr(events, "SINGLE_MAX", FEW)


def write(workshop: Workshop, count: int = 1, disk: Disk | None = None) -> None:
    with open_store(workshop.root, disk) as store:
        for _ in range(count):
            events.record(store, workshop.surroundings, "CreateImage", (IMAGE,), "available")


def read(workshop: Workshop, start: str = "", end: str | None = None) -> tuple[Event, ...]:
    with workshop.open() as store:
        history = events.read_all(store, start, end)
    assert history.unreadable == ()
    return history.events


def objects(workshop: Workshop, suffix: str) -> list[Path]:
    return sorted((workshop.root / "events").glob(f"*{suffix}"))


def test_events_come_back_in_the_order_of_their_times(workshop: Workshop) -> None:
    write(workshop, 5)
    found = read(workshop)
    assert [event.ids for event in found] == [(IMAGE,)] * 5
    assert [event.time for event in found] == sorted(event.time for event in found)
    assert len({event.event_id for event in found}) == 5


@pytest.mark.usefixtures("few")
def test_many_events_are_folded_and_none_is_lost(workshop: Workshop) -> None:
    write(workshop, FEW)
    assert objects(workshop, ".log") == []
    before = {event.event_id for event in read(workshop)}
    write(workshop, FEW * 3 + 5)
    found = read(workshop)
    assert len(found) == FEW * 4 + 5
    assert before <= {event.event_id for event in found}
    assert len(objects(workshop, ".json")) <= FEW
    assert len(objects(workshop, ".log")) == 4
    assert workshop.check()["Faults"] == []


@pytest.mark.usefixtures("few")
def test_writers_at_once_lose_no_event(workshop: Workshop) -> None:
    threads = [threading.Thread(target=write, args=(workshop, 3 * FEW)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read(workshop)) == 4 * 3 * FEW
    assert len(objects(workshop, ".json")) <= FEW


@pytest.mark.usefixtures("few")
def test_a_reader_misses_nothing_that_is_folded_meanwhile(workshop: Workshop) -> None:
    known: set[str] = set()
    done = threading.Event()

    def write_all() -> None:
        write(workshop, 8 * FEW)
        done.set()

    thread = threading.Thread(target=write_all)
    thread.start()
    while not done.is_set():
        found = {event.event_id for event in read(workshop)}
        assert known <= found
        known = found
    thread.join()
    assert len(read(workshop)) == 8 * FEW


class KilledError(BaseException):
    """The process ended here."""


class KilledDisk(Disk):
    """Ends the process when so many events were removed."""

    def __init__(self, removals: int) -> None:
        self.removals = removals

    def unlink(self, path: Path) -> None:
        if path.parent.name == "events":
            if self.removals == 0:
                raise KilledError
            self.removals -= 1
        super().unlink(path)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("removals", [0, 1, FEW // 2, FEW])
def test_folding_that_was_killed_is_taken_up(workshop: Workshop, removals: int) -> None:
    write(workshop, FEW)
    with pytest.raises(KilledError):
        write(workshop, 1, KilledDisk(removals))
    assert len(read(workshop)) == FEW + 1
    assert workshop.check()["Faults"] == []
    write(workshop, 2 * FEW)
    assert len(read(workshop)) == 3 * FEW + 1
    assert len(objects(workshop, ".json")) <= FEW
    logged = [
        event.event_id
        for path in objects(workshop, ".log")
        for event in records.decode(path.read_bytes(), EventLog, "").events
    ]
    assert len(logged) == len(set(logged))


def test_an_event_that_is_there_twice_counts_once(workshop: Workshop) -> None:
    write(workshop, 2)
    (first, _) = found = read(workshop)
    place = layout.event(first.time, first.event_id).replace(".json", ".log")
    (workshop.root / place).write_bytes(records.encode(EventLog(found)))
    assert read(workshop) == found


@pytest.mark.usefixtures("few")
def test_times_leave_out_what_is_before_and_after(workshop: Workshop) -> None:
    write(workshop, 3 * FEW)
    everything = read(workshop)
    for first, last in ((0, 5), (3, 3), (8, 25), (20, 29)):
        start, end = everything[first].time, everything[last].time
        assert read(workshop, start, end) == everything[first : last + 1]
    assert read(workshop, start=everything[12].time) == everything[12:]
    assert read(workshop, end=everything[12].time) == everything[:13]
    assert read(workshop, start="2999-01-01T00:00:00.000Z") == ()


def test_a_store_without_the_folder_gets_one(workshop: Workshop) -> None:
    shutil.rmtree(workshop.root / "events")
    assert read(workshop) == ()
    write(workshop)
    assert len(read(workshop)) == 1


class RefusingDisk(Disk):
    """A disk that refuses every change below `events`."""

    def __init__(self, number: int) -> None:
        self.number = number

    def refuse(self, path: Path) -> None:
        if "events" in path.parts:
            raise OSError(self.number, os.strerror(self.number), str(path))

    def create(self, path: Path, mode: int = 0o600) -> int:
        self.refuse(path)
        return super().create(path, mode)

    def rename(self, old: Path, new: Path) -> None:
        self.refuse(new)
        super().rename(old, new)

    def link(self, old: Path, new: Path) -> None:
        self.refuse(new)
        super().link(old, new)

    def make_directory(self, path: Path) -> None:
        self.refuse(path)
        super().make_directory(path)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EIO])
def test_a_disk_that_refuses_is_no_reason_to_fail(workshop: Workshop, number: int) -> None:
    write(workshop, 1, RefusingDisk(number))
    assert read(workshop) == ()
    assert list((workshop.root / "staging").iterdir()) == []


def as_a_file(folder: Path) -> None:
    folder.rmdir()
    folder.write_bytes(b"")


def as_a_dead_link(folder: Path) -> None:
    folder.rmdir()
    folder.symlink_to(folder.with_name("nowhere"))


@pytest.mark.parametrize("damage", [as_a_file, as_a_dead_link])
def test_a_change_succeeds_where_events_cannot_be_written(
    workshop: Workshop, damage: Callable[[Path], None]
) -> None:
    damage(workshop.root / "events")
    image_id = workshop.image("web", workshop.file("disk.raw", b"disk"))
    assert image_id.startswith("ami-")
    with workshop.open() as store:
        assert catalog.exists(store, image_id)


def test_a_file_in_place_of_the_folder_is_a_fault(workshop: Workshop) -> None:
    as_a_file(workshop.root / "events")
    (fault,) = workshop.check()["Faults"]
    assert (fault["Kind"], fault["Place"]) == ("folder", "events")


@pytest.mark.usefixtures("few")
def test_a_damaged_event_hides_no_other_and_is_a_fault(workshop: Workshop) -> None:
    write(workshop, FEW)
    damaged, other, *_ = objects(workshop, ".json")
    damaged.write_bytes(b"torn")
    other.write_bytes((workshop.root / layout.CONFIG).read_bytes())
    write(workshop, FEW)
    with workshop.open() as store:
        history = events.read_all(store)
    places = [f"events/{path.name}" for path in (damaged, other)]
    assert len(history.events) == 2 * FEW - 2
    assert [place for place, _ in history.unreadable] == places
    assert [fault["Place"] for fault in workshop.check()["Faults"]] == places


@pytest.mark.usefixtures("few")
def test_a_damaged_log_is_a_fault(workshop: Workshop) -> None:
    write(workshop, FEW + 1)
    (log,) = objects(workshop, ".log")
    data = log.read_bytes()
    log.write_bytes(data[:-20] + data[-19:])
    assert [fault["Place"] for fault in workshop.check()["Faults"]] == [f"events/{log.name}"]


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"torn"), Path.mkdir])
def test_a_damaged_log_keeps_no_other_event_from_being_folded(
    workshop: Workshop, damage: Callable[[Path], object]
) -> None:
    write(workshop, FEW)
    first, *_ = objects(workshop, ".json")
    damage(first.with_suffix(".log"))
    write(workshop, 3 * FEW)
    with workshop.open() as store:
        history = events.read_all(store)
    assert len(history.events) == 4 * FEW
    assert [place for place, _ in history.unreadable] == [f"events/{first.stem}.log"]
    assert len(objects(workshop, ".json")) <= FEW
    assert first in objects(workshop, ".json")


def test_an_event_under_another_name_is_a_fault(workshop: Workshop) -> None:
    write(workshop, 2)
    first, second = objects(workshop, ".json")
    first.unlink()
    second.rename(first)
    (fault,) = workshop.check()["Faults"]
    assert fault["Place"] == f"events/{first.name}"
    assert "other events" in fault["Message"]


def test_a_foreign_file_among_events_is_named(workshop: Workshop) -> None:
    write(workshop)
    (workshop.root / "events" / "notes.txt").write_text("mine")
    assert len(read(workshop)) == 1
    (fault,) = workshop.check()["Faults"]
    assert (fault["Kind"], fault["Place"]) == ("foreign", "events/notes.txt")


def test_two_events_of_the_same_moment_are_two(workshop: Workshop) -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    still = Surroundings(lambda: now, workshop.surroundings.random_bytes, Silent())
    with workshop.open() as store:
        for operation in ("CreateImage", "DisableImage"):
            events.record(store, still, operation, (IMAGE,), "available")
    found = read(workshop, "2026-11-22T00:00:00.000Z", "2026-11-22T00:00:00.000Z")
    assert {event.operation for event in found} == {"CreateImage", "DisableImage"}


@pytest.mark.usefixtures("few")
def test_a_clock_that_goes_back_loses_nothing(workshop: Workshop) -> None:
    moment = datetime(2026, 11, 22, tzinfo=UTC)

    def backwards() -> datetime:
        nonlocal moment
        moment -= timedelta(seconds=1)
        return moment

    surroundings = Surroundings(backwards, workshop.surroundings.random_bytes, Silent())
    with workshop.open() as store:
        for _ in range(3 * FEW):
            events.record(store, surroundings, "CreateImage", (IMAGE,), "available")
    assert len(read(workshop)) == 3 * FEW
    assert workshop.check()["Faults"] == []
