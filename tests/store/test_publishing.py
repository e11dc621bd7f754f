"""How runs are merged, and that two writers do not lose each other's packs."""

import random
from dataclasses import replace
from itertools import pairwise

import pytest

from amictl.content.domains import PLAIN
from amictl.errors import CorruptStoreError
from amictl.formats import current as current_format
from amictl.formats.current import Current, RunRow
from amictl.model.blockmap import SEGMENT_SIZE, Leaf, Name
from amictl.store import layout, publishing
from amictl.store.index import Index, Run
from amictl.store.publishing import MERGE_RATIO
from amictl.store.store import Store
from amictl.store.writing import CHECKPOINT_NAMES, Writer
from tests.workshop import Workshop, flip


def leaf(number: int) -> Leaf:
    return Leaf((SEGMENT_SIZE,), (None,), number.to_bytes(16, "big"))


def publish(workshop: Workshop, numbers: range) -> list[Name]:
    """A pack with as many leaves."""
    with workshop.open() as store, Writer(store, workshop.surroundings.random_bytes) as writer:
        names = [writer.add_node(leaf(number), PLAIN).stored for number in numbers]
        writer.publish()
    return names


def current(workshop: Workshop) -> Current:
    with workshop.open() as store:
        return store.index.current


def put_current(workshop: Workshop, wanted: Current) -> None:
    (workshop.root / layout.CURRENT).write_bytes(current_format.encode(wanted))


def run_files(workshop: Workshop) -> set[str]:
    return {path.stem for path in (workshop.root / "index").glob("*.run")}


def run_of(store: Store, row: RunRow) -> Run:
    return Run(store.storage.map(layout.run(row.run_id)))


def test_no_run_is_left_that_the_next_one_should_have_taken_in(workshop: Workshop) -> None:
    noise = random.Random(5)
    start = 0
    for _ in range(25):
        count = noise.choice([1, 2, 5, 20, 100])
        publish(workshop, range(start, start + count))
        start += count
        rows = [run.rows for run in current(workshop).runs]
        assert all(older > MERGE_RATIO * newer for older, newer in pairwise(rows))


def test_every_name_is_found_after_many_merges(workshop: Workshop) -> None:
    names = [name for at in range(20) for name in publish(workshop, range(9 * at, 9 * at + 9))]
    with workshop.open() as store:
        assert all(store.index.find(name) for name in names)


def test_runs_that_were_merged_are_removed(workshop: Workshop) -> None:
    for at in range(6):
        publish(workshop, range(10 * at, 10 * at + 10))
    assert run_files(workshop) == {run.run_id.hex() for run in current(workshop).runs}


def test_a_large_run_is_left_alone_by_a_small_one(workshop: Workshop) -> None:
    publish(workshop, range(100))
    publish(workshop, range(100, 124))
    assert [run.rows for run in current(workshop).runs] == [100, 24]


def test_a_run_four_times_as_large_is_merged(workshop: Workshop) -> None:
    publish(workshop, range(100))
    publish(workshop, range(100, 125))
    assert [run.rows for run in current(workshop).runs] == [125]


def test_runs_do_not_grow_beyond_their_largest_size(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "MERGED_SIZE_MAX", 10_000)
    for at in range(8):
        publish(workshop, range(50 * at, 50 * at + 50))
    assert all(run.length <= 10_000 for run in current(workshop).runs)
    assert sum(run.rows for run in current(workshop).runs) == 400


def test_rows_of_removed_packs_are_left_out_of_a_merge(workshop: Workshop) -> None:
    names = publish(workshop, range(10))
    before = current(workshop)
    put_current(workshop, replace(before, packs=(), removed=(0,)))
    publish(workshop, range(10, 20))
    with workshop.open() as store:
        assert [run.rows for run in store.index.current.runs] == [10]
        assert not any(store.index.find(name) for name in names)


def test_removed_and_condemned_packs_are_kept_on_their_lists(workshop: Workshop) -> None:
    publish(workshop, range(10))
    put_current(workshop, replace(current(workshop), next_pack=7, removed=(3,), condemned=(0, 5)))
    publish(workshop, range(10, 20))
    after = current(workshop)
    assert (after.removed, after.condemned, after.next_pack) == ((3,), (0, 5), 8)


def test_what_a_condemned_pack_holds_is_stored_again(workshop: Workshop) -> None:
    (name,) = publish(workshop, range(1))
    put_current(workshop, replace(current(workshop), condemned=(0,)))
    publish(workshop, range(1))
    with workshop.open() as store:
        assert [place.pack for place in store.index.places(name)] == [0, 1]


def test_each_replacement_of_current_has_the_next_generation(workshop: Workshop) -> None:
    publish(workshop, range(1))
    publish(workshop, range(1, 2))
    assert current(workshop).generation == 2


def test_a_writer_that_was_overtaken_adds_to_what_the_other_wrote(workshop: Workshop) -> None:
    with workshop.open() as store, Writer(store, random.Random(2).randbytes) as slow:
        first = slow.add_node(leaf(1), PLAIN).stored
        (second,) = publish(workshop, range(2, 3))
        slow.publish()
    with workshop.open() as store:
        assert store.index.find(first) is not None
        assert store.index.find(second) is not None


def test_an_index_that_is_open_goes_on_when_its_runs_are_removed(workshop: Workshop) -> None:
    names = publish(workshop, range(10))
    with workshop.open() as store:
        index = store.index
        publish(workshop, range(10, 20))
        assert all(index.find(name) for name in names)


def test_a_damaged_run_is_not_merged_into_a_sound_one(workshop: Workshop) -> None:
    publish(workshop, range(10))
    (run,) = current(workshop).runs
    flip(workshop.root / layout.run(run.run_id), -100)
    with pytest.raises(CorruptStoreError, match="digest") as caught:
        publish(workshop, range(10, 20))
    assert "rebuild-index" in (caught.value.hint or "")


def test_an_index_of_a_truncated_run_is_refused_with_the_way_out(workshop: Workshop) -> None:
    publish(workshop, range(10))
    (run,) = current(workshop).runs
    path = workshop.root / layout.run(run.run_id)
    path.write_bytes(path.read_bytes()[:-1])
    with workshop.open() as store, pytest.raises(CorruptStoreError) as caught:
        Index.load(store.storage, frozenset())
    assert "rebuild-index" in (caught.value.hint or "")


@pytest.mark.parametrize("content", [b"", bytes(200), b"AMICURR1"])
def test_a_current_that_nobody_wrote_is_refused_with_the_way_out(
    workshop: Workshop, content: bytes
) -> None:
    (workshop.root / layout.CURRENT).write_bytes(content)
    with workshop.open() as store, pytest.raises(CorruptStoreError) as caught:
        store.reload_index()
    assert "rebuild-index" in (caught.value.hint or "")


def test_a_missing_current_is_told_with_the_way_out(workshop: Workshop) -> None:
    (workshop.root / layout.CURRENT).unlink()
    with workshop.open() as store, pytest.raises(CorruptStoreError) as caught:
        store.reload_index()
    assert "rebuild-index" in (caught.value.hint or "")


def test_many_names_in_hand_are_published_before_packs_are_full(workshop: Workshop) -> None:
    with workshop.open() as store, Writer(store, workshop.surroundings.random_bytes) as writer:
        writer.claim_new([at.to_bytes(32, "little") for at in range(CHECKPOINT_NAMES - 1)])
        assert not writer.checkpoint_due
        writer.claim_new([bytes(31) + b"x"])
        assert writer.checkpoint_due
