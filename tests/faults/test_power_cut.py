"""Power cuts at every moment of everything that writes: what is left breaks no promise."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import amictl.storage.config_file
import amictl.storage.directory
import amictl.store.recording
from amictl.actions.regions import create_region, describe_regions
from amictl.errors import AmictlError, StorageError
from amictl.model.region import NewStore, RegionConfig, UserPlaces
from amictl.store.opening import open_store
from tests.faults import planted
from tests.faults.crash_states import State, states_after_a_power_cut
from tests.faults.planted import FailingDisk, Killed, KilledDisk
from tests.faults.recording_disk import RecordingDisk
from tests.faults.worlds import (
    SEGMENT,
    SURROUNDINGS,
    TAGS,
    Search,
    Story,
    World,
    change_disk,
    make_disk,
    make_full_disk,
    memory_folder,
    search,
    search_the_end,
    world,
)


def first_snapshot(here: World) -> None:
    disk = make_full_disk(here.disks / "disk.raw")
    here.create_store()
    here.snapshot(disk, tags=TAGS)


def snapshot_in_a_store(here: World) -> None:
    disk = make_disk(here.disks / "disk.raw")
    here.create_store()
    here.settle()
    here.snapshot(disk)


def increments(here: World) -> None:
    snapshot_in_a_store(here)
    here.settle()
    disk = here.disks / "disk.raw"
    change_disk(disk, seed=2)
    here.snapshot(disk)
    here.snapshot(disk)
    here.snapshot(disk, full_read=True)


def image_of_two_disks(here: World) -> None:
    here.create_store()
    here.settle()
    disks = [make_disk(here.disks / f"{seed}.raw", seed=seed) for seed in (1, 2)]
    here.image("web", *disks)


def encrypted_image(here: World) -> None:
    here.create_store()
    here.encrypt_by_default()
    here.settle()
    here.image("web", make_disk(here.disks / "disk.raw"))


def merged_runs(here: World) -> None:
    snapshot_in_a_store(here)
    here.settle()
    disk = here.disks / "disk.raw"
    for seed in range(2, 5):
        change_disk(disk, seed=seed)
        here.snapshot(disk)


def collected(here: World) -> None:
    """Deleted snapshots leave packs that are dead, and others that are moved."""
    disk = make_full_disk(here.disks / "disk.raw")
    here.create_store()
    first = here.snapshot(disk)
    change_disk(disk, seed=2)
    here.snapshot(disk)
    change_disk(disk, seed=3)
    second = here.snapshot(disk)
    here.delete(first)
    here.delete(second)
    here.settle()
    here.collect()


def collected_encrypted(here: World) -> None:
    disk = make_full_disk(here.disks / "disk.raw")
    here.create_store()
    here.encrypt_by_default()
    first = here.snapshot(disk)
    change_disk(disk, seed=2)
    here.snapshot(disk)
    here.delete(first)
    here.settle()
    here.collect()


def _two_snapshots(here: World) -> tuple[str, str]:
    disk = make_disk(here.disks / "disk.raw")
    here.create_store()
    first = here.snapshot(disk)
    change_disk(disk, seed=2)
    return first, here.snapshot(disk)


def new_volume_and_block(here: World) -> None:
    first, _ = _two_snapshots(here)
    here.settle()
    here.volume(first, "new.raw")
    here.block(first, 8, "block")


def replaced_volume(here: World) -> None:
    first, second = _two_snapshots(here)
    here.volume(first, "old.raw")
    here.settle()
    here.volume(second, "old.raw", force=True)


def volume_in_place(here: World) -> None:
    first, second = _two_snapshots(here)
    here.volume(first, "place.raw")
    with (here.root / "place.raw").open("r+b") as file:
        file.write(b"x" * 9_000)
        file.seek(SEGMENT + 50_000)
        file.write(b"x" * 9_000)
        file.truncate(SEGMENT + 60_000)
    here.settle()
    here.volume(second, "place.raw", in_place=True)


STORIES: dict[str, tuple[Story, int, int]] = {
    # name: story, random states at each moment, different states that there must be
    "first_snapshot": (first_snapshot, 4, 200),
    "increments": (increments, 2, 200),
    "image_of_two_disks": (image_of_two_disks, 3, 200),
    "encrypted_image": (encrypted_image, 2, 100),
    "merged_runs": (merged_runs, 1, 200),
    "collected": (collected, 3, 50),
    "collected_encrypted": (collected_encrypted, 3, 50),
    "new_volume_and_block": (new_volume_and_block, 12, 10),
    "replaced_volume": (replaced_volume, 12, 8),
    "volume_in_place": (volume_in_place, 12, 40),
}


def tell(
    story: Story, kind: type[RecordingDisk], *, choices: int, seed: int = 1, stop_at: int = 3
) -> Search:
    """Let a story happen on a disk, and search what power cuts leave of it."""
    with world(kind) as here:
        try:
            story(here)
        except AmictlError as error:
            return Search(violations=[f"{type(error).__name__}: {error.message}"])
        return search(here, seed=seed, choices=choices, stop_at=stop_at)


@pytest.fixture(autouse=True)
def _progress_is_saved_at_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(amictl.store.recording, "_SAVE_SECONDS", -1.0)


@pytest.mark.parametrize("name", STORIES)
def test_a_power_cut_breaks_no_promise(
    name: str, record_property: Callable[[str, int], None]
) -> None:
    story, choices, least = STORIES[name]
    result = tell(story, RecordingDisk, choices=choices)
    record_property("built", result.built)
    record_property("inspected", result.inspected)
    assert result.violations == []
    assert result.inspected >= least


@pytest.mark.parametrize("story", [new_volume_and_block, replaced_volume])
def test_a_power_cut_breaks_no_promise_where_files_must_have_names(story: Story) -> None:
    result = tell(story, planted.WithoutUnnamedFiles, choices=12)
    assert result.violations == []
    assert result.inspected >= 12


@pytest.mark.parametrize(
    ("bug", "story"),
    [
        (planted.SkipsFileSyncs, snapshot_in_a_store),
        (planted.SkipsFileSyncs, replaced_volume),
        (planted.SkipsFileSyncs, volume_in_place),
        (planted.SkipsDirectorySyncs, snapshot_in_a_store),
        (planted.SkipsDirectorySyncs, new_volume_and_block),
        (planted.SkipsDirectorySyncs, volume_in_place),
        (planted.IgnoresShortWrites, snapshot_in_a_store),
        (planted.RetriesFailedSyncs, snapshot_in_a_store),
        (planted.PublishesIndexFirst, snapshot_in_a_store),
        (planted.RemovesPacksFirst, collected),
        (planted.SkipsDirectorySyncs, collected),
        (planted.WritesCoreBeforeAttributes, snapshot_in_a_store),
        (planted.WritesCoreBeforePacks, snapshot_in_a_store),
    ],
    ids=lambda part: part.__name__,
)
def test_a_planted_bug_is_found(bug: type[RecordingDisk], story: Story) -> None:
    assert tell(story, bug, choices=3, stop_at=1).violations


def interrupted(first: Story, then: Story, *, after: int) -> tuple[bool, Search]:
    """A story is killed after some changes, and told again; then the power is cut.

    Returns whether it was killed at all.
    """
    with world(KilledDisk) as here:
        first(here)
        here.settle()
        assert isinstance(here.disk, KilledDisk)
        here.disk.changes_left = after
        try:
            then(here)
        except Killed:
            here.disk.start_again()
            then(here)
            return True, search_the_end(here, seed=after, choices=2)
        return False, Search()


def interrupted_everywhere(first: Story, then: Story) -> tuple[int, list[str]]:
    """Kill before every change; how often that was, and what was found."""
    found: list[str] = []
    for after in itertools.count():
        killed, result = interrupted(first, then, after=after)
        if not killed:
            return after, found
        found += [f"killed after {after} changes: {fault}" for fault in result.violations]
    raise AssertionError


def _nothing(here: World) -> None:
    make_disk(here.disks / "disk.raw")


def _store_with_a_snapshot(here: World) -> None:
    snapshot_in_a_store(here)
    change_disk(here.disks / "disk.raw", seed=2)


def _begin(here: World) -> None:
    if not (here.directory / "store.json").exists():
        here.create_store()
    here.promised.setdefault("store", here.now())
    here.snapshot(here.disks / "disk.raw")


def _increment(here: World) -> None:
    here.snapshot(here.disks / "disk.raw")


@pytest.mark.parametrize(
    ("first", "then"),
    [(_nothing, _begin), (_store_with_a_snapshot, _increment)],
    ids=["first_snapshot", "increment"],
)
def test_what_was_done_after_a_kill_survives_a_power_cut(
    first: Story, then: Story, record_property: Callable[[str, int], None]
) -> None:
    kills, found = interrupted_everywhere(first, then)
    record_property("kills", kills)
    assert found == []
    assert kills > 20


def fail_at(sync: int) -> tuple[FailingDisk, list[str]] | None:
    """A second snapshot, of which one sync fails; the disk, and what a power cut then breaks."""
    with world(FailingDisk) as here:
        _store_with_a_snapshot(here)
        here.settle()
        disk = here.disk
        assert isinstance(disk, FailingDisk)
        disk.syncs_left = sync
        try:
            _increment(here)
        except StorageError:
            disk.syncs_left = None
            return disk, search_the_end(here, seed=sync, choices=4).violations
        return None


def test_the_first_failed_sync_is_final() -> None:
    results = list(iter(map(fail_at, itertools.count(1)).__next__, None))
    assert [faults for _, faults in results if faults] == []
    assert sum(disk.tried_again for disk, _ in results) == 0
    assert len(results) >= 10


CONFIG = Path("config/amictl/config.toml")


def _record_regions(root: Path, names: list[str]) -> tuple[RecordingDisk, dict[str, int]]:
    """Create regions; the disk, and when each was promised."""
    disk = RecordingDisk(root)
    promised = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(amictl.storage.config_file, "Disk", lambda: disk)
        patch.setattr(amictl.storage.directory, "Disk", lambda: disk)
        for name in names:
            create_region(
                UserPlaces(root / CONFIG, root / "default"),
                RegionConfig(name, root / name),
                NewStore(16_384, 3),
                SURROUNDINGS,
            )
            promised[name] = len(disk.log)
    return disk, promised


def _region_faults(state: State, due: set[str]) -> Iterator[str]:
    with memory_folder() as name:
        folder = Path(name)
        state.materialise(folder)
        regions = describe_regions(UserPlaces(folder / CONFIG, folder / "default"))["Regions"]
        known = {region["RegionName"] for region in regions}
        for region in sorted(due):
            if region not in known:
                yield f"region {region} is gone"
            try:
                open_store(folder / region).close()
            except AmictlError as error:
                yield error.message


def test_a_created_region_survives_a_power_cut() -> None:
    with memory_folder() as folder:
        disk, promised = _record_regions(Path(folder), ["one", "two"])
        found = [
            f"{position}: {fault}"
            for position, state in states_after_a_power_cut(disk, seed=1, choices=6)
            for fault in _region_faults(
                state, {name for name, since in promised.items() if since <= position}
            )
        ]
    assert found == []
