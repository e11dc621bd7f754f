"""The file config.toml: read whole, replaced whole, changed by one command at a time."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from amictl.errors import StorageError, UsageError
from amictl.storage.disk import Disk, as_storage_error, make_directories


def read(config_path: Path) -> str:
    """Its text, empty if there is no such file. Raises UsageError, StorageError."""
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
def changing(config_path: Path) -> Iterator[None]:
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


def replace_with(config_path: Path, text: str, random_bytes: Callable[[int], bytes]) -> None:
    """Give the file this content, mode 0600; durable when it returns."""
    disk = Disk()
    temporary = config_path.with_name(f".{config_path.name}.{random_bytes(8).hex()}")
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
