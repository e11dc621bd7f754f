"""The parts of a check of a whole store; each adds to the faults, none repairs anything."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from amictl.errors import (
    UNREADABLE,
    CorruptStoreError,
    NotFoundError,
    ObjectMissingError,
    StorageError,
    UnsupportedError,
)
from amictl.formats import records as record_format
from amictl.formats.current import PackRow
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
from amictl.store.inspection import PackChecker, PackFault, check_run, pack_entries
from amictl.store.map_checking import MapCheck, Ranges
from amictl.store.parallel import PerThread, in_order, reading_threads
from amictl.store.store import Store
from amictl.store.walking import map_of


class StoreCheck:
    """One check. Call `outside`, perhaps `packs`, then `records` and `remember`."""

    def __init__(self, store: Store, surroundings: Surroundings) -> None:
        self.faults: list[dict[str, Any]] = []
        self.leftovers: list[dict[str, Any]] = []
        self.damaged: list[dict[str, Any]] = []
        self.pack_count = self.packs_read = self.bytes_read = 0
        self.snapshot_count = self.image_count = self.garbage_bytes = 0
        self._store = store
        self._surroundings = surroundings
        self._found: list[DamagedFrame] = []
        self._sound: list[PackRow] = []
        self._read: list[PackRow] = []
        self._maps = MapCheck(store, self._fault, self._found)
        self._read_all = False
        self._has_index = False

    @property
    def node_count(self) -> int:
        """Nodes that were read, each once."""
        return self._maps.node_count

    def outside(self) -> None:
        """Small files, CURRENT, runs, the outside of every pack, and files that do not belong."""
        for kind, place, message in (
            *surveying.foreign_files(self._store),
            *surveying.damaged_files(self._store),
        ):
            self._fault(kind, place, message)
        for kind, place, message in surveying.leftovers(self._store):
            self.leftovers.append(_finding(kind, place, message))
        try:
            current = self._store.reload_index().current
        except CorruptStoreError as error:
            self._fault("index", layout.CURRENT, error.message)
            return
        for run in current.runs:
            with self._noting("run", layout.run(run.run_id)):
                check_run(self._store, run.run_id, run.length)
        self.pack_count = len(current.packs)
        for row in current.packs:
            try:
                pack_entries(self._store, row)
                self._sound.append(row)
            except UNREADABLE as error:
                self._fault("pack", layout.pack(row.pack_id), error.message)
                if isinstance(error, CorruptStoreError):
                    self._found.append(DamagedFrame(row.pack_id.hex(), 0, 0))
        self._has_index = True
        self.garbage_bytes = surveying.garbage_bytes(
            self._store,
            {row.pack_id.hex() for row in current.packs},
            {row.run_id.hex() for row in current.runs},
        )

    def packs(self, sample_percent: float | None, max_age_seconds: float | None) -> None:
        """Read packs whole: all, a random part, or those not read for some time."""
        chosen = self._choose(sample_percent, max_age_seconds)
        self._read_all = len(chosen) == len(self._sound)
        checkers = PerThread(lambda: PackChecker(self._store))
        total = sum(row.length for row in chosen)
        threads = reading_threads(self._store.storage)
        with in_order(
            lambda row: (row, checkers.get().check(row)), chosen, threads=threads
        ) as checked:
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
        for image_id in _ids(catalog.image_ids, self._store):
            self.image_count += 1
            with self._noting_record(image_id):
                image = catalog.read_image_core(self._store, image_id)
                for mapping in image.mappings:
                    if mapping.snapshot_id is not None:
                        names.setdefault(mapping.snapshot_id, []).append(
                            (image, mapping.device_name)
                        )
                self._check_content(image)
                self._check_domain(image, catalog.read_attributes(self._store, image_id))
        snapshots = _ids(catalog.snapshot_ids, self._store)
        for snapshot_id in snapshots:
            self.snapshot_count += 1
            users = names.get(snapshot_id, [])
            with self._noting_record(snapshot_id):
                try:
                    core = catalog.read_snapshot_core(self._store, snapshot_id)
                except CorruptStoreError:
                    self._hurt({"SnapshotId": snapshot_id}, users, ())
                    raise
                attributes = catalog.read_attributes(self._store, snapshot_id)
                if not self._check_domain(core, attributes):
                    self._hurt({"SnapshotId": snapshot_id}, users, ())
                self._check_map(core, users)
        for snapshot_id in sorted(set(names) - set(snapshots)):
            # What only images in the recycle bin map may be deleted.
            users = [
                user for user in names[snapshot_id] if catalog.exists(self._store, user[0].image_id)
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
            self._store.require_features("write")
            self._remember_damage()
            if self._read:
                self._remember_reading()

    def _check_content(self, image: ImageCore) -> None:
        """That an image maps what was recorded; it needs no key."""
        with suppress(NotFoundError, *UNREADABLE):  # of a snapshot, which is a fault of its own
            if not authenticity.maps_what_was_recorded(self._store, image):
                message = "it maps other content than was recorded"
                self._fault("record", layout.core(image.image_id), message)

    def _check_domain(self, core: SnapshotCore | ImageCore, attributes: Attributes) -> bool:
        """Whether what is encrypted can be opened by who has the key, as far as can be told."""
        domain_id = authenticity.mac_domain(core)
        if domain_id is None:
            if not authenticity.is_wholly_plain(core):
                message = "it was made plain after it was recorded with a key"
                self._fault("record", layout.core(attributes.id), message)
            return True
        place = layout.domain(domain_id)
        if not catalog.is_there(self._store, place):
            self._fault("record", place, f"{attributes.id} needs it, and it is missing")
            return False
        if (
            self._store.can_open(domain_id)
            and authenticity.state_of(self._store, core, attributes) == authenticity.FORGED
        ):
            message = "it was not recorded with the key of its domain"
            self._fault("record", layout.core(attributes.id), message)
        return True

    def _check_map(self, core: SnapshotCore, users: list[tuple[ImageCore, str]]) -> None:
        block_map = map_of(core)
        if block_map.root is None:
            return
        top = (block_map.domain, block_map.root, block_map.height)
        if self._store.can_open(core.domain):
            ranges = self._maps.damage_below(*top, core.size_bytes)
        else:
            damaged = self._maps.is_damaged_below(*top)
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
                self._store.storage.read(layout.CHECKS), CheckLog, layout.CHECKS
            )
        except CorruptStoreError:  # missing, or damaged, which is a fault already
            return CheckLog()

    def _remember_damage(self) -> None:
        """Damage that was known stays known, unless everything was read now."""
        storage = self._store.storage
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
        self._store.storage.write(layout.CHECKS, record_format.encode(log))

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
            if not isinstance(error, ObjectMissingError) or catalog.exists(self._store, record_id):
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
