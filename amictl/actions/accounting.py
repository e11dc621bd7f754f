"""What a store holds, what it saves, and what deleting a snapshot alone would free."""

from dataclasses import dataclass, field
from typing import Any

from amictl.model.blockmap import Leaf, Name
from amictl.model.records import SnapshotCore
from amictl.store import catalog
from amictl.store.index import ABSENT
from amictl.store.recording import map_of
from amictl.store.store import Store

_SHARED = -1


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


def describe_store(store: Store) -> dict[str, Any]:
    """Counts and sizes in bytes; `Ratio` is logical by stored.

    `ExclusiveBytes` of a snapshot are the frames and nodes that no other snapshot needs, whole.
    Raises CorruptStoreError where a map cannot be read.
    """
    cores = [
        catalog.read_snapshot_core(store, snapshot_id)
        for snapshot_id in catalog.snapshot_ids(store)
    ]
    owners = _Owners()
    unique: dict[Name, int] = {}
    for owner, core in enumerate(cores):
        root = map_of(core).root
        if root is not None:
            _visit(store, owners, unique, root, core.height, owner)
    exclusive = [0] * len(cores)
    for owner, length in owners.stored.values():
        if owner != _SHARED:
            exclusive[owner] += length
    current = store.index.current
    stored = _stored_bytes(store)
    logical = sum(core.data_bytes for core in cores)
    return {
        "StoreId": store.config.store_id,
        "OwnerId": store.config.owner_id,
        "Directory": str(store.storage.root),
        "ChunkSize": store.config.chunk_size,
        "CompressionLevel": store.config.compression_level,
        "ImageCount": len(catalog.image_ids(store)),
        "SnapshotCount": len(cores),
        "ChunkCount": len(unique),
        "PackCount": len(current.packs),
        "RunCount": len(current.runs),
        "VolumeBytes": sum(core.size_bytes for core in cores),
        "LogicalBytes": logical,
        "UniqueBytes": sum(unique.values()),
        "ReferencedBytes": sum(length for _, length in owners.stored.values()),
        "StoredBytes": stored,
        "Ratio": round(logical / stored, 2) if stored else 0,
        "Snapshots": [_snapshot(core, exclusive[owner]) for owner, core in enumerate(cores)],
    }


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
    if level:
        for child in store.read_interior(name, level).children:
            if child is not None:
                _visit(store, owners, unique, child, level - 1, mark if mark == _SHARED else owner)
    else:
        _visit_leaf(store, owners, unique, store.read_leaf(name), mark)


def _visit_leaf(
    store: Store, owners: _Owners, unique: dict[Name, int], leaf: Leaf, owner: int
) -> None:
    chunks = {
        name: length
        for name, length in zip(leaf.names, leaf.lengths, strict=True)
        if name is not None
    }
    if not chunks:
        return
    unique |= chunks
    found = store.index.find_many(list(chunks))
    for pack, offset, length in zip(
        found.packs.tolist(), found.offsets.tolist(), found.lengths.tolist(), strict=True
    ):
        if pack != ABSENT:
            owners.claim((pack, offset), length, owner)


def _stored_bytes(store: Store) -> int:
    """All bytes of packs, index and records."""
    folders = ("packs", "index", "snapshots", "images", "names", "volumes")
    return sum(size for folder in folders for _, size in store.storage.names(folder))
