"""Reads a snapshot out of a store as a stranger would, by amictl-store(5) alone.

Uses no code of amictl and no index: every pack is walked for its frames or nodes.
Call it as `python independent_reader.py STORE SNAPSHOT-ID TARGET`.
"""

import json
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import zstandard
from blake3 import blake3

SEGMENT_SIZE = 4_194_304
FANOUT = 128
HOLE = 0xFFFF
ZERO = 1 << 31


def packs(store: Path, wanted_kind: int) -> Iterator[tuple[Path, int, int]]:
    """Every pack of one kind: its file, and where its pieces begin and end."""
    for path in sorted(store.glob("packs/*.pack")):
        data = path.read_bytes()
        magic, kind, pack_id = struct.unpack_from("<8sB7x16s", data)
        assert magic == b"AMIPACK1"
        assert path.name == f"{pack_id.hex()}.pack"
        digest, footer_length, end = struct.unpack("<32sI4x8s", data[-48:])
        assert end == b"AMIPEND1"
        assert blake3(data[:-48]).digest() == digest
        assert data[-footer_length:].startswith(b"AMIFOOT1")
        if kind == wanted_kind:
            yield path, 32, len(data) - footer_length


def pieces(path: Path, start: int, stop: int, magic: bytes) -> Iterator[bytes]:
    """The frames or nodes of a pack, each of which says its own length."""
    data = path.read_bytes()
    while start < stop:
        found, length = struct.unpack_from("<8sI", data, start)
        assert found == magic
        yield data[start : start + length]
        start += length


def all_chunks(store: Path) -> dict[bytes, bytes]:
    """Every chunk of the store by its name."""
    chunks = {}
    for place in packs(store, 0):
        for frame in pieces(*place, b"AMIFRAM1"):
            body_length, count, needed, codec = struct.unpack_from("<IHHB", frame, 12)
            names = [frame[48 + 32 * i : 80 + 32 * i] for i in range(count)]
            body = frame[48 + 32 * (count + needed) :][:body_length]
            lengths = struct.unpack_from(f"<{count}I", body)
            payload = body[4 * count :]
            plain = zstandard.decompress(payload) if codec == 1 else payload
            position = 0
            for name, length in zip(names, lengths, strict=True):
                chunks[name] = plain[position : position + length]
                assert blake3(chunks[name]).digest() == name
                position += length
    return chunks


def all_nodes(store: Path) -> dict[bytes, bytes]:
    """Every node of the store, from its kind on, by its name."""
    nodes = {}
    for place in packs(store, 1):
        for node in pieces(*place, b"AMINODE1"):
            named = node[12:14] + node[16:18] + node[40:-8]
            nodes[blake3(named).digest()] = node
    return nodes


class Reader:
    """One store, all of it in memory."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self.chunks = all_chunks(store)
        self.nodes = all_nodes(store)

    def restore(self, snapshot_id: str, target: Path) -> None:
        core = json.loads((self.store / "snapshots" / f"{snapshot_id}.json").read_bytes())
        assert core["SnapshotId"] == snapshot_id
        with target.open("wb") as file:
            file.truncate(core["SizeBytes"])
            if core["Root"] is not None:
                self._restore(bytes.fromhex(core["Root"]), core["Height"], 0, file)

    def _restore(self, name: bytes, level: int, start: int, file: BinaryIO) -> None:
        node = self.nodes[name]
        kind, own_level, count = node[12], node[13], struct.unpack_from("<H", node, 16)[0]
        assert (kind, own_level) == (int(level > 0), level)
        names = [node[40 + 32 * i : 72 + 32 * i] for i in range(count)]
        body = node[40 + 32 * count : -8]
        if level == 0:
            self._restore_segment(names, body, start, file)
            return
        _, slots = struct.unpack_from("<QH", body)
        for slot, child in enumerate(struct.unpack_from(f"<{slots}H", body, 10)):
            if child != HOLE:
                at = start + slot * SEGMENT_SIZE * FANOUT ** (level - 1)
                self._restore(names[child], level - 1, at, file)

    def _restore_segment(self, names: list[bytes], body: bytes, start: int, file: BinaryIO) -> None:
        plain_length, _, count = struct.unpack_from("<I16sH", body)
        end = start + plain_length
        for word, index in struct.iter_unpack("<IH", body[22:]):
            if word & ZERO:
                start += word - ZERO
                continue
            chunk = self.chunks[names[index]]
            assert len(chunk) == word
            file.seek(start)
            file.write(chunk)
            start += word
        assert start == end
        assert len(body) == 22 + 6 * count


if __name__ == "__main__":
    Reader(Path(sys.argv[1])).restore(sys.argv[2], Path(sys.argv[3]))
