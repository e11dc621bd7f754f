"""Hostile archives given to the program: it says what is wrong, and nothing of them stays.

`HOSTILE_EVERY=1` takes all of them, not only every tenth.
"""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

import pytest

from amictl import errors
from tests.conftest import PROGRAM, Finished, Home
from tests.hostile.corpus import Vector, by_name
from tests.hostile.identity_files import RIGHT
from tests.hostile.limits import limited
from tests.hostile.program import Program

EVERY = int(os.environ.get("HOSTILE_EVERY", "10"))
ARCHIVES = [vector for vector in by_name().values() if vector.reader == "archive"]
READ = [vector for vector in ARCHIVES if vector.error is None]
HOSTILE = [vector for vector in ARCHIVES if vector.error is not None][::EVERY]
KEY = "ami-0123456789abcdef0.bin"

# A restore compares content with the names that the manifest leads to, and reads nothing else: not
# the frames of zeros, nor what is between members.
NOT_READ_BY_RESTORE = {
    "archive.noise-between-contents",
    "archive.row-digest-of-another",
    "archive.row-digest-of-the-manifest",
    "archive.zeros-of-letters",
    "archive.zeros-of-letters-everywhere",
}


@dataclass(frozen=True, slots=True)
class Machine:
    """A user with a key, an empty region, a bucket with one archive, and a file beside it all."""

    home: Home
    program: Program

    @property
    def archive(self) -> Path:
        return self.home.folder / "bucket" / KEY

    def verify(self, vector: Vector) -> Finished:
        self.archive.write_bytes(vector.make())
        return self.program("verify-archive", self.archive)

    def restore(self, vector: Vector) -> Finished:
        """Into a region that is not there yet: of what it has, nothing would be read."""
        for place in (self.home.local_region, self.home.folder / ".local"):
            rmtree(place, ignore_errors=True)
        self.archive.write_bytes(vector.make())
        words = ["--bucket", self.archive.parent, "--object-key", KEY]
        return self.program("create-restore-image-task", *words)

    def seen(self) -> dict[Path, bytes]:
        """All files that are not the region's, but for those that a run is given or writes, and
        the program's memory of which states it has seen.
        """
        home = self.home.folder
        own = {self.home.local_region, home / ".local", home / "out", home / "err", self.archive}
        return {
            path: path.read_bytes()
            for path in home.parent.rglob("*")
            if path.is_file() and own.isdisjoint((path, *path.parents))
        }

    def completed(self) -> list[str]:
        """What the region has of images and snapshots, and of files that are not yet anything."""
        folders = ("images", "snapshots", "staging")
        return [path.name for each in folders for path in self.home.local_region.glob(f"{each}/*")]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    home = Home(tmp_path_factory.mktemp("hostile") / "home")
    (home.folder / "bucket").mkdir(parents=True)
    (home.folder.parent / "canary").write_text("nobody writes here")
    key = home.folder / "key.txt"
    key.write_bytes(RIGHT)
    with Program(home) as program:
        assert program("import-key", key, "--alias", "alias/aws/ebs").status == 0
        yield Machine(home, program)


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
