"""Finding and checking the table of contents that stands at the end of an archive.

Who made an archive is known from here alone, before anything else of it is read.
amictl-archive(5), READING.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256

from amictl.errors import CorruptStoreError, InvalidArchiveError, ObjectMissingError
from amictl.formats import archive_members, tar
from amictl.formats.framing import refuse
from amictl.formats.tar import BLOCK_SIZE, Header
from amictl.keys.public_keys import SIGNATURE_SIZE
from amictl.model.archives import MEMBERS, SIGNATURE, SUMS, Member, Members
from amictl.model.times import parse_timestamp
from amictl.storage.objects import ObjectSource

_WINDOWS = (64 * 1024, 4 * 1024**2, 64 * 1024**2)
"""So many bytes from the end are searched for the table, one after the other."""

_MEMBERS_FIELD = MEMBERS.encode() + b"\0"


@dataclass(frozen=True, slots=True)
class Contents:
    """The table of contents of an archive, which agrees with itself and with the archive's size.

    `table` are the bytes that `signature` is over, which nobody has looked at yet; None where there
    is none.
    """

    members: Members
    table: bytes
    signature: bytes | None

    @property
    def mtime(self) -> int:
        """In all headers: when it was stored, in seconds since 1970."""
        return int(parse_timestamp(self.members.stored).timestamp())


@contextmanager
def naming(where: str) -> Iterator[None]:
    """What is damaged in the block is damage of the archive at this place."""
    try:
        yield
    except (InvalidArchiveError, ObjectMissingError):
        raise
    except CorruptStoreError as error:
        raise InvalidArchiveError(f"{where}: {error.message}", hint=error.hint) from error


def read_contents(source: ObjectSource) -> Contents:
    """Raises InvalidArchiveError, UnsupportedError for a newer version, StorageError."""
    with naming(source.where):
        offset, header, tail = _found(source)
        table = bytes(tail[BLOCK_SIZE : BLOCK_SIZE + header.size])
        after = tail[BLOCK_SIZE + header.size :]
        signature_at = len(tar.padding(header.size))
        signature = _signature(after[signature_at:], header.mtime)
        contents = Contents(archive_members.decode(table, MEMBERS), table, signature)
        last = contents.members.members[-1]
        refuse(
            tar.next_offset(last.offset, last.size) != offset + BLOCK_SIZE,
            f"{MEMBERS} is not where the last of its members ends",
        )
        refuse(header.mtime != contents.mtime, f"{MEMBERS} has another time than it says")
        refuse(after != _expected_end(contents), f"what follows {MEMBERS} does not go with it")
        return contents


def read_member(source: ObjectSource, contents: Contents, member: Member) -> bytes:
    """The content of a whole member, compared with its digest.

    For members that are small. Raises CorruptStoreError, StorageError.
    """
    padding = tar.padding(member.size)
    data = source.read(member.offset - BLOCK_SIZE, BLOCK_SIZE + member.size + len(padding))
    require_header(data[:BLOCK_SIZE], contents, member)
    content = data[BLOCK_SIZE : BLOCK_SIZE + member.size]
    require_digest(sha256(content).hexdigest(), member)
    _require_zeros(data[BLOCK_SIZE + member.size :], member)
    return content


def require_header(block: bytes, contents: Contents, member: Member) -> None:
    """Raises CorruptStoreError unless a block is the header of a member."""
    header = Header(member.name, member.size, contents.mtime)
    refuse(block != tar.encode(header), f"{member.name} has another header than its archive says")


def require_padding(source: ObjectSource, member: Member) -> None:
    """Raises CorruptStoreError unless the rest of the last block of a member is zeros."""
    padding = tar.padding(member.size)
    _require_zeros(source.read(member.offset + member.size, len(padding)), member)


def _require_zeros(found: bytes, member: Member) -> None:
    refuse(any(found), f"{member.name} is followed by something that is not zeros")


def require_digest(digest: str, member: Member) -> None:
    """Raises CorruptStoreError unless a SHA-256 in hexadecimal is that of a member."""
    refuse(digest != member.sha256, f"{member.name} is damaged: its SHA-256 is another one")


def _found(source: ObjectSource) -> tuple[int, Header, memoryview]:
    """Offset and header of members.json, and all bytes from there on."""
    refuse(
        source.size % BLOCK_SIZE != 0 or source.size < 4 * BLOCK_SIZE,
        "this is not an archive, or not all of it",
    )
    for window in _WINDOWS:
        start = max(0, source.size - window)
        data = source.read(start, source.size - start)
        refuse(data[-len(tar.END) :] != tar.END, "this is not an archive, or its end is missing")
        for at in range(len(data) - BLOCK_SIZE, -1, -BLOCK_SIZE):
            header = _header_at(data, at)
            if header is not None:
                return start + at, header, memoryview(data)[at:]
        if start == 0:
            break
    raise CorruptStoreError(f"this is not an archive: it has no {MEMBERS}")


def _header_at(data: bytes, at: int) -> Header | None:
    """The header of members.json, if that is what a block is."""
    if not data.startswith(_MEMBERS_FIELD, at):
        return None
    try:
        header = tar.decode(data[at : at + BLOCK_SIZE])
    except CorruptStoreError:
        return None
    is_whole = at + BLOCK_SIZE + header.size + len(tar.END) <= len(data)
    return header if header.name == MEMBERS and is_whole else None


def _signature(after: memoryview, mtime: int) -> bytes | None:
    """The signature, if the next member is one."""
    if after[:BLOCK_SIZE] != tar.encode(Header(SIGNATURE, SIGNATURE_SIZE, mtime)):
        return None
    return bytes(after[BLOCK_SIZE : BLOCK_SIZE + SIGNATURE_SIZE])


def _expected_end(contents: Contents) -> bytes:
    """What follows the content of members.json: there is only one way to write it."""
    digests = [(member.name, member.sha256) for member in contents.members.members]
    digests.append((MEMBERS, sha256(contents.table).hexdigest()))
    parts = [tar.padding(len(contents.table))]
    if contents.signature is not None:
        digests.append((SIGNATURE, sha256(contents.signature).hexdigest()))
        parts += _member(SIGNATURE, contents.signature, contents.mtime)
    parts += _member(SUMS, archive_members.sums(digests), contents.mtime)
    return b"".join((*parts, tar.END))


def _member(name: str, content: bytes, mtime: int) -> tuple[bytes, bytes, bytes]:
    return tar.encode(Header(name, len(content), mtime)), content, tar.padding(len(content))
