"""A key folder for each test."""

from pathlib import Path

import pytest

from tests.keys.chest import Chest


@pytest.fixture
def chest(tmp_path: Path) -> Chest:
    return Chest(tmp_path / "keys")
