"""Faults of what is sealed in an archive, and of the key that it is sealed to."""

from collections.abc import Callable, Iterator

import pyrage

from tests.hostile.archive_frame_vectors import repeated, zstd
from tests.hostile.archive_member_vectors import INVALID, Change, entry, frame, member, swapped
from tests.hostile.archives import (
    FIRST_SEGMENT,
    MIB,
    Part,
    built,
    leaf_entry,
    sealed_to,
    second_member,
)
from tests.hostile.corpus import Vector
from tests.hostile.identity_files import AGE, END, OTHER_KEY, SECRET, armored, protected

_NOBODY = pyrage.x25519.Identity.generate().to_public()


def identity(text: bytes) -> Change:
    return lambda archive: setattr(archive, "identity", text)


def key_file(data: bytes) -> Change:
    return lambda archive: setattr(
        archive, "change_parts", lambda parts: setattr(parts[0], "content", data)
    )


def sealed(at: int, change: Callable[[bytes], bytes]) -> Change:
    """A member, after it was sealed, is changed so."""

    def changed(parts: list[Part]) -> None:
        parts[at].content = change(parts[at].content)

    return lambda archive: setattr(archive, "change_parts", changed)


def sealed_by(seal: Callable[[bytes], bytes]) -> Change:
    return lambda archive: setattr(archive, "seal", seal)


def _of_another(data: bytes) -> bytes:
    return sealed_to(data, str(pyrage.x25519.Identity.generate().to_public()))


def _of_two(data: bytes) -> bytes:
    one = pyrage.x25519.Identity.from_str(SECRET).to_public()
    other = pyrage.x25519.Identity.generate().to_public()
    return bytes(pyrage.encrypt(data, [one, other]))


_PLUGIN = b"AGE-PLUGIN-X-1QQQ\n"

SEALED = {
    "key-empty-inside": (identity(b""), "what is in key.age is not an identity of age"),
    "key-of-two-identities": (
        identity(f"{SECRET}\n{SECRET}\n".encode()),
        "what is in key.age is not an identity of age",
    ),
    "key-with-a-comment": (
        identity(f"# a comment\n{SECRET}\n".encode()),
        "what is in key.age is not an identity of age",
    ),
    "key-without-newline": (identity(SECRET.encode()), "is more than an identity"),
    "key-in-small-letters": (identity(f"{SECRET.lower()}\n".encode()), "is more than an identity"),
    "key-of-a-plugin": (identity(_PLUGIN), "what is in key.age is not an identity of age"),
    "key-of-noise": (identity(bytes(range(256))), "what is in key.age is not an identity of age"),
    "key-of-60-kib": (
        identity(SECRET.encode() * 800),
        "what is in key.age is not an identity of age",
    ),
    "key-file-of-noise": (
        key_file(bytes(range(256))),
        "key.age cannot be opened: it is not an age file",
    ),
    "key-file-for-a-passphrase": (key_file(protected("18")), "passphrase"),
    "key-file-for-a-passphrase-of-factor-30": (
        key_file(protected("30")),
        "its passphrase has a work factor of 30, over 22",
    ),
    "key-file-of-65-recipients": (
        key_file(AGE + OTHER_KEY * 65 + END),
        "key.age cannot be opened: it has over 64 recipients",
    ),
    "key-file-of-a-thousand-recipients": (
        key_file(AGE + OTHER_KEY * 700 + END),
        "key.age cannot be opened: it has over 64 recipients",
    ),
    "key-file-without-end": (
        key_file(AGE + OTHER_KEY),
        "key.age cannot be opened: its header has no end",
    ),
    "key-file-armored": (key_file(armored(sealed_to(f"{SECRET}\n".encode()))), "armored"),
    "member-armored": (
        sealed(3, lambda _: armored(sealed_to(second_member().bytes))),
        "is armored",
    ),
    "manifest-not-sealed": (sealed(1, lambda _: b"{}\n"), "it is not an age file"),
    "manifest-sealed-twice": (
        sealed(1, sealed_to),
        "manifest.json is truncated, or not a JSON document",
    ),
    "manifest-says-plain": (
        lambda archive: archive.manifest.update(Encrypted=False),
        "manifest.json: a plain archive has an encrypted disk",
    ),
    "manifest-truncated-when-sealed": (
        sealed(1, lambda data: data[:-1]),
        "manifest.json.age cannot be opened",
    ),
    "manifest-with-a-byte-behind-when-sealed": (
        sealed(1, lambda data: data + b"\0"),
        "manifest.json.age cannot be opened",
    ),
    "manifest-with-a-bit-flipped": (
        sealed(1, lambda data: data[:-1] + bytes([data[-1] ^ 1])),
        "manifest.json.age cannot be opened",
    ),
    "member-truncated-when-sealed": (
        sealed(2, lambda data: data[:-1]),
        "disk-0/000000.zst.age cannot be opened",
    ),
    "member-with-a-bit-flipped": (
        sealed(2, lambda data: data[:-1] + bytes([data[-1] ^ 1])),
        "disk-0/000000.zst.age cannot be opened",
    ),
    "member-for-a-passphrase": (
        sealed(2, lambda _: protected("18")),
        "00.zst.age is not sealed to the key of its archive alone",
    ),
    "member-for-a-passphrase-of-factor-30": (
        sealed(2, lambda _: protected("30")),
        "its passphrase has a work factor of 30, over 22",
    ),
    "member-of-100-recipients": (
        sealed(2, lambda _: AGE + OTHER_KEY * 100 + END),
        "it has over 64 recipients",
    ),
    "members-sealed-to-another": (sealed_by(_of_another), "No matching keys found"),
    "members-sealed-to-two": (
        sealed_by(_of_two),
        "t.json.age is not sealed to the key of its archive alone",
    ),
    "members-sealed-twice": (
        sealed_by(lambda data: sealed_to(sealed_to(data))),
        "manifest.json is truncated, or not a JSON document",
    ),
    "sealed-members-swapped": (
        lambda archive: setattr(archive, "change_parts", swapped),
        "disk-0/000000.zst.age is a member of something else",
    ),
    "key-missing": (
        lambda archive: setattr(archive, "change_parts", lambda parts: parts[1:]),
        "is not the member that comes next",
    ),
    "key-after-the-manifest": (
        lambda archive: setattr(
            archive, "change_parts", lambda parts: [parts[1], parts[0], *parts[2:]]
        ),
        "is not the member that comes next",
    ),
    "plain-member-among-sealed-ones": (
        lambda archive: setattr(
            archive, "change_parts", lambda parts: setattr(parts[3], "name", "disk-1/000000.zst")
        ),
        "is not the member that comes next",
    ),
    "disk-of-4-pib-when-sealed": (
        lambda archive: archive.manifest["Disks"][0].update(SizeBytes=1 << 52),
        "/dev/sda1 has an impossible size",
    ),
    "sealed-map-of-another-archive": (
        member(archive_id=bytes(16)),
        "disk-0/000000.zst.age is a member of something else",
    ),
    "sealed-map-of-another-disk": (
        member(disk=1),
        "disk-0/000000.zst.age is a member of something else",
    ),
    "sealed-fingerprint-wrong": (
        entry(leaf_entry(FIRST_SEGMENT, bytes(16))),
        "its content has another fingerprint",
    ),
    "sealed-zstd-bomb": (frame(zstd(MIB, *repeated(2000))), "a frame cannot be decompressed"),
}


UNAVAILABLE = {
    "key-file-without-recipients": (key_file(AGE + END), "key.age"),
    "key-file-truncated": (sealed(0, lambda data: data[:-1]), "key.age"),
    "key-file-with-a-byte-behind": (sealed(0, lambda data: data + b"\0"), "key.age"),
    "key-file-to-another": (lambda archive: setattr(archive, "owner", str(_NOBODY)), "key.age"),
}


def vectors() -> Iterator[Vector]:
    yield Vector("archive", "right-sealed", None, "", lambda: built(lambda _: None, sealed=True))
    for fault, (change, reason) in SEALED.items():
        make = lambda change=change: built(change, sealed=True)  # noqa: E731
        yield Vector("archive", fault, INVALID, reason, make)
    for fault, (change, reason) in UNAVAILABLE.items():
        make = lambda change=change: built(change, sealed=True)  # noqa: E731
        yield Vector("archive", fault, "KeyUnavailableError", reason, make)
