"""Decide how the moment of one disk can be secured, and do it."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from amictl.errors import AmictlError, SourceInUseError, StorageError, UnsupportedError
from amictl.model.source import SourceIdentity
from amictl.volumes.claims import Claim, claim
from amictl.volumes.leases import TMPFS, file_system_magic
from amictl.volumes.private_copies import private_copy
from amictl.volumes.reflinks import NoReflinkError, clone
from amictl.volumes.sources import Source, live_identity, settled_identity

METHODS = ("auto", "reflink", "lease", "copy")


@dataclass(frozen=True, slots=True)
class Asked:
    """A disk that was asked whether it is at rest: it is held (`claim`), or not (`refusal`)."""

    source: Source
    claim: Claim | None
    refusal: AmictlError | None


@dataclass(frozen=True, slots=True)
class Secured:
    """Where to read the moment: a file of our own (`private`), or the source while it is held."""

    descriptor: int
    size_bytes: int
    identity: SourceIdentity
    method: str
    private: bool


def ask(source: Source) -> Asked:
    """Hold the disk at rest if it is."""
    try:
        return Asked(source, claim(source), None)
    except (SourceInUseError, UnsupportedError, StorageError) as refusal:
        return Asked(source, None, refusal)


def require_allowed(asked: Asked, method: str, *, no_reboot: bool) -> None:
    """Refuse what can be refused before anything is cloned.

    Raises SourceInUseError, UnsupportedError, StorageError.
    """
    path = str(asked.source.path)
    if asked.refusal is not None:
        if not no_reboot or asked.source.is_block_device:
            raise asked.refusal
        if method in ("lease", "copy"):
            raise SourceInUseError(
                f"{asked.refusal.message}; the method {method} needs a disk at rest",
                hint=f"stop the machine, or leave --freeze {method} out",
            )
    elif asked.source.is_block_device and method in ("reflink", "lease"):
        raise UnsupportedError(
            f"{path!r} is a block device, which cannot be frozen by {method}",
            hint=f"leave --freeze {method} out: a block device is held exclusively",
        )


def secure(asked: Asked, method: str, staging: Path) -> Secured:
    """Secure the moment of a disk that `require_allowed` let pass.

    Raises SourceInUseError or UnsupportedError when that would need a clone and there is none,
    SourceChangedError and StorageError when a copy fails.
    """
    source, held = asked.source, asked.claim
    if held is None:
        return _cloned_live(asked, staging)
    identity = _identity(source)
    if method == "copy":
        return _private(private_copy(source, held, staging), identity, "copy")
    if method == "lease" or source.is_block_device:
        return Secured(source.descriptor, source.size_bytes, identity, held.method, private=False)
    try:
        return _private(clone(source, staging), identity, "reflink")
    except NoReflinkError as reason:
        if method == "reflink":
            raise UnsupportedError(
                f"{str(source.path)!r} cannot be frozen by reflink: {reason}",
                hint="leave --freeze reflink out, or keep the disk on XFS or btrfs",
            ) from reason
        return Secured(source.descriptor, source.size_bytes, identity, held.method, private=False)


def _identity(source: Source) -> SourceIdentity:
    """On tmpfs who writes through mapped memory may leave the times of the file as they were."""
    found = settled_identity(source)
    times_tell = source.is_block_device or file_system_magic(source.descriptor) != TMPFS
    return found if times_tell else replace(found, inode=0)


def _cloned_live(asked: Asked, staging: Path) -> Secured:
    before = os.fstat(asked.source.descriptor)
    try:
        descriptor = clone(asked.source, staging)
    except NoReflinkError as reason:
        raise _no_way_but_rest(asked, reason) from reason
    return _private(descriptor, live_identity(asked.source, before), "reflink")


def _private(descriptor: int, identity: SourceIdentity, method: str) -> Secured:
    size_bytes = os.lseek(descriptor, 0, os.SEEK_END)
    return Secured(descriptor, size_bytes, identity, method, private=True)


def _no_way_but_rest(asked: Asked, reason: NoReflinkError) -> AmictlError:
    assert asked.refusal is not None
    kind = SourceInUseError if isinstance(asked.refusal, SourceInUseError) else UnsupportedError
    return kind(
        f"{asked.refusal.message}; {reason}, so it has no single moment to keep",
        hint="stop the machine, or move the disk to XFS or btrfs, where it is cloned in an instant;"
        " a freeze command alone does not help, for it cannot last until all is read",
    )
