"""The readers of the store's own formats, by the names that the vectors give them.

Each reads the bytes and writes what it read: bytes in, the same bytes out, or an error.
"""

from collections.abc import Callable

from amictl.content.compressing import Decompressor
from amictl.content.domains import SealedDomain
from amictl.content.sealing import derive
from amictl.formats import (
    archive_manifest,
    archive_map,
    archive_members,
    current,
    frame,
    node,
    pack,
    records,
    run,
    tar,
)
from amictl.model.records import SnapshotCore
from tests.golden import make_sealed_vectors as sealed


def frame_again(data: bytes) -> bytes:
    found = frame.decode(data)
    return frame.encode(found.names, found.lengths, found.codec, found.payload)


def payload_again(data: bytes) -> bytes:
    """Decoded as seven plain bytes."""
    plain = bytearray(7)
    Decompressor().decode_into(frame.CODEC_ZSTD, memoryview(data), memoryview(plain))
    assert plain == b"aaabbbb"
    return data


def pack_again(data: bytes) -> bytes:
    kind, pack_id = pack.decode_header(data)
    digest, length = pack.decode_tail(data[-pack.TAIL_SIZE :])
    entries = pack.encode_entries(pack.decode_entries(data[-length:], len(data)))
    body = data[pack.HEADER_SIZE : -length]
    return (
        pack.encode_header(kind, pack_id) + body + entries + pack.encode_tail(digest, len(entries))
    )


def run_checked(data: bytes) -> bytes:
    run.require_digest(data)
    return data


DOMAIN = SealedDomain(sealed.DOMAIN, derive(sealed.SECRET, sealed.DOMAIN))


def sealed_frame_again(data: bytes) -> bytes:
    clear = frame.clear_part(data)
    found = DOMAIN.decode_frame(clear)
    return DOMAIN.encode_frame(found, lambda _: bytes(clear.body[:24]))


def sealed_node_again(data: bytes) -> bytes:
    clear = node.clear_part(data)
    found = DOMAIN.decode_node(clear)
    return DOMAIN.encode_node(found, lambda _: bytes(clear.body[:24]))[1]


AGAIN: dict[str, Callable[[bytes], bytes]] = {
    "frame": frame_again,
    "payload": payload_again,
    "leaf": lambda data: node.encode(node.decode(data)),
    "inner": lambda data: node.encode(node.decode(data)),
    "sealed-frame": sealed_frame_again,
    "sealed-node": sealed_node_again,
    "pack": pack_again,
    "current": lambda data: current.encode(current.decode(data)),
    "run": run_checked,
    "tar-header": lambda data: tar.encode(tar.decode(data)),
    "archive-map": lambda data: archive_map.encode(archive_map.decode(data)),
    "archive-manifest": lambda data: archive_manifest.encode(archive_manifest.decode(data, "here")),
    "archive-members": lambda data: archive_members.encode(archive_members.decode(data, "here")),
    "snapshot": lambda data: records.encode(records.decode(data, SnapshotCore, "here")),
}
