"""Several processes at work on one store at the same time."""

import json
import os
import subprocess
import sys
from pathlib import Path

from amictl.actions.describing_images import describe_images
from amictl.model.blockmap import Interior
from tests.workshop import MIB, SEGMENT, Workshop

PROGRAM = Path(sys.executable).with_name("amictl")


def started(workshop: Workshop, *words: str | Path) -> subprocess.Popen[str]:
    command = [str(PROGRAM), "--store", str(workshop.root), "--output", "json", *map(str, words)]
    environment = {**os.environ, "HOME": str(workshop.folder)}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def ended(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    """Status, output and messages of each."""
    outputs = [process.communicate(timeout=120) for process in processes]
    return [
        (process.returncode, *output) for process, output in zip(processes, outputs, strict=True)
    ]


def test_writers_at_the_same_time_leave_a_sound_store(workshop: Workshop) -> None:
    """They share most of their content, so that they store the same chunks at the same time."""
    common = workshop.noise(2 * SEGMENT)
    disks = [workshop.file(f"disk{at}", common + workshop.noise(MIB, 100 + at)) for at in range(4)]
    ends = ended([started(workshop, "create-snapshot", disk) for disk in disks])
    assert [end[0] for end in ends] == [0] * 4
    ids = [json.loads(end[1])["SnapshotId"] for end in ends]
    assert workshop.check(read_data=True)["Faults"] == []
    assert all(
        workshop.restored(snapshot_id) == disk.read_bytes()
        for snapshot_id, disk in zip(ids, disks, strict=True)
    )


def test_of_several_images_of_one_name_exactly_one_is_made(workshop: Workshop) -> None:
    disks = [workshop.file(f"disk{at}", workshop.noise(MIB, at)) for at in range(4)]
    ends = ended([started(workshop, "create-image", "--name", "web", disk) for disk in disks])
    assert sorted(end[0] for end in ends) == [0, 14, 14, 14]
    with workshop.open() as store:
        images = describe_images(store)["Images"]
    assert sum(image["State"] == "available" for image in images) == 1
    assert all("InvalidAMIName.Duplicate" in end[2] for end in ends if end[0])


def test_a_reader_goes_on_while_others_write(workshop: Workshop) -> None:
    disk = workshop.file("disk", workshop.noise(2 * SEGMENT))
    snapshot_id = workshop.snapshot_id(disk)
    others = [workshop.file(f"disk{at}", workshop.noise(MIB, at)) for at in range(6)]
    root = bytes.fromhex(workshop.core(snapshot_id).root or "")
    with workshop.open() as store:
        assert store.index.find(root)
        ended([started(workshop, "create-snapshot", other) for other in others])
        assert isinstance(store.read_node(root), Interior)
