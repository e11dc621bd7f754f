"""Power cuts while keys are made, changed and deleted: what a key opened, it still opens."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest

from amictl.formats import records
from amictl.keys.folder import KeyFolder
from amictl.model.keys import KeyRecord
from tests.faults.crash_states import State, states_after_a_power_cut
from tests.faults.planted import SkipsDirectorySyncs, SkipsFileSyncs
from tests.faults.recording_disk import RecordingDisk
from tests.faults.worlds import memory_folder

RECORD = KeyRecord(
    key_id="ef63a1fb-ad3b-1176-561c-c126e8c98c86",
    recipient="age1s2m0f8n4upaxvd7urm4pqe65wzel5te5eukkeceev60cl5qjffgqstrkmf",
    further_recipients=(),
    aliases=(),
    state="Enabled",
    deletion_date=None,
    created="2026-11-22T12:00:00.000Z",
    description="",
    origin="AWS_KMS",
)
IDENTITIES = (b"the identity", b"the identity with a passphrase")


class Promise(NamedTuple):
    """How long the log was when a step was done, and what the identity may be from then on."""

    position: int
    identities: tuple[bytes, ...]


@dataclass
class Recorded:
    disk: RecordingDisk
    promises: list[Promise]

    def promised(self, position: int) -> Promise | None:
        """The last promise that was given before."""
        given = [promise for promise in self.promises if promise.position <= position]
        return given[-1] if given else None


def record(root: Path, kind: type[RecordingDisk]) -> Recorded:
    disk = kind(root)
    folder = KeyFolder(root / "keys", disk)
    promises = []
    with folder.changing():
        folder.put_identity(RECORD.key_id, IDENTITIES[0])
        folder.put(RECORD)
        promises.append(Promise(len(disk.log), IDENTITIES))
        folder.put_identity(RECORD.key_id, IDENTITIES[1])
        promises.append(Promise(len(disk.log), IDENTITIES[1:]))
    return Recorded(disk, promises)


def faults(state: State, promise: Promise | None) -> Iterator[str]:
    files = {name: state.contents.get(file) for name, file in state.names.items()}
    known = files.get(f"keys/{RECORD.key_id}.json")
    identity = files.get(f"keys/{RECORD.key_id}.age")
    if known is not None and known != records.encode(RECORD):
        yield "a record is torn"
    if known is not None and identity not in IDENTITIES:
        yield "a key has lost its identity"
    if promise and known is None:
        yield "a key is gone"
    if promise and identity not in promise.identities:
        yield "a change is gone"


def found(kind: type[RecordingDisk]) -> set[str]:
    with memory_folder() as folder:
        recorded = record(Path(folder), kind)
        return {
            fault
            for position, state in states_after_a_power_cut(recorded.disk, seed=1, choices=20)
            for fault in faults(state, recorded.promised(position))
        }


def test_a_power_cut_takes_nothing_away_that_a_key_opened() -> None:
    assert found(RecordingDisk) == set()


@pytest.mark.parametrize("bug", [SkipsFileSyncs, SkipsDirectorySyncs])
def test_a_planted_bug_is_found(bug: type[RecordingDisk]) -> None:
    assert found(bug) != set()


def test_a_deletion_that_is_done_is_done() -> None:
    with memory_folder() as name:
        disk = RecordingDisk(Path(name))
        folder = KeyFolder(Path(name) / "keys", disk)
        with folder.changing():
            folder.put_identity(RECORD.key_id, IDENTITIES[0])
            folder.put(RECORD)
            folder.remove(RECORD.key_id)
        left = {
            file
            for position, state in states_after_a_power_cut(disk, seed=1, choices=20)
            if position == len(disk.log)
            for file in state.names
        }
    assert left == {"keys"}
