"""Faults of what is sealed in an archive, and of the key that it is sealed to."""

from collections.abc import Callable, Iterator

import pyrage

from tests.hostile.archive_member_vectors import (
    INVALID,
    Change,
    entry,
    frame,
    member,
    repeated,
    swapped,
    zstd,
)
from tests.hostile.archives import FIRST_SEGMENT, MIB, Part, built, leaf_entry, sealed_to
from tests.hostile.corpus import Vector
from tests.hostile.identity_files import AGE, END, OTHER_KEY, SECRET, protected

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
    "key-empty-inside": identity(b""),
    "key-of-two-identities": identity(f"{SECRET}\n{SECRET}\n".encode()),
    "key-with-a-comment": identity(f"# a comment\n{SECRET}\n".encode()),
    "key-without-newline": identity(SECRET.encode()),
    "key-in-small-letters": identity(f"{SECRET.lower()}\n".encode()),
    "key-of-a-plugin": identity(_PLUGIN),
    "key-of-noise": identity(bytes(range(256))),
    "key-of-60-kib": identity(SECRET.encode() * 800),
    "key-file-of-noise": key_file(bytes(range(256))),
    "key-file-for-a-passphrase": key_file(protected("18")),
    "key-file-for-a-passphrase-of-factor-30": key_file(protected("30")),
    "key-file-of-65-recipients": key_file(AGE + OTHER_KEY * 65 + END),
    "key-file-of-a-thousand-recipients": key_file(AGE + OTHER_KEY * 700 + END),
    "key-file-without-end": key_file(AGE + OTHER_KEY),
    "key-file-armored": key_file(
        bytes(
            pyrage.encrypt(
                f"{SECRET}\n".encode(),
                [pyrage.x25519.Identity.from_str(SECRET).to_public()],
                armored=True,
            )
        )
    ),
    "manifest-not-sealed": sealed(1, lambda _: b"{}\n"),
    "manifest-sealed-twice": sealed(1, sealed_to),
    "manifest-says-plain": lambda archive: archive.manifest.update(Encrypted=False),
    "manifest-truncated-when-sealed": sealed(1, lambda data: data[:-1]),
    "manifest-with-a-byte-behind-when-sealed": sealed(1, lambda data: data + b"\0"),
    "manifest-with-a-bit-flipped": sealed(1, lambda data: data[:-1] + bytes([data[-1] ^ 1])),
    "member-truncated-when-sealed": sealed(2, lambda data: data[:-1]),
    "member-with-a-bit-flipped": sealed(2, lambda data: data[:-1] + bytes([data[-1] ^ 1])),
    "member-for-a-passphrase": sealed(2, lambda _: protected("18")),
    "member-for-a-passphrase-of-factor-30": sealed(2, lambda _: protected("30")),
    "member-of-100-recipients": sealed(2, lambda _: AGE + OTHER_KEY * 100 + END),
    "members-sealed-to-another": sealed_by(_of_another),
    "members-sealed-to-two": sealed_by(_of_two),
    "members-sealed-twice": sealed_by(lambda data: sealed_to(sealed_to(data))),
    "sealed-members-swapped": lambda archive: setattr(archive, "change_parts", swapped),
    "key-missing": lambda archive: setattr(archive, "change_parts", lambda parts: parts[1:]),
    "key-after-the-manifest": lambda archive: setattr(
        archive, "change_parts", lambda parts: [parts[1], parts[0], *parts[2:]]
    ),
    "plain-member-among-sealed-ones": lambda archive: setattr(
        archive, "change_parts", lambda parts: setattr(parts[3], "name", "disk-1/000000.zst")
    ),
    "disk-of-4-pib-when-sealed": lambda archive: archive.manifest["Disks"][0].update(
        SizeBytes=1 << 52
    ),
    "sealed-map-of-another-archive": member(archive_id=bytes(16)),
    "sealed-map-of-another-disk": member(disk=1),
    "sealed-fingerprint-wrong": entry(leaf_entry(FIRST_SEGMENT, bytes(16))),
    "sealed-zstd-bomb": frame(zstd(MIB, *repeated(2000))),
}


UNAVAILABLE = {
    "key-file-without-recipients": key_file(AGE + END),
    "key-file-truncated": sealed(0, lambda data: data[:-1]),
    "key-file-with-a-byte-behind": sealed(0, lambda data: data + b"\0"),
    "key-file-to-another": lambda archive: setattr(archive, "owner", str(_NOBODY)),
}


def vectors() -> Iterator[Vector]:
    yield Vector("archive", "right-sealed", None, "", lambda: built(lambda _: None, sealed=True))
    for fault, change in SEALED.items():
        make = lambda change=change: built(change, sealed=True)  # noqa: E731
        yield Vector("archive", fault, INVALID, "", make)
    for fault, change in UNAVAILABLE.items():
        make = lambda change=change: built(change, sealed=True)  # noqa: E731
        yield Vector("archive", fault, "KeyUnavailableError", "", make)
