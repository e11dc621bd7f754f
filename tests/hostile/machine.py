"""A machine of a user to whom hostile things are given."""

from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

from tests.conftest import Finished, Home
from tests.hostile.corpus import Vector
from tests.hostile.program import Program

KEY = "ami-0123456789abcdef0.bin"


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
        self._empty()
        self.archive.write_bytes(vector.make())
        words = ["--bucket", self.archive.parent, "--object-key", KEY]
        return self.program("create-restore-image-task", *words)

    def seen(self) -> dict[Path, bytes]:
        """All files that are not the region's, but for those that a run is given or writes, and
        the program's memory of which states it has seen.
        """
        home = self.home.folder
        own = {self.home.local_region, home / ".local", home / "out", home / "err", home / "given"}
        own.add(self.archive)
        return {
            path: path.read_bytes()
            for path in home.parent.rglob("*")
            if path.is_file() and own.isdisjoint((path, *path.parents))
        }

    def give(self, vector: Vector, *words: str) -> Finished:
        """A vector in a file, whose name is the last word; the region is not there yet."""
        self._empty()
        given = self.home.folder / "given"
        given.write_bytes(vector.make())
        return self.program(*words, given)

    def completed(self) -> list[str]:
        """What the region has of images and snapshots, and of files that are not yet anything."""
        folders = ("images", "snapshots", "staging")
        return [path.name for each in folders for path in self.home.local_region.glob(f"{each}/*")]

    def _empty(self) -> None:
        for place in (self.home.local_region, self.home.folder / ".local"):
            rmtree(place, ignore_errors=True)
