"""Faults of the table of the members of an archive."""

from collections.abc import Callable, Iterator
from typing import Any

from tests.hostile import json_faults
from tests.hostile.archive_document_vectors import INVALID, UNSUPPORTED, Change
from tests.hostile.archives import built
from tests.hostile.corpus import Vector

TABLE_ROWS = 1_000_000


def table(**members: Any) -> Change:
    return lambda archive: setattr(archive, "change_table", lambda found: found.update(members))


def row(at: int = 1, **members: Any) -> Change:
    """One row of the table has these members."""
    return rows(lambda found: found[at].update(members))


def rows(change: Callable[[list[Any]], Any]) -> Change:
    def changed(found: dict[str, Any]) -> None:
        change(found["Members"])

    return lambda archive: setattr(archive, "change_table", changed)


def many_rows(count: int) -> Change:
    """So many, each as short as can be."""
    empty = b'{"Name":"","Offset":0,"SHA256":"","Size":0}'

    def changed(data: bytes) -> bytes:
        start, stop = data.index(b"[") + 1, data.index(b"]")
        return data[:start] + b",".join([empty] * count) + data[stop:]

    return lambda archive: setattr(archive, "change_table_bytes", changed)


TABLE = {
    "table-version-0": (table(Version=0), "members.json has an impossible version"),
    "table-of-another-format": (
        table(Format="amictl-archive"),
        "members.json is not of format amictl-archive-members",
    ),
    "table-of-another-archive": (table(ArchiveId="f" * 32), "manifest.json is of another archive"),
    "table-id-of-a-path": (
        table(ArchiveId="../../../../../../../etc/passwd."),
        "members.json has no id of an archive",
    ),
    "table-stored-at-another-time": (
        table(Stored="2026-11-22T12:00:01.000Z"),
        "members.json has another time than it says",
    ),
    "table-stored-at-no-time": (table(Stored="\x1b[2J"), "members.json has an impossible time"),
    "table-stored-before-1970": (
        table(Stored="1969-12-31T23:59:59.000Z"),
        "members.json has an impossible time",
    ),
    "table-stored-in-the-year-9999": (
        table(Stored="9999-12-31T23:59:59.999Z"),
        "members.json has an impossible time",
    ),
    "table-members-empty": (table(Members=[]), "members.json lists no members"),
    "table-members-null": (table(Members=None), "Expected `array`, got `null`"),
    "table-member-more": (table(Signers=[]), "Object contains unknown field `Signers`"),
    "row-offset-of-the-one-before": (
        row(Offset=512),
        "'disk-0/000000.zst' is not where the one before it ends",
    ),
    "row-offset-of-the-header": (
        row(Offset=3072),
        "'disk-0/000000.zst' is not where the one before it ends",
    ),
    "row-offset-one-block-on": (
        row(Offset=4096),
        "'disk-0/000000.zst' is not where the one before it ends",
    ),
    "row-offset-negative": (
        row(Offset=-512),
        "'disk-0/000000.zst' is not where the one before it ends",
    ),
    "row-offset-beyond-the-end": (
        row(Offset=1 << 40),
        "'disk-0/000000.zst' is not where the one before it ends",
    ),
    "row-offset-of-2-to-63": (
        row(Offset=1 << 63),
        "'disk-0/000000.zst' is not where the one before it ends",
    ),
    "row-offset-of-2-to-64": (
        row(Offset=1 << 64),
        "'disk-0/000000.zst' is not where the one before it ends",
    ),
    "row-offset-of-text": (
        row(Offset="3584"),
        "members.json cannot be read: Expected `int`, got `str`",
    ),
    "row-offset-fraction": (
        row(Offset=3584.5),
        "members.json cannot be read: Expected `int`, got `float`",
    ),
    "row-size-zero": (row(Size=0), "members.json: 'disk-0/000000.zst' has an impossible size"),
    "row-size-negative": (row(Size=-1), "members.json: 'disk-0/000000.zst' has an impossible size"),
    "row-size-one-more": (
        row(Size=25_351),
        "sk-0/000000.zst has another header than its archive says",
    ),
    "row-size-one-less": (
        row(Size=25_349),
        "sk-0/000000.zst has another header than its archive says",
    ),
    "row-size-one-more-at-the-end": (
        row(at=2, Size=8354),
        "sk-1/000000.zst has another header than its archive says",
    ),
    "row-size-over-64-mib": (
        row(Size=(64 << 20) + 1),
        "members.json: 'disk-0/000000.zst' has an impossible size",
    ),
    "row-size-of-2-to-63": (
        row(Size=1 << 63),
        "members.json: 'disk-0/000000.zst' has an impossible size",
    ),
    "row-manifest-over-16-mib": (
        row(at=0, Size=(16 << 20) + 1),
        "members.json: 'manifest.json' has an impossible size",
    ),
    "row-digest-of-another": (
        row(SHA256="0" * 64),
        "disk-0/000000.zst is damaged: its SHA-256 is another one",
    ),
    "row-digest-of-the-manifest": (
        rows(lambda found: found[1].update(SHA256=found[0]["SHA256"])),
        "disk-0/000000.zst is damaged: its SHA-256 is another one",
    ),
    "row-digest-in-capitals": (
        rows(lambda found: found[1].update(SHA256=found[1]["SHA256"].upper())),
        "members.json: 'disk-0/000000.zst' has no digest",
    ),
    "row-digest-too-short": (
        row(SHA256="0" * 63),
        "members.json: 'disk-0/000000.zst' has no digest",
    ),
    "row-digest-with-a-path": (
        row(SHA256="0" * 64 + "  /etc/passwd"),
        "members.json: 'disk-0/000000.zst' has no digest",
    ),
    "row-digest-null": (
        row(SHA256=None),
        "members.json cannot be read: Expected `str`, got `null`",
    ),
    "row-name-of-another": (row(Name="disk-1/000000.zst"), "is not the member that comes next"),
    "row-name-of-a-path": (row(Name="../../etc/passwd"), "is not the member that comes next"),
    "row-name-with-a-newline": (
        row(Name="disk-0/000000.zst\n"),
        "members.json: 'disk-0/000000.zst",
    ),
    "row-name-with-escape": (row(Name="\x1b]0;x\x07"), "is not the member that comes next"),
    "row-more": (
        rows(lambda found: found.append({**found[2], "Name": "disk-1/000001.zst"})),
        "'disk-1/000001.zst' is not where the one before it ends",
    ),
    "row-missing": (
        rows(lambda found: found.pop()),
        "members.json is not where the last of its members ends",
    ),
    "row-twice": (
        rows(lambda found: found.insert(1, found[1])),
        "is not the member that comes next",
    ),
    "rows-swapped": (rows(lambda found: found.reverse()), "is not the member that comes next"),
    "row-with-an-unknown-member": (row(Path="/etc/passwd"), "Object contains unknown field `Path`"),
    "row-is-a-list": (rows(lambda found: found.insert(1, [])), "Expected `object`, got `array`"),
    "a-million-rows": (many_rows(TABLE_ROWS), "members.json lists too many members"),
    "rows-of-over-48-mib": (many_rows(1_200_000), "members.json is over 50331648 bytes"),
}


NEWER = {
    "table-version-2": (table(Version=2), "members.json has format version 2; this amictl knows 1"),
}


def faults() -> Iterator[tuple[str, str, Change, str]]:
    for error, some in ((INVALID, TABLE), (UNSUPPORTED, NEWER)):
        for fault, (change, reason) in some.items():
            yield fault, error, change, reason
    for fault, changed in json_faults.FAULTS.items():
        own = lambda archive, how=changed: setattr(archive, "change_table_bytes", how)  # noqa: E731
        yield f"table-{fault}", INVALID, own, "members.json"


def vectors() -> Iterator[Vector]:
    for fault, error, change, reason in faults():
        yield Vector("archive", fault, error, reason, lambda change=change: built(change))
