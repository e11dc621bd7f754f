#!/usr/bin/env python3
"""Measure amictl's peak anonymous memory for a small and a large volume.

RssAnon of /proc/PID/status is added up over the process and its descendants every few
milliseconds; the largest sum is the figure. What a process maps from files is not in it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

import measure
import peers
import tables
import volume
from measure import Command

GIBIBYTE = 1 << 30
INTERVAL_SECONDS = 0.003
LIMIT_MIB = 300


def descendants(process_id: int) -> list[int]:
    """The process and all below it, as far as they still exist."""
    found = [process_id]
    for listing in Path(f"/proc/{process_id}/task").glob("*/children"):
        try:
            children = listing.read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        for child in children:
            found += descendants(int(child))
    return found


def anonymous_bytes(process_id: int) -> int:
    """RssAnon of one process, 0 when it is gone."""
    try:
        lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))


def peak_anonymous_bytes(command: Command, environment: dict[str, str]) -> tuple[int, float, str]:
    """The largest sum while the command ran, its seconds, and what it printed."""
    begin, peak = time.perf_counter(), 0
    words = [str(word) for word in command]
    with subprocess.Popen(words, stdout=subprocess.PIPE, env=environment) as process:
        while process.poll() is None:
            peak = max(peak, sum(anonymous_bytes(one) for one in descendants(process.pid)))
            time.sleep(INTERVAL_SECONDS)
        assert process.stdout is not None
        output = process.stdout.read().decode()
    if process.returncode:
        sys.exit(f"exit code {process.returncode}: {' '.join(words)}")
    return peak, time.perf_counter() - begin, output.strip()


def measure_volume(amictl: str, image: Path, work: Path) -> dict[str, dict[str, float]]:
    """First snapshot, full read of the same again, restore: peak and seconds of each."""
    environment = measure.clean_environment(work / "home")
    store, target = measure.fresh(work / "store"), work / "restored.raw"
    target.unlink(missing_ok=True)
    steps: dict[str, dict[str, float]] = {}

    def take(step: str, command: str, *arguments: str | Path) -> str:
        words: Command = [amictl, command, "--store", store, "--quiet", *arguments]
        peak, seconds, output = peak_anonymous_bytes(words, environment)
        steps[step] = {"peak_anonymous_bytes": peak, "seconds": seconds}
        return output

    snapshot_id = take("create-snapshot", "create-snapshot", image)
    take("create-snapshot, unchanged, all read", "create-snapshot", "--full-read", image)
    take("create-volume", "create-volume", "--snapshot-id", snapshot_id, target)
    volume.require_equal(image, target)
    target.unlink()
    measure.fresh(store)
    return steps


def table(results: dict[str, dict[str, dict[str, float]]]) -> str:
    """Peak memory by step and volume."""
    names = list(results)
    rows = []
    for step in results[names[0]]:
        peaks = [tables.mebibytes(results[name][step]["peak_anonymous_bytes"]) for name in names]
        rows.append([step, *peaks, f"≤ {LIMIT_MIB} MiB, the same"])
    return tables.markdown(["peak RssAnon", *names, "limit"], rows)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--amictl", default="amictl", metavar="PATH")
    parser.add_argument("--work", type=Path, required=True, metavar="DIR")
    parser.add_argument("--small-gib", type=int, default=4)
    parser.add_argument("--small-data-mib", type=int, default=1024)
    parser.add_argument("--large-gib", type=int, default=256)
    parser.add_argument("--large-data-mib", type=int, default=6144)
    parser.add_argument("--extent-mib", type=int, default=4)
    parser.add_argument("--update-readme", action="store_true")
    return parser.parse_args()


def main() -> None:
    """Make both volumes, measure, print."""
    options = parse()
    amictl, work = peers.found(options.amictl), options.work.absolute() / "memory"
    work.mkdir(parents=True, exist_ok=True)
    results = {}
    for gibibytes, mebibytes in (
        (options.small_gib, options.small_data_mib),
        (options.large_gib, options.large_data_mib),
    ):
        image = work / f"{gibibytes}-gib.raw"
        extents = mebibytes // options.extent_mib
        volume.make(
            image, gibibytes * GIBIBYTE, extents=extents, extent_bytes=options.extent_mib << 20
        )
        name = f"{gibibytes} GiB with {mebibytes} MiB of data"
        results[name] = measure_volume(amictl, image, work)
        image.unlink()
    measure.fresh(work).rmdir()
    tables.keep("memory", results, options.work)
    tables.publish("memory", table(results), update_readme=options.update_readme)


if __name__ == "__main__":
    main()
