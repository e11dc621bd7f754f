"""What a store holds, what it saves, and what deleting a snapshot alone would free."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from amictl.errors import CorruptStoreError, SnapshotNotFoundError
from amictl.formats.node import ClearNode
from amictl.model.blockmap import Leaf, Name
from amictl.model.records import SnapshotCore
from amictl.store import catalog, garbage, recycling
from amictl.store.garbage import Limits
from amictl.store.index import ABSENT
from amictl.store.store import Store
from amictl.store.walking import map_of

_SHARED = -1
_UNKNOWN = -1
"""The length of a chunk whose key is not here."""


@dataclass(slots=True)
class _Owners:
    """Which snapshot alone needs each stored thing; `_SHARED` if several do.

    Nodes by name; frames and nodes as stored things by pack number and offset. Every node is
    visited at most twice: by its first owner, and when it becomes shared.
    """

    nodes: dict[Name, int] = field(default_factory=dict)
    stored: dict[tuple[int, int], tuple[int, int]] = field(
        default_factory=dict
    )  # place: owner, length

    def claim(self, place: tuple[int, int], length: int, owner: int) -> None:
        present = self.stored.get(place)
        if present is None:
            self.stored[place] = (owner, length)
        elif present[0] != owner:
            self.stored[place] = (_SHARED, length)


def describe_store(store: Store, now: datetime) -> dict[str, Any]:
    """Counts and sizes in bytes; `Ratio` is logical by stored.

    `ExclusiveBytes` of a snapshot are the frames and nodes that no other snapshot needs, whole;
    those of the recycle bin what nothing outside of it needs. What is in the bin counts in all
    sizes, but is no image or snapshot; `DueCount` of it only wait to be collected. The lengths of
    the `SealedChunkCount` chunks whose key is not here are not known, nor in `UniqueBytes`. Raises
    CorruptStoreError where a map or an image cannot be read. `GarbageBytes` is what a collection
    would free.
    """
    inside, bin_counts = _recycle_bin(store, now)
    everything = list(_all_snapshots(store))
    live = [core for core in everything if core.snapshot_id not in inside]
    binned = [core for core in everything if core.snapshot_id in inside]
    owners, unique = _owners_of(store, live, binned)
    exclusive = [0] * (len(live) + 1)
    for owner, length in owners.stored.values():
        if owner != _SHARED:
            exclusive[owner] += length
    current = store.index.current
    stored = _stored_bytes(store)
    logical = sum(core.data_bytes for core in everything)
    mapped = catalog.mapped_snapshots(store)
    return {
        "StoreId": store.config.store_id,
        "OwnerId": store.config.owner_id,
        "Directory": store.storage.where(),
        "ChunkSize": store.config.chunk_size,
        "CompressionLevel": store.config.compression_level,
        "ImageCount": len(set(catalog.image_ids(store)) - inside),
        "SnapshotCount": len(live),
        "ChunkCount": len(unique),
        "PackCount": len(current.packs),
        "RunCount": len(current.runs),
        "VolumeBytes": sum(core.size_bytes for core in everything),
        "LogicalBytes": logical,
        "UniqueBytes": sum(length for length in unique.values() if length != _UNKNOWN),
        "SealedChunkCount": sum(length == _UNKNOWN for length in unique.values()),
        "ReferencedBytes": sum(length for _, length in owners.stored.values()),
        "StoredBytes": stored,
        "GarbageBytes": garbage.plan(store, now, Limits())[0].freed_bytes,
        "Ratio": round(logical / stored, 2) if stored else 0,
        "RecycleBin": bin_counts | {"ExclusiveBytes": exclusive[-1]},
        "UnmappedSnapshots": [one.snapshot_id for one in live if one.snapshot_id not in mapped],
        "Snapshots": [_snapshot(core, exclusive[owner]) for owner, core in enumerate(live)],
    }


def _all_snapshots(store: Store) -> Iterator[SnapshotCore]:
    for snapshot_id in catalog.snapshot_ids(store):
        with suppress(SnapshotNotFoundError):  # removed meanwhile
            yield catalog.read_snapshot_core(store, snapshot_id)


def _owners_of(
    store: Store, live: list[SnapshotCore], binned: list[SnapshotCore]
) -> tuple[_Owners, dict[Name, int]]:
    """Who needs what, and the plain lengths of all chunks; all that is in the bin has one owner,
    the last."""
    owners = _Owners()
    unique: dict[Name, int] = {}
    for owner, core in (*enumerate(live), *((len(live), core) for core in binned)):
        root = map_of(core).root
        if root is not None:
            _visit(store, owners, unique, root, core.height, owner)
    return owners, unique


def _recycle_bin(store: Store, now: datetime) -> tuple[set[str], dict[str, int]]:
    """The ids of what is in the bin or due, and how many images, snapshots and due ones that is."""
    ids = [*catalog.image_ids(store), *catalog.snapshot_ids(store)]
    found = {attributes.id: stay.is_over(now) for attributes, stay in recycling.stays(store, ids)}
    kept = [record_id for record_id, is_due in found.items() if not is_due]
    images = sum(record_id.startswith("ami-") for record_id in kept)
    counts = {
        "ImageCount": images,
        "SnapshotCount": len(kept) - images,
        "DueCount": len(found) - len(kept),
    }
    return set(found), counts


def _snapshot(core: SnapshotCore, exclusive_bytes: int) -> dict[str, Any]:
    return {
        "SnapshotId": core.snapshot_id,
        "StartTime": core.start_time,
        "SizeBytes": core.size_bytes,
        "DataBytes": core.data_bytes,
        "ExclusiveBytes": exclusive_bytes,
    }


def _visit(
    store: Store, owners: _Owners, unique: dict[Name, int], name: Name, level: int, owner: int
) -> None:
    present = owners.nodes.get(name)
    if present in (owner, _SHARED):
        return
    owners.nodes[name] = owner if present is None else _SHARED
    mark = owners.nodes[name]
    place = store.index.find(name)
    if place is not None:
        owners.claim((place.pack, place.offset), place.length, mark)
    node = store.read_clear_node(name)
    if node.level != level:
        raise CorruptStoreError(f"node {name.hex()} is not of level {level}")
    if level:
        for child in node.children:
            _visit(store, owners, unique, child, level - 1, mark if mark == _SHARED else owner)
    elif node.children:
        _visit_leaf(store, owners, unique, node, mark)


def _visit_leaf(
    store: Store, owners: _Owners, unique: dict[Name, int], clear: ClearNode, owner: int
) -> None:
    chunks = dict.fromkeys(clear.children, _UNKNOWN)
    if store.can_open(clear.domain.hex()):
        leaf = store.domain(clear.domain.hex()).decode_node(clear)
        assert isinstance(leaf, Leaf)
        pieces = zip(leaf.names, leaf.lengths, strict=True)
        chunks = {name: length for name, length in pieces if name is not None}
    unique |= chunks
    found = store.index.find_many(list(chunks))
    for pack, offset, length in zip(
        found.packs.tolist(), found.offsets.tolist(), found.lengths.tolist(), strict=True
    ):
        if pack != ABSENT:
            owners.claim((pack, offset), length, owner)


def _stored_bytes(store: Store) -> int:
    """All bytes of packs, index and records."""
    folders = ("packs", "index", "snapshots", "images", "names", "volumes", "domains")
    return sum(size for folder in folders for _, size in store.storage.names(folder))
