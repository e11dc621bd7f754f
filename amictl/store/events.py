"""What happened in a region: one small immutable object for each change of state.

An event is written after the change that it tells of, and a change never fails because of it.
amictl-store(5), EVENTS.
"""

from contextlib import suppress

from amictl.errors import StorageError
from amictl.formats import records as record_format
from amictl.model.records import Event
from amictl.model.surroundings import Surroundings
from amictl.model.times import timestamp
from amictl.storage.disk import make_directories
from amictl.store import layout
from amictl.store.store import Store


def record(
    store: Store, surroundings: Surroundings, operation: str, ids: tuple[str, ...], outcome: str
) -> None:
    """Note that an operation (EC2's name for it) brought these resources into a state. Never
    raises."""
    event = Event(
        surroundings.random_bytes(16).hex(), timestamp(surroundings.now()), operation, ids, outcome
    )
    place = layout.event(event.time, event.event_id)
    with suppress(StorageError, OSError):
        make_directories(store.storage.disk, (store.storage.root / place).parent)
        store.storage.write(place, record_format.encode(event))
