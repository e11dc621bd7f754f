"""Manifests and streams of bundles with one fault each, and the error that each must end in."""

import gzip
import io
import tarfile
import zlib
from collections.abc import Callable, Iterator

from tests.hostile.corpus import Vector

MANIFEST, STREAM = "bundle-manifest", "bundle-stream"
INVALID = "InvalidManifestError"
CORRUPT = "CorruptStoreError"
IMAGE_SIZE = 8192


def right_manifest() -> bytes:
    wrapped = "ab" * 128
    parts = "".join(
        f'<part index="{index}"><filename>x.part.0{index}</filename>'
        f'<digest algorithm="SHA1">{index:040x}</digest></part>'
        for index in range(2)
    )
    return (
        "<?xml version='1.0'?><manifest><version>2007-10-10</version><bundler><name>b</name>"
        "<version>1</version><release>0</release></bundler><machine_configuration>"
        "<architecture>x86_64</architecture><block_device_mapping><mapping><virtual>ami</virtual>"
        "<device>sda1</device></mapping><mapping><virtual>root</virtual><device>/dev/sda1</device>"
        "</mapping></block_device_mapping><product_codes/></machine_configuration>"
        "<image><name>x</name><user>123456789012</user><type>machine</type>"
        f'<digest algorithm="SHA1">{1:040x}</digest><size>8192</size>'
        "<bundled_size>4096</bundled_size>"
        f'<ec2_encrypted_key algorithm="AES-128-CBC">{wrapped}</ec2_encrypted_key>'
        f'<user_encrypted_key algorithm="AES-128-CBC">{wrapped}</user_encrypted_key>'
        f"<ec2_encrypted_iv>{wrapped}</ec2_encrypted_iv>"
        f"<user_encrypted_iv>{wrapped}</user_encrypted_iv>"
        f'<parts count="2">{parts}</parts></image><signature>{wrapped}</signature></manifest>'
    ).encode()


def vectors() -> Iterator[Vector]:
    """Manifests, and the streams that come out of the parts."""
    yield from manifests()
    yield from streams()


def manifests() -> Iterator[Vector]:
    """The right manifest, and it with faults."""
    yield Vector(MANIFEST, "right", None, "", right_manifest)
    yield from _not_xml()
    yield from _changed()


def _not_xml() -> Iterator[Vector]:
    def fault(name: str, reason: str, make: Callable[[bytes], bytes]) -> Vector:
        return Vector(MANIFEST, name, INVALID, reason, lambda: make(right_manifest()))

    def declared(text: bytes) -> Callable[[bytes], bytes]:
        return lambda data: data.replace(b"<manifest>", text + b"<manifest>", 1)

    yield fault("zero-length", "not XML", lambda _: b"")
    yield fault("no-xml", "not XML", lambda _: b"hello")
    yield fault("half", "not XML", lambda data: data[: len(data) // 2])
    yield fault("last-byte-missing", "not XML", lambda data: data[:-1])
    yield fault("second-root", "not XML", lambda data: data + b"<manifest/>")
    yield fault("text-behind-the-end", "not XML", lambda data: data + b"x")
    yield fault("end-tag-of-another", "not XML", lambda data: data.replace(b"</user>", b"</usr>"))
    yield fault("document-type", "a document type", declared(b"<!DOCTYPE manifest>"))
    yield fault(
        "document-type-elsewhere",
        "a document type",
        declared(b'<!DOCTYPE manifest SYSTEM "http://127.0.0.1:1/x.dtd">'),
    )
    laughs = b"".join(
        b'<!ENTITY l%d "%s">' % (level, b"&l%d;" % (level - 1) * 10) for level in range(1, 30)
    )
    yield fault(
        "billion-laughs",
        "a document type",
        declared(b'<!DOCTYPE m [<!ENTITY l0 "ha">' + laughs + b"]>"),
    )
    yield fault(
        "entity-of-a-file",
        "a document type",
        declared(b'<!DOCTYPE m [<!ENTITY f SYSTEM "file:///etc/passwd">]>'),
    )
    yield fault(
        "entity-of-parameters",
        "a document type",
        declared(b'<!DOCTYPE m [<!ENTITY % p SYSTEM "file:///etc/passwd">%p;]>'),
    )
    yield fault("entity-unknown", "not XML", lambda data: data.replace(b"machine<", b"&f;<"))
    yield fault("comment", "a comment", declared(b"<!-- x -->"))
    yield fault(
        "comment-that-hides", "a comment", lambda data: data.replace(b"<image>", b"<!--<image>-->")
    )
    yield fault("instruction", "a processing instruction", declared(b"<?php x?>"))
    yield fault("style-sheet", "a processing instruction", declared(b'<?xml-stylesheet href="x"?>'))
    yield fault(
        "cdata",
        "a CDATA section",
        lambda data: data.replace(b">machine<", b"><![CDATA[machine]]><"),
    )
    yield fault("version-1.1", "", lambda data: data.replace(b"'1.0'", b"'1.1'"))
    yield fault(
        "latin-1", "only 1.0 in UTF-8", lambda data: data.replace(b"'1.0'", b"'1.0' encoding='l1'")
    )
    yield fault("utf-16", "not UTF-8", lambda data: data.decode().encode("utf-16"))
    yield fault("utf-32", "not UTF-8", lambda data: data.decode().encode("utf-32-be"))
    yield fault("no-utf-8", "not XML", lambda data: data.replace(b">machine<", b">\xff\xfe<"))
    yield fault("zero-byte", "not XML", lambda data: data.replace(b">machine<", b">a\0b<"))
    yield fault(
        "namespace", "namespaces", lambda data: data.replace(b"<image>", b'<image xmlns="x">')
    )
    yield fault("prefix", "namespaces", lambda data: data.replace(b"user>", b"x:user>"))
    yield fault("deep", "nested more than 8", lambda _: b"<a>" * 9 + b"</a>" * 9)
    yield fault("very-deep", "nested more than 8", lambda _: b"<a>" * 1_000_000)
    yield fault("many-elements", "elements", lambda _: b"<a>" + b"<b/>" * 200_000 + b"</a>")
    yield fault(
        "long-text",
        "too long",
        lambda data: data.replace(b">machine<", b">" + b"x" * 20_000 + b"<"),
    )
    yield fault("large", "at most", lambda data: data + b" " * (8 << 20))
    yield fault(
        "attribute-twice",
        "not XML",
        lambda data: data.replace(b'count="2"', b'count="2" count="3"'),
    )
    yield fault(
        "many-attributes",
        "attributes",
        lambda data: data.replace(
            b'count="2"', b" ".join(b'a%d=""' % number for number in range(1000))
        ),
    )
    yield fault(
        "long-attribute",
        "too long",
        lambda data: data.replace(b'count="2"', b'count="' + b"2" * 20_000 + b'"'),
    )


_CHANGES = {
    "root-of-another-name": ("no manifest", "manifest>", "document>"),
    "element-unknown": ("unknown element 'extra'", "<image>", "<image><extra>1</extra>"),
    "attribute-unknown": ("unknown attribute 'x'", "<image>", '<image x="1">'),
    "image-twice": ("has image twice", "<signature>", "<image></image><signature>"),
    "digest-twice": (
        "has digest twice",
        "<size>",
        f'<digest algorithm="SHA1">{2:040x}</digest><size>',
    ),
    "name-twice": ("has name twice", "<user>", "<name>y</name><user>"),
    "part-inside-of-a-part": ("unknown element 'part'", "<filename>", "<part/><filename>"),
    "text-beside-elements": ("text beside", "<image>", "<image>hello"),
    "text-in-codes": ("text where elements", "codes/>", "codes>x</product_codes>"),
    "name-missing": ("image has no name", "<name>x</name>", ""),
    "size-missing": ("image has no size", "<size>8192</size>", ""),
    "version-unknown": ("'2099-01-01', which is not known", "2007-10-10", "2099-01-01"),
    "version-3-with-a-machine": ("would not be signed", "2007-10-10", "3"),
    "name-that-is-a-path": ("not the name of a file", "<name>x<", "<name>../../etc/passwd<"),
    "name-that-is-absolute": ("not the name of a file", "<name>x<", "<name>/etc/passwd<"),
    "name-hidden": ("not the name of a file", "<name>x<", "<name>.bashrc<"),
    "name-of-the-folder": ("not the name of a file", "<name>x<", "<name>..<"),
    "name-empty": ("not the name of a file", "<name>x<", "<name><"),
    "name-of-two-lines": ("not the name of a file", "<name>x<", "<name>a&#10;b<"),
    "name-with-an-escape": ("not the name of a file", "<name>x<", "<name>a&#155;b<"),
    "name-too-long": ("not the name of a file", "<name>x<", f"<name>{'x' * 300}<"),
    "part-that-is-a-path": ("not the name of a file", "x.part.00", "../x.part.00"),
    "part-that-is-absolute": ("not the name of a file", "x.part.00", "/dev/zero"),
    "part-twice": ("one file name", "x.part.01", "x.part.00"),
    "index-twice": ("given twice", 'index="1"', 'index="0"'),
    "index-beyond": ("given twice, or too large", 'index="1"', 'index="2"'),
    "index-negative": ("expected 0 to", 'index="1"', 'index="-1"'),
    "index-missing": ("expected 0 to", ' index="1"', ""),
    "count-too-small": ("counts 1 parts and names 2", 'count="2"', 'count="1"'),
    "count-too-large": ("counts 3 parts and names 2", 'count="2"', 'count="3"'),
    "count-beyond-memory": ("expected 0 to", 'count="2"', 'count="999999999999"'),
    "count-missing": ("expected 0 to", ' count="2"', ""),
    "size-negative": ("size is '-1'", "<size>8192<", "<size>-1<"),
    "size-zero": ("size is '0'", "<size>8192<", "<size>0<"),
    "size-with-a-zero-before": ("size is '08192'", "<size>8192<", "<size>08192<"),
    "size-in-other-digits": ("expected 1 to", "<size>8192<", "<size>\u0668<"),
    "size-beyond-disks": ("expected 1 to", "<size>8192<", "<size>99999999999999<"),
    "size-of-a-thousand-digits": ("expected 1 to", "<size>8192<", f"<size>{'9' * 1000}<"),
    "bundled-size-of-text": ("bundled_size is 'many'", ">4096<", ">many<"),
    "digest-too-short": ("40 hexadecimal digits", f"{1:040x}</digest><size>", "ab</digest><size>"),
    "digest-of-md5": ("'MD5', not SHA1", f'SHA1">{1:040x}</digest><s', 'MD5">00</digest><s'),
    "digest-without-its-kind": ("'None', not SHA1", f' algorithm="SHA1">{0:040x}<', ">00<"),
    "cipher-of-another-kind": ("'RC4', not AES", '"AES-128-CBC">', '"RC4">'),
    "key-not-hexadecimal": ("not hexadecimal", 'CBC">abab', 'CBC">xyab'),
    "key-of-odd-digits": ("not hexadecimal", 'CBC">ab', 'CBC">a'),
    "key-empty": ("not hexadecimal", f'CBC">{"ab" * 128}<', 'CBC"><'),
    "key-beyond-rsa": ("not hexadecimal", 'CBC">ab', f'CBC">{"ab" * 2000}'),
    "signature-of-text": ("signature is not", "<signature>ab", "<signature>zz"),
    "signature-missing": ("has no signature", f"<signature>{'ab' * 128}</signature>", ""),
    "mapped-twice": ("virtual name twice", "<virtual>root<", "<virtual>ami<"),
    "mapping-without-a-device": ("mapping has no device", "<device>sda1</device>", ""),
    "user-empty": ("user is empty", "<user>123456789012<", "<user><"),
    "user-too-long": ("user is empty, too long", "<user>123", f"<user>{'1' * 300}"),
}  # fmt: skip


def _changed() -> Iterator[Vector]:
    for name, (reason, old, new) in _CHANGES.items():
        yield Vector(MANIFEST, name, INVALID, reason, lambda old=old, new=new: _replaced(old, new))  # type: ignore[misc]  # of their time


def _replaced(old: str, new: str) -> bytes:
    text = right_manifest().decode()
    assert old in text
    # Both tags of the root have its name; of all else the first is meant.
    return text.replace(old, new, -1 if old == "manifest>" else 1).encode()


def member(kind: bytes = tarfile.REGTYPE, size: int = IMAGE_SIZE, **fields: object) -> bytes:
    """A member as GNU tar writes it, with its content, which is not zeros."""
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, size
    for name, value in fields.items():
        setattr(info, name, value)
    content = bytes([1]) * size
    return info.tobuf(tarfile.GNU_FORMAT) + content + bytes(-size % 512)


def summed(header: bytes) -> bytes:
    """A header with the checksum that it should have."""
    header = header[:148] + b" " * 8 + header[156:]
    return header[:148] + b"%06o\0 " % sum(header) + header[156:]


def sparse(
    extents: list[tuple[int, int]], stored: int | None = None, real: int = IMAGE_SIZE
) -> bytes:
    """A sparse member in the old form of GNU, with any extents."""
    total = sum(length for _, length in extents) if stored is None else stored
    header = bytearray(member(b"S", size=total)[:512])
    entries = [b"%011o\0%011o\0" % extent for extent in extents]
    header[386:482] = b"".join(entries[:4]).ljust(96, b"\0")
    header[482] = len(entries) > 4
    header[483:495] = b"%011o\0" % real
    blocks = [summed(bytes(header))]
    for start in range(4, len(entries), 21):
        more = bytes([start + 21 < len(entries)])
        blocks.append(b"".join(entries[start : start + 21]).ljust(504, b"\0") + more + bytes(7))
    return b"".join(blocks) + bytes([1]) * total + bytes(-total % 512)


def pax(record: bytes) -> bytes:
    return member(b"x", size=len(record))[:512] + record.ljust(-(-len(record) // 512) * 512, b"\0")


def _gzipped(data: bytes) -> Callable[[], bytes]:
    return lambda: gzip.compress(data, mtime=0)


END = bytes(1024)


def streams() -> Iterator[Vector]:
    """The right streams, and others with faults; the image has IMAGE_SIZE bytes."""
    whole = gzip.compress(member() + END, mtime=0)
    yield Vector(STREAM, "right", None, "", lambda: whole)
    yield Vector(STREAM, "right-sparse", None, "", _gzipped(sparse([(0, 512), (2048, 512)]) + END))
    after_pax = pax(b"13 size=8192\n") + member() + END
    yield Vector(STREAM, "right-after-a-pax-header", None, "", _gzipped(after_pax))
    yield Vector(STREAM, "zero-length", CORRUPT, "ends inside", lambda: b"")
    yield Vector(STREAM, "no-gzip", CORRUPT, "not compressed with gzip", lambda: b"hello" * 100)
    yield Vector(STREAM, "half", CORRUPT, "ends inside", lambda: whole[: len(whole) // 2])
    yield Vector(STREAM, "without-its-checksum", CORRUPT, "ends inside", lambda: whole[:-8])
    yield Vector(
        STREAM, "checksum-wrong", CORRUPT, "gzip", lambda: whole[:-8] + bytes(4) + whole[-4:]
    )
    yield Vector(STREAM, "bytes-behind-it", CORRUPT, "goes on", lambda: whole + b"x")
    yield Vector(STREAM, "second-gzip-member", CORRUPT, "goes on", lambda: whole + whole)
    yield Vector(STREAM, "with-a-dictionary", CORRUPT, "gzip", lambda: zlib.compress(b"x"))
    for name, reason, data in tars():
        error = "UnsupportedError" if name == "sparse-in-pax" else CORRUPT
        yield Vector(STREAM, name, error, reason, _gzipped(data))
    yield Vector(
        STREAM, "bomb", CORRUPT, "long after its end", lambda: _bomb(member() + END, bytes(1 << 20))
    )
    yield Vector(
        STREAM,
        "bomb-of-extents",
        CORRUPT,
        "extents",
        lambda: _bomb(_endless(), (b"0" * 12 + b"0" * 12) * 21 + b"\1" + bytes(7)),
    )


def tars() -> Iterator[tuple[str, str, bytes]]:
    """Faults of tar streams: name, part of the message, and the stream."""
    yield "nothing-in-it", "cannot be read", END
    yield "empty", "too soon", b""
    yield "second-member", "something after", member() + member() + END
    yield "no-end", "too soon", member()
    yield "half-an-end", "too soon", member() + bytes(512)
    yield "cut-off-in-the-image", "too soon", member()[:4000]
    yield "cut-off-in-the-header", "too soon", member()[:100]
    yield "something-behind-the-end", "something after", member() + END + b"x" * 512
    yield "checksum-of-the-header", "checksum", b"y" + member()[1:] + END
    kinds = {
        "hard-link": b"1",
        "symbolic-link": b"2",
        "character-device": b"3",
        "block-device": b"4",
        "folder": b"5",
        "fifo": b"6",
        "global-pax-header": b"g",
        "long-link": b"K",
        "volume": b"M",
        "label": b"V",
        "unknown-type": b"Z",
    }
    for name, kind in kinds.items():
        yield name, "a member of the type", member(kind, linkname="/etc/passwd") + END
    yield "size-too-large", "but 8192 in the manifest", member(size=8193) + END
    yield "size-too-small", "but 8192 in the manifest", member(size=8191) + END
    yield "size-beyond-64-bits", "but 8192 in the manifest", _base_256(b"\x80" + b"\xff" * 11)
    yield "size-negative", "cannot be read", _base_256(b"\xff" * 12)
    yield "long-name-too-long", "too long", member(b"L", size=1 << 20) + member() + END
    yield "long-names-without-end", "too many headers", member(b"L", size=10) * 4 + member() + END
    yield "pax-damaged", "damaged pax", pax(b"99 size=8192\n") + member() + END
    yield "pax-of-bytes", "damaged pax", pax(b"\xff" * 20) + member() + END
    yield "pax-size-negative", "wrong size", pax(b"11 size=-1\n") + member() + END
    yield "pax-size-that-lies", "but 8192", pax(b"13 size=9999\n") + member() + END
    yield "sparse-in-pax", "manner of pax", pax(b"22 GNU.sparse.major=1\n") + member() + END
    yield "extents-overlap", "out of place", sparse([(0, 1024), (512, 512)]) + END
    yield "extents-descend", "out of place", sparse([(2048, 512), (0, 512)]) + END
    yield "extent-beyond-the-image", "out of place", sparse([(8192, 512)]) + END
    yield "extent-between-blocks", "out of place", sparse([(0, 100), (1024, 412)]) + END
    yield "extents-are-not-what-is-stored", "not what is stored", sparse([(0, 512)], 1024) + END
    yield "sparse-of-another-size", "another size", sparse([(0, 512)], real=1 << 40) + END
    wrong = sparse([(0, 512)]).replace(b"00000001000\0\0", b"0000000100x\0\0", 1)
    yield "extent-of-no-number", "cannot be read", summed(wrong[:512]) + wrong[512:] + END


def _base_256(field: bytes) -> bytes:
    header = member()[:512]
    return summed(header[:124] + field + header[136:]) + END


def _endless() -> bytes:
    header = bytearray(sparse([(0, 0)] * 5)[:512])
    return bytes(header)


def _bomb(start: bytes, piece: bytes) -> bytes:
    """Much that compresses well."""
    target = io.BytesIO()
    with gzip.GzipFile(fileobj=target, mode="wb", mtime=0, compresslevel=1) as file:
        file.write(start)
        for _ in range(max(1, (64 << 20) // len(piece))):
            file.write(piece)
    return target.getvalue()
