"""Copies that are killed or cut off: nothing is half-visible, and nothing starts over."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
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
from tests.faults.worlds import SURROUNDINGS, World, memory_folder, search, search_the_end, world
from tests.workshop import SEGMENT, Workshop

KIB = 1024
REQUEST = {"client_token": "once"}


class Copied:
    """A region with an image of two disks, and a world to copy it to."""

    def __init__(self, source: Workshop, here: World) -> None:
        self.source = source
        self.here = here
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
        request = CopyImageRequest("web", "source", self.image_id, **REQUEST)
        with self.source.open() as source, self.here.open() as target:

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
def copied(kind: type[RecordingDisk] = RecordingDisk) -> Iterator[Copied]:
    with memory_folder() as folder, world(kind) as here:
        yield Copied(Workshop(Path(folder)), here)


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


def killed_after(changes: int) -> tuple[int | None, list[str], int]:
    """Kill a copy and run it again: the bytes that were named by then, or None if it was not
    killed; what is wrong; and the bytes named in the end."""
    with copied(KilledDisk) as this:
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


@pytest.mark.usefixtures("small_packs")
def test_a_copy_that_was_killed_is_finished_by_running_it_again() -> None:
    """Before every change; and what was named before is not brought again."""
    found: list[str] = []
    reached = set()
    whole = killed_after(1_000_000)[2]
    for changes in itertools.count(0, 3):
        before, violations, named = killed_after(changes)
        reached.add(before)
        found += [f"killed after {changes} changes: {fault}" for fault in violations]
        # Another run fills its packs otherwise: some more headers, footers, and nothing else.
        if named > whole + 4 * KIB:
            found.append(f"killed after {changes} changes: {named} bytes instead of {whole}")
        if before is None:
            break
    assert found == []
    assert changes >= 60
    assert reached - {None, 0, whole}  # a checkpoint on the way
