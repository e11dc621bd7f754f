"""Faults of archives as tar files: headers, names, sizes, order, ends."""

from collections.abc import Callable, Iterator
from typing import Any

from tests.hostile.archives import MTIME, Archive, Part, built, header, padded
from tests.hostile.corpus import Vector

Change = Callable[[Archive], object]
INVALID = "InvalidArchiveError"
DISK = 1
"""The member that most faults of headers are in: the first one of the first disk."""


def fields(at: int = DISK, **changed: bytes) -> Change:
    """One header has these fields."""
    return all_parts(lambda parts: parts[at].fields.update(changed))


def all_parts(change: Callable[[list[Part]], Any]) -> Change:
    """The members are changed when the table is made, which does not say so."""
    return lambda archive: setattr(archive, "change_all", change)


def parts(change: Callable[[list[Part]], Any]) -> Change:
    """The members are changed before the table is made, which says the same."""
    return lambda archive: setattr(archive, "change_parts", change)


def whole(change: Callable[[bytes], bytes]) -> Change:
    return lambda archive: setattr(archive, "change_bytes", change)


def named(name: str, at: int = DISK) -> Change:
    return parts(lambda found: setattr(found[at], "name", name))


def before(blocks: bytes, at: int = DISK) -> Change:
    """There are blocks before a member, which the table knows."""
    return parts(lambda found: setattr(found[at], "before", blocks))


def pax(record: bytes, kind: bytes = b"x") -> bytes:
    """An extended header with one record, as POSIX has it."""
    size = len(record) + 4
    size += len(str(size)) - 2
    line = str(size).encode() + b" " + record + b"\n"
    return header(b"PaxHeaders/member", len(line), type=kind) + padded(line)


def moved(start: int, to: int) -> Change:
    return parts(lambda found: found.insert(to, found.pop(start)))


def added(part: Part, at: int) -> Change:
    return parts(lambda found: found.insert(at, part))


def without(name: str) -> Change:
    return all_parts(lambda found: [part for part in found if part.name != name])


TYPES = {
    "hard-link": {"type": b"1", "link": b"/etc/passwd"},
    "symbolic-link": {"type": b"2", "link": b"/etc/passwd"},
    "symbolic-link-upwards": {"type": b"2", "link": b"../../../etc/passwd"},
    "character-device": {"type": b"3", "major": b"0000001", "minor": b"0000003"},
    "block-device": {"type": b"4", "major": b"0000010"},
    "directory": {"type": b"5"},
    "fifo": {"type": b"6"},
    "contiguous-file": {"type": b"7"},
    "type-of-old-tar": {"type": b"\0"},
    "type-that-is-unknown": {"type": b"Z"},
    "pax-header": {"type": b"x"},
    "global-pax-header": {"type": b"g"},
    "gnu-long-name": {"type": b"L"},
    "gnu-long-link": {"type": b"K"},
    "gnu-sparse": {"type": b"S", "prefix": bytes(41) + b"\x80" + bytes(3) + b"\xff" * 8},
    "gnu-volume-continued": {"type": b"M"},
    "gnu-label": {"type": b"V"},
    "gnu-folder-list": {"type": b"D"},
    "solaris-header": {"type": b"X"},
}
FIELDS = {
    "name-absolute-in-header": {"name": b"/etc/passwd"},
    "name-upwards-in-header": {"name": b"../../etc/passwd"},
    "name-with-more-behind-its-end": {"name": b"disk-0/000000.zst\0/../../etc/passwd"},
    "name-without-end": {"name": b"disk-0/000000.zst".ljust(100, b"x")},
    "name-empty-in-header": {"name": b""},
    "name-in-prefix": {"prefix": b"../../etc"},
    "link-of-a-regular-file": {"link": b"/etc/passwd"},
    "mode-setuid": {"mode": b"0004755"},
    "mode-with-spaces": {"mode": b"   644 "},
    "owner-number": {"uid": b"0001750"},
    "owner-name": {"user": b"root"},
    "group-name": {"group": b"wheel"},
    "device-of-a-regular-file": {"major": b"0000010"},
    "magic-of-gnu-tar": {"magic": b"ustar  \0"},
    "magic-of-old-tar": {"magic": b""},
    "version-of-ustar": {"magic": b"ustar\x0001"},
    "bytes-behind-the-prefix": {"rest": b"tar\0"},
    "checksum-wrong": {"checksum": b"000000\0 "},
    "checksum-with-spaces": {"checksum": b" 12345\0 "},
    "checksum-of-zeros": {"checksum": b""},
    "time-another": {"mtime": b"%011o" % (MTIME + 1)},
    "time-negative": {"mtime": b"\xff" * 12},
    "time-without-end": {"mtime": b"%012o" % MTIME},
    "size-one-more": {"size": b"%011o" % 25_351},
    "size-one-less": {"size": b"%011o" % 25_349},
    "size-zero": {"size": b"%011o" % 0},
    "size-of-8-gib": {"size": b"77777777777"},
    "size-without-end": {"size": b"777777777777"},
    "size-in-base-256": {"size": b"\x80" + (25_350).to_bytes(11, "big")},
    "size-of-2-to-63": {"size": b"\x80" + (2**63).to_bytes(11, "big")},
    "size-negative-in-base-256": {"size": b"\xff" * 12},
    "size-negative-in-octal": {"size": b"-0000000001"},
    "size-in-decimal": {"size": b"00000025350"},
    "size-with-spaces": {"size": b"      61406 "},
    "size-of-letters": {"size": b"0000000000x"},
    "size-empty": {"size": b""},
}
NAMES = {
    "name-absolute": "/etc/passwd",
    "name-upwards": "../../etc/passwd",
    "name-upwards-in-the-middle": "disk-0/../../000000.zst",
    "name-of-this-folder": "./disk-0/000000.zst",
    "name-of-a-folder": "disk-0/",
    "name-of-a-dot": ".",
    "name-with-two-slashes": "disk-0//000000.zst",
    "name-with-a-backslash": "disk-0\\000000.zst",
    "name-in-capitals": "DISK-0/000000.ZST",
    "name-of-other-digits": "disk-٠/000000.zst",
    "name-with-a-space": "disk-0/000000.zst ",
    "name-with-a-newline": "disk-0/000000.zst\n",
    "name-with-escape": "disk-0/\x1b[2J.zst",
    "name-of-99-bytes": "d" * 99,
    "disk-with-a-zero-before": "disk-00/000000.zst",
    "disk-negative": "disk--1/000000.zst",
    "disk-2-after-none": "disk-2/000000.zst",
    "disk-of-twenty-digits": "disk-18446744073709551616/000000.zst",
    "member-1-first": "disk-0/000001.zst",
    "member-of-seven-digits": "disk-0/0000000.zst",
    "member-of-one-digit": "disk-0/0.zst",
    "member-sealed-by-name": "disk-0/000000.zst.age",
    "member-of-another-codec": "disk-0/000000.gz",
    "member-not-of-a-disk": "README",
    "member-called-as-the-table": "members.json",
    "member-called-as-the-sums": "SHA256SUMS",
}
BEFORE = {
    "pax-path": pax(b"path=../../etc/passwd"),
    "pax-linkpath": pax(b"linkpath=/etc/passwd"),
    "pax-size": pax(b"size=9223372036854775808"),
    "pax-size-negative": pax(b"size=-1"),
    "pax-sparse": pax(b"GNU.sparse.realsize=9223372036854775807"),
    "pax-that-says-nothing": pax(b"comment="),
    "pax-of-all-that-follows": pax(b"path=../../etc/passwd", b"g"),
    "pax-with-a-length-that-lies": header(b"p", 21, type=b"x") + padded(b"99999999 path=/etc/x\n"),
    "gnu-long-name-before": header(b"././@LongLink", 300, type=b"L") + padded(b"../" * 100),
    "zeros-before-a-member": bytes(512),
    "end-before-a-member": bytes(1024),
    "noise-before-a-member": bytes(range(256)) * 2,
    "member-that-the-table-leaves-out": header(b"extra", 5) + padded(b"extra"),
}


def _orders() -> Iterator[tuple[str, Change]]:
    yield "disks-swapped", moved(1, 2)
    yield "manifest-last", moved(0, 2)
    yield "manifest-missing", parts(lambda found: found[1:])
    yield "no-members-of-disks", parts(lambda found: found[:1])
    yield "no-members-at-all", parts(lambda found: [Part("x", b"x")])
    yield "first-disk-missing", parts(lambda found: [found[0], found[2]])
    yield "second-disk-missing", parts(lambda found: found[:2])
    yield "member-twice", parts(lambda found: found.insert(2, found[1]))
    yield "manifest-twice", parts(lambda found: found.insert(1, found[0]))
    yield "key-in-a-plain-archive", added(Part("key.age", b"x"), 0)
    yield "member-of-no-bytes", parts(lambda found: setattr(found[2], "content", b""))
    yield "member-that-nobody-knows", added(Part("README", b"x"), 3)
    yield "member-of-a-third-disk", added(Part("disk-2/000000.zst", b"x"), 3)
    yield "member-more-of-the-second-disk", added(Part("disk-1/000001.zst", b"x"), 3)
    yield "table-missing", without("members.json")
    yield "sums-missing", without("SHA256SUMS")
    yield "table-twice", all_parts(lambda found: found.insert(4, found[3]))
    yield "sums-twice", all_parts(lambda found: found.append(found[-1]))
    yield "sums-before-the-table", all_parts(lambda found: found.insert(3, found.pop()))
    yield "member-after-the-sums", all_parts(lambda found: found.append(Part("x", b"x")))
    yield "table-after-the-sums", all_parts(lambda found: found.append(found.pop(3)))
    yield "signature-of-63-bytes", lambda archive: setattr(archive, "signature", bytes(63))
    yield "signature-of-65-bytes", lambda archive: setattr(archive, "signature", bytes(65))
    yield "signature-of-no-bytes", lambda archive: setattr(archive, "signature", b"")
    yield (
        "signature-after-the-sums",
        all_parts(lambda found: found.append(Part("members.json.sig", bytes(64)))),
    )


def _sums() -> Iterator[tuple[str, Change]]:
    def change(change: Callable[[bytes], bytes]) -> Change:
        def changed(found: list[Part]) -> None:
            found[-1].content = change(found[-1].content)

        return all_parts(changed)

    yield "sums-empty", change(lambda _: b"")
    yield "sums-with-another-digest", change(lambda text: b"0" * 64 + text[64:])
    yield "sums-without-a-line", change(lambda text: text.partition(b"\n")[2])
    yield "sums-with-a-line-more", change(lambda text: text + b"0" * 64 + b"  ../../etc/passwd\n")
    yield "sums-with-a-path", change(lambda text: text.replace(b"  manifest", b"  /manifest"))
    yield "sums-with-carriage-returns", change(lambda text: text.replace(b"\n", b"\r\n"))
    yield "sums-of-binary-mode", change(lambda text: text.replace(b"  ", b" *"))
    yield "sums-in-capitals", change(lambda text: text.upper())
    yield "sums-without-a-last-newline", change(lambda text: text[:-1])


def _ends() -> Iterator[tuple[str, Change]]:
    yield "empty", whole(lambda _: b"")
    yield "one-byte", whole(lambda _: b"a")
    yield "end-only", whole(lambda _: bytes(1024))
    yield "all-zeros", whole(lambda data: bytes(len(data)))
    yield "zeros-of-a-mebibyte-behind", whole(lambda data: data + bytes(1 << 20))
    yield "end-of-one-block", lambda archive: setattr(archive, "end", bytes(512))
    yield "end-missing", lambda archive: setattr(archive, "end", b"")
    yield "end-of-three-blocks", lambda archive: setattr(archive, "end", bytes(1536))
    yield "end-with-a-bit", lambda archive: setattr(archive, "end", bytes(1023) + b"\1")
    yield "end-filled-up-as-by-tar", whole(lambda data: data + bytes(-len(data) % 10_240 or 512))
    yield "byte-behind-the-end", whole(lambda data: data + b"\0")
    yield "block-behind-the-end", whole(lambda data: data + b"x" * 512)
    yield "archive-behind-the-end", whole(lambda data: data + data)
    yield "archive-behind-zeros", whole(lambda data: bytes(512) + data)
    yield "archive-behind-a-script", whole(lambda data: b"#!/bin/sh\n".ljust(512) + data)
    yield "halves-swapped", whole(lambda data: data[20_480:] + data[:20_480])
    yield (
        "noise-between-contents",
        all_parts(
            lambda found: setattr(
                found[DISK], "filled", lambda data: data + b"x" * (-len(data) % 512)
            )
        ),
    )
    yield (
        "noise-behind-the-table",
        all_parts(
            lambda found: setattr(found[3], "filled", lambda data: data + b"x" * (-len(data) % 512))
        ),
    )


def truncations() -> Iterator[tuple[str, Change]]:
    """The archive ends inside of each structure, and between any two, also at a whole block."""
    data = Archive().build()
    starts = [at for at in range(0, len(data), 512) if data[at + 257 : at + 262] == b"ustar"]
    for number, start in enumerate(starts):
        for place, at in (("before", 0), ("inside", 100), ("behind", 512), ("after", 700)):
            stop = start + at
            yield f"ends-{place}-header-{number}", whole(lambda data, stop=stop: data[:stop])


def faults() -> Iterator[tuple[str, Change, str]]:
    for fault, changed in (*TYPES.items(), *FIELDS.items()):
        yield fault, fields(**changed), "has another header than its archive says"
        yield f"table-{fault}", fields(3, **changed), "members.json"
        yield f"sums-{fault}", fields(4, **changed), "what follows members.json"
    for fault, name in NAMES.items():
        yield fault, named(name), "is not the member that comes next"
    for fault, blocks in BEFORE.items():
        yield fault, before(blocks), "is not where the one before it ends"
    for fault, change in _orders():
        yield fault, change, ""
    for fault, change in _sums():
        yield fault, change, "what follows members.json"
    for fault, change in (*_ends(), *truncations()):
        yield fault, change, ""


def vectors() -> Iterator[Vector]:
    yield Vector("archive", "right", None, "", lambda: built(lambda archive: None))
    for fault, change, reason in faults():
        yield Vector("archive", fault, INVALID, reason, lambda change=change: built(change))
