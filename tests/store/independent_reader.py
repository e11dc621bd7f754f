"""Reads a snapshot out of a store as a stranger would, by amictl-store(5) alone.

Uses no code of amictl and no index: every pack is walked for its frames or nodes.
Call it as `python independent_reader.py STORE SNAPSHOT-ID TARGET [SECRET]`; the secret is the
root secret of the snapshot's domain, in hexadecimal, as an age implementation unwraps it.
"""

import hmac
import json
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import zstandard
from blake3 import blake3
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.cmac import CMAC

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


class Domain:
    """One domain, with the keys that its root secret gives."""

    def __init__(self, domain_id: bytes, secret: bytes) -> None:
        self.id = domain_id
        extracted = hmac.digest(domain_id, secret, "sha256")
        self.naming, self.sealing, self.authenticating, self.commitment = (
            hmac.digest(extracted, f"amictl domain 1 {use}".encode() + b"\1", "sha256")
            for use in ("naming", "sealing", "authenticating", "commitment")
        )

    def stored(self, plain: bytes) -> bytes:
        return blake3(plain, key=self.naming).digest()

    def open(self, sealed: bytes, magic: bytes, codec: int, clear: bytes) -> bytes:
        subkey = b""
        for counter in (1, 2):
            cmac = CMAC(AES256(self.sealing))
            cmac.update(bytes((0, counter)) + b"X\0" + sealed[:12])
            subkey += cmac.finalize()
        associated = magic + self.id + bytes((codec,)) + blake3(clear).digest()
        return AESGCM(subkey).decrypt(sealed[12:24], sealed[24:], associated)


def all_chunks(store: Path, domain: Domain | None) -> dict[bytes, bytes]:
    """Every chunk by its name: of the plain domain, or of this one."""
    chunks = {}
    own = domain.id if domain else bytes(16)
    for place in packs(store, 0):
        for frame in pieces(*place, b"AMIFRAM1"):
            if frame[32:48] != own:
                continue
            body_length, count, needed, codec = struct.unpack_from("<IHHB", frame, 12)
            names = [frame[48 + 32 * i : 80 + 32 * i] for i in range(count)]
            end = 48 + 32 * (count + needed)
            body = frame[end:][:body_length]
            if domain:
                body = domain.open(body, frame[:8], codec, frame[:8] + frame[16:end])
                assert names == [domain.stored(body[32 * i : 32 * i + 32]) for i in range(count)]
                body = body[32 * count :]
            lengths = struct.unpack_from(f"<{count}I", body)
            payload = body[4 * count :]
            plain = zstandard.decompress(payload) if codec == 1 else payload
            position = 0
            for name, length in zip(names, lengths, strict=True):
                chunks[name] = plain[position : position + length]
                plain_name = blake3(chunks[name]).digest()
                assert name == (domain.stored(plain_name) if domain else plain_name)
                position += length
    return chunks


def all_nodes(store: Path, domain: Domain | None) -> dict[bytes, bytes]:
    """Every node by its name, of the plain domain or of this one, as if it were plain."""
    nodes = {}
    own = domain.id if domain else bytes(16)
    for place in packs(store, 1):
        for node in pieces(*place, b"AMINODE1"):
            if node[24:40] != own:
                continue
            head, names_and_body, listed = node[12:14] + node[16:18], node[40:-8], b""
            if domain:
                (count,) = struct.unpack_from("<H", node, 16)
                end = 72 + 32 * count
                listed = node[72:end]
                names_and_body = domain.open(node[end:-8], node[:8], 0, node[:8] + node[12:end])
                plain_name = blake3(head + names_and_body).digest()
                assert node[40:72] == domain.stored(plain_name)
                nodes[node[40:72]] = node[:40] + listed + names_and_body[32 * count :] + node[-8:]
            else:
                nodes[blake3(head + names_and_body).digest()] = node
    return nodes


class Reader:
    """One store, all of it in memory."""

    def __init__(self, store: Path, domain: Domain | None = None) -> None:
        self.store = store
        self.domain = domain
        self.chunks = all_chunks(store, domain)
        self.nodes = all_nodes(store, domain)

    def restore(self, snapshot_id: str, target: Path) -> None:
        core = json.loads((self.store / "snapshots" / f"{snapshot_id}.json").read_bytes())
        assert core["SnapshotId"] == snapshot_id
        if self.domain:
            self._require_mac(core, self.domain)
        with target.open("wb") as file:
            file.truncate(core["SizeBytes"])
            if core["Root"] is not None:
                self._restore(bytes.fromhex(core["Root"]), core["Height"], 0, file)

    def _require_mac(self, core: dict[str, object], domain: Domain) -> None:
        """Sorted keys and no spaces are canonical JSON where there are no fractions."""
        assert core["Domain"] == domain.id.hex()
        signatures = core["Signatures"]
        unsigned = {key: core[key] for key in core if key not in ("Signatures", "digest")}
        data = json.dumps(unsigned, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert signatures == [
            "mac:" + hmac.digest(domain.authenticating, data.encode(), "sha256").hex()
        ]

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
    place, wanted, target_file, *secrets = sys.argv[1:]
    opened = None
    for secret in secrets:
        record = json.loads((Path(place) / "snapshots" / f"{wanted}.json").read_bytes())
        opened = Domain(bytes.fromhex(record["Domain"]), bytes.fromhex(secret))
    Reader(Path(place), opened).restore(wanted, Path(target_file))
