#!/usr/bin/env python3
"""Measure archives: storing and restoring an image, against tar, zstd and create-image.

The image is the series' largest disk, c-table. Storing into a directory is measured against
`tar | zstd -T2 -3` of the raw file, restoring against `zstd -d` followed by `create-image` of what
that wrote: into an empty region, and into one that has the versions before. Steps are taken by
turns; the figures are medians.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import measure
import peers
import tables

BEFORE = ("a-base", "b-packages")
IMAGE = "c-table"
LATER = "d-updates"
Step = Callable[[], float]


class Bench:
    """Regions of a user in a folder, and what is timed in them.

    The region `source` has the series up to the image `LATER`; `most` has what came before that.
    """

    def __init__(self, amictl: str, series: Path, work: Path) -> None:
        self.amictl = amictl
        self.series = series
        self.folder = measure.fresh(work / "archives")
        self.environment = measure.clean_environment(self.folder / "home")
        self.archives = measure.fresh(self.folder / "bucket")
        self.disk = self.folder / "disk.raw"
        self.images: dict[str, str] = {}
        self.sizes: dict[str, int] = {}
        for region in ("source", "most"):
            self.run("create-region", region, "--directory", str(self.folder / region))
        for name in (*BEFORE, IMAGE, LATER):
            peers.link_disk(series / f"{name}.raw", self.disk)
            words = ["create-image", "--region", "source", "--name", name, "--quiet"]
            self.images[name] = self.run(*words, str(self.disk))
        for name in (*BEFORE, IMAGE):
            words = ["copy-image", "--region", "most", "--source-region", "source", "--name", name]
            self.run(*words, "--source-image-id", self.images[name])
        self.count = 0

    def run(self, *words: str) -> str:
        return measure.output_of([self.amictl, *words], self.environment)

    def timed(self, *words: str | Path) -> float:
        """Seconds of one process, after everything before it was written out."""
        measure.settle()
        return measure.timed(list(words), self.environment)[0].seconds

    def tar(self) -> float:
        """What people do without amictl."""
        peers.link_disk(self.series / f"{IMAGE}.raw", self.disk)
        measure.warm(self.disk)
        target = self.folder / "disk.tar.zst"
        target.unlink(missing_ok=True)
        command = f"tar -cf - '{self.disk}' 2>/dev/null | zstd -q -T2 -3 -o '{target}'"
        seconds = self.timed("/bin/sh", "-c", command)
        self.sizes["tar"] = target.stat().st_size
        return seconds

    def store(self, image: str, *options: str) -> float:
        """An archive in a directory; it stays there until the next one."""
        measure.warm(self.folder / "source")
        measure.fresh(self.archives)
        words = ["create-store-image-task", "--region", "source", "--bucket", str(self.archives)]
        seconds = self.timed(self.amictl, *words, "--image-id", self.images[image], *options)
        self.sizes[" ".join((image, *options))] = measure.stored(self.archives)["bytes"]
        return seconds

    def restore(self, image: str, kind: str) -> float:
        """The archive that is there, into a region that is made for it."""
        region = self._fresh(kind)
        measure.warm(self.archives)
        words = ["create-restore-image-task", "--region", region, "--name", "restored"]
        key = ["--bucket", str(self.archives), "--object-key", f"{self.images[image]}.bin"]
        return self._into(region, *words, *key)

    def decompress(self, image: str, kind: str) -> float:
        """What people do without archives, and then create-image."""
        region = self._fresh(kind)
        packed = self.folder / f"{image}.zst"
        if not packed.exists():
            raw = str(self.series / f"{image}.raw")
            measure.output_of(["zstd", "-q", "-T2", "-3", raw, "-o", str(packed)], self.environment)
        measure.warm(packed)
        self.disk.unlink(missing_ok=True)
        first = self.timed("zstd", "-q", "-d", packed, "-o", self.disk)
        words = ["create-image", "--region", region, "--name", "restored", str(self.disk)]
        return first + self._into(region, *words)

    def _into(self, region: str, *words: str) -> float:
        """Seconds of a command; the region is removed afterwards."""
        seconds = self.timed(self.amictl, *words)
        self.run("delete-region", region, "--forget")
        shutil.rmtree(self.folder / region)
        return seconds

    def _fresh(self, kind: str) -> str:
        """A new region: one that is `empty`, or has `most` of the disk."""
        self.count += 1
        region = f"{kind}{self.count}"
        folder = self.folder / region
        if kind == "most":
            shutil.copytree(self.folder / "most", folder)
            measure.warm(folder)
        self.run("create-region", region, "--directory", str(folder))
        return region


def measured(bench: Bench, rounds: int) -> dict[str, float]:
    """Medians in seconds."""
    steps: dict[str, Step] = {
        "tar": bench.tar,
        "create-image, empty": lambda: bench.decompress(IMAGE, "empty"),
        "recompressed": lambda: bench.store(IMAGE, "--recompress"),
        "restore recompressed, empty": lambda: bench.restore(IMAGE, "empty"),
        "reused": lambda: bench.store(IMAGE, "--no-recompress"),
        "restore reused, empty": lambda: bench.restore(IMAGE, "empty"),
        "create-image, most": lambda: bench.decompress(LATER, "most"),
        "later": lambda: bench.store(LATER),
        "restore, most": lambda: bench.restore(LATER, "most"),
    }
    found: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            found[name].append(step())
    return {name: statistics.median(values) for name, values in found.items()}


def table(seconds: dict[str, float], sizes: dict[str, int]) -> str:
    """Medians, ratios and floors."""

    def speed(text: str, name: str, yardstick: str, floor: str) -> list[str]:
        times = [tables.seconds(seconds[name]), tables.seconds(seconds[yardstick])]
        return [text, *times, f"{seconds[yardstick] / seconds[name]:.2f} × faster", floor]

    def size(text: str, name: str, floor: str) -> list[str]:
        ours, tar = sizes[name], sizes["tar"]
        return [text, tables.megabytes(ours), tables.megabytes(tar), f"{ours / tar:.3f}", floor]

    rows = [
        speed("store, recompressed", "recompressed", "tar", "≥ 1"),
        speed("store, stored frames reused", "reused", "tar", "≥ 1"),
        size("size, recompressed", f"{IMAGE} --recompress", "≤ 1.03"),
        size("size, stored frames reused", f"{IMAGE} --no-recompress", "≤ 1.07"),
        speed("restore, recompressed, empty region", "restore recompressed, empty",
              "create-image, empty", "≥ 1.5"),
        speed("restore, reused, empty region", "restore reused, empty",
              "create-image, empty", "≥ 1.5"),
        speed("restore into a region that has most of it", "restore, most",
              "create-image, most", "≥ 2.5"),
    ]  # fmt: skip
    return tables.markdown(["", "amictl", "yardstick", "ratio", "floor"], rows)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--amictl", default="amictl", metavar="PATH")
    parser.add_argument("--series", type=Path, metavar="DIR", help="default: WORK/series")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()), metavar="DIR")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--update-readme", action="store_true")
    return parser.parse_args()


def main() -> None:
    """Measure, print."""
    options = parse()
    series = options.series or options.work / "series"
    bench = Bench(peers.found(options.amictl), series, options.work)
    seconds = measured(bench, options.rounds)
    tables.keep("archives", {"seconds": seconds, "bytes": bench.sizes}, options.work)
    tables.publish("archives", table(seconds, bench.sizes), update_readme=options.update_readme)


if __name__ == "__main__":
    main()
