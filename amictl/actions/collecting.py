"""collect-garbage: remove what no snapshot needs."""

from dataclasses import dataclass
from typing import Any

from amictl.errors import UnsupportedError
from amictl.model.surroundings import Surroundings
from amictl.store import collecting, garbage, layout
from amictl.store.garbage import Limits, Plan
from amictl.store.store import Store


@dataclass(frozen=True, slots=True)
class CollectGarbageRequest:
    """How far to go: see `store.garbage.Limits`."""

    dry_run: bool
    limits: Limits


def collect_garbage(
    store: Store, request: CollectGarbageRequest, surroundings: Surroundings
) -> dict[str, Any]:
    """What was freed, or with `dry_run` what would be, in stored bytes.

    Whatever is in the recycle bin beyond its time goes first. Raises CorruptStoreError, with
    nothing deleted, if anything that is there cannot be read; BusyError while another collection,
    or for too long a writer, is at work; ConflictError if most of the store would go;
    UnsupportedError in a bucket.
    """
    store.require_features("delete")
    if not store.storage.forkable:
        raise UnsupportedError(
            "this version does not collect garbage in a bucket",
            hint="copy what is to be kept to a region in a directory, or to another prefix",
        )
    if request.dry_run:
        found, _ = garbage.plan(store, surroundings.now(), request.limits)
        return _foretold(found)
    with store.storage.alone([layout.COLLECT_LOCK]):
        due = collecting.remove_due(store, surroundings.now())
        found, marks = garbage.plan(store, surroundings.now(), request.limits)
        if not request.limits.most:
            garbage.require_not_most(store, found)
        done = collecting.execute(store, found, marks, request.limits, surroundings.random_bytes)
    return {
        "FreedBytes": done.freed_bytes,
        "MovedBytes": done.moved_bytes,
        "RemovedPacks": done.packs_removed,
        "WrittenPacks": done.packs_written,
        "Removed": due,
        "Kept": list(done.stayed),
        "MissingCount": found.missing,
    }


def _foretold(found: Plan) -> dict[str, Any]:
    return {
        "FreedBytes": found.freed_bytes,
        "MovedBytes": found.moved_bytes,
        "RemovedPacks": len(found.dead) + len(found.moved),
        "Removed": list(found.due),
        "MissingCount": found.missing,
        "WritersAtWork": found.is_busy,
    }
