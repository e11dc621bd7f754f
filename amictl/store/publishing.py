"""Making packs known: a run for their rows, older runs merged into it, CURRENT replaced."""

from collections.abc import Callable, Sequence, Set
from dataclasses import replace
from itertools import chain
from operator import itemgetter

import numpy as np

from amictl.errors import BusyError, CorruptStoreError
from amictl.formats import current as current_format
from amictl.formats import run as run_format
from amictl.formats.current import Current, PackRow, RunRow
from amictl.formats.run import Rows
from amictl.storage.interface import Storage
from amictl.store import layout
from amictl.store.index import REBUILD_HINT, Index, Run
from amictl.store.packing import NewPack, PlacedName

MERGE_RATIO = 4
MERGED_SIZE_MAX = 256 * 1024 * 1024
_TRIES = 100


def publish_packs(
    storage: Storage,
    packs: Sequence[NewPack],
    load_index: Callable[[], Index],
    new_run_id: Callable[[], bytes],
    gone: Set[int] = frozenset(),
) -> None:
    """Name durable packs in the index, and forget those whose numbers are `gone`.

    When this returns, the index leads to them after a power cut, and to the others no more.
    Starts again when another writer was quicker. Raises StorageError, CorruptStoreError, BusyError.
    """
    for _ in range(_TRIES):
        index = load_index()
        before = index.current
        rows = rows_of([(before.next_pack + at, pack.rows) for at, pack in enumerate(packs)])
        merged = _all_that_fit(index) if gone else _to_merge(index, len(rows.keys))
        kept = before.runs[: len(before.runs) - merged]
        parts = [rows, *(_sound(run).rows() for run in index.runs[len(kept) :])]
        removed = tuple(sorted({*before.removed, *gone}))
        run = write_run(storage, parts, new_run_id(), removed)
        after = Current(
            generation=before.generation + 1,
            next_pack=before.next_pack + len(packs),
            packs=tuple(row for row in before.packs if row.number not in gone)
            + pack_rows(packs, before.next_pack),
            runs=(*kept, run),
            removed=removed,
            condemned=tuple(number for number in before.condemned if number not in gone),
        )
        if replace_current(storage, before, after):
            for row in before.runs:
                if row not in kept:
                    storage.clean(layout.run(row.run_id))
            return
        storage.clean(layout.run(run.run_id))
    raise _outrun()


def condemn(storage: Storage, load_index: Callable[[], Index], numbers: Set[int]) -> None:
    """Have writers that begin from now on treat these packs as absent, and no others.

    Durable when it returns. Raises as `publish_packs` does.
    """
    for _ in range(_TRIES):
        before = load_index().current
        present = {row.number for row in before.packs}
        after = replace(
            before,
            generation=before.generation + 1,
            condemned=tuple(sorted(present.intersection(numbers))),
        )
        if after.condemned == before.condemned or replace_current(storage, before, after):
            return
    raise _outrun()


def _outrun() -> BusyError:
    return BusyError("other writers keep changing the index", hint="run the command again")


def replace_current(storage: Storage, before: Current, after: Current) -> bool:
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
    placed = list(chain.from_iterable(rows for _, rows in parts))
    joined = b"".join(map(itemgetter(0), placed))
    names = np.frombuffer(joined, dtype=np.uint8).reshape(len(placed), 32)
    # Without a line of Python for each row: a full snapshot has many.
    offsets, lengths, positions = (map(itemgetter(at), placed) for at in (1, 2, 3))
    return Rows(
        keys=names[:, :8].copy().view("<u8").reshape(-1),
        names=names[:, 8:],
        packs=np.repeat(
            np.array([number for number, _ in parts], np.uint32), [len(rows) for _, rows in parts]
        ),
        offsets=np.fromiter(offsets, np.uint32, len(placed)),
        lengths=np.fromiter(lengths, np.uint32, len(placed)),
        positions=np.fromiter(positions, np.uint16, len(placed)),
    )


def write_run(
    storage: Storage, parts: Sequence[Rows], run_id: bytes, removed: Sequence[int] = ()
) -> RunRow:
    """Write one run from several lots of rows; durable under its name when it returns."""
    upload = storage.begin(layout.run(run_id))
    try:
        pieces = run_format.encode_parts(parts, run_id, removed)
        head = next(pieces)
        for piece in chain((head,), pieces):
            upload.append(piece)
        upload.seal()
        storage.publish([upload])
    except BaseException:
        upload.discard()
        raise
    return RunRow(run_id, run_format.decode_header(head).rows, upload.size)


def _sound(run: Run) -> Run:
    """The same run. Raises CorruptStoreError if it is damaged: a merge would hide that for ever."""
    try:
        run_format.require_digest(run.data)
    except CorruptStoreError as error:
        error.hint = REBUILD_HINT
        raise
    return run


def _all_that_fit(index: Index) -> int:
    """How many of the newest runs go into one together, of the largest size."""
    chosen = rows = 0
    for row in reversed(index.current.runs):
        rows += row.rows
        if chosen and run_format.Layout(rows, run_format.filter_words(rows), b"").size > (
            MERGED_SIZE_MAX
        ):
            break
        chosen += 1
    return chosen


def _to_merge(index: Index, count: int) -> int:
    """How many of the newest runs go into a new one with `count` rows of its own."""
    chosen = 0
    for row in reversed(index.current.runs):
        together = count + row.rows
        size = run_format.Layout(together, run_format.filter_words(together), b"").size
        if row.rows > MERGE_RATIO * count or size > MERGED_SIZE_MAX:
            break
        chosen, count = chosen + 1, together
    return chosen
