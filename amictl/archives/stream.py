"""The tar stream of an archive on its way out: members one after the other, with their digests."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Protocol

from amictl.errors import UnsupportedError
from amictl.formats import archive_members, tar
from amictl.formats.framing import Buffer
from amictl.formats.tar import Header
from amictl.model.archives import (
    MEMBERS,
    MEMBERS_MAX,
    SIGNATURE,
    SUMS,
    Manifest,
    Member,
    Members,
)

Sign = Callable[[bytes], bytes]
"""Gives the 64 bytes of an Ed25519 signature."""


class Target(Protocol):
    """What takes the bytes of an archive, in order."""

    def write(self, data: bytes) -> None:
        """Raises StorageError."""
        ...


class ArchiveStream:
    """Writes members to a target, and in the end the table of them."""

    def __init__(self, target: Target, manifest: Manifest) -> None:
        self._target = target
        self._archive_id = manifest.archive_id
        self._stored = manifest.stored
        self._mtime = archive_members.seconds_of(manifest.stored)
        self._offset = 0
        self._members: list[Member] = []

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._offset

    def add(self, name: str, pieces: Sequence[Buffer]) -> None:
        """A member whose content is these pieces. Raises StorageError, UnsupportedError if it is
        one too many.
        """
        if len(self._members) == MEMBERS_MAX:
            raise too_large(f"it has more than {MEMBERS_MAX} members")
        self._add(name, pieces)

    def finish(self, sign: Sign | None) -> None:
        """The table, its signature and the sums; nothing can be added any more."""
        table = archive_members.encode(
            Members(self._archive_id, self._stored, tuple(self._members))
        )
        assert len(table) <= archive_members.SIZE_MAX  # of so many members
        self._add(MEMBERS, [table])
        if sign is not None:
            self._add(SIGNATURE, [sign(table)])
        self._add(SUMS, [archive_members.sums([(one.name, one.sha256) for one in self._members])])
        self._write(tar.END)

    def _add(self, name: str, pieces: Sequence[Buffer]) -> None:
        size = sum(map(len, pieces))
        digest = hashlib.sha256()
        self._write(tar.encode(Header(name, size, self._mtime)))
        offset = self._offset
        for piece in pieces:
            digest.update(piece)
            self._write(piece)
        self._write(tar.padding(size))
        self._members.append(Member(name, offset, size, digest.hexdigest()))

    def _write(self, data: Buffer) -> None:
        self._target.write(bytes(data))  # no copy of what is bytes already
        self._offset += len(data)


def too_large(reason: str) -> UnsupportedError:
    """The error for an image that no archive can hold."""
    return UnsupportedError(
        f"the image is too large for an archive: {reason}",
        hint="export its disks one by one with create-volume",
    )
