"""The vectors of the store's own formats, which `tests/golden/vectors` has; and records that are
larger than one would put into a file.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from tests.hostile import json_faults
from tests.hostile.corpus import Vector

FOLDER = Path(__file__).parents[1] / "golden" / "vectors"


def vectors() -> Iterator[Vector]:
    for file in sorted(FOLDER.glob("*.json")):
        stored = json.loads(file.read_text())
        yield Vector(
            stored["format"],
            stored["damage"],
            stored["error"],
            stored["reason"],
            lambda text=stored["bytes"]: bytes.fromhex(text),
        )
    right = bytes.fromhex(json.loads((FOLDER / "snapshot.right.json").read_text())["bytes"])
    for fault, change in json_faults.FAULTS.items():
        if "million" in fault or "mebibytes" in fault or "100000" in fault:
            make = lambda change=change: change(right)  # noqa: E731
            yield Vector("snapshot", fault, "CorruptStoreError", "here", make)
