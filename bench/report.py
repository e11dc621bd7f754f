"""From the results of rounds to medians, ratios and tables."""

from __future__ import annotations

from typing import Any

import tables
from measure import median
from peers import ALL_READ, BESIDE_NEWER, HINTED

TOOLS = ("amictl", "borg", "restic")
DESIGN_IMAGES = 6  # the first images are the series that the figures in the design come from
SERIES = "all snapshots of the series"
STORE = "store, all metadata counted"

# The floors: how many times better than the best peer amictl must be.
FLOORS = {
    SERIES: "≥ 2.5",
    HINTED: "≥ 3",
    ALL_READ: "≥ 2",
    "restore": "≥ 3.5",
    STORE: "≤ 0.81",
}


def samples(results: dict[str, Any], tool: str, step: str) -> list[dict[str, float]]:
    """All runs of a step, over all rounds."""
    found: list[dict[str, float]] = []
    for one in results["rounds"]:
        found += one["tools"][tool]["steps"].get(step, [])
    return found


def step_figures(results: dict[str, Any], tool: str, step: str) -> dict[str, float]:
    """Medians of a step: wall clock, CPU, memory, and wall clock until the output is durable."""
    runs = samples(results, tool, step)
    return {
        "seconds": median(run["seconds"] for run in runs),
        "cpu_seconds": median(run["cpu_seconds"] for run in runs),
        "peak_rss_bytes": max(run["peak_rss_bytes"] for run in runs),
        "durable_seconds": median(run["seconds"] + run["fsync_seconds"] for run in runs),
        "runs": len(runs),
    }


def series_figures(results: dict[str, Any], tool: str, images: list[str]) -> dict[str, float]:
    """The snapshots of these images together: sums of each round, then the medians of the sums."""
    rounds = [one["tools"][tool]["steps"] for one in results["rounds"]]
    taken = [[steps[f"snapshot {image}"][0] for image in images] for steps in rounds]
    return {
        "seconds": median(sum(run["seconds"] for run in runs) for runs in taken),
        "cpu_seconds": median(sum(run["cpu_seconds"] for run in runs) for runs in taken),
        "peak_rss_bytes": max(run["peak_rss_bytes"] for runs in taken for run in runs),
        "runs": len(taken),
    }


def size_figures(results: dict[str, Any], tool: str, after: int) -> dict[str, float]:
    """The median size of the store after so many images."""
    sizes = [one["tools"][tool]["sizes"][after - 1] for one in results["rounds"]]
    return {key: median(size[key] for size in sizes) for key in sizes[0]}


def tool_summary(results: dict[str, Any], tool: str) -> dict[str, Any]:
    """The figures of one tool, by step."""
    images, steps = results["images"], results["rounds"][0]["tools"][tool]["steps"]
    figures: dict[str, Any] = {step: step_figures(results, tool, step) for step in steps}
    if tool != "zstd":
        figures[SERIES] = series_figures(results, tool, images)
        figures[f"{SERIES}, first six"] = series_figures(results, tool, images[:DESIGN_IMAGES])
        figures[STORE] = size_figures(results, tool, len(images))
        figures[f"{STORE}, after six"] = size_figures(results, tool, len(images[:DESIGN_IMAGES]))
        caches = [one["tools"][tool]["caches"] for one in results["rounds"]]
        figures["caches beside the store"] = {"bytes": median(one["bytes"] for one in caches)}
        figures["growth"] = growth(results, tool)
    return figures


def growth(results: dict[str, Any], tool: str) -> dict[str, float]:
    """How many bytes each image added to the store."""
    totals = [0.0]
    totals += [
        size_figures(results, tool, count + 1)["bytes"] for count in range(len(results["images"]))
    ]
    names = zip(results["images"], totals[1:], totals, strict=False)
    return {name: after - before for name, after, before in names}


def summary(results: dict[str, Any]) -> dict[str, Any]:
    """Per tool the medians, and for amictl how often it is better than the best peer."""
    tools = list(results["rounds"][0]["tools"])
    figures: dict[str, Any] = {tool: tool_summary(results, tool) for tool in tools}
    if "amictl" in tools and len(tools) > 2:
        figures["ratios"] = ratios(figures)
    return figures


def best_peer(figures: dict[str, Any], step: str, measure: str) -> float:
    """The smallest figure among borg and restic."""
    return min(float(figures[tool][step][measure]) for tool in TOOLS[1:] if tool in figures)


def ratios(figures: dict[str, Any]) -> dict[str, float]:
    """Times: the faster peer's by amictl's. Sizes: amictl's by the smaller peer's."""
    found = {}
    for step, mine in figures["amictl"].items():
        if "seconds" in mine:
            found[step] = best_peer(figures, step, "seconds") / mine["seconds"]
        elif step.startswith(STORE):
            found[step] = mine["bytes"] / best_peer(figures, step, "bytes")
    return found


# --- tables --------------------------------------------------------------------------------------


def text(results: dict[str, Any]) -> str:
    """The tables in Markdown, with the machine and the versions above."""
    figures = results["summary"]
    tools = [tool for tool in TOOLS if tool in figures]
    images = results["images"]
    machine = results["machine"]
    lines = [
        f"{machine['cores']} cores of {machine['cpu']}, Linux {machine['kernel']}; medians of "
        f"{len(results['rounds'])} rounds. "
        + "; ".join(first_line(version) for version in results["versions"].values())
        + "."
    ]
    parts = ["\n".join(lines), main_table(figures, tools)]
    parts += ["Restored and made durable (fsync; amictl's time has its own in it):"]
    parts += [durable_table(figures, tools), "Image by image: seconds, and what the store grew:"]
    parts += [image_table(figures, tools, images)]
    return "\n\n".join(parts)


def first_line(version: str) -> str:
    """A version in a few words."""
    return version.split("\n")[0].strip(" *").split(" compiled")[0].split(", by")[0]


def main_table(figures: dict[str, Any], tools: list[str]) -> str:
    """Times, CPU, memory and sizes."""
    steps = [SERIES, f"{SERIES}, first six", HINTED, ALL_READ, BESIDE_NEWER]
    steps += [step for step in figures[tools[0]] if step.startswith("restore ")]
    rows = [time_row(figures, tools, step) for step in steps]
    rows += [size_row(figures, tools, step) for step in (STORE, f"{STORE}, after six")]
    caches = [tables.megabytes(figures[tool]["caches beside the store"]["bytes"]) for tool in tools]
    rows.append(["caches beside the store", *caches, "", "", ""])
    for title, measure in (("CPU of the series", "cpu_seconds"), ("peak RSS", "peak_rss_bytes")):
        unit = tables.seconds if measure == "cpu_seconds" else tables.mebibytes
        values = [unit(figures[tool][SERIES][measure]) for tool in tools]
        rows.append([title, *values, "", "", ""])
    return tables.markdown(["", *tools, "zstd -d", "amictl / best peer", "floor"], rows)


def time_row(figures: dict[str, Any], tools: list[str], step: str) -> list[str]:
    """Seconds, then how many times faster amictl is than the faster peer."""
    taken = [figures[tool].get(step) for tool in tools]
    cells = [tables.seconds(one["seconds"]) if one else "" for one in taken]
    yardstick = figures["zstd"].get(step)
    cells.append(tables.seconds(yardstick["seconds"]) if yardstick else "")
    ratio = figures.get("ratios", {}).get(step)
    floor = FLOORS.get(step, FLOORS["restore"] if step.startswith("restore") else "")
    return [step, *cells, f"{ratio:.1f} × faster" if ratio else "", floor]


def size_row(figures: dict[str, Any], tools: list[str], step: str) -> list[str]:
    """Bytes, then amictl's share of the smaller peer's."""
    cells = [tables.megabytes(figures[tool][step]["bytes"]) for tool in tools]
    ratio = figures.get("ratios", {}).get(step)
    return [step, *cells, "", f"{ratio:.2f}" if ratio else "", FLOORS.get(step, "")]


def durable_table(figures: dict[str, Any], tools: list[str]) -> str:
    """The restores again, with the time until their output would survive a power cut."""
    columns = [*tools, "zstd"]
    steps = [step for step in figures["zstd"] if step.startswith("restore ")]
    rows = [
        [step, *(tables.seconds(figures[tool][step]["durable_seconds"]) for tool in columns)]
        for step in steps
    ]
    return tables.markdown(["", *tools, "zstd -d"], rows)


def image_table(figures: dict[str, Any], tools: list[str], images: list[str]) -> str:
    """Each image's time and growth."""
    rows = []
    for image in images:
        cells = []
        for tool in tools:
            seconds = figures[tool][f"snapshot {image}"]["seconds"]
            grown = figures[tool]["growth"][image]
            cells.append(f"{tables.seconds(seconds)}, {tables.megabytes(grown)}")
        rows.append([image, *cells])
    return tables.markdown(["", *tools], rows)
