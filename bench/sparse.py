#!/usr/bin/env python3
"""Measure what a huge, mostly empty volume costs against a small one with the same data.

Both volumes are measured in turn, each run in a store of its own; the figures are medians over the
runs. Store growth is the difference in the lengths of all files of the store before and after.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import measure
import peers
import tables
import volume
from measure import Command

GIBIBYTE = 1 << 30
KIBIBYTE = 1 << 10
EXTENT_BYTES = 1 << 20
TIME_LIMIT = 1.5
STEPS = ("snapshot", "unchanged", "unchanged, all read", "compare", "restore")
GROWTH_LIMITS = {"unchanged": 16 * KIBIBYTE, "one page changed": 128 * KIBIBYTE}
Figures = dict[str, list[float]]


class Volume:
    """A volume and the store that its snapshots are taken into."""

    def __init__(self, amictl: str, work: Path, gibibytes: int, extents: int) -> None:
        self.amictl = amictl
        self.environment = measure.clean_environment(work / "home")
        self.name = f"{gibibytes} GiB"
        self.image = work / f"{gibibytes}-gib.raw"
        self.store = work / f"{gibibytes}-gib.store"
        self.target = work / f"{gibibytes}-gib.restored"
        size = gibibytes * GIBIBYTE
        volume.make(self.image, size, extents=extents, extent_bytes=EXTENT_BYTES)
        self.middle = volume.extent_offset(extents // 2, extents, size)
        self.seconds: Figures = {step: [] for step in STEPS}
        self.grown: Figures = {step: [] for step in GROWTH_LIMITS}

    def call(self, step: str, command: str, *arguments: str | Path) -> str:
        """Run amictl on the store, note its seconds under `step`, return its stdout."""
        measure.warm(self.image, self.store)
        measure.settle()
        words: Command = [self.amictl, command, "--store", self.store, *arguments]
        sample, output = measure.timed(words, self.environment)
        if step in self.seconds:
            self.seconds[step].append(sample.seconds)
        return output.strip()

    def snapshot(self, step: str, *options: str) -> str:
        """Take a snapshot; returns its id. Notes how much the store grew."""
        before = measure.stored(self.store)["bytes"]
        snapshot_id = self.call(step, "create-snapshot", "--quiet", *options, self.image)
        if step in self.grown:
            self.grown[step].append(measure.stored(self.store)["bytes"] - before)
        return snapshot_id

    def measure_once(self, number: int) -> None:
        """All steps on an empty store."""
        measure.fresh(self.store)
        first = self.snapshot("snapshot")
        self.snapshot("unchanged")
        self.snapshot("unchanged, all read", "--full-read")
        volume.change_page(self.image, self.middle, number)
        second = self.snapshot("one page changed")
        pair = ["--first-snapshot-id", first, "--second-snapshot-id", second]
        self.call("compare", "list-changed-blocks", *pair)
        self.target.unlink(missing_ok=True)
        self.call("restore", "create-volume", "--snapshot-id", second, self.target)
        volume.require_equal(self.image, self.target)


def table(small: Volume, large: Volume) -> str:
    """Medians, ratios and growth."""
    rows = []
    for step in STEPS:
        times = [measure.median(one.seconds[step]) for one in (small, large)]
        cells = [tables.seconds(value) for value in times]
        rows.append([step, *cells, f"{times[1] / times[0]:.2f}", f"≤ {TIME_LIMIT}"])
    for step, limit in GROWTH_LIMITS.items():
        sizes = [measure.median(one.grown[step]) / KIBIBYTE for one in (small, large)]
        cells = [f"{value:.1f} KiB" for value in sizes]
        rows.append([f"store growth, {step}", *cells, "", f"< {limit // KIBIBYTE} KiB"])
    return tables.markdown(["", small.name, large.name, "ratio", "limit"], rows)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--amictl", default="amictl", metavar="PATH")
    parser.add_argument("--work", type=Path, required=True, metavar="DIR")
    parser.add_argument("--runs", type=int, default=7, metavar="N")
    parser.add_argument("--small-gib", type=int, default=4)
    parser.add_argument("--large-gib", type=int, default=1024)
    parser.add_argument("--data-mib", type=int, default=64)
    parser.add_argument("--update-readme", action="store_true")
    return parser.parse_args()


def main() -> None:
    """Make both volumes, measure in turn, print."""
    options = parse()
    amictl, work = peers.found(options.amictl), options.work.absolute() / "sparse"
    work.mkdir(parents=True, exist_ok=True)
    sizes = (options.small_gib, options.large_gib)
    volumes = [Volume(amictl, work, size, options.data_mib) for size in sizes]
    try:
        for number in range(options.runs):
            for one in volumes if number % 2 == 0 else reversed(volumes):
                one.measure_once(number)
    finally:
        measure.fresh(work).rmdir()
    results = {one.name: {"seconds": one.seconds, "grown": one.grown} for one in volumes}
    tables.keep("sparse", results, options.work)
    tables.publish("sparse", table(*volumes), update_readme=options.update_readme)


if __name__ == "__main__":
    main()
