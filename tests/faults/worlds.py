"""A store, disks and targets on a recording disk; and what must hold in what is left of them."""

import os
import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from amictl.actions.accounting import describe_store
from amictl.actions.blocks import BLOCK_SIZE, get_snapshot_block, list_snapshot_blocks
from amictl.actions.checking import check_store
from amictl.actions.collecting import CollectGarbageRequest, collect_garbage
from amictl.actions.creating import (
    CreateImageRequest,
    CreateSnapshotRequest,
    create_image,
    create_snapshot,
)
from amictl.actions.describing import describe_snapshots
from amictl.actions.describing_images import describe_images
from amictl.actions.restoring import CreateVolumeRequest, create_volume
from amictl.errors import AmictlError, RegionNotFoundError
from amictl.model.records import RegionSettings
from amictl.model.surroundings import Surroundings
from amictl.progress import Silent
from amictl.store import catalog, settings
from amictl.store.deleting import delete_snapshot
from amictl.store.garbage import Limits
from amictl.store.opening import create_store, open_store
from amictl.store.reading import SegmentReader, data_ranges
from amictl.store.store import Store
from amictl.store.walking import leaves, map_of
from amictl.volumes.targets import MARK_SUFFIX
from tests.faults.crash_states import State, states_after_a_power_cut, states_at_the_end
from tests.faults.recording_disk import RecordingDisk
from tests.workshop import Keys

SEGMENT = 4 * 1024 * 1024
DATA_SIZE = 80_000 + 512
# A clock that is ahead, so that a disk counts as untouched for long when a snapshot is taken.
TAGS = {f"key-{number:02}": "v" * 200 for number in range(40)}
"""So many that a pending file is longer than a page."""
SURROUNDINGS = Surroundings(lambda: datetime.now(UTC) + timedelta(hours=1), os.urandom, Silent())

KEYS = Keys()
KEY = KEYS.new()


def memory_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder whose syncs cost nothing, where there is one."""
    memory = Path("/dev/shm")
    return tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)


def make_disk(path: Path, *, seed: int = 1) -> Path:
    """A hole of one segment, and random bytes behind it."""
    with path.open("wb") as file:
        file.seek(SEGMENT)
        file.write(random.Random(seed).randbytes(DATA_SIZE))
    return path


def make_full_disk(path: Path) -> Path:
    """The same with random bytes in the first segment too."""
    make_disk(path)
    with path.open("r+b") as file:
        file.write(random.Random(0).randbytes(60_000))
    return path


def change_disk(path: Path, *, seed: int) -> None:
    """Other bytes in the middle of the data."""
    with path.open("r+b") as file:
        file.seek(SEGMENT + 20_480)
        file.write(random.Random(seed).randbytes(30_000))


@dataclass(slots=True)
class Target:
    """A file that is written to: what it held, and what it is to hold from which moment on."""

    name: str
    before: bytes | None
    after: bytes
    in_place: str | None = None
    begun: int = 0
    done: int | None = None


@dataclass(slots=True)
class World:
    """The folder `root` with the store, on a recording disk; and what was promised, and when.

    Moments are lengths of the log.
    """

    root: Path
    disks: Path
    disk: RecordingDisk
    contents: dict[str, bytes] = field(default_factory=dict)
    promised: dict[str, int] = field(default_factory=dict)
    mappings: dict[str, list[str]] = field(default_factory=dict)
    targets: list[Target] = field(default_factory=list)

    @property
    def directory(self) -> Path:
        return self.root / "store"

    def now(self) -> int:
        return len(self.disk.log)

    def settle(self) -> None:
        """From here on all that was done is certain, and the log begins anew."""
        self.disk = type(self.disk)(self.root)
        self.promised = dict.fromkeys(self.promised, 0)
        self.targets.clear()

    def create_store(self) -> None:
        create_store(
            self.directory,
            chunk_size_bytes=16_384,
            compression_level=3,
            surroundings=SURROUNDINGS,
            disk=self.disk,
        ).close()
        self.promised["store"] = self.now()

    def open(self) -> Store:
        store = open_store(self.directory, self.disk)
        store.keyring = KEYS
        return store

    def encrypt_by_default(self) -> None:
        with self.open() as store:
            settings.change(
                store, lambda _: RegionSettings(encryption_by_default=True, default_key=KEY)
            )

    def snapshot(self, path: Path, **words: Any) -> str:
        ids: list[str] = []

        def secured(shape: dict[str, Any]) -> None:
            ids.append(shape["SnapshotId"])
            self.contents[ids[0]] = path.read_bytes()

        with self.open() as store:
            create_snapshot(store, CreateSnapshotRequest(path, **words), SURROUNDINGS, secured)
        self.promised[ids[0]] = self.now()
        return ids[0]

    def image(self, name: str, *paths: Path) -> str:
        request = CreateImageRequest(name, tuple((None, path) for path in paths))
        with self.open() as store:
            image_id = str(create_image(store, request, SURROUNDINGS, lambda _: None)["ImageId"])
            ids = _mapped(store, image_id)
        for snapshot_id, path in zip(ids, paths, strict=True):
            self.contents[snapshot_id] = path.read_bytes()
            self.promised[snapshot_id] = self.now()
        self.mappings[image_id] = ids
        self.promised[image_id] = self.now()
        return image_id

    def delete(self, snapshot_id: str) -> None:
        del self.promised[snapshot_id]
        with self.open() as store:
            delete_snapshot(store, snapshot_id, SURROUNDINGS, dry_run=False)

    def collect(self) -> dict[str, Any]:
        request = CollectGarbageRequest(dry_run=False, limits=Limits(most=True))
        with self.open() as store:
            return collect_garbage(store, request, SURROUNDINGS)

    def volume(self, snapshot_id: str, name: str, **words: Any) -> None:
        in_place = snapshot_id if words.get("in_place") else None
        request = CreateVolumeRequest(snapshot_id, None, None, self.root / name, **words)
        with self._writes(name, self.contents[snapshot_id], in_place), self.open() as store:
            create_volume(store, request, SURROUNDINGS)

    def block(self, snapshot_id: str, index: int, name: str) -> None:
        content = self.contents[snapshot_id][index * BLOCK_SIZE : (index + 1) * BLOCK_SIZE]
        content = content.ljust(BLOCK_SIZE, b"\0")
        with self._writes(name, content, None), self.open() as store:
            (block,) = list_snapshot_blocks(
                store, snapshot_id, starting_block_index=index, max_results=1
            )["Blocks"]
            get_snapshot_block(store, snapshot_id, index, block["BlockToken"], self.root / name)

    @contextmanager
    def _writes(self, name: str, after: bytes, in_place: str | None) -> Iterator[None]:
        path = self.root / name
        before = path.read_bytes() if path.exists() else None
        target = Target(name, before, after, in_place, self.now())
        self.targets.append(target)
        yield
        target.done = self.now()


@contextmanager
def world(kind: type[RecordingDisk] = RecordingDisk) -> Iterator[World]:
    """A world with nothing in it."""
    with memory_folder() as folder:
        root = Path(folder, "world")
        disks = Path(folder, "disks")
        root.mkdir()
        disks.mkdir()
        yield World(root, disks, kind(root))


@dataclass(slots=True)
class Search:
    """How many states were built and looked at, and what was wrong with them."""

    built: int = 0
    inspected: int = 0
    violations: list[str] = field(default_factory=list)


def search(seen: World, *, seed: int, choices: int, stop_at: int = 3) -> Search:
    """Build what a power cut at any moment may leave, and look for broken promises."""
    return _search(seen, states_after_a_power_cut(seen.disk, seed=seed, choices=choices), stop_at)


def search_the_end(seen: World, *, seed: int, choices: int) -> Search:
    """The same for a power cut after everything was done."""
    states = states_at_the_end(seen.disk, seed=seed, choices=choices)
    return _search(seen, ((seen.now(), state) for state in states), 3)


def _search(seen: World, moments: Iterator[tuple[int, State]], stop_at: int) -> Search:
    """Ends after some violations."""
    result = Search()
    known: set[tuple[bytes, frozenset[str]]] = set()
    for position, state in moments:
        result.built += 1
        due = frozenset(_due(seen, position))
        key = (state.digest(), due)
        if key in known:
            continue
        known.add(key)
        result.inspected += 1
        result.violations += [
            f"{position} of {len(seen.disk.log)}: {fault}"
            for fault in inspect(seen, position, state)
        ]
        if len(result.violations) >= stop_at:
            break
    return result


def _due(seen: World, position: int) -> Iterator[str]:
    """What must be there at a moment."""
    yield from (name for name, since in seen.promised.items() if since <= position)
    for target in seen.targets:
        if target.begun <= position:
            yield f"{target.name} begun"
        if target.done is not None and target.done <= position:
            yield target.name


def inspect(seen: World, position: int, state: State) -> list[str]:
    """What is wrong with a state."""
    with memory_folder() as name:
        folder = Path(name)
        state.materialise(folder)
        due = set(_due(seen, position))
        faults: list[str] = []
        try:
            faults += _inspect_store(seen, folder, due)
            faults += _inspect_targets(seen, folder, due)
        except (AmictlError, AssertionError) as error:
            faults.append(f"{type(error).__name__}: {error}")
        return faults


def _inspect_store(seen: World, folder: Path, due: set[str]) -> Iterator[str]:
    directory = folder / "store"
    try:
        store = open_store(directory)
    except RegionNotFoundError:
        if "store" in due:
            yield "the store is gone"
        store = create_store(
            directory, chunk_size_bytes=16_384, compression_level=3, surroundings=SURROUNDINGS
        )
    store.keyring = KEYS
    with store:
        yield from _faults(store)
        describe_images(store)
        describe_snapshots(store)
        describe_store(store, SURROUNDINGS.now())
        present = catalog.snapshot_ids(store)
        for record_id in due & (seen.contents.keys() | seen.mappings.keys()):
            if not catalog.exists(store, record_id):
                yield f"{record_id} is gone"
        for snapshot_id in present:
            if content_of(store, snapshot_id) != seen.contents[snapshot_id]:
                yield f"{snapshot_id} has other bytes"
        for image_id in catalog.image_ids(store):
            if not set(_mapped(store, image_id)) <= set(present):
                yield f"{image_id} lacks a disk"
        yield from _goes_on(seen, store)


def _goes_on(seen: World, store: Store) -> Iterator[str]:
    """New snapshots can be made, of disks that are known and of new ones."""
    for path in sorted(seen.disks.iterdir()):
        request = CreateSnapshotRequest(path)
        done = create_snapshot(store, request, SURROUNDINGS, lambda _: None)
        if content_of(store, done["SnapshotId"]) != path.read_bytes():
            yield f"a new snapshot of {path.name} has other bytes"
    yield from _faults(store)


def _inspect_targets(seen: World, folder: Path, due: set[str]) -> Iterator[str]:
    for target in seen.targets:
        path = folder / target.name
        marked = path.with_name(target.name + MARK_SUFFIX).exists()
        content = path.read_bytes() if path.exists() else None
        if target.name in due and marked:
            yield f"{target.name} is whole, and marked as incomplete"
        if content == target.before and target.name not in due:
            continue
        if content == target.after and f"{target.name} begun" in due:
            continue
        if not marked:
            yield f"{target.name} has neither its old nor its new bytes, and no mark"
    with open_store(folder / "store") as store:
        for target in seen.targets:
            path = folder / target.name
            if target.in_place is None or not path.exists():
                continue
            request = CreateVolumeRequest(target.in_place, None, None, path, in_place=True)
            create_volume(store, request, SURROUNDINGS)
            if path.read_bytes() != target.after:
                yield f"{target.name} was not finished by running again"
            if path.with_name(target.name + MARK_SUFFIX).exists():
                yield f"{target.name} is finished, and marked as incomplete"


def _faults(store: Store) -> list[str]:
    found = check_store(store, read_data=True, surroundings=SURROUNDINGS)
    return [f"check-store: {fault}" for fault in (*found["Faults"], *found["Damaged"])]


def content_of(store: Store, snapshot_id: str) -> bytearray:
    """What a snapshot restores to, without files and threads: this is done often."""
    core = catalog.read_snapshot(store, snapshot_id)
    content = bytearray(core.size_bytes)
    reader = SegmentReader(store)
    for index, name in leaves(store, map_of(core)):
        leaf = store.read_leaf(name)
        faults = reader.read(leaf)
        assert not faults, faults
        for start, stop in data_ranges(leaf):
            offset = index * SEGMENT
            content[offset + start : offset + stop] = reader.buffer[start:stop]
    return content


def _mapped(store: Store, image_id: str) -> list[str]:
    mappings = catalog.read_image(store, image_id).mappings
    return [mapping.snapshot_id for mapping in mappings if mapping.snapshot_id is not None]


Story = Callable[[World], None]
