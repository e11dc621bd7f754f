"""Makes the golden store of format version 1, in tests/golden/store-v1.

Run by hand, once: `python -m tests.golden.make_store`. A golden store that is checked in is never
made again; a new version of the format gets a store of its own beside it. Ids and content come
from a seed; only what the file system says of the source files differs from run to run.
"""

import io
import json
import shutil
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from blake3 import blake3

from amictl.store import catalog
from tests.workshop import MIB, SEGMENT, Workshop

TARGET = Path(__file__).parent / "store-v1"
BENCH = Path("/tmp/golden")  # recorded as the path of the sources


def digest_of(path: Path) -> str:
    """BLAKE3 of a file, which may be sparse and large."""
    digest = blake3()
    with path.open("rb") as file:
        while piece := file.read(SEGMENT):
            digest.update(piece)
    return digest.hexdigest()


def text(lines: int, word: str) -> bytes:
    return "".join(f"{number} {word} line of a log\n" for number in range(lines)).encode()


def take(workshop: Workshop) -> dict[str, dict[str, Any]]:
    """Snapshots of all kinds; what each must restore to."""
    expected: dict[str, dict[str, Any]] = {}

    def remember(snapshot_id: str, path: Path) -> None:
        expected[snapshot_id] = {"Size": path.stat().st_size, "Blake3": digest_of(path)}

    noise = workshop.noise(30_000)
    root = workshop.file("root.raw", text(20_000, "first") + bytes(MIB) + noise)
    remember(workshop.snapshot_id(root, description="the first – mit Umlaut ü"), root)
    root = workshop.file("root.raw", text(20_000, "first") + bytes(MIB) + noise[::-1])
    remember(workshop.snapshot_id(root, tags={"Env": "golden", "A": ""}), root)
    remember(workshop.snapshot_id(root, full_read=True), root)
    remember(workshop.snapshot_id(root, parent="none"), root)
    data = workshop.file(
        "data.raw", {3 * MIB: noise[:7777], 9 * MIB: text(3000, "second")}, 12 * MIB + 513
    )
    remember(workshop.snapshot_id(data), data)
    others: list[tuple[str, bytes | dict[int, bytes], int]] = [
        ("one-byte.raw", b"x", 0),
        ("zeros.raw", bytes(SEGMENT + 1), 0),
        ("holes.raw", {}, 5 * SEGMENT),
        ("deep.raw", {SEGMENT: noise[:600], 513 * MIB: noise[:99]}, 513 * MIB + 99),
    ]
    for name, content, size in others:
        path = workshop.file(name, content, size)
        remember(workshop.snapshot_id(path), path)
    before = set(expected)
    workshop.image(
        "golden image [1]",
        root,
        ("/dev/sdf", data),
        description="all that an image can have",
        image_tags={"Role": "golden"},
        block_device_mappings=(
            {"DeviceName": "/dev/sdg", "Ebs": {"VolumeSize": 8, "VolumeType": "gp3"}},
            {"DeviceName": "/dev/sdh", "VirtualName": "ephemeral0"},
        ),
    )
    with workshop.open() as store:
        (image_id,) = catalog.image_ids(store)
        mappings = catalog.read_image(store, image_id).mappings
    for mapping, path in zip(mappings, (root, data), strict=False):
        assert mapping.snapshot_id is not None
        assert mapping.snapshot_id not in before
        remember(mapping.snapshot_id, path)
    return expected


def pack_up(root: Path, target: Path) -> None:
    """A tar file that says nothing of who made it, and when."""
    with tarfile.open(target, "w") as archive:
        for path in [root, *sorted(root.rglob("*"))]:
            entry = tarfile.TarInfo(str(Path("store") / path.relative_to(root)))
            if path.is_dir():
                entry.type, entry.mode = tarfile.DIRTYPE, 0o700
                archive.addfile(entry)
            else:
                content = path.read_bytes()
                entry.mode, entry.size = 0o600, len(content)
                archive.addfile(entry, io.BytesIO(content))


def main() -> None:
    assert not (TARGET / "store.tar").exists(), "a golden store is never made again"
    shutil.rmtree(BENCH, ignore_errors=True)
    BENCH.mkdir(mode=0o700)
    workshop = Workshop(BENCH, seed=20_260_101, start=datetime(2027, 1, 1, tzinfo=UTC))
    expected = take(workshop)
    TARGET.mkdir(exist_ok=True)
    pack_up(workshop.root, TARGET / "store.tar")
    (TARGET / "expected.json").write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n")
    shutil.rmtree(BENCH)


if __name__ == "__main__":
    main()
