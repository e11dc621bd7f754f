"""Power cuts while things go to the recycle bin and come back, and while events are folded."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from amictl.actions.recycling import restore_image_from_recycle_bin
from amictl.model.records import RetentionRule
from amictl.store import catalog, events, image_names, recycling
from amictl.store.opening import open_store
from amictl.store.store import Store
from amictl.store.surveying import damaged_files, foreign_files
from tests.faults.crash_states import states_after_a_power_cut
from tests.faults.worlds import SURROUNDINGS, World, make_disk, memory_folder, world

FEW = 5
RULE = RetentionRule("abcDEF12345", "EC2_IMAGE", 7, "", (), ())


def look_at_what_is_left(
    here: World, promises: dict[str, int], inspect: Callable[[Store, set[str]], None]
) -> int:
    """Look at what power cuts may leave at each moment; how many different states there were.

    `promises` say by which moment, a length of the log, what was done.
    """
    known = set()
    for position, state in states_after_a_power_cut(here.disk, seed=1, choices=4):
        done = frozenset(name for name, since in promises.items() if since <= position)
        if (state.digest(), done) in known:
            continue
        known.add((state.digest(), done))
        with memory_folder() as folder:
            state.materialise(Path(folder))
            with open_store(Path(folder, "store")) as store:
                assert [*foreign_files(store), *damaged_files(store)] == []
                inspect(store, set(done))
    return len(known)


def test_an_image_is_in_the_bin_or_out_of_it_after_a_power_cut() -> None:
    with world() as here:
        here.create_store()
        image_id = here.image("web", make_disk(here.disks / "disk.raw"))
        with here.open() as store:
            before = catalog.read_attributes(store, image_id)
        here.settle()
        promises = {}
        with here.open() as store:
            recycling.change_rules(store, lambda _: (RULE,))
            promises["rule"] = here.now()
            recycling.discard(store, image_id, SURROUNDINGS.now())
            promises["deleted"] = here.now()
            restore_image_from_recycle_bin(store, image_id, SURROUNDINGS)
            promises["restored"] = here.now()

        def inspect(store: Store, done: set[str]) -> None:
            attributes = catalog.read_attributes(store, image_id)
            if "rule" in done:
                assert recycling.read_rules(store) == (RULE,)
            if catalog.exists(store, image_id):
                assert replace(attributes, generation=0) == replace(before, generation=0)
                assert image_names.name_holder(store, "web") == image_id
                assert "deleted" not in done or attributes.generation == 2
            else:
                assert "restored" not in done
                assert recycling.stay_of(attributes) is not None
                recycling.put_back(store, image_id, SURROUNDINGS.now())
                assert catalog.exists(store, image_id)

        assert look_at_what_is_left(here, promises, inspect) >= 10


def test_an_image_without_a_rule_is_there_or_gone_after_a_power_cut() -> None:
    with world() as here:
        here.create_store()
        image_id = here.image("web", make_disk(here.disks / "disk.raw"))
        here.settle()
        with here.open() as store:
            recycling.discard(store, image_id, SURROUNDINGS.now())

        def inspect(store: Store, done: set[str]) -> None:
            if catalog.exists(store, image_id):
                assert not done
                assert catalog.read_attributes(store, image_id).state == "available"

        assert look_at_what_is_left(here, {"deleted": here.now()}, inspect) >= 3


def test_no_event_is_lost_by_folding_after_a_power_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "SINGLE_MAX", FEW)
    with world() as here:
        here.create_store()
        here.settle()
        promises = {}
        with here.open() as store:
            for turn in range(2 * FEW + 3):
                events.record(store, SURROUNDINGS, "CreateRule", (str(turn),), "available")
                promises[str(turn)] = here.now()
            assert len(list((here.directory / "events").glob("*.log"))) == 2

        def inspect(store: Store, done: set[str]) -> None:
            history = events.read_all(store)
            assert history.unreadable == ()
            assert done <= {event.ids[0] for event in history.events}
            assert len(history.events) <= len(done) + 1

        assert look_at_what_is_left(here, promises, inspect) >= 50
