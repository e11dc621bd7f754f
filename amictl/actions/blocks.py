"""EBS direct: blocks of 512 KiB, which differ, and what is in them. Cost follows the difference."""

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from blake3 import blake3

from amictl.errors import CorruptStoreError, NotFoundError, UsageError
from amictl.model.blockmap import SEGMENT_SIZE, Leaf, Name
from amictl.model.ids import require_id
from amictl.model.images import size_gib
from amictl.model.records import SnapshotCore
from amictl.store import catalog
from amictl.store.authenticity import require_authentic
from amictl.store.reading import HEALING, SegmentReader, data_ranges
from amictl.store.store import Store
from amictl.store.walking import changed_leaves, leaf_at, leaves, map_of, read_leaf_at
from amictl.volumes.targets import NewFile

BLOCK_SIZE = 524_288
BLOCKS_PER_SEGMENT = SEGMENT_SIZE // BLOCK_SIZE

Clip = tuple[int, int, int, Name]
"""Part of a chunk in a block: start in the block, length, start in the chunk, name of the chunk."""


def list_snapshot_blocks(
    store: Store,
    snapshot_id: str,
    *,
    starting_block_index: int = 0,
    max_results: int | None = None,
    next_token: str | None = None,
) -> dict[str, Any]:
    """Blocks that hold data, ascending, each with the token that `get_snapshot_block` wants."""
    core = _snapshot(store, snapshot_id)
    start = _start(starting_block_index, next_token)
    items = (
        {"BlockIndex": index, "BlockToken": block_token(store, core, index)}
        for index in _data_blocks(store, core, start)
    )
    return _page("Blocks", items, max_results, core)


def list_changed_blocks(
    store: Store,
    first_snapshot_id: str,
    second_snapshot_id: str,
    *,
    starting_block_index: int = 0,
    max_results: int | None = None,
    next_token: str | None = None,
) -> dict[str, Any]:
    """Blocks whose bytes differ, ascending.

    A token is absent where that snapshot has only zeros.
    """
    first, second = _snapshot(store, first_snapshot_id), _snapshot(store, second_snapshot_id)
    start = _start(starting_block_index, next_token)
    items = (
        {
            "BlockIndex": index,
            **({"FirstBlockToken": block_token(store, first, index)} if in_first else {}),
            **({"SecondBlockToken": block_token(store, second, index)} if in_second else {}),
        }
        for index, in_first, in_second in _changed_blocks(store, first, second, start)
    )
    return _page("ChangedBlocks", items, max_results, second)


def get_snapshot_block(
    store: Store, snapshot_id: str, block_index: int, token: str, outfile: Path
) -> dict[str, Any]:
    """Write one block, padded with zeros to 512 KiB, to a new file; returns its SHA-256 in base64.

    Raises UsageError for a wrong token, NotFoundError beyond the end, CorruptStoreError.
    """
    core = _snapshot(store, snapshot_id)
    if block_index * BLOCK_SIZE >= core.size_bytes:
        raise NotFoundError(
            f"{snapshot_id} has no block {block_index}", code="ResourceNotFoundException"
        )
    if token != block_token(store, core, block_index):
        raise UsageError(
            "the block token is not that of this block",
            hint="list-snapshot-blocks gives it",
            code="ValidationException",
        )
    segment, block = divmod(block_index, BLOCKS_PER_SEGMENT)
    data = bytes(BLOCK_SIZE)
    name = leaf_at(store, map_of(core), segment)
    if name is not None:
        start = block * BLOCK_SIZE
        leaf = read_leaf_at(store, map_of(core), segment, name)
        data = _read_segment(SegmentReader(store), leaf, core)[start : start + BLOCK_SIZE]
        data = data.ljust(BLOCK_SIZE, b"\0")
    file = NewFile(outfile, BLOCK_SIZE, store.storage.disk, replace=True)
    try:
        file.write(0, memoryview(data))
        file.commit()
    except BaseException:
        file.discard()
        raise
    checksum = base64.b64encode(hashlib.sha256(data).digest()).decode()
    return {"DataLength": BLOCK_SIZE, "Checksum": checksum, "ChecksumAlgorithm": "SHA256"}


def block_token(store: Store, core: SnapshotCore, index: int) -> str:
    """What stands for one block of one snapshot; it does not expire."""
    digest = blake3(f"{store.config.store_id}/{core.snapshot_id}/{index}".encode()).digest(24)
    return base64.b64encode(digest).decode()


def _snapshot(store: Store, snapshot_id: str) -> SnapshotCore:
    core = catalog.read_snapshot(store, require_id("snap", snapshot_id))
    require_authentic(store, core)
    return core


def _page(
    key: str, items: Iterator[dict[str, Any]], limit: int | None, core: SnapshotCore
) -> dict[str, Any]:
    chosen: list[dict[str, Any]] = []
    token = None
    for item in items:
        if limit is not None and len(chosen) == limit:
            token = base64.b64encode(str(item["BlockIndex"]).encode()).decode()
            break
        chosen.append(item)
    result: dict[str, Any] = {
        key: chosen,
        "VolumeSize": size_gib(core.size_bytes),
        "BlockSize": BLOCK_SIZE,
    }
    return result | ({"NextToken": token} if token else {})


def _start(starting_block_index: int, next_token: str | None) -> int:
    if next_token is None:
        return starting_block_index
    try:
        return int(base64.b64decode(next_token, validate=True))
    except ValueError as error:
        raise UsageError(
            "the next token is not one that amictl gave", code="ValidationException"
        ) from error


def _data_blocks(store: Store, core: SnapshotCore, start: int) -> Iterator[int]:
    block_map = map_of(core)
    for segment, name in leaves(store, block_map, start // BLOCKS_PER_SEGMENT):
        blocks = _clips(read_leaf_at(store, block_map, segment, name))
        for block in range(BLOCKS_PER_SEGMENT):
            index = segment * BLOCKS_PER_SEGMENT + block
            if blocks[block] and index >= start:
                yield index


def _changed_blocks(
    store: Store, first: SnapshotCore, second: SnapshotCore, start: int
) -> Iterator[tuple[int, bool, bool]]:
    """Index, and whether the first and the second snapshot have data there."""
    reader = SegmentReader(store)
    maps = map_of(first), map_of(second)
    for segment, name_a, name_b in changed_leaves(store, *maps, start // BLOCKS_PER_SEGMENT):
        leaf_a = read_leaf_at(store, maps[0], segment, name_a) if name_a else None
        leaf_b = read_leaf_at(store, maps[1], segment, name_b) if name_b else None
        clips_a, clips_b = _clips(leaf_a), _clips(leaf_b)
        unequal = [block for block in range(BLOCKS_PER_SEGMENT) if clips_a[block] != clips_b[block]]
        if not unequal:
            continue
        # Cut differently is not yet changed: the bytes decide.
        bytes_a = _read_segment(reader, leaf_a, first)
        bytes_b = _read_segment(reader, leaf_b, second)
        for block in unequal:
            part = slice(block * BLOCK_SIZE, (block + 1) * BLOCK_SIZE)
            index = segment * BLOCKS_PER_SEGMENT + block
            if bytes_a[part] != bytes_b[part] and index >= start:
                yield index, any(bytes_a[part]), any(bytes_b[part])


def _clips(leaf: Leaf | None) -> list[list[Clip]]:
    """For each block of a segment, the parts of chunks in it."""
    blocks: list[list[Clip]] = [[] for _ in range(BLOCKS_PER_SEGMENT)]
    if leaf is None:
        return blocks
    position = 0
    for length, name in zip(leaf.lengths, leaf.names, strict=True):
        if name is not None:
            for block in range(position // BLOCK_SIZE, (position + length - 1) // BLOCK_SIZE + 1):
                begin = max(position, block * BLOCK_SIZE)
                end = min(position + length, (block + 1) * BLOCK_SIZE)
                blocks[block].append(
                    (begin - block * BLOCK_SIZE, end - begin, begin - position, name)
                )
        position += length
    return blocks


def _read_segment(reader: SegmentReader, leaf: Leaf | None, core: SnapshotCore) -> bytes:
    """All bytes of a segment, padded with zeros. Raises CorruptStoreError."""
    data = bytearray(SEGMENT_SIZE)
    if leaf is not None:
        faults = reader.read(leaf)
        if faults:
            raise CorruptStoreError(
                f"{core.snapshot_id} is damaged: {faults[0].reason}", hint=HEALING
            )
        for start, stop in data_ranges(leaf):
            data[start:stop] = reader.buffer[start:stop]
    return bytes(data)
