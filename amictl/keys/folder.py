"""The key folder: for each key an identity file and a record. amictl-security(7), KEY FOLDER.

    KEYID.age    the identity, as age-keygen writes it, or protected by a passphrase
    KEYID.json   what is known of it: amictl-key

A key exists when its record does. What others could read is not used.
"""

import fcntl
import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from amictl.errors import (
    UNREADABLE,
    AmictlError,
    CorruptStoreError,
    KeyLockedError,
    KeyNotFoundError,
    KeyUnavailableError,
)
from amictl.formats import records as record_format
from amictl.keys.age_headers import SIZE_MAX
from amictl.keys.process import shield
from amictl.model.keys import ALIAS_PREFIX, KeyRecord, key_name
from amictl.model.times import parse_timestamp
from amictl.storage.disk import Disk, as_storage_error, make_directories

_RECORD = ".json"
_IDENTITY = ".age"
_TEMPORARY = "."
_RECORD_SIZE_MAX = 1 << 20
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class KeyFolder:
    """Nothing is read or made before it is asked for; absent and empty are the same.

    All methods raise KeyUnavailableError if others can read what is in it, with the command that
    mends that, and StorageError.
    """

    def __init__(self, path: Path, disk: Disk | None = None) -> None:
        self.path = path
        self._disk = disk or Disk()

    def records(self) -> list[KeyRecord]:
        """All keys, in the order of their ids. Raises CorruptStoreError."""
        found, unread = self.survey()
        for error in unread.values():
            raise error
        return found

    def survey(self) -> tuple[list[KeyRecord], dict[str, AmictlError]]:
        """The same, and why the other records cannot be read, by the ids in their names."""
        found: list[KeyRecord] = []
        unread: dict[str, AmictlError] = {}
        if self._is_there():
            names = sorted(entry.name for entry in os.scandir(self.path))
            keys = [name.removesuffix(_RECORD) for name in names if name.endswith(_RECORD)]
            for key in (key for key in keys if not key.startswith(_TEMPORARY)):
                try:
                    record = self._record(key)
                except (*UNREADABLE, KeyUnavailableError) as error:
                    unread[key] = error
                else:
                    found += [record] if record is not None else []
        return found, unread

    def find(self, text: str) -> KeyRecord:
        """The key of this id, alias or ARN. Raises KeyNotFoundError, CorruptStoreError."""
        name = key_name(text)
        found = self._by_alias(name) if name.startswith(ALIAS_PREFIX) else self._by_id(name)
        if found is not None:
            return found
        raise KeyNotFoundError(
            f"there is no key {name!r} in {str(self.path)!r}",
            hint="amictl describe-keys lists those that are there; amictl import-key brings one",
        )

    def identity(self, key_id: str) -> bytes:
        """The identity file of a key. Raises KeyUnavailableError if it is not there."""
        shield()
        path = self.identity_path(key_id)
        try:
            return self._read(path, SIZE_MAX)
        except FileNotFoundError:
            raise KeyUnavailableError(
                f"the identity file {str(path)!r} of the key {key_id} is missing",
                hint="put it back there, or import it: amictl import-key FILE",
            ) from None

    def identity_path(self, key_id: str) -> Path:
        """Where the identity of a key is, if it is there."""
        return self.path / f"{key_id}{_IDENTITY}"

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Keep other changes away; makes the folder, mode 0700, and removes what a run that was
        killed left in it.
        """
        try:
            make_directories(self._disk, self.path)
            self._is_there()
            folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise as_storage_error(error, "make the key folder", self.path) from error
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            self._remove_leftovers()
            yield
        finally:
            os.close(folder)

    def put(self, record: KeyRecord) -> None:
        """Write the record of a key, in place of any before; durable when it returns."""
        self._replace(self._record_path(record.key_id), record_format.encode(record))

    def put_identity(self, key_id: str, data: bytes) -> None:
        """Write the identity file of a key; durable when it returns.

        One before is overwritten, unless it has another name too: then it is somebody's copy.
        """
        path = self.identity_path(key_id)
        before = -1
        with suppress(FileNotFoundError):
            before = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            self._replace(path, data)
            if before >= 0:
                self._overwrite(before, names=0)
        finally:
            if before >= 0:
                os.close(before)

    def remove(self, key_id: str) -> None:
        """Overwrite and remove the identity of a key, then its record; durable when it returns.

        A copy that has another name is left alone.
        """
        path = self.identity_path(key_id)
        try:
            with suppress(FileNotFoundError):
                descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
                try:
                    self._overwrite(descriptor, names=1)
                finally:
                    os.close(descriptor)
                self._disk.unlink(path)
                self._disk.sync_directory(self.path)
            self._disk.unlink(self._record_path(key_id))
            self._disk.sync_directory(self.path)
        except OSError as error:
            raise as_storage_error(error, "delete the key", path) from error

    def remove_expired(self, now: datetime) -> list[str]:
        """Delete the keys whose time to be deleted has come; their ids."""
        expired = [record.key_id for record in self.survey()[0] if is_expired(record, now)]
        for key_id in expired:
            self.remove(key_id)
        return expired

    def _is_there(self) -> bool:
        try:
            status = os.lstat(self.path)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise as_storage_error(error, "read the key folder", self.path) from error
        if not stat.S_ISDIR(status.st_mode):
            raise KeyUnavailableError(f"the key folder {str(self.path)!r} is not a directory")
        require_private(status, self.path, "700")
        return True

    def _by_alias(self, name: str) -> KeyRecord | None:
        """What a damaged record says is not known: then there may be one."""
        found, unread = self.survey()
        for record in found:
            if name in record.aliases:
                return record
        for error in unread.values():
            raise error
        return None

    def _by_id(self, key_id: str) -> KeyRecord | None:
        """A record that is damaged hides no other."""
        return self._record(key_id) if self._is_there() else None

    def _record(self, key_id: str) -> KeyRecord | None:
        path = self._record_path(key_id)
        try:
            data = self._read(path, _RECORD_SIZE_MAX)
        except FileNotFoundError:
            return None
        try:
            record = record_format.decode(data, KeyRecord, str(path))
            if record.key_id != key_id:
                raise CorruptStoreError(f"{str(path)!r} is about the key {record.key_id}")
        except CorruptStoreError as error:
            error.hint = (
                "put it back from a copy; or move it and the .age file of the key away, and"
            )
            error.hint += " import the .age file: amictl import-key FILE"
            raise
        return record

    def _record_path(self, key_id: str) -> Path:
        return self.path / f"{key_id}{_RECORD}"

    def _read(self, path: Path, size_max: int) -> bytes:
        """Raises FileNotFoundError."""
        try:
            descriptor = os.open(path, _READ)
            try:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode) or status.st_size > size_max:
                    raise KeyUnavailableError(f"{str(path)!r} is not a file, or too large")
                require_private(status, path, "600")
                return os.read(descriptor, size_max)
            finally:
                os.close(descriptor)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise as_storage_error(error, "read", path) from error

    def _replace(self, path: Path, data: bytes) -> None:
        temporary = self.path / f"{_TEMPORARY}{path.name}"
        try:
            descriptor = self._disk.create(temporary)
            try:
                self._disk.write_at(descriptor, data, 0)
                self._disk.sync(descriptor)
            finally:
                self._disk.close(descriptor)
            self._disk.rename(temporary, path)
            self._disk.sync_directory(self.path)
        except OSError as error:
            with suppress(OSError):
                self._disk.unlink(temporary)
            raise as_storage_error(error, "write", path) from error

    def _overwrite(self, descriptor: int, names: int) -> None:
        """Where the file system writes in place, the bytes are gone afterwards.

        With more than `names` it is a backup of hard links too, which must not lose it.
        """
        status = os.fstat(descriptor)
        if status.st_nlink <= names:
            self._disk.write_at(descriptor, bytes(status.st_size), 0)
            self._disk.sync(descriptor)

    def _remove_leftovers(self) -> None:
        for path in self.path.glob(f"{_TEMPORARY}*"):
            if path.suffix in (_RECORD, _IDENTITY):
                with suppress(FileNotFoundError):
                    self._disk.unlink(path)


def is_expired(record: KeyRecord, now: datetime) -> bool:
    """Whether the time has come at which a key is deleted."""
    return record.deletion_date is not None and parse_timestamp(record.deletion_date) <= now


def require_private(status: os.stat_result, path: Path, mode: str) -> None:
    """Raises KeyLockedError unless a file or folder is ours, and ours alone."""
    place = shlex.quote(str(path))
    if status.st_uid != os.geteuid():
        raise KeyLockedError(
            f"{str(path)!r} belongs to another user",
            hint=f"run amictl as that user, or: chown {os.geteuid()} {place}",
        )
    if status.st_mode & 0o077:
        raise KeyLockedError(
            f"{str(path)!r} can be read or changed by others", hint=f"run: chmod {mode} {place}"
        )
