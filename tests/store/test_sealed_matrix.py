"""Whoever can write to the store, and has no key, can change nothing unnoticed.

Each way to misuse a sealed frame, node or header: swapped, replayed, spliced, renamed, flipped.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from amictl.content.domains import PLAIN, Domain, SealedDomain
from amictl.content.naming import chunk_name
from amictl.content.sealing import derive
from amictl.errors import CorruptStoreError, KeyUnavailableError, UnsupportedError
from amictl.formats import frame as frame_format
from amictl.formats import node as node_format
from amictl.formats import records
from amictl.formats.frame import CODEC_STORED, Frame
from amictl.formats.framing import CHECKSUM_SIZE, checksum
from amictl.model.blockmap import Leaf
from amictl.model.records import DomainHeader
from amictl.store import domains, key_use, layout
from tests.workshop import MIB, Workshop

ID, OTHER_ID = b"\1" * 16, b"\2" * 16


def domain_of(secret: bytes, domain_id: bytes) -> SealedDomain:
    return SealedDomain(domain_id, derive(secret, domain_id))


OURS = domain_of(b"\5" * 32, ID)
OTHERS = domain_of(b"\6" * 32, OTHER_ID)


def checked(data: bytes) -> bytes:
    """With a length and a checksum that are right."""
    framed = data[:8] + len(data).to_bytes(4, "little") + data[12:-CHECKSUM_SIZE]
    return framed + checksum(framed)


def frame_of(domain: SealedDomain, content: bytes) -> bytes:
    plain = (chunk_name(content),)
    stored = tuple(domain.stored_names(plain))
    frame = Frame(stored, (len(content),), CODEC_STORED, memoryview(content), plain_names=plain)
    return domain.encode_frame(frame, os.urandom)


def node_of(domain: SealedDomain, content: bytes) -> bytes:
    plain = (chunk_name(content),)
    leaf = Leaf((len(content),), tuple(domain.stored_names(plain)), bytes(16), plain)
    return domain.encode_node(leaf, os.urandom)[1]


@dataclass(frozen=True)
class Kind:
    """A sealed thing: how one is made and opened, and where its names and its body begin."""

    make: Callable[[SealedDomain, bytes], bytes]
    open: Callable[[bytes], object]
    names: int
    body: int


DOMAINS: dict[bytes, Domain] = {ID: OURS, OTHER_ID: OTHERS, PLAIN.id: PLAIN}


def open_frame(data: bytes) -> object:
    clear = frame_format.clear_part(data)
    return DOMAINS.get(clear.domain, OURS).decode_frame(clear)


def open_node(data: bytes) -> object:
    clear = node_format.clear_part(data)
    return DOMAINS.get(clear.domain, OURS).decode_node(clear)


KINDS = {
    "frame": Kind(frame_of, open_frame, 48, 80),
    "node": Kind(node_of, open_node, 40, 104),
}
Attack = Callable[[Kind, bytes], bytes]


def spliced(kind: Kind, data: bytes) -> bytes:
    """The clear part of one with the body of another."""
    other = kind.make(OURS, b"another")
    return checked(data[: kind.body] + other[kind.body :])


def renamed(kind: Kind, data: bytes) -> bytes:
    """The body of one under the names of another."""
    other = kind.make(OURS, b"another")
    return checked(other[: kind.body] + data[kind.body :])


def moved_to_our_domain(kind: Kind, data: bytes) -> bytes:
    """Something of another domain, relabelled."""
    theirs = kind.make(OTHERS, b"content")
    return checked(
        theirs[:24] + ID + theirs[40:] if kind.names == 40 else theirs[:32] + ID + theirs[48:]
    )


def other_codec(kind: Kind, data: bytes) -> bytes:
    """Another codec of a frame; another kind and level of a node."""
    if kind.names == 40:
        return checked(data[:12] + b"\1\1" + data[14:])
    return checked(data[:20] + b"\1" + data[21:])


def name_flipped(kind: Kind, data: bytes) -> bytes:
    at = kind.names + 3
    return checked(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])


def nonce_flipped(kind: Kind, data: bytes) -> bytes:
    return checked(data[: kind.body] + bytes([data[kind.body] ^ 1]) + data[kind.body + 1 :])


def text_flipped(kind: Kind, data: bytes) -> bytes:
    at = kind.body + 30
    return checked(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])


def tag_flipped(kind: Kind, data: bytes) -> bytes:
    at = len(data) - CHECKSUM_SIZE - 1
    return checked(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])


def last_byte_missing(kind: Kind, data: bytes) -> bytes:
    shorter = data[: -CHECKSUM_SIZE - 1] + data[-CHECKSUM_SIZE:]
    if kind.names == 48:
        length = int.from_bytes(data[12:16], "little") - 1
        shorter = shorter[:12] + length.to_bytes(4, "little") + shorter[16:]
    return checked(shorter)


def all_but_the_seal_missing(kind: Kind, data: bytes) -> bytes:
    shorter = data[: kind.body + 40] + data[-CHECKSUM_SIZE:]
    if kind.names == 48:
        shorter = shorter[:12] + (40).to_bytes(4, "little") + shorter[16:]
    return checked(shorter)


def in_plain(kind: Kind, data: bytes) -> bytes:
    """The seal taken off, as if it were of the plain domain."""
    at = 14 if kind.names == 40 else 21
    domain = 24 if kind.names == 40 else 32
    return checked(data[:at] + b"\0" + data[at + 1 : domain] + bytes(16) + data[domain + 16 :])


def checksum_wrong(kind: Kind, data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


ATTACKS: dict[str, tuple[Attack, str]] = {
    "spliced": (spliced, "was changed after it was sealed"),
    "renamed": (renamed, "was changed after it was sealed"),
    "moved-to-our-domain": (moved_to_our_domain, "was changed after it was sealed"),
    "other-codec-or-level": (other_codec, "was changed after it was sealed"),
    "name-flipped": (name_flipped, "was changed after it was sealed"),
    "nonce-flipped": (nonce_flipped, "was changed after it was sealed"),
    "text-flipped": (text_flipped, "was changed after it was sealed"),
    "tag-flipped": (tag_flipped, "was changed after it was sealed"),
    "last-byte-missing": (last_byte_missing, "was changed after it was sealed"),
    "all-but-the-seal-missing": (all_but_the_seal_missing, "lengths disagree"),
    "in-plain": (in_plain, "impossible|length"),
    "checksum-wrong": (checksum_wrong, "checksum is wrong"),
}


@pytest.mark.parametrize("name", sorted(KINDS))
def test_what_nobody_touched_opens(name: str) -> None:
    kind = KINDS[name]
    assert kind.open(kind.make(OURS, b"content"))


@pytest.mark.parametrize("attack", sorted(ATTACKS))
@pytest.mark.parametrize("name", sorted(KINDS))
def test_what_was_tampered_with_is_refused(name: str, attack: str) -> None:
    kind = KINDS[name]
    tamper, message = ATTACKS[attack]
    with pytest.raises((CorruptStoreError, UnsupportedError), match=message):
        kind.open(tamper(kind, kind.make(OURS, b"content")))


@pytest.mark.parametrize("name", sorted(KINDS))
def test_no_byte_can_be_changed_unnoticed(name: str) -> None:
    kind = KINDS[name]
    data = kind.make(OURS, b"content")
    for at in range(12, len(data) - CHECKSUM_SIZE):
        with pytest.raises((CorruptStoreError, UnsupportedError)):
            kind.open(checked(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]))


# --- in a store --------------------------------------------------------------------------------


@pytest.fixture
def header(workshop: Workshop) -> DomainHeader:
    """Of a region that holds one encrypted snapshot."""
    workshop.encrypt_by_default(workshop.keys.new())
    core = workshop.core(workshop.snapshot_id(workshop.file("disk", workshop.noise(MIB))))
    with workshop.open() as store:
        return domains.read_header(store, core.domain)


def put(workshop: Workshop, place_of: str, header: DomainHeader) -> None:
    (workshop.root / layout.domain(place_of)).write_bytes(records.encode(header))


def opened(workshop: Workshop, domain_id: str) -> None:
    with workshop.open() as store:
        store.domain(domain_id)


def test_a_header_under_another_id_is_refused(workshop: Workshop, header: DomainHeader) -> None:
    put(workshop, "ab" * 16, header)
    with pytest.raises(CorruptStoreError, match="is about"):
        opened(workshop, "ab" * 16)


def test_a_header_that_was_given_another_id_is_refused(
    workshop: Workshop, header: DomainHeader
) -> None:
    put(workshop, "ab" * 16, replace(header, domain_id="ab" * 16))
    with pytest.raises(CorruptStoreError, match="another secret"):
        opened(workshop, "ab" * 16)


def test_another_commitment_is_refused(workshop: Workshop, header: DomainHeader) -> None:
    put(workshop, header.domain_id, replace(header, commitment="00" * 32))
    with pytest.raises(CorruptStoreError, match="another secret"):
        opened(workshop, header.domain_id)


def test_another_secret_is_refused(workshop: Workshop, header: DomainHeader) -> None:
    wrapped = workshop.keys.wrap(header.key_id, bytes(32))
    put(workshop, header.domain_id, replace(header, wrapped=wrapped))
    with pytest.raises(CorruptStoreError, match="another secret"):
        opened(workshop, header.domain_id)


def planted(workshop: Workshop, header: DomainHeader, domain_id: str) -> DomainHeader:
    """The header of a domain whose secret somebody else knows, who knows our recipient."""
    secret = b"\7" * 32
    commitment = derive(secret, bytes.fromhex(domain_id)).commitment.hex()
    wrapped = workshop.keys.wrap(header.key_id, secret)
    return replace(header, domain_id=domain_id, commitment=commitment, wrapped=wrapped)


@pytest.mark.parametrize("further", ["none", "of another domain", "of another key"])
def test_a_domain_that_somebody_else_made_for_our_key_is_not_opened(
    workshop: Workshop, header: DomainHeader, further: str
) -> None:
    theirs = planted(workshop, header, "00" * 15 + "01")
    if further == "none":
        theirs = replace(theirs, further=())
    elif further == "of another key":
        with workshop.open() as store:
            made = domains.new_header(store, workshop.keys.new(), b"\7" * 32, workshop.surroundings)
        theirs = replace(theirs, further=made.further)
    put(workshop, theirs.domain_id, theirs)
    with pytest.raises(CorruptStoreError, match="not made by who has the key"):
        opened(workshop, theirs.domain_id)


def test_nothing_is_encrypted_in_a_domain_that_somebody_else_made(
    workshop: Workshop, header: DomainHeader
) -> None:
    theirs = planted(workshop, header, "00" * 15 + "01")
    put(workshop, theirs.domain_id, theirs)
    core = workshop.core(workshop.snapshot_id(workshop.file("new", workshop.noise(MIB, 2))))
    assert core.domain == header.domain_id


def test_where_there_is_no_domain_but_that_of_somebody_else_one_is_made(
    workshop: Workshop, header: DomainHeader
) -> None:
    theirs = planted(workshop, header, "00" * 15 + "01")
    put(workshop, theirs.domain_id, theirs)
    (workshop.root / layout.domain(header.domain_id)).unlink()
    core = workshop.core(workshop.snapshot_id(workshop.file("new", workshop.noise(MIB, 2))))
    assert core.domain not in (theirs.domain_id, header.domain_id)


def test_the_header_of_somebody_else_is_not_wrapped_anew(
    workshop: Workshop, header: DomainHeader
) -> None:
    theirs = planted(workshop, header, "00" * 15 + "01")
    put(workshop, theirs.domain_id, theirs)
    with workshop.open() as store, pytest.raises(CorruptStoreError, match="not made by"):
        key_use.rewrap(store, workshop.keys, theirs.domain_id)


def test_a_header_that_was_wrapped_anew_is_still_ours(
    workshop: Workshop, header: DomainHeader
) -> None:
    with workshop.open() as store:
        key_use.rewrap(store, workshop.keys, header.domain_id)
        assert domains.read_header(store, header.domain_id).generation == 1
    opened(workshop, header.domain_id)


def test_a_secret_of_another_length_is_refused(workshop: Workshop, header: DomainHeader) -> None:
    wrapped = workshop.keys.wrap(header.key_id, bytes(31))
    put(workshop, header.domain_id, replace(header, wrapped=wrapped))
    with pytest.raises(CorruptStoreError, match="another secret"):
        opened(workshop, header.domain_id)


def test_a_secret_that_is_too_long_is_refused_before_it_is_unwrapped(
    workshop: Workshop, header: DomainHeader
) -> None:
    put(workshop, header.domain_id, replace(header, wrapped="A" * 70_000))
    workshop.keys.mislay()
    with pytest.raises(CorruptStoreError, match="too long"):
        opened(workshop, header.domain_id)


def test_a_header_for_another_key_is_not_opened(workshop: Workshop, header: DomainHeader) -> None:
    put(workshop, header.domain_id, replace(header, key_id=workshop.keys.new()))
    with pytest.raises(KeyUnavailableError):
        opened(workshop, header.domain_id)


def test_a_missing_header_says_what_to_do(workshop: Workshop, header: DomainHeader) -> None:
    (workshop.root / layout.domain(header.domain_id)).unlink()
    with pytest.raises(CorruptStoreError) as caught:
        opened(workshop, header.domain_id)
    assert "put the header back" in (caught.value.hint or "")


def test_a_key_that_is_missing_is_asked_for_once(workshop: Workshop, header: DomainHeader) -> None:
    workshop.keys.mislay()
    with workshop.open() as store:
        assert not store.can_open(header.domain_id)
        workshop.keys.find()
        assert not store.can_open(header.domain_id)
