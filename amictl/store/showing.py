"""What exists, what is being made and what failed, in the shapes of EC2's answers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from amictl.errors import UNREADABLE, AmictlError, NotFoundError, ObjectMissingError
from amictl.model.records import Attributes, ImageCore, SnapshotCore
from amictl.store import at_once, catalog, pending
from amictl.store.pending import Seen
from amictl.store.store import Store

Shape = dict[str, Any]
Core = TypeVar("Core", SnapshotCore, ImageCore)


@dataclass(frozen=True, slots=True)
class Kind(Generic[Core]):
    """Images or snapshots: where their ids and cores are, and what shapes they have.

    `prefix` is that of their ids, with the hyphen; `damaged` gives the shape of one that cannot be
    read.
    """

    prefix: str
    ids: Callable[[Store], list[str]]
    core: Callable[[Store, str], Core]
    shape: Callable[[Core, Attributes], Shape]
    pending_shape: Callable[[Seen], Shape | None]
    damaged: Callable[[str, AmictlError], Shape]


def every(store: Store, kind: Kind[Core]) -> Iterator[Shape]:
    """All of a kind but those in the recycle bin, each read when it is asked for, or a bit before.

    What cannot be read does not hide the others.
    """

    def shown(record_id: str) -> Shape | None:
        try:
            return _completed(store, kind, record_id) or _pending(store, kind, record_id)
        except UNREADABLE as error:
            return kind.damaged(record_id, error)

    for shape in at_once.each(store, shown, _ids(kind.ids(store), pending.ids(store, kind.prefix))):
        if shape is not None:
            yield shape


def one(store: Store, kind: Kind[Core], record_id: str) -> Shape | None:
    """One by its id; None if there is none, or it is in the bin. Raises what is UNREADABLE."""
    # The record is asked for before and after the pending file: work may be finished in between.
    for find in (_completed, _pending, _completed):
        shape = find(store, kind, record_id)
        if shape is not None:
            return shape
    return None


def _ids(done: list[str], begun: list[str]) -> list[str]:
    """Each once: what was finished may still have its pending file."""
    finished = set(done)
    return [*done, *(record_id for record_id in begun if record_id not in finished)]


def _completed(store: Store, kind: Kind[Core], record_id: str) -> Shape | None:
    """What has its records, each read once; None if it has none, or is in the bin."""
    try:
        core = kind.core(store, record_id)
        attributes = catalog.read_attributes(store, record_id)
    except NotFoundError:
        return None
    except ObjectMissingError:
        if catalog.exists(store, record_id):
            raise
        return None  # removed between the two
    return None if attributes.state == catalog.IN_BIN else kind.shape(core, attributes)


def _pending(store: Store, kind: Kind[Core], record_id: str) -> Shape | None:
    seen = pending.seen(store, record_id)
    return None if seen is None else kind.pending_shape(seen)
