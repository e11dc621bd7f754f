"""Frames that are fetched in other processes, as large copies between directories do."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from amictl.errors import CorruptStoreError, StorageError
from amictl.store import fetching, transferring
from tests.actions.test_copying import Regions, regions
from tests.workshop import SEGMENT, flip

__all__ = ["regions"]

KIB = 1024


@pytest.fixture(autouse=True)
def processes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Every copy has processes; their ids."""
    made: list[int] = []
    fork = os.fork

    def counted() -> int:
        process = fork()
        if process:
            made.append(process)
        return process

    monkeypatch.setattr(os, "fork", counted)
    monkeypatch.setattr(transferring, "_WORTH_PROCESSES", 1)
    yield made
    for process in made:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


@pytest.fixture
def disk(regions: Regions) -> Path:
    """Three segments, of which two share content."""
    noise = regions.east.noise(SEGMENT)
    content = {0: noise, SEGMENT: noise[::-1], 2 * SEGMENT: noise[: 300 * KIB] + bytes(9)}
    return regions.east.file("disk", content)


def copied(regions: Regions, snapshot_id: str, **words: Any) -> str:
    """Copy a snapshot from the east to the west; its id there."""
    return str(regions.copy_snapshot(snapshot_id, **words)["SnapshotId"])


def test_a_plain_copy_is_made_by_processes(
    regions: Regions, disk: Path, processes: list[int]
) -> None:
    copy = copied(regions, regions.east.snapshot_id(disk))
    assert regions.west.restored(copy) == disk.read_bytes()
    assert len(processes) > 1
    assert regions.west.check(read_data=True)["Faults"] == []


def test_copies_from_key_to_key_are_made_by_processes(regions: Regions, disk: Path) -> None:
    regions.west.keys = regions.east.keys
    first, second = regions.east.keys.new(), regions.east.keys.new()
    regions.east.encrypt_by_default(first)
    snapshot_id = regions.east.snapshot_id(disk)
    copy = copied(regions, snapshot_id, encrypted=True, kms_key_id=second)
    regions.east.keys.mislay(first)
    assert regions.west.restored(copy) == disk.read_bytes()


def test_what_does_not_fit_the_shared_memory_comes_in_pieces(
    regions: Regions, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "_BATCH_SIZE", fetching.STORED_SIZE_MAX + 1)
    copy = copied(regions, regions.east.snapshot_id(disk))
    assert regions.west.restored(copy) == disk.read_bytes()


def test_damage_is_named_by_whoever_waits(regions: Regions, disk: Path) -> None:
    snapshot_id = regions.east.snapshot_id(disk)
    (pack,) = regions.east.packs(0)
    flip(pack, 1000 * KIB)
    with pytest.raises(CorruptStoreError, match=f"{snapshot_id} is damaged at bytes"):
        copied(regions, snapshot_id)


def test_a_killed_process_ends_the_copy_and_the_next_one_succeeds(
    regions: Regions, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot_id = regions.east.snapshot_id(disk)
    ours = os.getpid()
    read = fetching.Fetcher.batches

    def killed(*words: Any) -> Any:
        if os.getpid() != ours:
            os.kill(os.getpid(), signal.SIGKILL)
        return read(*words)

    monkeypatch.setattr(fetching.Fetcher, "batches", killed)
    with pytest.raises(StorageError, match="a process that did a part of the work is gone"):
        copied(regions, snapshot_id)
    monkeypatch.setattr(fetching.Fetcher, "batches", read)
    assert regions.west.restored(copied(regions, snapshot_id)) == disk.read_bytes()


def test_processes_find_what_was_moved_to_other_packs_meanwhile(
    regions: Regions, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the index that they know is older than that of who asks."""
    serve = fetching._serve

    def late(source: Any, *words: Any) -> None:
        source.index.packs.clear()
        serve(source, *words)

    def alone(*_: Any) -> None:
        raise AssertionError("a frame was fetched by itself")

    monkeypatch.setattr(fetching, "_serve", late)
    monkeypatch.setattr(fetching.Fetcher, "fetch_one", alone)
    copy = copied(regions, regions.east.snapshot_id(disk))
    assert regions.west.restored(copy) == disk.read_bytes()
