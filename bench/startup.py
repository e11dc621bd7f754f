#!/usr/bin/env python3
"""Measure how long `amictl --version` takes against `python -c 'import click'`.

Both run in the same environment, by turns, after one run each that is not counted; the figures
are medians of wall clock. The interpreter is the one that stands beside amictl.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import measure
import peers
import tables
from measure import Command

LIMIT = 2.0


def measure_in_turn(commands: dict[str, Command], runs: int) -> dict[str, list[float]]:
    """Seconds of each run of each command."""
    found: dict[str, list[float]] = {name: [] for name in commands}
    with tempfile.TemporaryDirectory() as home:
        environment = measure.clean_environment(Path(home))
        for number in range(runs + 1):
            for name, command in commands.items():
                sample, _ = measure.timed(command, environment)
                if number:
                    found[name].append(sample.seconds)
    return found


def table(results: dict[str, list[float]]) -> str:
    """Medians and the ratio."""
    times = [measure.median(values) for values in results.values()]
    runs = min(len(values) for values in results.values())
    cells = [tables.seconds(value) for value in times]
    row = [f"median of {runs}", *cells, f"{times[0] / times[1]:.2f}", f"≤ {LIMIT}"]
    return tables.markdown(["", *(f"`{name}`" for name in results), "ratio", "limit"], [row])


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--amictl", default="amictl", metavar="PATH")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()), metavar="DIR")
    parser.add_argument("--runs", type=int, default=40, metavar="N")
    parser.add_argument("--update-readme", action="store_true")
    return parser.parse_args()


def main() -> None:
    """Find the interpreter, measure, print."""
    options = parse()
    amictl = peers.found(options.amictl)
    python = Path(amictl).parent / "python"
    if not python.exists():
        sys.exit(f"{amictl} has no interpreter beside it: name amictl in a virtual environment")
    commands: dict[str, Command] = {
        "amictl --version": [amictl, "--version"],
        "python -c 'import click'": [python, "-c", "import click"],
    }
    results = measure_in_turn(commands, options.runs)
    tables.keep("startup", results, options.work)
    tables.publish("startup", table(results), update_readme=options.update_readme)


if __name__ == "__main__":
    main()
