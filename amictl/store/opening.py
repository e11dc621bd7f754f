"""Making and opening a store in a directory or in a bucket."""

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from amictl.errors import (
    ConflictError,
    CorruptStoreError,
    ObjectMissingError,
    RegionNotFoundError,
    StorageError,
    UnsupportedError,
    UsageError,
)
from amictl.formats import current as current_format
from amictl.formats import records as record_format
from amictl.formats.current import Current
from amictl.model.blockmap import AVERAGE_SIZES
from amictl.model.records import Epoch, Features, StoreConfig
from amictl.model.surroundings import Surroundings
from amictl.model.times import timestamp
from amictl.storage.directory import DirectoryStorage
from amictl.storage.disk import Disk, as_storage_error, make_directories
from amictl.storage.interface import Storage
from amictl.storage.places import BucketPlace
from amictl.store import layout
from amictl.store.store import Store

LEVELS = range(1, 20)


def create_store(
    place: Path | BucketPlace,
    *,
    chunk_size_bytes: int,
    compression_level: int,
    surroundings: Surroundings,
    owner_id: str | None = None,
    disk: Disk | None = None,
) -> Store:
    """Make a store in an empty or absent directory, mode 0700, or in an empty prefix of a bucket
    that there is; durable when it returns.

    Without an owner (twelve digits) it gets a random one.
    Raises UsageError, ConflictError if there is one or the place is not empty, StorageError.
    """
    if chunk_size_bytes not in AVERAGE_SIZES:
        raise UsageError(
            f"chunk size {chunk_size_bytes} is not one of {', '.join(map(str, AVERAGE_SIZES))}"
        )
    if compression_level not in LEVELS:
        raise UsageError(f"compression level {compression_level} is not between 1 and 19")
    storage = _storage(place, disk)
    try:
        owner = owner_id or random_owner(surroundings.random_bytes)
        return _made(storage, _new_config(chunk_size_bytes, compression_level, owner, surroundings))
    except BaseException:
        storage.close()
        raise


def _new_config(
    chunk_size_bytes: int, compression_level: int, owner_id: str, surroundings: Surroundings
) -> StoreConfig:
    return StoreConfig(
        store_id=surroundings.random_bytes(16).hex(),
        owner_id=owner_id,
        created=timestamp(surroundings.now()),
        chunk_size=chunk_size_bytes,
        compression_level=compression_level,
        hash="blake3",
        parity=0,
        features=Features(),
    )


def _made(storage: Storage, config: StoreConfig) -> Store:
    """A new store in an empty place. Raises ConflictError if it is not empty."""
    if isinstance(storage, DirectoryStorage):
        _make_folders(storage)
    else:
        _require_empty_prefix(storage)
    storage.write_if_absent(layout.EPOCH, record_format.encode(Epoch(0)))
    storage.write_if_absent(layout.CURRENT, current_format.encode(Current()))
    # The configuration comes last: a directory without it is not a store.
    if not storage.write_if_absent(layout.CONFIG, record_format.encode(config)):
        raise ConflictError(f"there is a store in {storage.where()!r} already")
    return Store(storage, config)


def random_owner(random_bytes: Callable[[int], bytes]) -> str:
    """A new owner: twelve digits, the first of which is not 0."""
    return str(10**11 + int.from_bytes(random_bytes(8), "big") % (9 * 10**11))


def open_store(place: Path | BucketPlace, disk: Disk | None = None) -> Store:
    """Open a store for reading. Raises RegionNotFoundError, CorruptStoreError, UnsupportedError."""
    storage = _storage(place, disk)
    try:
        return open_storage(storage)
    except BaseException:
        storage.close()
        raise


def look_into_store(place: Path | BucketPlace) -> Store:
    """The same for a look in passing: what does not answer within seconds is not waited for.

    Raises StorageError too.
    """
    if isinstance(place, Path):
        return open_store(place)
    from amictl.storage.attempts import BRIEF
    from amictl.storage.bucket import BucketStorage

    storage = BucketStorage(place, patience=BRIEF)
    try:
        return open_storage(storage)
    except BaseException:
        storage.close()
        raise


def open_storage(storage: Storage) -> Store:
    """The store in a storage. Raises what `open_store` does."""
    try:
        data = storage.read(layout.CONFIG)
    except ObjectMissingError as error:
        raise _no_store(storage) from error
    except StorageError as error:
        if isinstance(error.__cause__, NotADirectoryError):
            raise RegionNotFoundError(f"{storage.where()!r} is not a directory") from error
        raise
    place = storage.where(layout.CONFIG)
    config = record_format.decode(data, StoreConfig, place)
    store = Store(storage, config)
    store.require_features("read")
    if config.hash != "blake3":
        raise UnsupportedError(
            f"{place} has hash {config.hash}, unknown to this amictl", hint="use a newer amictl"
        )
    if config.chunk_size not in AVERAGE_SIZES or config.compression_level not in LEVELS:
        raise CorruptStoreError(f"{place} has an impossible chunk size or compression level")
    return store


def _no_store(storage: Storage) -> RegionNotFoundError:
    """Says it if there is more than nothing."""
    message = f"there is no store in {storage.where()!r}"
    if isinstance(storage, DirectoryStorage):
        folders = [name for name in ("packs", "index") if (storage.root / name).is_dir()]
        if len(folders) == 2:
            return RegionNotFoundError(
                f"{message}: it has the folders of one, and {layout.CONFIG} is missing",
                hint=f"put {layout.CONFIG} back from a copy of the store",
            )
    return RegionNotFoundError(message, hint="make one: amictl create-region NAME --directory DIR")


def _storage(place: Path | BucketPlace, disk: Disk | None) -> Storage:
    if isinstance(place, Path):
        return DirectoryStorage(place.absolute(), disk)
    from amictl.storage.bucket import BucketStorage

    return BucketStorage(place, disk)


def require_place(place: Path | BucketPlace) -> None:
    """Raises ConflictError, StorageError unless a store could be made in a place."""
    if isinstance(place, Path):
        _require_directory(place)
        return
    storage = _storage(place, None)
    try:
        _require_empty_prefix(storage)
        storage.require_writable()
    finally:
        storage.close()


def _require_directory(directory: Path) -> None:
    try:
        _require_apart(directory)
        if directory.exists():
            _require_empty(directory)
        present = next(path for path in (directory, *directory.parents) if path.exists())
        if not os.access(present, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise as_storage_error(error, "create the store", directory) from error


def _require_apart(directory: Path) -> None:
    """Raises ConflictError if a directory is inside a store. One around a store is not empty."""
    for above in directory.resolve().parents:
        if (above / layout.CONFIG).exists():
            raise ConflictError(
                f"{str(directory)!r} is inside of the store in {str(above)!r}",
                hint="give a directory that is not in another region",
            )


def _require_empty(root: Path) -> None:
    """Raises ConflictError if a directory holds a store, or what no unfinished one has."""
    if (root / layout.CONFIG).exists():
        raise ConflictError(f"there is a store in {str(root)!r} already")
    foreign = {entry.name for entry in root.iterdir()} - {*layout.FOLDERS, layout.EPOCH}
    if foreign:
        raise ConflictError(
            f"{str(root)!r} is not empty: it holds {sorted(foreign)[0]!r}",
            hint="give an empty or a new directory",
        )


def _require_empty_prefix(storage: Storage) -> None:
    """Raises ConflictError if a prefix of a bucket holds a store, or what no unfinished one has."""
    present = {name.lstrip("/") for name, _ in storage.names("")}
    if layout.CONFIG in present:
        raise ConflictError(f"there is a store in {storage.where()!r} already")
    ours = {layout.EPOCH, layout.BUCKET, "index", "locks"}
    if foreign := present - ours:
        raise ConflictError(
            f"{storage.where()!r} is not empty: it holds {sorted(foreign)[0]!r}",
            hint="give a prefix that is not in use",
        )


def _make_folders(storage: DirectoryStorage) -> None:
    """All folders and lock files, with their names durable; an interrupted run is taken up."""
    try:
        _make_all_folders(storage)
    except OSError as error:
        place = error.filename or storage.root
        raise as_storage_error(error, "create the store", place) from error


def _make_all_folders(storage: DirectoryStorage) -> None:
    root = storage.root
    _require_apart(root)
    make_directories(storage.disk, root)
    _require_empty(root)
    for name in layout.FOLDERS:
        with suppress(FileExistsError):
            storage.disk.make_directory(root / name)
    for name in layout.LOCKS:
        with suppress(FileExistsError):
            descriptor = storage.disk.create(root / name)
            os.close(descriptor)
    storage.disk.sync_directory(root / "locks")
    storage.disk.sync_directory(root)
