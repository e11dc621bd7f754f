"""The index is made again from the packs, and says the same."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from amictl.actions.rebuilding import rebuild_index
from amictl.errors import BusyError
from amictl.formats import current as current_format
from amictl.model.blockmap import Name
from amictl.store import layout
from amictl.store.writing import Writer
from tests.workshop import MIB, SEGMENT, Workshop, flip

Places = dict[Name, set[tuple[str, int, int, int]]]
"""Pack, offset, length and position of every row by name."""


@pytest.fixture
def filled(workshop: Workshop) -> Workshop:
    """A store with snapshots of two disks, in several packs and runs."""
    disk = workshop.file("disk", workshop.noise(SEGMENT + 5))
    workshop.snapshot(disk)
    workshop.file("disk", workshop.noise(SEGMENT + 5)[:-9] + b"different")
    workshop.snapshot(disk)
    workshop.snapshot(workshop.file("other", {200 * SEGMENT: b"data" * 5000}, 210 * SEGMENT))
    return workshop


def rebuild(workshop: Workshop) -> dict[str, Any]:
    with workshop.open() as store:
        return rebuild_index(store, workshop.surroundings)


def places(workshop: Workshop) -> Places:
    found: Places = {}
    with workshop.open() as store:
        for run in store.index.runs:
            rows = run.rows()
            for at, key in enumerate(rows.keys.tolist()):
                pack = store.index.packs[int(rows.packs[at])].pack_id.hex()
                name = key.to_bytes(8, "little") + rows.names[at].tobytes()
                place = (int(rows.offsets[at]), int(rows.lengths[at]), int(rows.positions[at]))
                found.setdefault(name, set()).add((pack, *place))
    return found


def index_files(workshop: Workshop) -> set[str]:
    return {path.name for path in (workshop.root / "index").iterdir()}


def unlink_all(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


LOSSES: dict[str, Callable[[Path], object]] = {
    "nothing": lambda index: None,
    "everything": unlink_all,
    "current": lambda index: (index / "CURRENT").unlink(),
    "a-run": lambda index: next(index.glob("*.run")).unlink(),
    "zero-length-current": lambda index: (index / "CURRENT").write_bytes(b""),
    "torn-current": lambda index: (index / "CURRENT").write_bytes(b"AMICURR1" + bytes(150)),
    "flipped-current": lambda index: flip(index / "CURRENT", 50),
    "zero-length-run": lambda index: next(index.glob("*.run")).write_bytes(b""),
    "flipped-run": lambda index: flip(next(index.glob("*.run")), 100),
}


@pytest.mark.parametrize("lose", LOSSES.values(), ids=LOSSES)
def test_a_new_index_says_what_the_old_one_said(
    filled: Workshop, lose: Callable[[Path], object]
) -> None:
    before = places(filled)
    lose(filled.root / "index")
    rebuild(filled)
    assert places(filled) == before


@pytest.mark.parametrize("lose", LOSSES.values(), ids=LOSSES)
def test_a_store_with_a_new_index_has_no_faults(
    filled: Workshop, lose: Callable[[Path], object]
) -> None:
    lose(filled.root / "index")
    rebuild(filled)
    assert filled.check(read_data=True)["Faults"] == []


def test_a_rebuild_counts_packs_and_rows(filled: Workshop) -> None:
    rows = sum(len(own) for own in places(filled).values())
    packs = len(list((filled.root / "packs").iterdir()))
    assert rebuild(filled) == {"PackCount": packs, "RowCount": rows, "Faults": []}


def test_a_rebuild_of_an_unreadable_current_says_so(filled: Workshop) -> None:
    (filled.root / layout.CURRENT).write_bytes(b"")
    assert "truncated" in rebuild(filled)["Faults"][0]


def test_runs_that_the_new_index_does_not_name_are_removed(filled: Workshop) -> None:
    (filled.root / "index" / f"{'ab' * 16}.run").write_bytes(b"garbage")
    rebuild(filled)
    with filled.open() as store:
        named = {f"{run.run_id.hex()}.run" for run in store.index.current.runs}
    assert index_files(filled) == named | {"CURRENT"}


def test_packs_keep_their_numbers(filled: Workshop) -> None:
    with filled.open() as store:
        before = store.index.current
    rebuild(filled)
    with filled.open() as store:
        assert store.index.current.packs == before.packs
        assert store.index.current.next_pack == before.next_pack


def test_removed_and_condemned_packs_stay_on_their_lists(filled: Workshop) -> None:
    with filled.open() as store:
        wanted = replace(store.index.current, next_pack=99, removed=(50, 60), condemned=(0,))
    (filled.root / layout.CURRENT).write_bytes(current_format.encode(wanted))
    rebuild(filled)
    with filled.open() as store:
        after = store.index.current
    assert (after.next_pack, after.removed, after.condemned) == (99, (50, 60), (0,))


def test_packs_that_current_does_not_name_stay_garbage(filled: Workshop) -> None:
    with filled.open() as store, Writer(store, filled.surroundings.random_bytes) as writer:
        writer.add_frames([(b"garbage", (bytes(32),))])
        writer.finish_packs()
        store.storage.publish([pack.upload for pack in writer._full])
    before = places(filled)
    rebuild(filled)
    assert places(filled) == before


def test_a_node_without_its_chunks_is_not_indexed(filled: Workshop) -> None:
    nodes = len(places(filled))
    filled.packs(0)[-1].unlink()
    (filled.root / layout.CURRENT).unlink()
    rebuild(filled)
    assert len(places(filled)) < nodes - 1
    assert len(filled.check()["Damaged"]) == 1


def test_a_damaged_frame_is_a_fault_and_the_others_are_indexed(filled: Workshop) -> None:
    pack = filled.packs(0)[0]
    before = places(filled)
    flip(pack, 100)
    faults = rebuild(filled)["Faults"]
    assert len(faults) == 1
    assert pack.name in faults[0]
    assert set(places(filled)) < set(before)


def test_a_foreign_file_is_a_fault(filled: Workshop) -> None:
    (filled.root / "packs" / f"{'ab' * 16}.pack").write_bytes(b"foreign" * 50)
    assert "not a pack" in rebuild(filled)["Faults"][0]


def test_an_empty_store_is_rebuilt(workshop: Workshop) -> None:
    assert rebuild(workshop) == {"PackCount": 0, "RowCount": 0, "Faults": []}


def test_a_rebuild_waits_for_no_writer(filled: Workshop) -> None:
    with (
        filled.open() as store,
        Writer(store, filled.surroundings.random_bytes),
        pytest.raises(BusyError),
    ):
        rebuild(filled)


def test_a_writer_that_could_not_begin_does_not_hold_the_store(filled: Workshop) -> None:
    (filled.root / layout.CURRENT).write_bytes(b"")
    with pytest.raises(Exception, match="CURRENT"):
        filled.snapshot(filled.file("disk", filled.noise(MIB)))
    assert rebuild(filled)["PackCount"] > 0


def test_snapshots_go_on_after_a_rebuild(filled: Workshop) -> None:
    unlink_all(filled.root / "index")
    rebuild(filled)
    disk = filled.file("disk", filled.noise(SEGMENT) + b"more")
    assert filled.restored(filled.snapshot_id(disk)) == disk.read_bytes()


def test_a_pack_that_is_missing_is_a_fault(filled: Workshop) -> None:
    pack = filled.packs(0)[0]
    pack.unlink()
    assert f"packs/{pack.name} is missing" in rebuild(filled)["Faults"]
