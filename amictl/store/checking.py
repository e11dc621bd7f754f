"""The parts of a check of a whole store; each adds to the faults, none repairs anything."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from amictl.errors import (
    UNREADABLE,
    AmictlError,
    CorruptStoreError,
    NotFoundError,
    ObjectMissingError,
    StorageError,
    UnsupportedError,
)
from amictl.formats import records as record_format
from amictl.formats.current import PackRow
from amictl.model.blockmap import Interior, Leaf, Name, child_span
from amictl.model.records import (
    Attributes,
    CheckLog,
    DamagedFrame,
    DamageList,
    ImageCore,
    PackCheck,
    SnapshotCore,
)
from amictl.model.surroundings import Surroundings
from amictl.progress import Step
from amictl.store import authenticity, catalog, layout, surveying
from amictl.store.index import ABSENT
from amictl.store.inspection import PackChecker, PackFault, check_run, pack_entries
from amictl.store.parallel import PerThread, in_order
from amictl.store.recording import map_of
from amictl.store.store import Store

Ranges = tuple[tuple[int, int], ...]
"""Damaged bytes below a node, as start and stop from where it begins."""


class StoreCheck:
    """One check. Call `outside`, perhaps `packs`, then `records` and `remember`."""

    def __init__(self, store: Store, surroundings: Surroundings) -> None:
        self.faults: list[dict[str, Any]] = []
        self.leftovers: list[dict[str, Any]] = []
        self.damaged: list[dict[str, Any]] = []
        self.pack_count = self.packs_read = self.bytes_read = 0
        self.snapshot_count = self.image_count = self.node_count = self.garbage_bytes = 0
        self.store = store
        self._surroundings = surroundings
        self._found: list[DamagedFrame] = []
        self._sound: list[PackRow] = []
        self._read: list[PackRow] = []
        self._below: dict[tuple[Name, int, int], Ranges] = {}
        self._sealed = SealedMaps(self)
        self._read_all = False
        self._has_index = False

    def outside(self) -> None:
        """Small files, CURRENT, runs, the outside of every pack, and files that do not belong."""
        for kind, place, message in (
            *surveying.foreign_files(self.store),
            *surveying.damaged_files(self.store),
        ):
            self._fault(kind, place, message)
        for kind, place, message in surveying.leftovers(self.store):
            self.leftovers.append(_finding(kind, place, message))
        try:
            current = self.store.reload_index().current
        except CorruptStoreError as error:
            self._fault("index", layout.CURRENT, error.message)
            return
        for run in current.runs:
            with self._noting("run", layout.run(run.run_id)):
                check_run(self.store, run.run_id, run.length)
        self.pack_count = len(current.packs)
        for row in current.packs:
            try:
                pack_entries(self.store, row)
                self._sound.append(row)
            except UNREADABLE as error:
                self._fault("pack", layout.pack(row.pack_id), error.message)
                if isinstance(error, CorruptStoreError):
                    self._found.append(DamagedFrame(row.pack_id.hex(), 0, 0))
        self._has_index = True
        self.garbage_bytes = surveying.garbage_bytes(
            self.store,
            {row.pack_id.hex() for row in current.packs},
            {row.run_id.hex() for row in current.runs},
        )

    def packs(self, sample_percent: float | None, max_age_seconds: float | None) -> None:
        """Read packs whole: all, a random part, or those not read for some time."""
        chosen = self._choose(sample_percent, max_age_seconds)
        self._read_all = len(chosen) == len(self._sound)
        checkers = PerThread(lambda: PackChecker(self.store))
        total = sum(row.length for row in chosen)
        with in_order(lambda row: (row, checkers.get().check(row)), chosen) as checked:
            for row, faults in checked:
                self.packs_read += 1
                self.bytes_read += row.length
                self._surroundings.progress.update(
                    Step("check", self.bytes_read, total, known=self.bytes_read)
                )
                if not faults:
                    self._read.append(row)
                for fault in faults:
                    self._take(row, fault)

    def records(self) -> None:
        """Every record and every block map; and whom the damage found so far hurts."""
        names: dict[str, list[tuple[ImageCore, str]]] = {}
        for image_id in _ids(catalog.image_ids, self.store):
            self.image_count += 1
            with self._noting_record(image_id):
                image = catalog.read_image_core(self.store, image_id)
                self._check_domain(image, catalog.read_attributes(self.store, image_id))
                for mapping in image.mappings:
                    if mapping.snapshot_id is not None:
                        names.setdefault(mapping.snapshot_id, []).append(
                            (image, mapping.device_name)
                        )
        snapshots = _ids(catalog.snapshot_ids, self.store)
        for snapshot_id in snapshots:
            self.snapshot_count += 1
            users = names.get(snapshot_id, [])
            with self._noting_record(snapshot_id):
                try:
                    core = catalog.read_snapshot_core(self.store, snapshot_id)
                except CorruptStoreError:
                    self._hurt({"SnapshotId": snapshot_id}, users, ())
                    raise
                attributes = catalog.read_attributes(self.store, snapshot_id)
                if not self._check_domain(core, attributes):
                    self._hurt({"SnapshotId": snapshot_id}, users, ())
                self._check_map(core, users)
        for snapshot_id in sorted(set(names) - set(snapshots)):
            # What only images in the recycle bin map may be deleted.
            users = [
                user for user in names[snapshot_id] if catalog.exists(self.store, user[0].image_id)
            ]
            if users:
                self._hurt({"SnapshotId": snapshot_id}, users, ())
            for image, device in users:
                self._fault(
                    "record",
                    layout.core(image.image_id),
                    f"{device} maps {snapshot_id}, which is missing",
                )

    def remember(self) -> None:
        """Write down what is damaged and what was read, unless the store cannot be written to.

        Without an index nothing was looked at, and nothing is changed.
        """
        if not self._has_index:
            return
        with suppress(StorageError, UnsupportedError):
            self.store.require_features("write")
            self._remember_damage()
            if self._read:
                self._remember_reading()

    def _check_domain(self, core: SnapshotCore | ImageCore, attributes: Attributes) -> bool:
        """Whether what is encrypted can be opened by who has the key, as far as can be told."""
        domain_id = authenticity.mac_domain(core)
        if domain_id is None:
            return True
        place = layout.domain(domain_id)
        if not catalog.is_there(self.store, place):
            self._fault("record", place, f"{attributes.id} needs it, and it is missing")
            return False
        if self.store.can_open(domain_id):
            if authenticity.state_of(self.store, core, attributes) == authenticity.FORGED:
                message = "it was not recorded with the key of its domain"
                self._fault("record", layout.core(attributes.id), message)
        return True

    def _check_map(self, core: SnapshotCore, users: list[tuple[ImageCore, str]]) -> None:
        block_map = map_of(core)
        if block_map.root is None:
            return
        if self.store.can_open(core.domain):
            ranges = self._damage_below(block_map.root, block_map.height, core.size_bytes)
        else:
            damaged = self._sealed.is_damaged_below(block_map.root, block_map.height)
            ranges = ((0, core.size_bytes),) if damaged else ()
        if ranges:
            self._hurt({"SnapshotId": core.snapshot_id, "VolumeId": core.volume_id}, users, ranges)

    def _hurt(
        self, snapshot: dict[str, str], users: list[tuple[ImageCore, str]], ranges: Ranges
    ) -> None:
        """Name a damaged snapshot and its images; without ranges nothing of it can be had."""
        images = [
            {"ImageId": image.image_id, "Name": image.name, "DeviceName": device}
            for image, device in users
        ]
        damage = {"Ranges": [{"Start": start, "End": stop} for start, stop in ranges]}
        self.damaged.append({**snapshot, "Images": images, **(damage if ranges else {})})

    def _damage_below(self, name: Name, level: int, length: int) -> Ranges:
        """What cannot be read below a node; shared subtrees are looked at once."""
        known = self._below.get((name, level, length))
        if known is not None:
            return known
        self.node_count += 1
        found: Ranges = ((0, length),)
        try:
            node = self.store.read_node(name)
        except UNREADABLE as error:
            self.take_damaged_node(name, error)
        else:
            if (0 if isinstance(node, Leaf) else node.level, node.plain_length) != (level, length):
                message = "it is of another level or length than its parent says"
                self._fault("node", name.hex(), message)
            elif isinstance(node, Leaf):
                found = self._leaf_damage(node)
            else:
                found = self._interior_damage(node)
        self._below[name, level, length] = found
        return found

    def take_damaged_node(self, name: Name, error: AmictlError) -> None:
        """A node could not be read."""
        self._fault("node", name.hex(), error.message)
        if isinstance(error, CorruptStoreError):
            self._take_node(name)

    def _take_node(self, name: Name) -> None:
        """The place where a damaged node was looked for is not to be trusted."""
        place = self.store.index.find(name)
        row = self.store.index.packs.get(place.pack) if place else None
        if place is not None and row is not None:
            self._found.append(DamagedFrame(row.pack_id.hex(), place.offset, place.length))

    def _interior_damage(self, node: Interior) -> Ranges:
        span = child_span(node.level)
        found: list[tuple[int, int]] = []
        for slot, child in enumerate(node.children):
            if child is not None:
                start = slot * span
                below = self._damage_below(
                    child, node.level - 1, min(span, node.plain_length - start)
                )
                found += [(start + first, start + last) for first, last in below]
        return _joined(found)

    def _leaf_damage(self, leaf: Leaf) -> Ranges:
        names = [name for name in leaf.names if name is not None]
        if not names:
            return ()
        unusable = self.unusable(names)
        found: list[tuple[int, int]] = []
        position = 0
        for length, name in zip(leaf.lengths, leaf.names, strict=True):
            if name in unusable:
                found.append((position, position + length))
            position += length
        return _joined(found)

    def unusable(self, names: list[Name]) -> set[Name]:
        """Chunks that are nowhere, or only where damage was found."""
        index = self.store.index
        packs = index.find_many(names).packs.tolist()
        bad = {(frame.pack, frame.offset) for frame in self._found}
        unusable: set[Name] = set()
        for name, pack in zip(names, packs, strict=True):
            if pack == ABSENT:
                self._fault(
                    "chunk", name.hex(), "it is not in the index, or only in damaged places"
                )
                unusable.add(name)
            elif bad and all(
                (index.packs[place.pack].pack_id.hex(), at) in bad
                for place in index.places(name)
                for at in (
                    (0,) if (index.packs[place.pack].pack_id.hex(), 0) in bad else (place.offset,)
                )
            ):
                unusable.add(name)
        return unusable

    def _choose(self, sample_percent: float | None, max_age_seconds: float | None) -> list[PackRow]:
        if sample_percent is not None:
            limit = int(sample_percent / 100 * 2**32)
            return [
                row
                for row in self._sound
                if int.from_bytes(self._surroundings.random_bytes(4), "little") < limit
            ]
        if max_age_seconds is not None:
            since = self._surroundings.now().timestamp() - max_age_seconds
            read = {entry.pack: entry.seconds for entry in self._log().packs}
            return [row for row in self._sound if read.get(row.pack_id.hex(), 0) < since]
        return self._sound

    def _take(self, row: PackRow, fault: PackFault) -> None:
        self._fault("pack", layout.pack(row.pack_id), fault.reason)
        if fault.damaged is not None:
            self._found.append(fault.damaged)

    def _log(self) -> CheckLog:
        try:
            return record_format.decode(
                self.store.storage.read(layout.CHECKS), CheckLog, layout.CHECKS
            )
        except CorruptStoreError:  # missing, or damaged, which is a fault already
            return CheckLog()

    def _remember_damage(self) -> None:
        """Damage that was known stays known, unless everything was read now."""
        storage = self.store.storage
        while True:
            try:
                present: bytes | None = storage.read(layout.DAMAGE)
            except ObjectMissingError:
                present = None
            known = (
                record_format.decode(present, DamageList, layout.DAMAGE).frames if present else ()
            )
            frames = {
                (frame.pack, frame.offset): frame
                for frame in (*self._found, *(() if self._read_all else known))
            }
            wanted = tuple(frames[place] for place in sorted(frames))
            # Another check may have written meanwhile what it found.
            if wanted == known or storage.replace_if_unchanged(
                layout.DAMAGE, record_format.encode(DamageList(wanted)), present
            ):
                return

    def _remember_reading(self) -> None:
        now = int(self._surroundings.now().timestamp())
        packs = {row.pack_id.hex() for row in self._sound}
        read = {entry.pack: entry.seconds for entry in self._log().packs if entry.pack in packs}
        read |= {row.pack_id.hex(): now for row in self._read}
        log = CheckLog(tuple(PackCheck(pack, read[pack]) for pack in sorted(read)))
        self.store.storage.write(layout.CHECKS, record_format.encode(log))

    def _fault(self, kind: str, place: str, message: str) -> None:
        self.faults.append(_finding(kind, place, message))

    @contextmanager
    def _noting_record(self, record_id: str) -> Iterator[None]:
        """The same; what is removed meanwhile is no fault."""
        try:
            yield
        except NotFoundError:
            return
        except UNREADABLE as error:
            if not isinstance(error, ObjectMissingError) or catalog.exists(self.store, record_id):
                self._fault("record", layout.core(record_id), error.message)

    @contextmanager
    def _noting(self, kind: str, place: str) -> Iterator[None]:
        try:
            yield
        except UNREADABLE as error:
            self._fault(kind, place, error.message)


def _finding(kind: str, place: str, message: str) -> dict[str, Any]:
    return {"Kind": kind, "Place": place, "Message": message}


def _ids(listed: Callable[[Store], list[str]], store: Store) -> list[str]:
    """No ids where the folder cannot be read, which is a fault already."""
    try:
        return listed(store)
    except UNREADABLE:
        return []


def _joined(ranges: list[tuple[int, int]]) -> Ranges:
    """Ranges in order, those that touch made one."""
    joined: list[tuple[int, int]] = []
    for start, stop in ranges:
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], stop)
        else:
            joined.append((start, stop))
    return tuple(joined)


class SealedMaps:
    """Block maps whose key is not here: what their nodes show in the clear is walked."""

    def __init__(self, check: StoreCheck) -> None:
        self._check = check
        self._damaged: dict[Name, bool] = {}

    def is_damaged_below(self, name: Name, level: int) -> bool:
        """Whether something below a node, or it, cannot be read; where in the volume is sealed."""
        known = self._damaged.get(name)
        if known is not None:
            return known
        self._check.node_count += 1
        try:
            node = self._check.store.read_clear_node(name)
            if node.level != level:
                raise CorruptStoreError("it is of another level than its parent says")
        except UNREADABLE as error:
            self._check.take_damaged_node(name, error)
            damaged = True
        else:
            children = list(node.children)
            if level == 0:
                damaged = bool(children) and bool(self._check.unusable(children))
            else:
                damaged = any([self.is_damaged_below(child, level - 1) for child in children])
        self._damaged[name] = damaged
        return damaged
