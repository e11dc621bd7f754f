#!/usr/bin/env python3
"""Measure what thousands of images cost: listing them with a filter, and adding one more.

The yardstick of a listing is a process of the same interpreter that opens, reads and parses the
same JSON files, core and attributes of every image, with Python's own json module. Registering is
measured in an empty catalogue and in a full one, in turn.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import measure
import peers
import tables
from measure import Command

LISTING_LIMIT = 3.0
REGISTERING_LIMIT = 1.0
NOISE = 1.15
"""What two medians of the same thing differ by at most."""

READ_ALL = """
import json, os, sys
folder = sys.argv[1]
for name in os.listdir(folder):
    with open(os.path.join(folder, name), encoding="utf-8") as file:
        json.load(file)
"""
READ_CORES = READ_ALL.replace("    with", "    if 'attributes' in name: continue\n    with")


class Catalogue:
    """A store with some images."""

    def __init__(self, amictl: str, python: str, work: Path, count: int) -> None:
        self.amictl = amictl
        self.environment = measure.clean_environment(work / "home")
        self.store = work / f"catalogue-{count}"
        self.registered = 0
        measure.fresh(self.store)
        disk = work / "disk.raw"
        disk.write_bytes(os.urandom(1 << 20))
        self.snapshot_id = self.run("create-snapshot", "--quiet", disk)[1].strip()
        filler = Path(__file__).with_name("fill_catalogue.py")
        words = [python, str(filler), str(self.store), self.snapshot_id, str(count)]
        subprocess.run(words, check=True, env=self.environment)

    def run(self, command: str, *arguments: str | Path) -> tuple[float, str]:
        """Seconds and stdout of a command on this store."""
        words: Command = [self.amictl, command, "--store", self.store, *arguments]
        sample, output = measure.timed(words, self.environment)
        return sample.seconds, output

    def register(self) -> float:
        """Seconds that one more image takes."""
        self.registered += 1
        mapping = f"DeviceName=/dev/sda1,Ebs={{SnapshotId={self.snapshot_id}}}"
        name = f"one-more-{self.registered}"
        return self.run("register-image", "--name", name, "--root-device-name", "/dev/sda1",
                        "--block-device-mappings", mapping)[0]  # fmt: skip


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--amictl", default="amictl", metavar="PATH")
    parser.add_argument("--work", type=Path, required=True, metavar="DIR")
    parser.add_argument("--images", type=int, default=10_000, metavar="N")
    parser.add_argument("--runs", type=int, default=7, metavar="N")
    parser.add_argument("--update-readme", action="store_true")
    return parser.parse_args()


def main() -> None:
    """Fill a store, measure, print."""
    options = parse()
    amictl = peers.found(options.amictl)
    python = str(Path(amictl).parent / "python")
    work = options.work.absolute() / "catalogue"
    work.mkdir(parents=True, exist_ok=True)
    full, empty = (Catalogue(amictl, python, work, count) for count in (options.images, 0))
    wanted = f"machine-42-version-{options.images // 100 * 100 - 58}"
    listing = {
        "by name": ["--filters", f"Name=name,Values={wanted}"],
        "by tag": ["--filters", "Name=tag:machine,Values=42"],
        "by a snapshot": [
            "--filters", f"Name=block-device-mapping.snapshot-id,Values={full.snapshot_id}",
            "--query", "length(Images)",
        ],
    }  # fmt: skip
    seconds: dict[str, list[float]] = {}
    for _ in range(options.runs):
        for name, script in {"plain": READ_ALL, "plain, cores alone": READ_CORES}.items():
            words: Command = [python, "-c", script, str(full.store / "images")]
            seconds.setdefault(name, []).append(measure.timed(words, full.environment)[0].seconds)
        for name, arguments in listing.items():
            taken, output = full.run("describe-images", *arguments)
            if not output.strip() or output.strip() in ("0", "null"):
                sys.exit(f"describe-images {name} found nothing")
            seconds.setdefault(name, []).append(taken)
        seconds.setdefault("register, empty", []).append(empty.register())
        seconds.setdefault("register, full", []).append(full.register())
    medians = {name: measure.median(values) for name, values in seconds.items()}
    count = f"{options.images:,} images"
    rows = [
        [
            f"describe-images, filter {name}, {count}",
            tables.seconds(medians[name]),
            tables.seconds(medians["plain"]),
            f"{medians[name] / medians['plain']:.2f}",
            f"≤ {LISTING_LIMIT}",
        ]
        for name in listing
    ]
    rows.append(
        [
            f"register-image, with {count} (against none)",
            tables.seconds(medians["register, full"]),
            tables.seconds(medians["register, empty"]),
            f"{medians['register, full'] / medians['register, empty']:.2f}",
            f"≤ {REGISTERING_LIMIT}, within noise ({NOISE})",
        ]
    )
    rows.append(
        [
            "(the yardstick with the cores alone)",
            "",
            tables.seconds(medians["plain, cores alone"]),
            "",
            "",
        ]
    )
    tables.keep("catalogue", seconds, options.work)
    tables.publish(
        "catalogue",
        tables.markdown(["", "amictl", "yardstick", "ratio", "limit"], rows),
        update_readme=options.update_readme,
    )
    measure.fresh(work).rmdir()


if __name__ == "__main__":
    main()
