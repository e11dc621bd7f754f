"""Regions: which stores have a name, and making one."""

import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from amictl.errors import (
    UNREADABLE,
    ConflictError,
    DryRunError,
    RegionNotFoundError,
    StorageError,
    UsageError,
)
from amictl.formats import config
from amictl.model.filters import Texts, matching
from amictl.model.region import (
    DEFAULT_CHUNK_SIZE_BYTES,
    DEFAULT_COMPRESSION_LEVEL,
    RegionConfig,
    require_region_name,
)
from amictl.model.surroundings import Surroundings
from amictl.storage.disk import Disk, as_storage_error, make_directories
from amictl.store import layout
from amictl.store.opening import create_store, open_store
from amictl.store.store import Store

DEFAULT_REGION = "local"

_FILTERS: dict[str, Texts] = {"region-name": lambda region: [region.name]}


def create_region(
    config_path: Path,
    name: str,
    directory: Path,
    *,
    chunk_size_bytes: int,
    compression_level: int,
    surroundings: Surroundings,
) -> dict[str, Any]:
    """Make a store in an empty or absent directory and give it a name; durable when it returns.

    A directory that holds a store already keeps it, with its own chunk size and level, and gets
    the name. Raises ConflictError if the name is taken or the directory holds something else.
    """
    require_region_name(name)
    region = RegionConfig(name, Path(os.path.abspath(directory)))  # noqa: PTH100 - keeps symlinks
    path = config_path.resolve()  # a symbolic link, as dot-file managers make, stays one
    with _changing(path):
        text = _read(path)
        if any(known.name == name for known in config.decode(text)):
            raise ConflictError(
                f"there is a region {name!r} already",
                hint="amictl describe-regions shows where it is",
                code="InvalidRegion.Duplicate",
            )
        changed = config.with_region(text, region)
        with _opened_or_created(
            region.directory, chunk_size_bytes, compression_level, surroundings
        ) as store:
            _replace(path, changed, surroundings)
            return _description(region, store)


def require_not_hiding(name: str, directory: Path, default_directory: Path) -> None:
    """Raises ConflictError if a new region would take the name `local` from the store that has it
    without a configuration: what is in there could not be found any more.
    """
    if name != DEFAULT_REGION or directory.resolve() == default_directory.resolve():
        return
    if (default_directory / layout.CONFIG).exists():
        raise ConflictError(
            f"there is a region {DEFAULT_REGION!r} already, in {str(default_directory)!r}",
            hint=f"choose another name, or give --directory {default_directory}",
            code="InvalidRegion.Duplicate",
        )


def describe_regions(
    config_path: Path,
    default_directory: Path,
    names: Sequence[str] = (),
    filters: Iterable[Mapping[str, Any]] = (),
    *,
    dry_run: bool = False,
) -> dict[str, Any]:
    """All regions, or these, the default one first, as EC2's DescribeRegions; `Problem` says why
    one cannot be opened.

    Raises RegionNotFoundError if one of the names is unknown, UsageError for an unknown filter.
    """
    regions = config.decode(_read(config_path))
    if all(region.name != DEFAULT_REGION for region in regions):
        regions = (RegionConfig(DEFAULT_REGION, default_directory), *regions)
    for name in names:
        if all(region.name != name for region in regions):
            raise _no_region(name, config_path)
    wanted = [region for region in regions if not names or region.name in names]
    found = matching(wanted, filters, _FILTERS)
    if dry_run:
        raise DryRunError
    return {"Regions": [_described(region) for region in found]}


def region_names(config_path: Path) -> list[str]:
    """The names of all regions in the configuration, in its order. Raises UsageError."""
    return [region.name for region in config.decode(_read(config_path))]


def find_region(config_path: Path, name: str, default_directory: Path) -> RegionConfig:
    """The region of this name. Raises RegionNotFoundError."""
    for region in config.decode(_read(config_path)):
        if region.name == name:
            return RegionConfig(name, region.directory.expanduser())
    if name == DEFAULT_REGION:
        return RegionConfig(name, default_directory)
    raise _no_region(name, config_path)


def _no_region(name: str, config_path: Path) -> RegionNotFoundError:
    return RegionNotFoundError(
        f"there is no region {name!r} in {str(config_path)!r}",
        hint="amictl describe-regions lists them; amictl create-region makes one",
    )


def open_or_create(directory: Path, surroundings: Surroundings) -> Store:
    """Open a store for writing; an absent or empty directory becomes one, mode 0700."""
    return _opened_or_created(
        directory, DEFAULT_CHUNK_SIZE_BYTES, DEFAULT_COMPRESSION_LEVEL, surroundings
    )


def _opened_or_created(
    directory: Path, chunk_size_bytes: int, compression_level: int, surroundings: Surroundings
) -> Store:
    with suppress(RegionNotFoundError):
        return open_store(directory)
    try:
        return create_store(
            directory,
            chunk_size_bytes=chunk_size_bytes,
            compression_level=compression_level,
            surroundings=surroundings,
        )
    except ConflictError:
        with suppress(RegionNotFoundError):  # somebody else made it just now
            return open_store(directory)
        raise


def _described(region: RegionConfig) -> dict[str, Any]:
    try:
        with open_store(region.directory.expanduser()) as store:
            return _description(region, store)
    except (RegionNotFoundError, *UNREADABLE) as error:
        facts = {"Directory": str(region.directory), "Problem": error.message}
        return {"RegionName": region.name, "Amictl": facts}


def _description(region: RegionConfig, store: Store) -> dict[str, Any]:
    return {
        "RegionName": region.name,
        "Amictl": {
            "Directory": str(region.directory),
            "ChunkSize": store.config.chunk_size_bytes,
            "CompressionLevel": store.config.compression_level,
            "StoreId": store.config.store_id,
        },
    }


def _read(config_path: Path) -> str:
    try:
        return config_path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError:
        raise UsageError(
            f"the configuration {str(config_path)!r} is not UTF-8 text", code="InvalidConfiguration"
        ) from None
    except OSError as error:
        raise StorageError.from_os_error(error, "read the configuration") from error


@contextmanager
def _changing(config_path: Path) -> Iterator[None]:
    """Keep other changes of the configuration away; makes its folder, mode 0700, if needed."""
    try:
        make_directories(Disk(), config_path.parent)
        folder = os.open(config_path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise as_storage_error(error, "make the folder", config_path.parent) from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _replace(config_path: Path, text: str, surroundings: Surroundings) -> None:
    """Give the file this content, mode 0600; durable when it returns."""
    disk = Disk()
    temporary = config_path.with_name(f".{config_path.name}.{surroundings.random_bytes(8).hex()}")
    try:
        descriptor = disk.create(temporary)
        try:
            disk.write_at(descriptor, text.encode(), 0)
            disk.sync(descriptor)
        finally:
            disk.close(descriptor)
        disk.rename(temporary, config_path)
        disk.sync_directory(config_path.parent)
    except OSError as error:
        with suppress(OSError):
            disk.unlink(temporary)
        raise as_storage_error(error, "write the configuration", config_path) from error
