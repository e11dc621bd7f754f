"""Opening an archive: what it holds and who made it, before any of its disks is read.

Nothing in it is believed. Bytes are compared with what a writer would have written, lengths with
their limits before memory is taken, and content with the names that the manifest leads to.
amictl-archive(5), READING.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from amictl.archives.contents import Contents, naming, read_member
from amictl.archives.sealed import OpenKey, Unsealer
from amictl.archives.sound_images import require_sound_image
from amictl.errors import InvalidArchiveError
from amictl.formats import archive_manifest, archive_members
from amictl.formats.archive_members import place_of
from amictl.formats.framing import refuse
from amictl.keys.public_keys import PublicKey, signer
from amictl.model.archives import KEY, MANIFEST, SEALED, Manifest, Member, Members
from amictl.storage.objects import ObjectSource


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive that is open: its manifest was read, its disks were not.

    `unsealer` is None where nothing is sealed.
    """

    source: ObjectSource
    contents: Contents
    manifest: Manifest
    unsealer: Unsealer | None

    @property
    def where(self) -> str:
        """The place of the archive in words."""
        return self.source.where

    def members_of(self, disk: int) -> Sequence[Member]:
        """The members of a disk, in order."""
        return members_of(self.contents.members, disk)


def open_archive(source: ObjectSource, contents: Contents, open_key: OpenKey) -> Archive:
    """Read the manifest of an archive whose table of contents was read.

    Raises InvalidArchiveError, UnsupportedError for a newer version, KeyUnavailableError,
    StorageError.
    """
    with naming(source.where):
        unsealer = _unsealer(source, contents, open_key)
        data = read_member(source, contents, _first(contents.members, unsealer is not None))
        if unsealer is not None:
            data = unsealer.open(data, MANIFEST + SEALED)
        manifest = archive_manifest.decode(data, MANIFEST)
        _require_same(manifest, contents.members)
        require_sound_image(manifest)
    return Archive(source, contents, manifest, unsealer)


def members_of(members: Members, disk: int) -> Sequence[Member]:
    """The members of a disk, in order."""
    placed = ((place_of(member.name), member) for member in members.members)
    return [member for place, member in placed if place is not None and place[0] == disk]


def signed_by(contents: Contents, trusted: Sequence[PublicKey]) -> PublicKey | None:
    """Whose signature an archive has, of those who are known; None also where it has none."""
    if contents.signature is None:
        return None
    return signer(contents.signature, contents.table, trusted)


def require_trusted(source: ObjectSource, contents: Contents, trusted: Sequence[PublicKey]) -> None:
    """Raises InvalidArchiveError unless one of these signed an archive; not if there are none."""
    if not trusted or signed_by(contents, trusted) is not None:
        return
    how = "is not signed" if contents.signature is None else "was signed by nobody who is trusted"
    raise InvalidArchiveError(
        f"{source.where} {how}",
        hint="find out where it comes from; without --trusted-keys nobody asks who signed",
        code="SignatureDoesNotMatch",
    )


def _unsealer(source: ObjectSource, contents: Contents, open_key: OpenKey) -> Unsealer | None:
    if not archive_members.is_sealed(contents.members):
        return None
    (key,) = [member for member in contents.members.members if member.name == KEY]
    return Unsealer(read_member(source, contents, key), open_key)


def _first(members: Members, is_sealed: bool) -> Member:
    """The member that is the manifest."""
    member = members.members[1 if is_sealed else 0]
    refuse(member.name != MANIFEST + (SEALED if is_sealed else ""), "the archive has no manifest")
    return member


def _require_same(manifest: Manifest, members: Members) -> None:
    """Raises CorruptStoreError unless the manifest is of the archive that it stands in."""
    refuse(
        (manifest.archive_id, manifest.stored, manifest.encrypted)
        != (members.archive_id, members.stored, archive_members.is_sealed(members)),
        f"{MANIFEST} is of another archive",
    )
    placed = [place_of(member.name) for member in members.members]
    disks = dict.fromkeys(place[0] for place in placed if place is not None)
    refuse(
        list(disks) != list(range(len(manifest.disks))),
        f"the disks are not those of {MANIFEST}",
    )
