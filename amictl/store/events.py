"""What happened in a region: one small immutable object for each change of state.

An event is written after the change that it tells of, and a change never fails because of it.
When there are many, whoever writes one more puts the oldest into one object. amictl-store(5),
EVENTS.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from amictl.errors import UNREADABLE, CorruptStoreError, ObjectMissingError
from amictl.formats import records as record_format
from amictl.model.records import Event, EventLog
from amictl.model.surroundings import Surroundings
from amictl.model.times import timestamp
from amictl.store import layout
from amictl.store.store import Store

SINGLE_MAX = 500
"""More single objects than this are folded into one."""

_FOLDER = "events"
_SINGLE, _LOG = ".json", ".log"


@dataclass(frozen=True, slots=True)
class History:
    """Events, oldest first; and the objects that cannot be read, with the reasons."""

    events: tuple[Event, ...]
    unreadable: tuple[tuple[str, str], ...]


def record(
    store: Store, surroundings: Surroundings, operation: str, ids: tuple[str, ...], outcome: str
) -> None:
    """Note that an operation (EC2's name for it) brought these resources into a state.

    Raises nothing but what interrupts the program.
    """
    event = Event(
        surroundings.random_bytes(16).hex(), timestamp(surroundings.now()), operation, ids, outcome
    )
    place = layout.event(event.time, event.event_id)
    with suppress(*UNREADABLE):
        if not store.storage.is_there(_FOLDER):  # a store from before there were events
            store.storage.make_folder(_FOLDER)
        store.storage.write(place, record_format.encode(event))
        _fold(store)


def read_all(store: Store, start: str = "", end: str | None = None) -> History:
    """All events from `start` to `end`, both included; times as in `timestamp`.

    Raises StorageError if the folder cannot be read.
    """
    found: dict[str, Event] = {}
    unreadable: dict[str, str] = {}
    seen: set[str] = set()
    # Again until there is nothing new: what is folded meanwhile is in a new object.
    while new := {name for name in _names(store) if _may_hold(name, start, end)} - seen:
        seen |= new
        for name in sorted(new):
            try:
                found |= {event.event_id: event for event in read_object(store, name)}
            except ObjectMissingError:
                continue
            except UNREADABLE as error:
                unreadable[name] = error.message
    events = [one for one in found.values() if start <= one.time and (not end or one.time <= end)]
    return History(tuple(sorted(events, key=_order)), tuple(sorted(unreadable.items())))


def read_object(store: Store, name: str) -> tuple[Event, ...]:
    """The events in one object of the folder.

    Raises CorruptStoreError, also where its name is not that of its oldest event.
    """
    data = store.storage.read(name)
    if name.endswith(_LOG):
        events = record_format.decode(data, EventLog, name).events
    else:
        events = (record_format.decode(data, Event, name),)
    if not events or _stem(layout.event(events[0].time, events[0].event_id)) != _stem(name):
        raise CorruptStoreError(f"{name} is about other events")
    return events


def newest(store: Store) -> str | None:
    """The newest event that has an object of its own, or the first of the newest in one object:
    the name without suffix. Raises StorageError.
    """
    return max((_stem(name) for name in _names(store)), default=None)


def holds(store: Store, stem: str) -> bool:
    """Whether an event, by its name without suffix, is there: by itself, or among others.

    Where an object that may hold it cannot be read, it counts as there.
    """
    try:
        if store.storage.is_there(stem + _SINGLE):
            return True
        logs = sorted(name for name in _names(store) if name.endswith(_LOG))
        return any(stem in _stems(store, name) for name in logs[::-1] if _stem(name) <= stem)
    except UNREADABLE:
        return True


def _stems(store: Store, name: str) -> set[str]:
    events = read_object(store, name)
    return {_stem(layout.event(event.time, event.event_id)) for event in events}


def _fold(store: Store) -> None:
    """Put the oldest single objects into one, if there are too many.

    The new object is called as its oldest event, so that of two who do it at once, one does; and
    that one is removed last, so that whoever comes after a killed one finds the same name, and
    goes on with removing. What is removed is in the new object, durably. An event whose name a
    damaged object has stays where it is.
    """
    singles = sorted(name for name in _names(store) if name.endswith(_SINGLE))
    if len(singles) <= SINGLE_MAX:
        return
    events = tuple(_readable(store, singles))
    for first in range(len(events)):
        if folded := _folded(store, events[first:]):
            _remove_singles(store, folded)
            return


def _folded(store: Store, events: tuple[Event, ...]) -> tuple[Event, ...]:
    """Write events to one object, and return those that are in it.

    They are others where somebody was faster, and none where that object cannot be read.
    """
    place = _stem(layout.event(events[0].time, events[0].event_id)) + _LOG
    if store.storage.write_if_absent(place, record_format.encode(EventLog(events))):
        return events
    with suppress(*UNREADABLE):
        return read_object(store, place)
    return ()


def _remove_singles(store: Store, events: tuple[Event, ...]) -> None:
    for event in reversed(events):
        store.storage.clean(layout.event(event.time, event.event_id))


def _readable(store: Store, names: list[str]) -> Iterator[Event]:
    """Damaged events stay where they are; missing ones somebody else has folded."""
    for name in names:
        with suppress(*UNREADABLE):
            yield from read_object(store, name)


def _names(store: Store) -> Iterator[str]:
    """All objects of the folder, which a store may lack."""
    with suppress(ObjectMissingError):
        for name, _ in store.storage.names(_FOLDER):
            if name.endswith((_SINGLE, _LOG)):
                yield name


def _may_hold(name: str, start: str, end: str | None) -> bool:
    """Whether an object can have events between two times, by its name."""
    oldest = layout.event_moment(name)
    if end is not None and oldest > layout.event_moment(layout.event(end, "")):
        return False
    return name.endswith(_LOG) or oldest >= layout.event_moment(layout.event(start, ""))


def _stem(name: str) -> str:
    return name.rpartition(".")[0]


def _order(event: Event) -> tuple[str, str]:
    return event.time, event.event_id
