"""Copies that are killed or cut off: nothing is half-visible, and nothing starts over."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import amictl.store.packing
import amictl.store.writing
from amictl.actions.copying import CopyImageRequest, copy_image
from amictl.actions.describing_images import describe_images
from amictl.model.records import PendingImage
from amictl.store import catalog, image_names, pending
from tests.faults.planted import Killed, KilledDisk
from tests.faults.recording_disk import RecordingDisk
from tests.faults.worlds import (
    KEY,
    KEYS,
    SURROUNDINGS,
    World,
    memory_folder,
    search,
    search_the_end,
    world,
)
from tests.workshop import SEGMENT, Workshop

KIB = 1024
OTHER_KEY = KEYS.new()


@dataclass(frozen=True, slots=True)
class Way:
    """How an image is copied: from which key, to which, and whether any key is there."""

    source_key: str | None = None
    words: Mapping[str, Any] = field(default_factory=dict)
    with_keys: bool = True


PLAINLY = Way()
WAYS = {
    "plain": PLAINLY,
    "encrypted": Way(None, {"encrypted": True, "kms_key_id": KEY}),
    "the same key": Way(KEY),
    "the same key, which is not there": Way(KEY, with_keys=False),
    "another key": Way(KEY, {"encrypted": True, "kms_key_id": OTHER_KEY}),
    "cut anew": Way(KEY, {"recut": True}),
}
SEALING = [name for name, way in WAYS.items() if way != PLAINLY]


class Copied:
    """A region with an image of two disks, and a world to copy it to."""

    def __init__(self, source: Workshop, here: World, way: Way) -> None:
        self.source = source
        self.here = here
        self.way = way
        source.keys = KEYS
        if way.source_key:
            source.encrypt_by_default(way.source_key)
        noise = source.noise(200 * KIB)
        disks = [
            source.file("a.raw", {0: noise[: 90 * KIB], SEGMENT: noise[90 * KIB :]}),
            source.file("b.raw", {0: noise[50 * KIB : 150 * KIB]}),
        ]
        self.contents = [disk.read_bytes() for disk in disks]
        self.image_id = source.image("web", *disks)
        here.create_store()
        with here.open() as store:
            source.change_config(owner_id=store.config.owner_id)
        here.settle()

    def copy(self) -> str:
        """The new image, after everything that it maps was promised."""
        words = {"client_token": "once"} | dict(self.way.words)
        request = CopyImageRequest("web", "source", self.image_id, **words)
        with self.source.open() as source, self.here.open() as target:
            if not self.way.with_keys:
                source.keyring = target.keyring = None

            def begun(result: dict[str, Any]) -> None:
                self._expect(result["ImageId"])

            result = copy_image(source, target, request, SURROUNDINGS, begun)
        return str(result["ImageId"])

    def _expect(self, image_id: str) -> None:
        with self.here.open() as store:
            if catalog.exists(store, image_id):
                return  # the token was used before
            seen = pending.seen(store, image_id)
        assert seen is not None
        assert isinstance(seen.work, PendingImage)
        ids = [str(mapping.snapshot_id) for mapping in seen.work.image.mappings]
        self.here.contents |= dict(zip(ids, self.contents, strict=True))
        self.here.mappings[image_id] = ids

    def promise(self, image_id: str) -> None:
        for record_id in (image_id, *self.here.mappings[image_id]):
            self.here.promised[record_id] = self.here.now()


@contextmanager
def copied(way: Way = PLAINLY, kind: type[RecordingDisk] = RecordingDisk) -> Iterator[Copied]:
    with memory_folder() as folder, world(kind) as here:
        yield Copied(Workshop(Path(folder)), here, way)


@pytest.fixture
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint after about every 64 KiB."""
    monkeypatch.setattr(amictl.store.packing, "PACK_SIZE", 32 * KIB)
    monkeypatch.setattr(amictl.store.writing, "CHECKPOINT_PACKS", 2)


@pytest.mark.usefixtures("small_packs")
def test_a_copy_breaks_no_promise_after_a_power_cut() -> None:
    with copied() as this:
        this.promise(this.copy())
        result = search(this.here, seed=1, choices=2)
    assert result.violations == []
    assert result.inspected >= 40


def named_bytes(here: World) -> int:
    """Bytes of the packs that the index names."""
    with here.open() as store:
        return sum(row.length for row in store.index.current.packs)


def killed_after(changes: int, way: Way = PLAINLY) -> tuple[int | None, list[str], int]:
    """Kill a copy and run it again: the bytes that were named by then, or None if it was not
    killed; what is wrong; and the bytes named in the end."""
    with copied(way, KilledDisk) as this:
        disk = this.here.disk
        assert isinstance(disk, KilledDisk)
        disk.changes_left = changes
        named = None
        try:
            image_id = this.copy()
        except Killed:
            disk.start_again()
            named = named_bytes(this.here)
            image_id = this.copy()
        this.promise(image_id)
        with this.here.open() as store:
            assert image_names.name_holder(store, "web") == image_id
            states = [image["State"] for image in describe_images(store)["Images"]]
        assert sorted({"available", *states} - {"failed"}) == ["available"]
        result = search_the_end(this.here, seed=changes, choices=1)
        return named, result.violations, named_bytes(this.here)


def faults_after_kills(way: Way, steps: range) -> tuple[list[str], set[int | None]]:
    """What is wrong after kills before so many changes, and how many bytes were named by then."""
    found: list[str] = []
    reached: set[int | None] = set()
    whole = killed_after(1_000_000, way)[2]
    for changes in steps:
        before, violations, named = killed_after(changes, way)
        reached.add(before)
        found += [f"killed after {changes} changes: {fault}" for fault in violations]
        # Another run fills its packs otherwise: some more headers, footers, and nothing else.
        if named > whole + 4 * KIB:
            found.append(f"killed after {changes} changes: {named} bytes instead of {whole}")
        if before is None:
            break
    return found, reached - {0, whole}


@pytest.mark.usefixtures("small_packs")
def test_a_copy_that_was_killed_is_finished_by_running_it_again() -> None:
    """Before every change; and what was named before is not brought again."""
    found, reached = faults_after_kills(PLAINLY, range(0, 1000, 3))
    assert found == []
    assert None in reached  # the last one was not killed
    assert reached - {None}  # a checkpoint on the way


@pytest.mark.usefixtures("small_packs")
def test_an_image_that_a_token_gives_again_is_durable() -> None:
    """Also if whoever made it was killed between its name and the sync of that."""
    last = next(changes for changes in range(100, 1000, 5) if killed_after(changes)[0] is None)
    found = [killed_after(changes)[1] for changes in range(last - 25, last)]
    assert found == [[]] * 25


@pytest.mark.usefixtures("small_packs")
@pytest.mark.parametrize("way", SEALING)
def test_a_copy_of_sealed_content_that_was_killed_is_finished_too(way: str) -> None:
    """And its snapshots can be opened, and are what they were."""
    found, reached = faults_after_kills(WAYS[way], range(1, 1000, 11))
    assert found == []
    assert None in reached
    assert reached - {None}


@pytest.mark.usefixtures("small_packs")
@pytest.mark.parametrize("way", SEALING)
def test_a_copy_of_sealed_content_breaks_no_promise_after_a_power_cut(way: str) -> None:
    with copied(WAYS[way]) as this:
        this.promise(this.copy())
        result = search(this.here, seed=1, choices=1)
    assert result.violations == []
    assert result.inspected >= 20
