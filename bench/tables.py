"""Markdown tables, and the place in README.md where each of them belongs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

README = Path(__file__).resolve().parent / "README.md"


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose first column is text and whose others are figures."""
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def rewrite(name: str, text: str, readme: Path = README) -> None:
    """Replace what stands between the two markers of `name` in the README."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end {name} -->"
    before, _, rest = readme.read_text().partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise SystemExit(f"{readme} has no markers {begin.strip()} and {end}")
    readme.write_text(before + begin + "\n" + text.strip() + "\n\n" + end + after)


def keep(name: str, results: object, work: Path) -> None:
    """Write the single figures to WORK/NAME.json."""
    work.mkdir(parents=True, exist_ok=True)
    (work / f"{name}.json").write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")


def publish(name: str, text: str, *, update_readme: bool) -> None:
    """Print a table, and put it into the README if that is asked."""
    print(text)
    if update_readme:
        rewrite(name, text)


def seconds(value: float) -> str:
    """Three figures that matter."""
    return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.0f} ms"


def megabytes(value: float) -> str:
    """Millions of bytes."""
    return f"{value / 1e6:.1f} MB" if value < 100e6 else f"{value / 1e6:.0f} MB"


def mebibytes(value: float) -> str:
    """Units of 1,048,576 bytes, as memory limits are given."""
    return f"{value / (1 << 20):.0f} MiB"
