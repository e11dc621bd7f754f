"""The page of the format is enough to read a store: a stranger's reader gives the same bytes."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from amictl.store.domains import read_header
from tests.store.independent_reader import Domain, Reader
from tests.workshop import MIB, SEGMENT, Workshop, same

READER = Path(__file__).with_name("independent_reader.py")


def contents(workshop: Workshop) -> dict[str, Path]:
    noise, text = workshop.noise(MIB), b"a line of text\n" * 50_000
    return {
        "one-byte": workshop.file("a", b"x"),
        "text": workshop.file("b", text),
        "noise": workshop.file("c", noise),
        "zeros": workshop.file("d", bytes(MIB + 3)),
        "holes": workshop.file("e", {}, 9 * MIB + 1),
        "sparse": workshop.file("f", {5 * MIB: noise, 513 * MIB: text}, 520 * MIB + 77),
        "mixed": workshop.file("g", (noise[:99_999] + bytes(99_999) + text) * 3),
        "segments": workshop.file("h", noise * 9 + b"!"),
    }


@pytest.mark.parametrize(
    "name", ["one-byte", "text", "noise", "zeros", "holes", "sparse", "mixed", "segments"]
)
def test_a_stranger_reads_the_same_bytes(workshop: Workshop, name: str) -> None:
    path = contents(workshop)[name]
    snapshot_id = workshop.snapshot_id(path)
    target = workshop.folder / "target"
    Reader(workshop.root).restore(snapshot_id, target)
    assert same(target, path)


def opened(workshop: Workshop, snapshot_id: str) -> Domain:
    """The domain of a snapshot, with the secret that only an age implementation is needed for."""
    domain_id = workshop.core(snapshot_id).domain
    with workshop.open() as store:
        header = read_header(store, domain_id)
    domain = Domain(bytes.fromhex(domain_id), workshop.keys.unwrap(header))
    assert domain.commitment.hex() == header.commitment
    return domain


@pytest.mark.parametrize(
    "name", ["one-byte", "text", "noise", "zeros", "holes", "sparse", "mixed", "segments"]
)
def test_a_stranger_with_the_key_reads_the_same_bytes(workshop: Workshop, name: str) -> None:
    workshop.encrypt_by_default(workshop.keys.new())
    path = contents(workshop)[name]
    snapshot_id = workshop.snapshot_id(path)
    target = workshop.folder / "target"
    Reader(workshop.root, opened(workshop, snapshot_id)).restore(snapshot_id, target)
    assert same(target, path)


def test_a_stranger_reads_every_snapshot_of_a_disk_that_changes(workshop: Workshop) -> None:
    versions = [
        workshop.noise(2 * SEGMENT),
        workshop.noise(SEGMENT) + workshop.noise(SEGMENT, 8),
        workshop.noise(SEGMENT) + bytes(SEGMENT // 2) + workshop.noise(SEGMENT, 8),
        workshop.noise(5000),
    ]
    ids = [workshop.snapshot_id(workshop.file("disk", version)) for version in versions]
    reader = Reader(workshop.root)
    for snapshot_id in ids:
        reader.restore(snapshot_id, workshop.folder / snapshot_id)
    assert [(workshop.folder / snapshot_id).read_bytes() for snapshot_id in ids] == versions


def test_the_reader_is_a_program_without_amictl(workshop: Workshop) -> None:
    path = workshop.file("disk", workshop.noise(MIB))
    target = workshop.folder / "target"
    words = [str(workshop.root), workshop.snapshot_id(path), str(target)]
    subprocess.run([sys.executable, "-I", str(READER), *words], check=True)
    assert target.read_bytes() == path.read_bytes()


def test_the_reader_imports_nothing_of_amictl() -> None:
    imported = {
        name
        for node in ast.walk(ast.parse(READER.read_text()))
        for name in [getattr(node, "module", None), *(a.name for a in getattr(node, "names", []))]
        if name is not None
    }
    assert not any(name.startswith("amictl") for name in imported)
