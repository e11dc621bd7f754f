"""Vectors: bytes with one damage each, and the error that each must raise."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from amictl import errors
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

FILES = sorted((Path(__file__).parents[1] / "golden" / "vectors").glob("*.json"))
VECTORS = [json.loads(file.read_text()) for file in FILES]
RIGHT = [vector for vector in VECTORS if vector["error"] is None]
WRONG = [vector for vector in VECTORS if vector["error"] is not None]


def title(vector: dict[str, str]) -> str:
    return f"{vector['format']}.{vector['damage']}"


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


@pytest.mark.parametrize("vector", RIGHT, ids=title)
def test_right_bytes_are_read_and_written_alike(vector: dict[str, str]) -> None:
    data = bytes.fromhex(vector["bytes"])
    assert AGAIN[vector["format"]](data) == data


@pytest.mark.parametrize("vector", WRONG, ids=title)
def test_damaged_bytes_are_refused_with_the_reason(vector: dict[str, str]) -> None:
    with pytest.raises(getattr(errors, vector["error"])) as caught:
        AGAIN[vector["format"]](bytes.fromhex(vector["bytes"]))
    assert vector["reason"] in caught.value.message


@pytest.mark.parametrize("name", sorted(AGAIN))
def test_every_format_has_right_and_damaged_vectors(name: str) -> None:
    assert any(vector["format"] == name for vector in RIGHT)
    assert sum(vector["format"] == name for vector in WRONG) >= 10
