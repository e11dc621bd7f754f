"""Making packs known: a run for their rows, older runs merged into it, CURRENT replaced."""

from collections.abc import Callable, Sequence

import numpy as np

from amictl.errors import BusyError
from amictl.formats import current as current_format
from amictl.formats import run as run_format
from amictl.formats.current import Current, PackRow, RunRow
from amictl.formats.run import Rows
from amictl.storage.directory import DirectoryStorage
from amictl.store import layout
from amictl.store.index import Index, Run
from amictl.store.packing import NewPack, PlacedName

MERGE_RATIO = 4
MERGED_SIZE_MAX = 256 * 1024 * 1024
_TRIES = 100


def publish_packs(
    storage: DirectoryStorage,
    packs: Sequence[NewPack],
    load_index: Callable[[], Index],
    new_run_id: Callable[[], bytes],
) -> None:
    """Name durable packs in the index.

    When this returns, the index leads to them after a power cut.
    Starts again when another writer was quicker. Raises StorageError, CorruptStoreError, BusyError.
    """
    for _ in range(_TRIES):
        index = load_index()
        before = index.current
        rows = rows_of([(before.next_pack + at, pack.rows) for at, pack in enumerate(packs)])
        merged, kept = _merge(index, rows)
        run_id = new_run_id()
        size = write_run(storage, merged, run_id)
        after = Current(
            generation=before.generation + 1,
            next_pack=before.next_pack + len(packs),
            packs=before.packs + pack_rows(packs, before.next_pack),
            runs=(*kept, RunRow(run_id, len(merged.keys), size)),
            removed=before.removed,
            condemned=before.condemned,
        )
        if replace_current(storage, before, after):
            for row in before.runs:
                if row not in kept:
                    storage.delete(layout.run(row.run_id))
            return
        storage.delete(layout.run(run_id))
    raise BusyError("other writers keep changing the index", hint="run the command again")


def replace_current(storage: DirectoryStorage, before: Current, after: Current) -> bool:
    """Put `after` in the place of `before`, unless somebody else was quicker."""
    return storage.replace_if_unchanged(
        layout.CURRENT, current_format.encode(after), current_format.encode(before)
    )


def pack_rows(packs: Sequence[NewPack], first_number: int) -> tuple[PackRow, ...]:
    """The pack table's rows of new packs."""
    return tuple(
        PackRow(pack.pack_id, pack.upload.size, first_number + at, pack.kind)
        for at, pack in enumerate(packs)
    )


def rows_of(parts: Sequence[tuple[int, Sequence[PlacedName]]]) -> Rows:
    """The rows of packs, given by their numbers, as columns in any order."""
    count = sum(len(rows) for _, rows in parts)
    joined = b"".join(row[0] for _, rows in parts for row in rows)
    names = np.frombuffer(joined, dtype=np.uint8).reshape(count, 32)
    numbers = np.fromiter(
        (value for _, rows in parts for row in rows for value in row[1:]), np.uint32, 3 * count
    )
    columns = numbers.reshape(count, 3)
    return Rows(
        keys=names[:, :8].copy().view("<u8").reshape(-1),
        names=names[:, 8:],
        packs=np.repeat(
            np.array([number for number, _ in parts], np.uint32), [len(rows) for _, rows in parts]
        ),
        offsets=columns[:, 0],
        lengths=columns[:, 1],
        positions=columns[:, 2].astype(np.uint16),
    )


def write_run(storage: DirectoryStorage, rows: Rows, run_id: bytes) -> int:
    """Write a run durably under its name; returns its length in bytes."""
    upload = storage.begin(layout.run(run_id))
    try:
        for part in run_format.encode(rows, run_id):
            upload.append(part)
        upload.seal()
        storage.publish([upload])
    except BaseException:
        upload.discard()
        raise
    return upload.size


def _merge(index: Index, rows: Rows) -> tuple[Rows, tuple[RunRow, ...]]:
    """The rows together with those of the newest runs, as far as that pays.

    And the runs that stay.
    """
    parts = [rows]
    count = len(rows.keys)
    kept = list(index.current.runs)
    runs: list[Run] = list(index.runs)
    while kept and kept[-1].rows <= MERGE_RATIO * count:
        if (
            run_format.Layout(
                count + kept[-1].rows, run_format.filter_words(count + kept[-1].rows), b""
            ).size
            > MERGED_SIZE_MAX
        ):
            break
        count += kept.pop().rows
        parts.append(_live(runs.pop().rows(), set(index.current.removed)))
    return concatenate(parts), tuple(kept)


def _live(rows: Rows, removed: set[int]) -> Rows:
    if not removed:
        return rows
    keep = ~np.isin(rows.packs, np.fromiter(removed, np.uint32, len(removed)))
    return Rows(
        rows.keys[keep],
        rows.names[keep],
        rows.packs[keep],
        rows.offsets[keep],
        rows.lengths[keep],
        rows.positions[keep],
    )


def concatenate(parts: Sequence[Rows]) -> Rows:
    """All rows in one."""
    if len(parts) == 1:
        return parts[0]
    return Rows(
        np.concatenate([part.keys for part in parts]),
        np.concatenate([part.names for part in parts]),
        np.concatenate([part.packs for part in parts]),
        np.concatenate([part.offsets for part in parts]),
        np.concatenate([part.lengths for part in parts]),
        np.concatenate([part.positions for part in parts]),
    )
