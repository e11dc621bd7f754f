"""Removing a store that holds nothing any more."""

from amictl.errors import ConflictError, ObjectMissingError
from amictl.store import catalog, layout, pending, tasks
from amictl.store.store import Store

_SHOWN = 3
_FILES = (
    layout.EPOCH,
    layout.DAMAGE,
    layout.CHECKS,
    layout.RULES,
    layout.SETTINGS,
    layout.CONFIG,
)
"""The configuration comes last: until then a removal that was broken off can be done again."""


def remove_store(store: Store) -> None:
    """Remove all files of a store, and its directory if nothing else is in it.

    Raises ConflictError that names what is in it: images and snapshots, also in the recycle bin,
    pending work, tasks at work, files of others; BusyError while somebody writes to it;
    StorageError.
    """
    with store.storage.alone(layout.EPOCH_LOCKS):
        _require_nothing(store)
        for folder in layout.FOLDERS:
            if folder != "locks":
                _empty(store, folder)
        # Deleting takes a lock, so that the locks come after all that is deleted with one.
        for name in _FILES:
            store.storage.delete(name)
        store.storage.remove_empty(layout.FOLDERS, layout.LOCKS)


def _require_nothing(store: Store) -> None:
    # Imported here: every command that makes a region loads this module.
    from amictl.store.surveying import foreign_files

    there = [*catalog.image_ids(store), *catalog.snapshot_ids(store)]
    there += [*pending.ids(store, "ami-"), *pending.ids(store, "snap-")]
    there += tasks.at_work(store)
    there += [place for kind, place, _ in foreign_files(store) if kind == "foreign"]
    if there:
        more = f" and {len(there) - _SHOWN} more" if len(there) > _SHOWN else ""
        raise ConflictError(
            f"the region is not empty: it holds {', '.join(there[:_SHOWN])}{more}",
            hint="deregister-image and delete-snapshot remove what is in it; --forget takes only"
            " its name away",
            code="DependencyViolation",
        )


def _empty(store: Store, folder: str) -> None:
    try:
        names = [name for name, _ in store.storage.names(folder)]
    except ObjectMissingError:  # one that is made when it is needed
        return
    for name in names:
        store.storage.delete(name)
