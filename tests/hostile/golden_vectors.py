"""The vectors of the store's own formats, which `tests/golden/vectors` has."""

import json
from collections.abc import Iterator
from pathlib import Path

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
