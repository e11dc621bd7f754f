"""Collects what a stranger without a key learns from a store, by amictl-store(5) alone.

Uses no code of amictl. A fact is named by the format that it stands in, and its member; what is
null, empty or only zeros says nothing and is left out.
"""

import base64
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Facts = dict[str, set[str]]

_SKIPPED = {"format", "version", "digest"}


def facts_of(store: Path) -> Facts:
    """All facts of a store, by format."""
    facts: Facts = {}
    for path in sorted(store.rglob("*")):
        if not path.is_file():
            continue
        facts.setdefault("files", set()).update({"name", "length", "times"})
        data = path.read_bytes()
        if path.suffix == ".json" or path.name == "gc-epoch":
            _add_record(facts, json.loads(data.splitlines()[0]))
        elif path.suffix == ".pack":
            _add_pack(facts, data)
        elif path.suffix == ".run":
            facts.setdefault("index", set()).update({"names", "places"})
        elif path.name == "CURRENT":
            facts.setdefault("index", set()).update({"generation", "packs", "runs"})
    return {name: members for name, members in facts.items() if members}


def sealed_pieces(store: Path, magic: bytes, body_at: int) -> Iterator[bytes]:
    """Names and sealed bodies of all frames or nodes that are not of the plain domain."""
    for path in sorted(store.glob("packs/*.pack")):
        for piece in pieces_of(path.read_bytes()):
            if piece.startswith(magic) and any(piece[body_at - 16 : body_at]):
                yield piece[body_at:-8]


def _add_record(facts: Facts, document: dict[str, Any]) -> None:
    known = facts.setdefault(document["format"], set())
    known.update(_members(document, ""))
    if document["format"] == "amictl-domain":
        header = base64.b64decode(document["Wrapped"]).split(b"\n--- ")[0].decode()
        stanzas = [line.split()[1] for line in header.splitlines() if line.startswith("-> ")]
        known.update(f"Wrapped.{kind}" for kind in stanzas if not kind.endswith("-grease"))
        known.discard("Wrapped")


def _members(value: Any, name: str) -> Iterator[str]:
    if isinstance(value, dict):
        for member, item in value.items():
            if member not in _SKIPPED:
                yield from _members(item, f"{name}.{member}" if name else member)
    elif isinstance(value, list):
        for item in value:
            if name == "Further":
                yield f"Further.{item['Key']}"
            else:
                yield from _members(item, name)
    elif _says_something(value):
        yield name


def _says_something(value: Any) -> bool:
    return value is not None and value != "" and str(value).strip("0") != ""


def _add_pack(facts: Facts, data: bytes) -> None:
    facts.setdefault("pack", set()).update({"kind", "id", "order"})
    for piece in pieces_of(data):
        if piece.startswith(b"AMIFRAM1"):
            _add_frame(facts, piece)
        else:
            _add_node(facts, piece)


def pieces_of(data: bytes) -> Iterator[bytes]:
    (footer_length,) = struct.unpack("<I", data[-16:-12])
    at, end = 32, len(data) - footer_length
    while at < end:
        (length,) = struct.unpack_from("<I", data, at + 8)
        yield data[at : at + length]
        at += length


def _add_frame(facts: Facts, frame: bytes) -> None:
    body_length, count, needed, seal = struct.unpack_from("<IHHxB", frame, 12)
    assert needed == 0
    known = facts.setdefault("frame" if seal else "plain frame", set())
    known.update({"length", "chunks", "codec", "domain", "names"})
    if body_length + 48 + 32 * count + 8 != len(frame):
        known.add("something else")


def _add_node(facts: Facts, node: bytes) -> None:
    known = facts.setdefault("node" if node[14] else "plain node", set())
    known.update({"length", "kind", "level", "domain", "names"})
