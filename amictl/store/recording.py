"""Taking a snapshot of a frozen disk: the parent is chosen, the disk ingested, the core made."""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from amictl.content.naming import fingerprint
from amictl.errors import UNREADABLE, CorruptStoreError
from amictl.model import facts
from amictl.model.blockmap import (
    FANOUT,
    SEGMENT_SIZE,
    Name,
    segment_length,
)
from amictl.model.records import (
    Attributes,
    PendingSnapshot,
    SnapshotCore,
    Source,
    VolumeRecord,
)
from amictl.model.source import SourceIdentity
from amictl.model.surroundings import Surroundings
from amictl.model.times import parse_timestamp, timestamp
from amictl.progress import Progress, Step
from amictl.store import catalog
from amictl.store.authenticity import signed
from amictl.store.ingesting import Ingest, Volume
from amictl.store.lineages import Lineage, is_encrypted, with_lineage
from amictl.store.map_making import Ingested
from amictl.store.parents import domain_of, lineage_from, origin_of
from amictl.store.pending import PendingFile
from amictl.store.store import Store
from amictl.store.walking import leaves, map_of, read_leaf_at
from amictl.store.writing import Writer

SAMPLES = 8
_SETTLED_SECONDS = 1.0
_SAVE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class SnapshotPlan:
    """What is to become a snapshot.

    `work` says it as pending work; `parent` is auto, none or a snapshot id; `key_id` is what
    `require_key` found; `full_read` takes no hint from the times of the file.
    """

    work: PendingSnapshot
    identity: SourceIdentity
    parent: str
    key_id: str | None
    full_read: bool


def record_snapshot(
    writer: Writer,
    plan: SnapshotPlan,
    volume: Volume,
    pending: PendingFile,
    surroundings: Surroundings,
) -> SnapshotCore:
    """Read the disk into the store and return the core, which is not yet written.

    Raises what reading raises: SourceChangedError, StorageError; and CorruptStoreError.
    """
    store, work = writer.store, plan.work
    # Chosen again, now that the writer holds its lock: the parent must be there from here on.
    parent, lineage = _beginning(store, plan, surroundings)
    stored_before = writer.new_bytes
    same = _same_as(parent, writer, plan, lineage, volume, surroundings)
    if same is not None:
        done = Ingested(map_of(same), same.data_bytes)
    else:
        progress = SavedProgress(surroundings.progress, work, pending)
        compared = parent if parent and not _is_from_elsewhere(parent) else None
        parent_leaves = leaves(store, map_of(compared)) if compared else iter(())
        done = Ingest(writer, lineage, volume, parent_leaves, progress).run()
        writer.finish_packs()
    core = SnapshotCore(
        snapshot_id=work.snapshot_id,
        volume_id=work.volume_id,
        owner_id=work.owner_id,
        size_bytes=work.size_bytes,
        root=done.map.root.hex() if done.map.root else None,
        height=done.map.height,
        cut=lineage.cut,
        fingerprint_key="",
        domain=lineage.domain,
        hash="blake3",
        parent=parent.snapshot_id if parent else None,
        start_time=work.start_time,
        completion_time=timestamp(surroundings.now()),
        freeze=work.freeze,
        source=_source(plan),
        unchanged=same is not None,
        new_bytes=writer.new_bytes - stored_before,
        data_bytes=done.data_bytes,
    )
    return with_lineage(store, core, lineage, surroundings.random_bytes)


def _same_as(
    parent: SnapshotCore | None,
    writer: Writer,
    plan: SnapshotPlan,
    lineage: Lineage,
    volume: Volume,
    surroundings: Surroundings,
) -> SnapshotCore | None:
    """The parent, if the disk may be taken for unchanged since; else None."""
    if parent is None or writer.index.knows_damage or not _looks_unchanged(plan, parent):
        return None
    return parent if _samples_agree(writer, parent, lineage, volume, surroundings) else None


def _beginning(
    store: Store, plan: SnapshotPlan, surroundings: Surroundings
) -> tuple[SnapshotCore | None, Lineage]:
    """The parent and the lineage; a parent that was tampered with is noted, unless it was named."""
    origin = origin_of(store, plan.work.volume_id, plan.parent, lambda _: plan.key_id)
    domain = domain_of(store, origin, surroundings)
    try:
        return origin.parent, lineage_from(store, origin.parent, domain, surroundings)
    except CorruptStoreError as error:
        if origin.parent is None or plan.parent != "auto":
            raise
        surroundings.progress.note(f"{origin.parent.snapshot_id} is not continued: {error.message}")
        return None, lineage_from(store, None, domain, surroundings)


def complete_snapshot(
    store: Store, core: SnapshotCore, work: PendingSnapshot, surroundings: Surroundings
) -> tuple[SnapshotCore, Attributes]:
    """Write the records of a snapshot whose content is published, and return them.

    Its completion time is that of this moment. Durable when it returns.
    """
    core = replace(core, completion_time=timestamp(surroundings.now()))
    if is_encrypted(core):
        core = signed(core, store.sealed_domain(core.domain))
        store.learnt_keys[core.volume_id] = store.key_id(core.domain)
    attributes = Attributes(core.snapshot_id, 0, "completed", work.description, work.tags)
    # First, because it is only a hint: where the snapshot does not come to exist, others are found.
    if core.source.path.startswith("/"):  # an object is nothing that is snapshotted again
        catalog.put_volume(store, VolumeRecord(core.volume_id, core.source.path, core.snapshot_id))
    catalog.put_snapshot(store, core, attributes)
    return core, attributes


def complete_snapshots(
    store: Store,
    cores: Sequence[SnapshotCore],
    works: Sequence[PendingSnapshot],
    surroundings: Surroundings,
) -> list[tuple[SnapshotCore, Attributes]]:
    """Complete several snapshots; where one cannot be, those before it are removed again."""
    done: list[tuple[SnapshotCore, Attributes]] = []
    try:
        for core, work in zip(cores, works, strict=True):
            done.append(complete_snapshot(store, core, work, surroundings))
    except BaseException:
        _take_back(store, [core.snapshot_id for core, _ in done])
        raise
    return done


def _take_back(store: Store, snapshot_ids: Sequence[str]) -> None:
    """Remove what there is of these, unless an image maps it by now."""
    with suppress(*UNREADABLE), catalog.exclusively(store):
        for snapshot_id in snapshot_ids:
            if not catalog.users_of(store, snapshot_id):
                catalog.remove(store, snapshot_id)


class SavedProgress:
    """Tells the one who waits, and every second the pending file, for those who ask."""

    def __init__(self, progress: Progress, work: PendingSnapshot, pending: PendingFile) -> None:
        self._progress = progress
        self._work = work
        self._pending = pending
        self._saved = time.monotonic()

    def update(self, step: Step) -> None:
        self._progress.update(step)
        if time.monotonic() - self._saved > _SAVE_SECONDS:
            self._saved = time.monotonic()
            self._pending.write(replace(self._work, done=step.done, total=step.total))

    def note(self, text: str) -> None:
        self._progress.note(text)


def _source(plan: SnapshotPlan) -> Source:
    own = plan.identity
    return Source(
        plan.work.path,
        own.device,
        str(own.inode),
        own.size_bytes,
        str(own.mtime_ns),
        str(own.ctime_ns),
    )


def _is_from_elsewhere(parent: SnapshotCore) -> bool:
    """Whether somebody else may have made the parent, so that nothing that it says is trusted.

    Of a copy, or of what was in an archive, the times of the file and the fingerprints in leaves
    are the word of whoever made it. So everything is read, cut and named, which gives the same
    names where it is the same.
    """
    return parent.fact(facts.SOURCE_SNAPSHOT) is not None


def _looks_unchanged(plan: SnapshotPlan, parent: SnapshotCore) -> bool:
    """Whether the file is, by all its times, the one that the parent was taken from.

    A file that changed less than a second before the parent's moment could change again within
    the same tick of its clock, so that its times would not tell.
    """
    if (
        plan.full_read
        or _is_from_elsewhere(parent)
        or plan.work.freeze.consistency != "at-rest"
        or parent.freeze.consistency != "at-rest"
    ):
        return False
    same = (
        replace(_source(plan), path=parent.source.path) == parent.source
        and parent.size_bytes == plan.work.size_bytes
    )
    settled = parse_timestamp(parent.freeze.moment).timestamp() - plan.identity.ctime_ns / 1e9
    return same and plan.identity.inode != 0 and settled > _SETTLED_SECONDS


def _samples_agree(
    writer: Writer,
    parent: SnapshotCore,
    lineage: Lineage,
    volume: Volume,
    surroundings: Surroundings,
) -> bool:
    """Read a few segments where the parent has data, and compare."""
    block_map = map_of(parent)
    if block_map.root is None:
        return False
    key = lineage.fingerprint_key
    buffer = memoryview(bytearray(SEGMENT_SIZE))
    for _ in range(SAMPLES):
        try:
            index, name = _random_leaf(writer.store, block_map.root, block_map.height, surroundings)
            leaf = read_leaf_at(writer.store, block_map, index, name)
        except CorruptStoreError:
            writer.distrust_nodes()
            return False
        data = buffer[: segment_length(volume.size_bytes, index)]
        volume.read(index * SEGMENT_SIZE, data)
        if fingerprint(data, key) != leaf.fingerprint:
            return False
    return True


def _random_leaf(
    store: Store, name: Name, height: int, surroundings: Surroundings
) -> tuple[int, Name]:
    index = 0
    for level in range(height, 0, -1):
        children = [
            (slot, child)
            for slot, child in enumerate(store.read_interior(name, level).children)
            if child is not None
        ]
        slot, name = children[
            int.from_bytes(surroundings.random_bytes(4), "little") % len(children)
        ]
        index = index * FANOUT + slot
    return index, name
