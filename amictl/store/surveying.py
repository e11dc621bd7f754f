"""Which files belong to a store, and whether the small ones are what was written under their name.

amictl-store(5), LAYOUT. Nothing is changed.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

from amictl.errors import UNREADABLE, CorruptStoreError, ObjectMissingError
from amictl.formats import records as record_format
from amictl.model.records import CheckLog, Epoch, ImageName
from amictl.store import catalog, events, layout, recycling, volume_records
from amictl.store.store import Store

_HEX32, _HEX64, _DIGITS = r"[0-9a-f]{32}", r"[0-9a-f]{64}", r"[0-9a-f]{17}"
_ROOT = {layout.CONFIG, layout.EPOCH, layout.DAMAGE, layout.CHECKS, layout.RULES, *layout.FOLDERS}
_BELONGING = {
    "": "|".join(map(re.escape, sorted(_ROOT))),
    "packs": rf"{_HEX32}\.(pack|par)",
    "index": rf"CURRENT|{_HEX32}\.run",
    "snapshots": rf"snap-{_DIGITS}(\.attributes)?\.json",
    "images": rf"ami-{_DIGITS}(\.attributes)?\.json",
    "names": rf"{_HEX64}\.json",
    "volumes": rf"vol-{_DIGITS}(\.attributes)?\.json",
    "events": rf"[0-9]{{17}}-{_HEX32}\.(json|log)",
    "pending": rf"(snap|ami)-{_DIGITS}\.json",
    "domains": rf"{_HEX32}\.json",
    "quarantine": rf"{_HEX32}\.(pack|par)",
    "marks": rf"{_HEX32}\.amictl-incomplete",
    "locks": "|".join(re.escape(name.rpartition("/")[2]) for name in layout.LOCKS),
}
"""Names by folder; anything may be in `staging`, for a while."""

_MADE_LATER = ("events",)
"""Folders that a store may lack until something is written to them."""

Fault = tuple[str, str, str]
"""Kind, place and message."""


def foreign_files(store: Store) -> Iterator[Fault]:
    """Files that nobody of us wrote, and folders that are missing."""
    for folder, pattern in _BELONGING.items():
        try:
            names = [name.rpartition("/")[2] for name, _ in store.storage.names(folder)]
        except UNREADABLE as error:
            if folder not in _MADE_LATER or not isinstance(error, ObjectMissingError):
                yield "folder", folder, error.message
            continue
        for name in sorted(names):
            if re.fullmatch(pattern, name) is None:
                yield "foreign", f"{folder}/{name}".lstrip("/"), "it is not a file of the store"


def garbage_bytes(store: Store, packs: set[str], runs: set[str]) -> int:
    """Bytes of packs and runs that CURRENT, which names these ids, does not name; and of staging.

    What is in staging may be in use by a writer at this moment.
    """
    known = {"packs": (packs, ".pack"), "index": (runs, ".run")}
    staged = sum(size for _, size in store.storage.names("staging"))
    return staged + sum(
        size
        for folder, (ids, suffix) in known.items()
        for name, size in store.storage.names(folder)
        if name.endswith(suffix)
        and re.fullmatch(_BELONGING[folder], base := name.rpartition("/")[2])
        and base.removesuffix(suffix) not in ids
    )


def damaged_files(store: Store) -> Iterator[Fault]:
    """Small files beside the records of snapshots and images that are not what was written."""
    for place, read in _small_files(store):
        try:
            read()
        except UNREADABLE as error:
            yield "record", place, error.message


def _small_files(store: Store) -> Iterator[tuple[str, Callable[[], object]]]:
    yield layout.EPOCH, lambda: _read(store, layout.EPOCH, Epoch)
    yield layout.DAMAGE, store.damage
    if _exists(store, layout.CHECKS):
        yield layout.CHECKS, lambda: _read(store, layout.CHECKS, CheckLog)
    yield layout.RULES, lambda: recycling.read_rules(store)
    yield from _event_objects(store)
    for name, _ in sorted(store.storage.names("names")):
        if re.fullmatch(_BELONGING["names"], name.rpartition("/")[2]):
            yield name, partial(_read_name, store, name)
    for name, _ in sorted(store.storage.names("volumes")):
        volume_id, _, rest = name.rpartition("/")[2].partition(".")
        if re.fullmatch(_BELONGING["volumes"], name.rpartition("/")[2]):
            written = rest.startswith("attributes")
            read = volume_records.read_written if written else catalog.read_volume
            yield name, partial(read, store, volume_id)


def _event_objects(store: Store) -> Iterator[tuple[str, Callable[[], object]]]:
    with suppress(*UNREADABLE):  # a folder that cannot be read is a fault already
        for name, _ in sorted(store.storage.names("events")):
            if re.fullmatch(_BELONGING["events"], name.rpartition("/")[2]):
                yield name, partial(_read_events, store, name)


def _read_events(store: Store, name: str) -> None:
    """An object that is folded or removed meanwhile is not a fault."""
    with suppress(ObjectMissingError):
        events.read_object(store, name)


def _exists(store: Store, place: str) -> bool:
    return any(name.rpartition("/")[2] == place for name, _ in store.storage.names(""))


def _read(store: Store, place: str, kind: type) -> object:
    return record_format.decode(store.storage.read(place), kind, place)


def _read_name(store: Store, place: str) -> None:
    record = record_format.decode(store.storage.read(place), ImageName, place)
    if layout.image_name(record.name) != place:
        raise CorruptStoreError(f"{place} is about {record.name!r}")
