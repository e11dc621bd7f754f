"""members.json and SHA256SUMS of an archive: its table of contents. amictl-archive(5), MEMBERS."""

import math
import re
from collections.abc import Sequence

import msgspec

from amictl.errors import CorruptStoreError
from amictl.formats import tar
from amictl.formats.archive_manifest import SIZE_MAX as MANIFEST_SIZE_MAX
from amictl.formats.archive_manifest import require_version
from amictl.formats.framing import refuse
from amictl.formats.records import canonical_json
from amictl.model.archives import (
    KEY,
    MANIFEST,
    MEMBER_SIZE_MAX,
    MEMBERS_MAX,
    SEALED,
    VERSION,
    Member,
    Members,
    member_name,
)
from amictl.model.times import parse_timestamp

SIZE_MAX = 48 * 1024**2
"""The longest members.json, in bytes."""

KEY_SIZE_MAX = 64 * 1024
"""The longest key.age, in bytes."""

SEAL_EXCESS_MAX = 64 * 1024
"""Bytes by which a sealed member may be longer than what is sealed."""

FORMAT = "amictl-archive-members"
_DISK = re.compile(r"disk-(0|[1-9][0-9]{0,5})/([0-9]{6})\.zst(\.age)?")
_HEX32, _HEX64 = re.compile(r"[0-9a-f]{32}"), re.compile(r"[0-9a-f]{64}")


class _Row(msgspec.Struct, forbid_unknown_fields=True, rename="pascal"):
    name: str
    offset: int
    size: int
    sha256: str = msgspec.field(name="SHA256")


class _Document(msgspec.Struct, forbid_unknown_fields=True, rename="pascal"):
    archive_id: str
    stored: str
    members: list[_Row]
    format: str
    version: int


def encode(members: Members) -> bytes:
    """The document. Equal values give equal bytes."""
    rows = [_Row(each.name, each.offset, each.size, each.sha256) for each in members.members]
    document = _Document(members.archive_id, members.stored, rows, FORMAT, VERSION)
    return canonical_json(document) + b"\n"


def decode(data: bytes, place: str) -> Members:
    """Raises CorruptStoreError, naming `place`, unless `encode` could have written `data` of
    members that follow each other as an archive has them; UnsupportedError for a newer version.
    """
    require_version(data, FORMAT, SIZE_MAX, place)
    # Before memory is taken for each; no name has a brace.
    refuse(data.count(b"{") > 1 + MEMBERS_MAX, f"{place} lists too many members")
    try:
        document = msgspec.json.decode(data, type=_Document)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise CorruptStoreError(f"{place} cannot be read: {error}") from error
    members = Members(
        document.archive_id,
        document.stored,
        tuple(Member(row.name, row.offset, row.size, row.sha256) for row in document.members),
    )
    refuse(encode(members) != data, f"{place} is not in canonical form")
    refuse(_HEX32.fullmatch(members.archive_id) is None, f"{place} has no id of an archive")
    refuse(not 0 <= seconds_of(members.stored) <= tar.TIME_MAX, f"{place} has an impossible time")
    _require_row_after_row(members.members, place)
    return members


def is_sealed(members: Members) -> bool:
    """Whether the members are sealed: all of an archive, or none."""
    return members.members[0].name == KEY


def sums(digests: Sequence[tuple[str, str]]) -> bytes:
    """SHA256SUMS of these names and hexadecimal digests, as `sha256sum -c` reads it."""
    return "".join(f"{digest}  {name}\n" for name, digest in digests).encode("ascii")


def seconds_of(stored: str) -> int:
    """The time in the headers of an archive that was stored then; -1 for what is no time."""
    try:
        moment = parse_timestamp(stored)
        return math.floor(moment.timestamp()) if moment.tzinfo is not None else -1
    except (ValueError, OverflowError):
        return -1


def place_of(name: str) -> tuple[int, int] | None:
    """Number of the disk, and of the member in it; None for the name of another member."""
    match = _DISK.fullmatch(name)
    return (int(match[1]), int(match[2])) if match else None


def _require_row_after_row(members: Sequence[Member], place: str) -> None:
    """Names in the one order, sizes that are possible, no gaps between them."""
    refuse(not members, f"{place} lists no members")
    sealed = members[0].name == KEY
    first = [KEY, MANIFEST + SEALED] if sealed else [MANIFEST]
    refuse(len(members) < len(first), f"{place} lists no manifest")
    offset, at = tar.BLOCK_SIZE, (-1, 0)
    for number, member in enumerate(members):
        where = f"{place}: {member.name[:60]!r}"
        if number < len(first):
            refuse(member.name != first[number], f"{where} is not the member that comes next")
        else:
            at = _next_place(at, member.name, where, is_sealed=sealed)
        refuse(member.offset != offset, f"{where} is not where the one before it ends")
        size_max = _size_max(member.name, is_sealed=sealed)
        refuse(not 0 < member.size <= size_max, f"{where} has an impossible size")
        refuse(_HEX64.fullmatch(member.sha256) is None, f"{where} has no digest")
        offset = tar.next_offset(offset, member.size)


def _next_place(
    before: tuple[int, int], name: str, where: str, *, is_sealed: bool
) -> tuple[int, int]:
    """Disk and number of a member, which goes on with the disk before it, or begins the next."""
    disk, number = before
    place = place_of(name)
    refuse(
        place not in ((disk, number + 1), (disk + 1, 0))
        or name != member_name(*place, is_sealed=is_sealed),
        f"{where} is not the member that comes next",
    )
    assert place is not None
    return place


def _size_max(name: str, *, is_sealed: bool) -> int:
    if name == KEY:
        return KEY_SIZE_MAX
    plain = MANIFEST_SIZE_MAX if name.startswith(MANIFEST) else MEMBER_SIZE_MAX
    return plain + (SEAL_EXCESS_MAX if is_sealed else 0)
