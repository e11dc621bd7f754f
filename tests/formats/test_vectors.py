"""Vectors: bytes with one damage each, and the error that each must raise."""

import json
from pathlib import Path

import pytest

from amictl import errors
from tests.golden.readers import AGAIN

FILES = sorted((Path(__file__).parents[1] / "golden" / "vectors").glob("*.json"))
VECTORS = [json.loads(file.read_text()) for file in FILES]
RIGHT = [vector for vector in VECTORS if vector["error"] is None]
WRONG = [vector for vector in VECTORS if vector["error"] is not None]


def title(vector: dict[str, str]) -> str:
    return f"{vector['format']}.{vector['damage']}"


@pytest.mark.parametrize("vector", RIGHT, ids=title)
def test_right_bytes_are_read_and_written_alike(vector: dict[str, str]) -> None:
    data = bytes.fromhex(vector["bytes"])
    assert AGAIN[vector["format"]](data) == data


@pytest.mark.parametrize("vector", WRONG, ids=title)
def test_damaged_bytes_are_refused_with_the_reason(vector: dict[str, str]) -> None:
    with pytest.raises(getattr(errors, vector["error"])) as caught:
        AGAIN[vector["format"]](bytes.fromhex(vector["bytes"]))
    assert vector["reason"] in caught.value.message


@pytest.mark.parametrize("name", sorted(AGAIN))
def test_every_format_has_right_and_damaged_vectors(name: str) -> None:
    assert any(vector["format"] == name for vector in RIGHT)
    assert sum(vector["format"] == name for vector in WRONG) >= 10
