"""What is hostile, given to the program: it says what is wrong, and nothing of it stays.

`HOSTILE_EVERY=1` takes all of them, not only every tenth.
"""

import os
import subprocess

import pytest

from amictl import errors
from tests.conftest import PROGRAM
from tests.hostile.corpus import Vector, by_name
from tests.hostile.limits import limited
from tests.hostile.machine import Machine

EVERY = int(os.environ.get("HOSTILE_EVERY", "10"))
ARCHIVES = [vector for vector in by_name().values() if vector.reader == "archive"]
READ = [vector for vector in ARCHIVES if vector.error is None]
HOSTILE = [vector for vector in ARCHIVES if vector.error is not None][::EVERY]

# A restore compares content with the names that the manifest leads to, and reads nothing else: not
# the frames of zeros, nor what is between members.
NOT_READ_BY_RESTORE = {
    "archive.noise-between-contents",
    "archive.row-digest-of-another",
    "archive.row-digest-of-the-manifest",
    "archive.zeros-of-letters",
    "archive.zeros-of-letters-everywhere",
}

GIVEN_TO = {
    "identity-file": ["import-key"],
    "disk-image": ["import-snapshot"],
    "bundle-manifest": ["unbundle-image", "--private-key", "key.pem", "--manifest"],
}
TOO_LARGE = "over 65536 bytes"
"""The reason of what a command would not even read."""

OTHERS = [
    vector
    for vector in list(by_name().values())[::EVERY]
    if vector.reader in GIVEN_TO and vector.error is not None and vector.reason != TOO_LARGE
]


def name_of(vector: Vector) -> str:
    return vector.name


def exit_code(vector: Vector) -> int:
    kind = getattr(errors, vector.error or "")
    assert issubclass(kind, errors.AmictlError)
    return kind.exit_code


@pytest.mark.parametrize("vector", READ, ids=name_of)
def test_what_is_right_is_verified(vector: Vector, machine: Machine) -> None:
    finished = machine.verify(vector)
    assert (finished.status, finished.err) == (0, "")


@pytest.mark.parametrize("vector", READ, ids=name_of)
def test_what_is_right_is_restored(vector: Vector, machine: Machine) -> None:
    finished = machine.restore(vector)
    assert (finished.status, finished.err) == (0, "")


@pytest.mark.parametrize("vector", HOSTILE, ids=name_of)
def test_verify_archive_says_what_is_wrong(vector: Vector, machine: Machine) -> None:
    before = machine.seen()
    finished = machine.verify(vector)
    if vector.error == "KeyUnavailableError":
        assert (finished.status, '"sealed"' in finished.out) == (0, True)
    else:
        assert finished.status == exit_code(vector), finished.err
        assert vector.reason in finished.err
    assert machine.seen() == before


@pytest.mark.parametrize(
    "vector", [each for each in HOSTILE if each.name not in NOT_READ_BY_RESTORE], ids=name_of
)
def test_nothing_hostile_is_restored(vector: Vector, machine: Machine) -> None:
    before = machine.seen()
    finished = machine.restore(vector)
    assert finished.status == exit_code(vector), finished.err
    assert machine.completed() == []
    assert machine.seen() == before


@pytest.mark.parametrize("vector", HOSTILE[::8], ids=name_of)
def test_the_installed_program_says_what_is_wrong(vector: Vector, machine: Machine) -> None:
    machine.archive.write_bytes(vector.make())
    environment = machine.home.environment(OPENBLAS_NUM_THREADS="1")
    finished = subprocess.run(
        [*limited(PROGRAM), "verify-archive", machine.archive, "--identity", "key.txt"],
        env={name: text for name, text in environment.items() if name[:3] != "COV"},
        cwd=machine.home.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == exit_code(vector), finished.stderr
    assert vector.reason in finished.stderr


@pytest.mark.parametrize("vector", OTHERS, ids=name_of)
def test_other_commands_take_nothing_hostile(vector: Vector, machine: Machine) -> None:
    before = machine.seen()
    finished = machine.give(vector, *GIVEN_TO[vector.reader])
    assert finished.status == exit_code(vector), finished.err
    assert machine.completed() == []
    assert machine.seen() == before
