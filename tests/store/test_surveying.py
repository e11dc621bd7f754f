"""A check goes on where a folder of the store cannot be listed."""

from pathlib import Path

import pytest

from tests.workshop import Workshop


@pytest.mark.parametrize("folder", ["names", "volumes", "events", "pending", "snapshots", "images"])
def test_a_folder_that_cannot_be_listed_is_one_fault_among_others(
    workshop: Workshop, folder: str
) -> None:
    (workshop.root / "gc-epoch").write_bytes(b"torn")
    _as_a_file(workshop.root / folder)
    faults = {(fault["Kind"], fault["Place"]) for fault in workshop.check()["Faults"]}
    assert faults == {("folder", folder), ("record", "gc-epoch")}


@pytest.mark.parametrize("folder", ["packs", "staging"])
def test_garbage_that_cannot_be_listed_is_not_counted(workshop: Workshop, folder: str) -> None:
    _as_a_file(workshop.root / folder)
    assert workshop.check()["GarbageBytes"] == 0


def _as_a_file(folder: Path) -> None:
    folder.rmdir()
    folder.write_bytes(b"")
