#!/usr/bin/env python3
"""Measure what encryption costs: resealing in memory, encrypting copies, encrypted snapshots.

In memory the frames of one image go into another domain, against AES-256-GCM over the same bytes
with as many processes. On disk a copy that encrypts is measured against writing the same stored
bytes to a new file and syncing it, and a full encrypted snapshot against a plain one. Steps are
taken by turns; the figures are medians. The interpreter that runs this must have amictl.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import measure
import peers
import tables
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from amictl.content.domains import PLAIN, Domain, SealedDomain
from amictl.content.resealing import ChunkNames
from amictl.content.sealing import derive
from amictl.formats import frame as frame_format
from amictl.formats.frame import STORED_SIZE_MAX
from amictl.formats.framing import Buffer
from amictl.store.carrying import Carrier, ResealedFrames
from amictl.store.forking import Child, Line, fork
from amictl.store.opening import open_store

MEMORY_BYTES = 192 * 1024 * 1024
PROCESSES = len(os.sched_getaffinity(0))
LEVEL = 3
Step = Callable[[], float]


def in_turn(steps: dict[str, Step], rounds: int) -> dict[str, list[float]]:
    """Seconds of each round of each step, after one that is not counted."""
    found: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + 1):
        for name, step in steps.items():
            seconds = step()
            if number:
                found[name].append(seconds)
    return found


def frames_of(directory: Path) -> list[bytearray]:
    """Stored frames of a region, as many as fit."""
    found: list[bytearray] = []
    with open_store(directory) as store:
        places = set()
        for run in store.index.runs:
            rows = run.rows()
            places |= set(zip(rows.packs.tolist(), rows.offsets.tolist(), strict=True))
        kinds = dict(store.index.packs.items())
        size = 0
        for number, offset in sorted(places):
            if number not in kinds or size > MEMORY_BYTES or kinds[number].kind:
                continue
            head = bytearray(16)
            pack = f"packs/{kinds[number].pack_id.hex()}.pack"
            store.storage.read_into(pack, offset, memoryview(head))
            data = bytearray(int.from_bytes(head[8:12], "little"))
            store.storage.read_into(pack, offset, memoryview(data))
            found.append(data)
            size += len(data)
    return found


Whole = tuple[memoryview, ChunkNames]
"""A frame, and the names of all its chunks, as its leaf has them."""


def in_processes(work: Callable[[Sequence[Whole]], None], frames: Sequence[Whole]) -> Step:
    """A step that takes until each of PROCESSES processes, as copies have them, has done its share.

    They are forked before, and end with this one.
    """
    children: list[Child] = []

    def live(share: Sequence[Whole], line: Line) -> None:
        while True:
            line.receive()
            work(share)
            line.send(None)

    for at in range(PROCESSES):
        fork(partial(live, frames[at::PROCESSES]), children)

    def step() -> float:
        begin = time.perf_counter()
        for child in children:
            child.line.send(None)
        for child in children:
            child.answer()
        return time.perf_counter() - begin

    return step


def bare(frames: Sequence[Whole]) -> None:
    """AES-256-GCM alone."""
    cipher, buffer = AESGCM(bytes(32)), bytearray(1 << 20)
    for frame, _ in frames:
        target = memoryview(buffer)[: len(frame) + 16]
        cipher.encrypt_into(os.urandom(12), frame, None, target)


def carried(make: Callable[[], Carrier]) -> Callable[[Sequence[Whole]], None]:
    """All frames through a carrier, all of whose chunks are used."""

    def work(frames: Sequence[Whole]) -> None:
        carrier, space = make(), memoryview(bytearray(STORED_SIZE_MAX))
        for frame, names in frames:
            carrier.carry(frame, names, space)

    return work


def whole(frame: Buffer, source: Domain, target: SealedDomain) -> Whole:
    """A frame with the names of its chunks."""
    decoded = source.decode_frame(frame_format.clear_part(frame))
    plain = decoded.plain_names or decoded.names
    both = zip(plain, target.stored_names(plain), strict=True)
    return memoryview(frame), dict(zip(decoded.names, both, strict=True))


def sealed(frames: Sequence[Whole], make: Callable[[], Carrier]) -> list[bytes]:
    """Frames as a carrier makes them."""
    carrier, space = make(), memoryview(bytearray(STORED_SIZE_MAX))
    return [bytes(space[: carrier.carry(*frame, space).size]) for frame in frames]


def sealing(directory: Path, rounds: int) -> dict[str, Any]:
    """In memory."""
    first, second = (SealedDomain(bytes([at]) * 16, derive(bytes(32), b"x" * 16)) for at in (1, 2))
    frames = [whole(frame, PLAIN, first) for frame in frames_of(directory)]

    def plain() -> Carrier:
        return ResealedFrames(PLAIN, first, LEVEL, os.urandom)

    def other() -> Carrier:
        return ResealedFrames(first, second, LEVEL, os.urandom)

    others = [whole(frame, first, second) for frame in sealed(frames, plain)]
    found: dict[str, Any] = in_turn(
        {
            "bare": in_processes(bare, frames),
            "plain to a key": in_processes(carried(plain), frames),
            "key to key": in_processes(carried(other), others),
        },
        rounds,
    )
    return found | {"bytes": sum(len(frame) for frame, _ in frames), "frames": len(frames)}


class Disk:
    """Regions of a user in a folder, and what is timed in them."""

    def __init__(self, amictl: str, image: Path, work: Path) -> None:
        self.amictl = amictl
        self.image = image
        self.work = work
        self.folder = measure.fresh(work / "copying")
        self.environment = measure.clean_environment(self.folder / "home")
        (self.folder / "home").mkdir()
        self.key = self.run("create-key", "--query", "KeyMetadata.KeyId", "--output", "text")
        self.run("create-region", "source", "--directory", str(self.folder / "source"))
        words = ["--region", "source", "--query", "SnapshotId", "--output", "text"]
        self.snapshot = self.run("create-snapshot", *words, str(image))
        self.count = 0

    @property
    def source(self) -> Path:
        return self.folder / "source"

    def run(self, *words: str) -> str:
        return measure.output_of([self.amictl, *words], self.environment)

    def _fresh_region(self) -> str:
        self.count += 1
        name = f"target{self.count}"
        self.run("create-region", name, "--directory", str(self.folder / name))
        return name

    def _timed(self, region: str, *words: str) -> float:
        measure.warm(self.image, self.source)
        measure.settle()
        command: list[str | Path] = [self.amictl, *words, "--region", region]
        sample, _ = measure.timed(command, self.environment)
        self.stored = measure.stored(self.folder / region / "packs")["bytes"]
        measure.fresh(self.folder / region)
        return sample.seconds

    def copy(self) -> float:
        """A copy that encrypts, as a process from its start to its end."""
        words = ["--source-region", "source", "--source-snapshot-id", self.snapshot]
        key = ["--encrypted", "--kms-key-id", self.key]
        return self._timed(self._fresh_region(), "copy-snapshot", *words, *key)

    def file_copy(self) -> float:
        """The same stored bytes, written to one new file and synced."""
        packs = sorted((self.source / "packs").iterdir())
        measure.warm(*packs)
        measure.settle()
        target = self.folder / "file"
        begin = time.perf_counter()
        with target.open("wb") as file:
            for pack in packs:
                with pack.open("rb") as source:
                    while data := source.read(measure.READ_BYTES):
                        file.write(data)
            file.flush()
            os.fsync(file.fileno())
        seconds = time.perf_counter() - begin
        target.unlink()
        return seconds

    def take(self, *, encrypted: bool) -> float:
        """A full snapshot into an empty region."""
        region = self._fresh_region()
        if encrypted:
            self.run("enable-ebs-encryption-by-default", "--region", region)
        return self._timed(region, "create-snapshot", str(self.image))


def on_disk(disk: Disk, rounds: int) -> dict[str, list[float]]:
    """Whole processes."""
    return in_turn(
        {
            "file copy": disk.file_copy,
            "encrypting copy": disk.copy,
            "plain snapshot": lambda: disk.take(encrypted=False),
            "encrypted snapshot": lambda: disk.take(encrypted=True),
        },
        rounds,
    )


def table(memory: dict[str, Any], disk: dict[str, list[float]]) -> str:
    """Medians, ratios and floors."""

    def row(name: str, seconds: float, against: float, limit: str) -> list[str]:
        times = [tables.seconds(seconds), tables.seconds(against)]
        return [name, *times, f"{against / seconds:.2f}", limit]

    middle = {name: statistics.median(values) for name, values in disk.items()}
    bare_seconds = statistics.median(memory["bare"])
    rows = [
        row(f"in memory, {name}, against bare AES-256-GCM", statistics.median(memory[name]),
            bare_seconds, "≥ 0.33")
        for name in ("plain to a key", "key to key")
    ]  # fmt: skip
    copied, file = middle["encrypting copy"], middle["file copy"]
    rows.append(row("encrypting copy, against a synced file copy", copied, file, "≥ 0.8"))
    sealed, plain = middle["encrypted snapshot"], middle["plain snapshot"]
    rows.append(row("full encrypted snapshot, against a plain one", sealed, plain, "≥ 0.87"))
    return tables.markdown(["", "time", "yardstick", "speed", "floor"], rows)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--amictl", default="amictl", metavar="PATH")
    parser.add_argument("--series", type=Path, metavar="DIR", help="default: WORK/series")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()), metavar="DIR")
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument("--update-readme", action="store_true")
    return parser.parse_args()


def main() -> None:
    """Measure, print."""
    options = parse()
    image = (options.series or options.work / "series") / "c-table.raw"
    disk = Disk(peers.found(options.amictl), image, options.work)
    memory = sealing(disk.source, options.rounds)
    found = on_disk(disk, options.rounds)
    tables.keep("copying", {"memory": memory, "disk": found}, options.work)
    tables.publish("copying", table(memory, found), update_readme=options.update_readme)


if __name__ == "__main__":
    main()
