"""Writes the vectors of what is sealed. See `make_vectors`.

Built with the block cipher's CMAC and GCM of a library, HMAC and the digests, by the page of the
format.
"""

import hmac
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

from blake3 import blake3
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.cmac import CMAC

from tests.golden.make_vectors import (
    CORRUPT,
    ID,
    UNSUPPORTED,
    Vector,
    checked,
    everywhere,
    leaf_body,
    u16,
    u32,
    write,
)

SECRET = b"\x5a" * 32
DOMAIN = bytes(range(100, 116))
NONCE = bytes(range(200, 224))
PLAIN_A, PLAIN_B = (blake3(text).digest() for text in (b"aaa", b"bbbb"))


def key(use: str) -> bytes:
    """HKDF-SHA256 of the secret, with the domain's id as salt."""
    extracted = hmac.digest(DOMAIN, SECRET, "sha256")
    return hmac.digest(extracted, f"amictl domain 1 {use}".encode() + b"\1", "sha256")


def stored_name(plain: bytes) -> bytes:
    return blake3(plain, key=key("naming")).digest()


NAME_A, NAME_B = stored_name(PLAIN_A), stored_name(PLAIN_B)


def sealed(plain: bytes, magic: bytes, codec: int, clear: bytes) -> bytes:
    """XAES-256-GCM, by way of CMAC."""
    subkey = b""
    for counter in (1, 2):
        cmac = CMAC(AES256(key("sealing")))
        cmac.update(bytes((0, counter)) + b"X\0" + NONCE[:12])
        subkey += cmac.finalize()
    associated = magic + DOMAIN + bytes((codec,)) + blake3(clear).digest()
    return NONCE + AESGCM(subkey).encrypt(NONCE[12:], plain, associated)


@dataclass(frozen=True)
class Frame:
    """What a sealed frame is made of; `clear_*` is what its clear part says instead."""

    names: tuple[bytes, ...] = (NAME_A, NAME_B)
    plain_names: tuple[bytes, ...] = (PLAIN_A, PLAIN_B)
    lengths: tuple[int, ...] = (3, 4)
    payload: bytes = b"aaabbbb"
    codec: int = 0
    seal: int = 1
    domain: bytes = DOMAIN
    bound_codec: int | None = None
    bound_names: tuple[bytes, ...] | None = None
    body: bytes | None = None
    dictionary: int = 0

    def head(self, names: tuple[bytes, ...]) -> bytes:
        """From offset 16 to the end of the names."""
        counts = u16(len(names), 0) + struct.pack("<BBHII", self.codec, self.seal, 0, 0, 0)
        return counts[:8] + u32(self.dictionary) + bytes(4) + self.domain + b"".join(names)

    def encoded(self) -> bytes:
        magic = b"AMIFRAM1"
        inside = b"".join(self.plain_names) + u32(*self.lengths) + self.payload
        clear = magic + self.head(self.bound_names or self.names)
        codec = self.codec if self.bound_codec is None else self.bound_codec
        body = sealed(inside, magic, codec, clear) if self.body is None else self.body
        head = self.head(self.names)
        return checked(magic + u32(16 + len(head) + len(body) + 8, len(body)) + head + body)


CHANGED = "changed after it was sealed"


def frame_vectors() -> Iterator[Vector]:
    good = Frame().encoded()
    yield "right", None, "", good
    yield from everywhere(good)
    yield (
        "names-swapped",
        CORRUPT,
        CHANGED,
        Frame(names=(NAME_B, NAME_A), bound_names=(NAME_A, NAME_B)).encoded(),
    )
    yield "codec-changed", CORRUPT, CHANGED, Frame(codec=1, bound_codec=0).encoded()
    yield "domain-of-another", CORRUPT, CHANGED, checked(good[:32] + ID + good[48:-8])
    yield "nonce-changed", CORRUPT, CHANGED, checked(good[:112] + b"\0" + good[113:-8])
    yield "tag-changed", CORRUPT, CHANGED, checked(good[:-9] + bytes([good[-9] ^ 1]))
    yield (
        "body-without-room-for-a-seal",
        CORRUPT,
        "lengths disagree",
        Frame(body=bytes(39)).encoded(),
    )
    short = Frame(body=bytes(40 + 71)).encoded()
    yield "body-without-room-for-the-names", CORRUPT, "lengths disagree", short
    yield "no-chunks", CORRUPT, "empty", Frame((), (), (), b"").encoded()
    twice = Frame((NAME_A, NAME_A), (PLAIN_A, PLAIN_A)).encoded()
    yield "chunk-twice", CORRUPT, "twice", twice
    yield "chunk-of-no-bytes-inside", CORRUPT, "impossible lengths", Frame(lengths=(0, 7)).encoded()
    yield "payload-too-long-inside", CORRUPT, "wrong length", Frame(payload=b"aaabbbbb").encoded()
    yield "seal-2", UNSUPPORTED, "sealed in an unknown way", Frame(seal=2).encoded()
    yield "not-sealed", UNSUPPORTED, "sealed in an unknown way", Frame(seal=0).encoded()
    plain = Frame(domain=bytes(16)).encoded()
    yield "sealed-in-the-plain-domain", UNSUPPORTED, "sealed in an unknown way", plain
    yield "dictionary", UNSUPPORTED, "dictionary", Frame(dictionary=1).encoded()


@dataclass(frozen=True)
class Node:
    """What a sealed leaf is made of; `name` is its own, if not the right one."""

    names: tuple[bytes, ...] = (NAME_A, NAME_B)
    plain_names: tuple[bytes, ...] = (PLAIN_A, PLAIN_B)
    body: bytes = leaf_body(5600, (5000, 0), (600, 1))
    name: bytes | None = None
    kind: int = 0
    level: int = 0
    seal: int = 1
    domain: bytes = DOMAIN
    bound_to: "Node | None" = None
    cut_off: int = 0

    def own(self) -> bytes:
        head = struct.pack("<BBH", self.kind, self.level, len(self.names))
        plain = blake3(head + b"".join(self.plain_names) + self.body).digest()
        return stored_name(plain) if self.name is None else self.name

    def head(self) -> bytes:
        """From offset 12 to the end of the names."""
        head = struct.pack("<BBBBH6s", self.kind, self.level, self.seal, 0, len(self.names), b"")
        return head + self.domain + self.own() + b"".join(self.names)

    def encoded(self) -> bytes:
        magic = b"AMINODE1"
        inside = b"".join(self.plain_names) + self.body
        body = sealed(inside, magic, 0, magic + (self.bound_to or self).head())
        body = body[: len(body) - self.cut_off]
        return checked(magic + u32(12 + len(self.head()) + len(body) + 8) + self.head() + body)


def node_vectors() -> Iterator[Vector]:
    good = Node().encoded()
    zero = leaf_body(4096, (4096 | 1 << 31, 0))
    yield "right", None, "", good
    yield "right-all-zeros", None, "", Node((), (), zero).encoded()
    yield from everywhere(good)
    right = Node()
    swapped = replace(right, names=(NAME_B, NAME_A), name=right.own(), bound_to=right)
    yield "names-swapped", CORRUPT, CHANGED, swapped.encoded()
    yield "own-name-changed", CORRUPT, CHANGED, Node(name=NAME_A, bound_to=right).encoded()
    yield "own-name-of-another", CORRUPT, "does not go with", Node(name=NAME_A).encoded()
    yield "level-changed", CORRUPT, CHANGED, Node(kind=1, level=1, bound_to=right).encoded()
    yield "domain-of-another", CORRUPT, CHANGED, checked(good[:24] + ID + good[40:-8])
    yield "nonce-changed", CORRUPT, CHANGED, checked(good[:136] + b"\0" + good[137:-8])
    yield "last-byte-of-the-tag-missing", CORRUPT, CHANGED, Node(cut_off=1).encoded()
    yield "nothing-but-a-nonce", CORRUPT, "lengths disagree", Node(cut_off=120).encoded()
    unordered = Node(body=leaf_body(5600, (5000, 1), (600, 0))).encoded()
    yield "names-not-in-order-of-first-use", CORRUPT, "order of first use", unordered
    unused = Node(body=leaf_body(5600, (5000, 0), (600, 0))).encoded()
    yield "name-that-is-not-used", CORRUPT, "does not use", unused
    twice = Node((NAME_A, NAME_A), (PLAIN_A, PLAIN_A)).encoded()
    yield "name-twice", CORRUPT, "twice", twice
    yield (
        "lengths-do-not-add-up",
        CORRUPT,
        "add up",
        Node(body=leaf_body(5601, (5000, 0), (600, 1))).encoded(),
    )
    yield "body-cut-off-inside", CORRUPT, "truncated", Node((), (), u32(1)).encoded()
    yield "kind-2", CORRUPT, "unknown kind or level", Node(kind=2).encoded()
    yield "seal-2", UNSUPPORTED, "sealed in an unknown way", Node(seal=2).encoded()
    yield "not-sealed", UNSUPPORTED, "sealed in an unknown way", Node(seal=0).encoded()
    plain = Node(domain=bytes(16)).encoded()
    yield "sealed-in-the-plain-domain", UNSUPPORTED, "sealed in an unknown way", plain


FORMATS = {"sealed-frame": frame_vectors, "sealed-node": node_vectors}


if __name__ == "__main__":
    write(FORMATS)
