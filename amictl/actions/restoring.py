"""CreateVolume: a snapshot becomes a disk again, byte for byte."""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from amictl.errors import UNREADABLE, DryRunError, UsageError, VolumeNotFoundError
from amictl.formats.volume_shapes import volume_shape
from amictl.model.encryption import EncryptionRequest
from amictl.model.ids import require_id
from amictl.model.images import GIB
from amictl.model.records import SnapshotCore, tags_from
from amictl.model.surroundings import Surroundings
from amictl.model.times import parse_timestamp, timestamp
from amictl.model.volumes import AVAILABLE, DiskState, Volume
from amictl.storage.disk import make_private
from amictl.store import catalog, events, volume_records
from amictl.store.encryption import key_for_volume, key_of
from amictl.store.filling import Filling
from amictl.store.lineages import is_encrypted
from amictl.store.store import Store
from amictl.volumes.extents import all_segments, data_segments
from amictl.volumes.key_labels import label, unlabel
from amictl.volumes.targets import ExistingTarget, NewFile, is_device, path_text, require_free
from amictl.volumes.written_files import written_file


@dataclass(frozen=True, slots=True)
class CreateVolumeRequest:
    """A snapshot, by its id or as the newest of a volume at a time.

    And where it is to be written. With `luks_passphrase` the target becomes a LUKS disk; it is
    asked once, before anything is written. `encryption` says with which key what is taken from the
    volume is encrypted.
    """

    snapshot_id: str | None
    volume_id: str | None
    as_of: datetime | None
    target: Path
    size_gib: int | None = None
    force: bool = False
    in_place: bool = False
    encryption: EncryptionRequest = field(default_factory=EncryptionRequest)
    luks_passphrase: Callable[[], str] | None = None
    tags: dict[str, str] = field(default_factory=dict)
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What was asked for, and what came of it: which snapshot, how large, and with which key."""

    request: CreateVolumeRequest
    core: SnapshotCore
    size_bytes: int
    key_id: str | None

    @property
    def target(self) -> Path:
        return self.request.target


def create_volume(
    store: Store, request: CreateVolumeRequest, surroundings: Surroundings
) -> dict[str, Any]:
    """The volume in EC2's shape, once its bytes are durable.

    Raises SnapshotNotFoundError, VolumeNotFoundError, UsageError, ConflictError if the target
    exists, SourceInUseError, StorageError; CorruptStoreError names the damaged ranges, and then
    there is no new file, or the target keeps its mark as incomplete.
    """
    core = _choose(store, request, surroundings)
    size_bytes = _size(core, request)
    if request.in_place and request.force:
        raise UsageError("--in-place and --force exclude each other")
    if request.luks_passphrase is not None:
        from amictl.volumes.luks import require_luks_target

        require_luks_target(request.target, in_place=request.in_place)
    require_free(request.target, overwrite=request.force or request.in_place)
    existing = (request.in_place and request.target.exists()) or is_device(request.target)
    if existing:
        _require_usable(store, request.target, size_bytes)
    store.reload_index()  # an index that cannot be read is not the snapshot's damage
    filling = Filling(store, core, surroundings.progress)
    key_id = key_for_volume(store, core, request.encryption, surroundings)
    wanted = _Wanted(request, core, size_bytes, key_id)
    if request.luks_passphrase is not None:
        return _create_luks(store, wanted, surroundings)
    if request.dry_run:
        raise DryRunError
    if key_id is not None:
        _tell(wanted, surroundings)
    if existing:
        try:
            written = _rewrite(store, filling, wanted)
        except BaseException:  # the target stays unfinished, and says so
            ids = (store.volume_id(path_text(request.target)), core.snapshot_id)
            events.record(store, surroundings, "CreateVolume", ids, "error")
            raise
    else:
        written = _create(store, filling, wanted)
    volume = _volume(store, wanted, surroundings)
    shape = _remembered(store, volume, surroundings, again=existing)
    shape["Amictl"]["WrittenBytes"] = written
    return shape


def _tell(wanted: _Wanted, surroundings: Surroundings) -> None:
    """Say that a disk holds in plain what is encrypted elsewhere."""
    target = wanted.target
    what = "the device" if is_device(target) else "the file, which gets mode 0600,"
    if is_encrypted(wanted.core):
        text = f"{wanted.core.snapshot_id} is encrypted, and {what} holds its content in plain:"
    else:
        text = f"{what} holds its content in plain, and snapshots of it are encrypted:"
    surroundings.progress.note(f"{text} {str(target)!r}")


def _create_luks(store: Store, wanted: _Wanted, surroundings: Surroundings) -> dict[str, Any]:
    """Write a new LUKS disk. Its own size is what its header takes more than its content."""
    from amictl.store.serving import ServedSnapshot
    from amictl.volumes.luks import luks_content_size, require_luks_passphrase, write_luks

    request = wanted.request
    assert request.luks_passphrase is not None
    passphrase = request.luks_passphrase()
    require_luks_passphrase(passphrase)
    if request.dry_run:
        raise DryRunError
    content_size = luks_content_size(wanted.size_bytes)
    file = NewFile(request.target, 0, store.storage.disk, replace=request.force)
    try:
        make_private(store.storage.disk, file.descriptor, request.target)
        if wanted.key_id is not None:
            label(store.storage.disk, file.descriptor, wanted.key_id)
        with ServedSnapshot(store, wanted.core, content_size, surroundings.progress) as disk:
            write_luks(disk, file.descriptor, request.target, passphrase)
        file_size = os.fstat(file.descriptor).st_size
        file.commit()
    except BaseException:
        file.discard()
        raise
    # What is in the file is nothing like the snapshot, so that is no parent of the next one.
    volume = _volume(store, replace(wanted, size_bytes=file_size), surroundings)
    volume = replace(volume, next_parent=None)
    shape = _remembered(store, volume, surroundings, again=False)
    shape["Amictl"] |= {"WrittenBytes": file_size, "LuksContentBytes": content_size}
    return shape


def _remembered(
    store: Store, volume: Volume, surroundings: Surroundings, *, again: bool
) -> dict[str, Any]:
    """Tell the region of a volume that is there now; its shape."""
    volume_records.record(store, [volume], surroundings, again=again)
    assert volume.snapshot_id is not None
    ids = (volume.volume_id, volume.snapshot_id)
    events.record(store, surroundings, "CreateVolume", ids, "available")
    return volume_shape(volume, DiskState(AVAILABLE, size_bytes=volume.size_bytes))


def _create(store: Store, filling: Filling, wanted: _Wanted) -> int:
    """Write a new file; returns the bytes written."""
    disk = store.storage.disk
    file = NewFile(wanted.target, wanted.size_bytes, disk, replace=wanted.request.force)
    try:
        if wanted.key_id is not None:
            make_private(disk, file.descriptor, wanted.target)
            label(disk, file.descriptor, wanted.key_id)
        written = filling.fill(file)
        file.commit()
    except BaseException:
        file.discard()
        raise
    return written


def _rewrite(store: Store, filling: Filling, wanted: _Wanted) -> int:
    """Rewrite what differs in an existing file or device; returns the bytes written."""
    path, size_bytes = wanted.target, wanted.size_bytes
    target = ExistingTarget(path, store.storage.disk, store.marks)
    try:
        before = target.size_bytes
        target.begin(size_bytes, wanted.core.snapshot_id)
        if wanted.key_id is not None and not target.is_device:
            make_private(store.storage.disk, target.descriptor, path)
            label(store.storage.disk, target.descriptor, wanted.key_id)
        # What lies beyond the snapshot, in a target that is to be larger, reads as zeros too.
        end = min(before, size_bytes) if not target.is_device else size_bytes
        own = all_segments(end) if target.is_device else data_segments(target.descriptor, end)
        written = filling.rewrite(target, own, size_bytes)
        if wanted.key_id is None:  # only now: until then there may be content of the key
            unlabel(store.storage.disk, target.descriptor)
        target.finish()
    finally:
        target.close()
    return written


def _volume(store: Store, wanted: _Wanted, surroundings: Surroundings) -> Volume:
    """What was written, and where. A snapshot of another key is no parent of the next one."""
    core = wanted.core
    path = path_text(wanted.target)
    file = written_file(wanted.target)
    same_key = key_of(store, core) == wanted.key_id
    return Volume(
        volume_id=store.volume_id(path),
        path=path,
        next_parent=core.snapshot_id if same_key else None,
        create_time=timestamp(surroundings.now()),
        size_bytes=wanted.size_bytes,
        snapshot_id=core.snapshot_id,
        inode=file.inode,
        birth_time=file.birth_time,
        key_id=wanted.key_id,
        tags=tags_from(wanted.request.tags),
    )


def _require_usable(store: Store, path: Path, size_bytes: int) -> None:
    """Raises SourceInUseError, UsageError, StorageError if a target cannot be rewritten."""
    target = ExistingTarget(path, store.storage.disk, store.marks)
    try:
        target.require_room(size_bytes)
    finally:
        target.close()


def _choose(store: Store, request: CreateVolumeRequest, surroundings: Surroundings) -> SnapshotCore:
    if (request.snapshot_id is None) == (request.volume_id is None):
        raise UsageError("give either a snapshot or a volume", code="InvalidParameterCombination")
    if request.snapshot_id is not None:
        if request.as_of is not None:
            raise UsageError("--as-of goes with --volume-id", code="InvalidParameterCombination")
        return catalog.read_snapshot(store, require_id("snap", request.snapshot_id))
    assert request.volume_id is not None
    return _newest(store, require_id("vol", request.volume_id), request.as_of, surroundings)


def _newest(
    store: Store, volume_id: str, as_of: datetime | None, surroundings: Surroundings
) -> SnapshotCore:
    """The newest snapshot of a volume at a time; those that cannot be read are told of.

    Raises VolumeNotFoundError; CorruptStoreError where the volume's record leads to one of these,
    since an older one would be taken for the newest.
    """
    cores, unreadable = catalog.snapshots_of(store, volume_id)
    if as_of is None and (last := _last_of(store, volume_id)) in unreadable:
        return catalog.read_snapshot(store, last)
    limit = as_of or datetime.max.replace(tzinfo=UTC)
    own = [core for core in cores if parse_timestamp(core.taken) <= limit]
    for snapshot_id in unreadable:
        surroundings.progress.note(f"{snapshot_id} cannot be read, and may be of {volume_id}")
    if not own:
        when = f" at or before {timestamp(as_of)}" if as_of else ""
        raise VolumeNotFoundError(f"The volume '{volume_id}' has no completed snapshot{when}.")
    return max(own, key=lambda core: core.taken)


def _last_of(store: Store, volume_id: str) -> str:
    """The snapshot that the volume's record leads to; nothing where there is no sound record."""
    with suppress(*UNREADABLE):
        volume = catalog.read_volume(store, volume_id)
        return volume.snapshot_id if volume is not None else ""
    return ""


def _size(core: SnapshotCore, request: CreateVolumeRequest) -> int:
    """Exact bytes of the snapshot, or whole GiB when a size is given. Raises UsageError."""
    if request.size_gib is None:
        return core.size_bytes
    if request.size_gib * GIB < core.size_bytes:
        raise UsageError(
            f"{request.size_gib} GiB is less than the snapshot, which has {core.size_bytes} bytes"
        )
    return request.size_gib * GIB
