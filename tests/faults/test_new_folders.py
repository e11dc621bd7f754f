"""Power cuts while a folder of disks is written: what is there is complete."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from amictl.volumes.new_folders import NewFolder
from tests.faults.crash_states import State, states_after_a_power_cut
from tests.faults.planted import SkipsDirectorySyncs, SkipsFileSyncs
from tests.faults.recording_disk import RecordingDisk
from tests.faults.worlds import memory_folder

CONTENTS = {
    "machine/sda1.raw": b"root".ljust(9000, b"\0"),
    "machine/sdf.raw": bytes(5000),
    "machine/launch.sh": b"script",
    "machine/launch.json": b"document",
}
LAST = "machine/launch.json"


def record(root: Path, kind: type[RecordingDisk], *, exists: bool) -> RecordingDisk:
    if exists:
        (root / "machine").mkdir()
    disk = kind(root)
    with NewFolder(root / "machine", disk) as folder:
        folder.new_disk("sda1.raw", 9000).write(0, memoryview(b"root"))
        folder.new_disk("sdf.raw", 5000)
        folder.commit(("launch.sh", b"script"), ("launch.json", b"document"))
    return disk


def faults(state: State, *, exists: bool, done: bool) -> Iterator[str]:
    """A new folder is complete when it is there; one that was there when its last file is."""
    begun = LAST in state.names if exists else "machine" in state.names
    left = {name: state.contents.get(file) for name, file in state.names.items()}
    whole = all(left.get(name) == content for name, content in CONTENTS.items())
    if done and not begun:
        yield "the folder is gone"
    if begun and not whole:
        yield f"the folder is not complete: {sorted(state.names)}"


def found(kind: type[RecordingDisk], *, exists: bool) -> set[str]:
    with memory_folder() as folder:
        disk = record(Path(folder), kind, exists=exists)
        return {
            fault
            for position, state in states_after_a_power_cut(disk, seed=1, choices=20)
            for fault in faults(state, exists=exists, done=position == len(disk.log))
        }


@pytest.mark.parametrize("exists", [False, True], ids=["new", "empty"])
def test_a_power_cut_leaves_no_half_of_a_folder(exists: bool) -> None:
    assert found(RecordingDisk, exists=exists) == set()


@pytest.mark.parametrize("exists", [False, True], ids=["new", "empty"])
@pytest.mark.parametrize("bug", [SkipsFileSyncs, SkipsDirectorySyncs])
def test_a_planted_bug_is_found(bug: type[RecordingDisk], exists: bool) -> None:
    assert found(bug, exists=exists) != set()
