#!/usr/bin/env python3
"""Measure collecting garbage: after many nights, and with many snapshots.

Nights: each night 2.5 per cent of the pages of a disk of random bytes change, a snapshot is taken,
all but seven are deleted, garbage is collected. In the end the store is measured against what is
alive, and a restore of the newest snapshot against one from a store that has nothing else. Many:
the same changes in 10 and in 1,000 snapshots, one collection of each.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

import measure
import peers
import tables

PAGE = 4096
MIB = 1 << 20
KEPT = 7
CHANGED = 0.025


class Bench:
    """A disk of random bytes, and stores of its snapshots."""

    def __init__(self, amictl: str, work: Path, size_mib: int) -> None:
        self.amictl = amictl
        self.folder = measure.fresh(work / "collecting")
        self.environment = measure.clean_environment(self.folder / "home")
        self.disk = self.folder / "disk.raw"
        self.random = random.Random(1)
        self.pages = size_mib * MIB // PAGE
        with self.disk.open("wb") as file:
            for _ in range(size_mib):
                file.write(self.random.randbytes(MIB))

    def run(self, store: str, *words: str) -> str:
        command = [self.amictl, *words, "--store", str(self.folder / store)]
        return measure.output_of([*command], self.environment)

    def timed(self, store: str, *words: str) -> float:
        measure.settle()
        command = [self.amictl, *words, "--store", str(self.folder / store)]
        return measure.timed([*command], self.environment)[0].seconds

    def change(self, pages: int) -> None:
        """Other bytes in so many pages, wherever they are."""
        with self.disk.open("r+b") as file:
            for _ in range(pages):
                file.seek(self.random.randrange(self.pages) * PAGE)
                file.write(self.random.randbytes(PAGE))

    def snapshot(self, store: str) -> str:
        return self.run(store, "create-snapshot", "--full-read", "--quiet", str(self.disk))

    def described(self, store: str) -> Any:
        return json.loads(self.run(store, "describe-store", "--output", "json"))


def nights(bench: Bench, count: int) -> dict[str, float]:
    """The store against what is alive, and the restore against one from a fresh store."""
    kept: list[str] = []
    seconds = []
    for _ in range(count):
        bench.change(int(bench.pages * CHANGED))
        kept.append(bench.snapshot("nights"))
        if len(kept) > KEPT:
            bench.run("nights", "delete-snapshot", "--snapshot-id", kept.pop(0))
            seconds.append(bench.timed("nights", "collect-garbage", "--yes-delete-most"))
    fresh = bench.snapshot("fresh")
    found = bench.described("nights")
    return {
        "stored": found["StoredBytes"],
        "alive": found["UniqueBytes"],
        "collect": statistics.median(seconds),
        "restore": restored(bench, "nights", kept[-1]),
        "restore fresh": restored(bench, "fresh", fresh),
    }


def restored(bench: Bench, store: str, snapshot_id: str) -> float:
    """Seconds of a restore, the median of three."""
    target = bench.folder / "restored.raw"
    times = []
    for _ in range(3):
        target.unlink(missing_ok=True)
        measure.warm(bench.folder / store)
        words = ["create-volume", "--snapshot-id", snapshot_id, str(target)]
        times.append(bench.timed(store, *words))
    return statistics.median(times)


def many(bench: Bench, count: int, changed_pages: int) -> float:
    """Seconds of a collection with so many snapshots, which together changed so many pages."""
    store = f"many{count}"
    for _ in range(count):
        bench.change(max(1, changed_pages // count))
        bench.snapshot(store)
    kept = bench.folder / "kept"
    times = []
    shutil.copytree(bench.folder / store, kept)
    for _ in range(3):
        shutil.rmtree(bench.folder / store)
        shutil.copytree(kept, bench.folder / store)
        measure.warm(bench.folder / store)
        times.append(bench.timed(store, "collect-garbage", "--dry-run"))
    shutil.rmtree(kept)
    return statistics.median(times)


def table(seen: dict[str, float], few: float, lots: float, counts: tuple[int, int]) -> str:
    """Medians, ratios and limits."""
    slower = lots / few
    restore = seen["restore fresh"] / seen["restore"]
    rows = [
        [
            f"store after {counts[0]} nights, against what is alive",
            tables.megabytes(seen["stored"]),
            tables.megabytes(seen["alive"]),
            f"{seen['stored'] / seen['alive']:.2f}",
            "≤ 1.2",
        ],
        [
            "restore of the newest, against one from a fresh store",
            tables.seconds(seen["restore"]),
            tables.seconds(seen["restore fresh"]),
            f"{restore:.2f} × as fast",
            "≥ 0.5",
        ],
        [
            f"finding garbage with {counts[1]} snapshots, against 10",
            tables.seconds(lots),
            tables.seconds(few),
            f"{slower:.2f}",
            "≤ 1.1",
        ],
        ["a collection, each night", tables.seconds(seen["collect"]), "", "", ""],
    ]
    return tables.markdown(["", "amictl", "yardstick", "ratio", "limit"], rows)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--amictl", default="amictl", metavar="PATH")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()), metavar="DIR")
    parser.add_argument("--size", type=int, default=256, metavar="MIB")
    parser.add_argument("--nights", type=int, default=90, metavar="N")
    parser.add_argument("--snapshots", type=int, default=1000, metavar="N")
    parser.add_argument("--update-readme", action="store_true")
    return parser.parse_args()


def main() -> None:
    """Measure, print."""
    options = parse()
    bench = Bench(peers.found(options.amictl), options.work, options.size)
    seen = nights(bench, options.nights)
    changed = int(bench.pages * CHANGED) * 10
    few, lots = (many(bench, count, changed) for count in (10, options.snapshots))
    tables.keep("collecting", {**seen, "10": few, str(options.snapshots): lots}, options.work)
    text = table(seen, few, lots, (options.nights, options.snapshots))
    tables.publish("collecting", text, update_readme=options.update_readme)


if __name__ == "__main__":
    main()
