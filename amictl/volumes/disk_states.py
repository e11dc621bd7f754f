"""Whether a disk is there and who uses it, asked of the kernel at this moment."""

from pathlib import Path

from amictl.errors import (
    ConflictError,
    NotFoundError,
    SourceInUseError,
    StorageError,
    UnsupportedError,
    UsageError,
)
from amictl.model.volumes import AVAILABLE, CREATING, ERROR, IN_USE, DiskState, WrittenFile
from amictl.storage.disk import Disk, as_storage_error
from amictl.volumes.claims import claim
from amictl.volumes.sources import Source, opened_sources
from amictl.volumes.targets import MARK_SUFFIX, require_finished
from amictl.volumes.written_files import written_file


def disk_state(path: Path, marks: Path) -> DiskState:
    """In use is what somebody has open for writing, or a virtual machine has locked.

    An unfinished restore is being created while it is in use, else it is an error, as is a disk
    that is not there. Where nobody can tell who uses it, it is available, with that as reason.
    """
    try:
        unfinished = _unfinished(path, marks)
        with opened_sources([path]) as (source,):
            return _state(source, unfinished)
    except (NotFoundError, UsageError, StorageError) as error:
        return DiskState(ERROR, error.message)


def delete_disk(path: Path, written: WrittenFile, disk: Disk) -> None:
    """Remove a disk image file that nobody writes to; durable when it returns.

    Raises NotFoundError, SourceInUseError, UnsupportedError for a block device and where nobody
    can tell who uses it, ConflictError unless it is the file that was written, StorageError.
    """
    with opened_sources([path]) as (source,):
        _require_deletable(source, written)
        held = claim(source)
        try:
            mark = path.with_name(path.name + MARK_SUFFIX)
            for name in (path, mark) if mark.exists() else (path,):
                disk.unlink(name)
            disk.sync_directory(path.parent)
        except OSError as error:
            raise as_storage_error(error, "delete", path) from error
        finally:
            held.release()


def require_deletable(path: Path, written: WrittenFile) -> None:
    """Raises what `delete_disk` would raise, and does nothing."""
    with opened_sources([path]) as (source,):
        _require_deletable(source, written)
        claim(source).release()


def _state(source: Source, unfinished: str | None) -> DiskState:
    size = source.size_bytes
    try:
        claim(source).release()
    except SourceInUseError as error:
        return DiskState(CREATING if unfinished else IN_USE, error.message, size)
    except (StorageError, UnsupportedError) as error:
        return DiskState(ERROR if unfinished else AVAILABLE, unfinished or error.message, size)
    return DiskState(ERROR if unfinished else AVAILABLE, unfinished, size)


def _unfinished(path: Path, marks: Path) -> str | None:
    """The words for a restore that was begun and not ended, or None."""
    try:
        require_finished(path, marks)
    except ConflictError as error:
        return error.message
    return None


def _require_deletable(source: Source, written: WrittenFile) -> None:
    """An inode number is given again; it tells a file only together with the time of birth."""
    if source.is_block_device:
        raise UnsupportedError(
            f"{str(source.path)!r} is a block device, which has no file to delete",
            hint="forget the volume without --delete-file, and overwrite the device by other means",
        )
    known = None not in (written.inode, written.birth_time)
    if source.path.is_symlink() or not known or written_file(source.path) != written:
        raise ConflictError(
            f"{str(source.path)!r} is not the file that was written there",
            hint="delete it yourself if it may go, or forget the volume without --delete-file",
        )
