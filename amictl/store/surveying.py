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
from amictl.model.tasks import PREFIXES
from amictl.store import (
    catalog,
    domains,
    events,
    layout,
    pending,
    recycling,
    remains,
    settings,
    tasks,
    tokens,
    volume_records,
)
from amictl.store.store import Store

_HEX32, _HEX64, _DIGITS = r"[0-9a-f]{32}", r"[0-9a-f]{64}", r"[0-9a-f]{17}"
_TASK = "|".join(PREFIXES.values())
_ROOT = {layout.CONFIG, layout.EPOCH, layout.DAMAGE, layout.CHECKS, layout.RULES, layout.SETTINGS}
_ROOT |= {layout.BUCKET, *layout.FOLDERS}
_BELONGING = {
    "": "|".join(map(re.escape, sorted(_ROOT))),
    "packs": rf"{_HEX32}\.(pack|par)",
    "index": rf"CURRENT|{_HEX32}\.run",
    "snapshots": rf"snap-{_DIGITS}(\.attributes)?\.json",
    "images": rf"ami-{_DIGITS}(\.attributes)?\.json",
    "names": rf"{_HEX64}\.json",
    "tokens": rf"{_HEX64}\.json",
    "volumes": rf"vol-{_DIGITS}(\.attributes)?\.json",
    "events": rf"[0-9]{{17}}-{_HEX32}\.(json|log)",
    "pending": rf"(snap|ami|{_TASK})-{_DIGITS}\.json",
    "tasks": rf"({_TASK})-{_DIGITS}\.(json|cancel)",
    "domains": rf"{_HEX32}\.json",
    "quarantine": rf"{_HEX32}\.(pack|par)",
    "marks": rf"{_HEX32}\.amictl-incomplete",
    "locks": "|".join(re.escape(name.rpartition("/")[2]) for name in layout.LOCKS)
    + "|clock|probe(-[0-9a-f]{16})?",
}
"""Names by folder; anything may be in `staging`, for a while."""

_MADE_LATER = ("events", "tokens", "tasks")
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
    staged = sum(size for _, size in _listed(store, "staging"))
    return staged + sum(size for _, size in _unnamed(store, packs, runs))


def unnamed_files(store: Store) -> Iterator[tuple[str, int]]:
    """Packs and runs that the store's index does not name, with their lengths.

    They may be those of a writer who has not named them yet.
    """
    current = store.index.current
    packs = {row.pack_id.hex() for row in current.packs}
    yield from _unnamed(store, packs, {row.run_id.hex() for row in current.runs})


def _unnamed(store: Store, packs: set[str], runs: set[str]) -> Iterator[tuple[str, int]]:
    known = {"packs": (packs, ".pack"), "index": (runs, ".run")}
    for folder, (ids, suffix) in known.items():
        for name, size in _listed(store, folder):
            base = name.rpartition("/")[2]
            belongs = base.endswith(suffix) and re.fullmatch(_BELONGING[folder], base)
            if belongs and base.removesuffix(suffix) not in ids:
                yield name, size


def leftovers(store: Store) -> Iterator[Fault]:
    """What was left when a removal or the making of a snapshot or an image was killed halfway.

    Nobody reads it, and it harms nothing.
    """
    for folder, kind in (("snapshots", "snapshot"), ("images", "image")):
        for name, _ in _belonging(store, folder):
            record_id = layout.attributes_id(name)
            # What a dead writer left in `pending` shows as a failed snapshot or image.
            if record_id is None or pending.is_there(store, record_id):
                continue
            with suppress(*UNREADABLE):
                if remains.are_there(store, record_id):
                    yield "attributes", name, f"the {kind} {record_id} does not exist"


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
    yield layout.CHECKS, partial(_read_if_there, store, layout.CHECKS, CheckLog)
    yield layout.RULES, lambda: recycling.read_rules(store)
    yield layout.SETTINGS, lambda: settings.read(store)
    for name, _ in _belonging(store, "events"):
        yield name, partial(_read_events, store, name)
    for name, _ in _belonging(store, "domains"):
        yield name, partial(domains.read_header, store, layout.core_id(name) or "")
    for name, _ in _belonging(store, "names"):
        yield name, partial(_read_name, store, name)
    for name, _ in _belonging(store, "tokens"):
        yield name, partial(tokens.read_object, store, name)
    for name, _ in _belonging(store, "tasks"):
        yield name, partial(tasks.read_object, store, name)
    for name, _ in _belonging(store, "volumes"):
        volume_id, _, rest = name.rpartition("/")[2].partition(".")
        written = rest.startswith("attributes")
        read = volume_records.read_written if written else catalog.read_volume
        yield name, partial(read, store, volume_id)
    for name, _ in _belonging(store, "pending"):
        yield name, partial(pending.seen, store, layout.core_id(name) or "")


def _belonging(store: Store, folder: str) -> list[tuple[str, int]]:
    """Names and sizes of the files of ours in a folder, in order."""
    return [
        (name, size)
        for name, size in _listed(store, folder)
        if re.fullmatch(_BELONGING[folder], name.rpartition("/")[2])
    ]


def _listed(store: Store, folder: str) -> list[tuple[str, int]]:
    """All files in a folder, in order; none if it cannot be read, which is a fault already."""
    try:
        return sorted(store.storage.names(folder))
    except UNREADABLE:
        return []


def _read_events(store: Store, name: str) -> None:
    """An object that is folded or removed meanwhile is not a fault."""
    with suppress(ObjectMissingError):
        events.read_object(store, name)


def _read_if_there(store: Store, place: str, kind: type) -> None:
    with suppress(ObjectMissingError):
        _read(store, place, kind)


def _read(store: Store, place: str, kind: type) -> object:
    return record_format.decode(store.storage.read(place), kind, place)


def _read_name(store: Store, place: str) -> None:
    record = record_format.decode(store.storage.read(place), ImageName, place)
    if layout.image_name(record.name) != place:
        raise CorruptStoreError(f"{place} is about {record.name!r}")
