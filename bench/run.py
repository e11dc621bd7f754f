#!/usr/bin/env python3
"""Measure amictl, borg and restic on the image series, in turn, in one run.

The order of the tools turns with each round. Every step is one process from start to end. Before
each step, outside of its time, what earlier steps left dirty is written out (sync) and what the
step will read is read once, so that sources and stores are in the page cache for every tool.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import measure
import peers
import report
import tables
from measure import Command, Sample
from peers import Tool

QUICK_REPEATS = 3
Steps = dict[str, list[dict[str, float]]]


@dataclass(frozen=True)
class Plan:
    """What is measured: the images in order, which one stays unchanged, which are restored."""

    images: tuple[Path, ...]
    unchanged: Path
    restored: tuple[Path, ...]
    work: Path


def take_series(tool: Tool, plan: Plan) -> tuple[Steps, list[dict[str, int]]]:
    """One snapshot of each image, and the size of the store after each."""
    steps: Steps = {}
    sizes = []
    for image in plan.images:
        tool.place(image)
        measure.warm(image)
        measure.settle()
        steps[f"snapshot {image.stem}"] = [asdict(tool.snapshot(image.stem))]
        sizes.append(measure.stored(tool.folder / "store"))
    return steps, sizes


def take_unchanged(tool: Tool, image: Path) -> Steps:
    """Snapshots of an image that was the last one taken, in each way that the tool has."""
    tool.place(image)
    steps: Steps = {}
    for step, arguments in tool.unchanged.items():
        label = step.replace(",", "").replace(" ", "-")
        tool.snapshot(f"{label}-before", *arguments)
        steps[step] = []
        for repeat in range(QUICK_REPEATS):
            measure.warm(image)
            measure.settle()
            steps[step].append(asdict(tool.snapshot(f"{label}-{repeat}", *arguments)))
    return steps


def take_restores(tool: Tool, plan: Plan) -> Steps:
    """Each image restored to a fresh file, made durable, and compared with its source."""
    steps: Steps = {}
    for image in plan.restored:
        folder = measure.fresh(tool.folder / "restored")
        measure.warm(tool.folder / "store")
        measure.settle()
        sample, target = tool.restore(image.stem, folder)
        steps[f"restore {image.stem}"] = [finished(sample, target, image)]
        measure.fresh(folder)
    return steps


def finished(sample: Sample, target: Path, image: Path) -> dict[str, float]:
    """A restore's figures with the time of an fsync of its output, which must equal the image."""
    fsync_seconds = measure.fsync_seconds(target)
    if subprocess.run(["cmp", str(target), str(image)], check=False).returncode:
        sys.exit(f"{target} differs from {image}")
    return asdict(sample) | {"fsync_seconds": fsync_seconds}


def take_yardstick(plan: Plan) -> Steps:
    """`zstd -d --sparse` of each restored disk, compressed with zstd -3 before the time counts."""
    folder = plan.work / "zstd"
    environment = dict(os.environ)
    steps: Steps = {}
    for image in plan.restored:
        packed = folder / f"{image.stem}.zst"
        if not packed.exists():
            measure.output_of(["zstd", "-q", "-3", image, "-o", packed], environment)
        target = measure.fresh(folder / "restored") / "disk.raw"
        measure.warm(packed)
        measure.settle()
        command: Command = ["zstd", "-q", "-d", "--sparse", packed, "-o", target]
        sample, _ = measure.timed(command, environment)
        steps[f"restore {image.stem}"] = [finished(sample, target, image)]
        target.unlink()
    return steps


def measure_tool(tool: Tool, plan: Plan) -> dict[str, object]:
    """All steps of one tool in one round, on an empty store."""
    measure.fresh(tool.folder)
    tool.prepare()
    steps, sizes = take_series(tool, plan)
    steps |= take_unchanged(tool, plan.unchanged)
    steps |= take_restores(tool, plan)
    caches = measure.stored(tool.folder / "home")
    measure.fresh(tool.folder)
    return {"steps": steps, "sizes": sizes, "caches": caches}


def measure_rounds(tools: list[Tool], plan: Plan, runs: int) -> list[dict[str, object]]:
    """Round after round, each with the tools in another order."""
    rounds = []
    for number in range(runs):
        turn = number % len(tools)
        order = tools[turn:] + tools[:turn]
        results: dict[str, object] = {}
        for tool in order:
            print(f"round {number + 1} of {runs}: {tool.name}", file=sys.stderr)
            results[tool.name] = measure_tool(tool, plan)
        results["zstd"] = {"steps": take_yardstick(plan)}
        load = os.getloadavg()[0]
        rounds.append({"order": [tool.name for tool in order], "load": load, "tools": results})
    return rounds


def read_plan(options: argparse.Namespace) -> Plan:
    """The images that are there, in order."""
    images = tuple(sorted(options.series.glob("*.raw")))
    by_name = {image.stem: image for image in images}
    missing = {options.unchanged, *options.restore} - set(by_name)
    if missing:
        sys.exit(f"{options.series} lacks {', '.join(sorted(missing))}: run make_series.py")
    restored = tuple(by_name[name] for name in options.restore)
    return Plan(images, by_name[options.unchanged], restored, options.work)


def make_tools(options: argparse.Namespace) -> list[Tool]:
    """The tools that were asked for, found or (borg) made."""
    commands = {"amictl": options.amictl, "borg": options.borg, "restic": options.restic}
    if "borg" in options.tools and not options.borg:
        commands["borg"] = peers.made_borg(options.work / "borg-venv")
    return [
        peers.make_tool(name, peers.found(commands[name]), options.work) for name in options.tools
    ]


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--series", type=Path, required=True, metavar="DIR")
    parser.add_argument("--work", type=Path, required=True, metavar="DIR")
    parser.add_argument("--runs", type=int, default=5, metavar="N")
    parser.add_argument("--tools", type=lambda text: text.split(","), default=list(report.TOOLS))
    parser.add_argument("--amictl", default="amictl", metavar="PATH")
    parser.add_argument("--borg", metavar="PATH", help="borg 1.4 (default: made under WORK)")
    parser.add_argument("--restic", default="restic", metavar="PATH")
    parser.add_argument("--unchanged", default="d-updates", metavar="IMAGE")
    parser.add_argument("--restore", nargs="+", default=["c-table", "e-cleanup"], metavar="IMAGE")
    parser.add_argument("--update-readme", action="store_true")
    options = parser.parse_args()
    unknown = set(options.tools) - set(report.TOOLS)
    if unknown:
        parser.error(f"unknown tools: {', '.join(sorted(unknown))}")
    options.series, options.work = options.series.absolute(), options.work.absolute()
    return options


def main() -> None:
    """Measure, then print and keep the results."""
    options = parse()
    measure.fresh(options.work / "zstd")
    plan, tools = read_plan(options), make_tools(options)
    versions = {tool.name: tool.version() for tool in tools}
    versions["zstd"] = measure.output_of(["zstd", "--version"], dict(os.environ))
    results: dict[str, object] = {
        "machine": measure.machine(),
        "versions": versions,
        "images": [image.stem for image in plan.images],
        "rounds": measure_rounds(tools, plan, options.runs),
    }
    tables.keep("series", results, options.work)
    results["summary"] = report.summary(results)
    tables.keep("series", results, options.work)
    tables.publish("series", report.text(results), update_readme=options.update_readme)


if __name__ == "__main__":
    main()
