"""Places in which the real program is killed, stopped, starved and lied to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.real_program import Place
from tests.faults.worlds import change_disk, make_disk, make_full_disk, memory_folder


@pytest.fixture
def empty() -> Iterator[Place]:
    """Two disks, and no store."""
    with memory_folder() as name:
        place = Place(Path(name, "base"))
        place.folder.mkdir()
        make_full_disk(place.folder / "a.raw")
        make_disk(place.folder / "b.raw", seed=9)
        yield place


@pytest.fixture
def used(empty: Place) -> Place:
    """A store with a snapshot of a disk that was changed since, and volumes of that snapshot."""
    done = empty.run("create-snapshot", "a.raw", "--quiet")
    assert (done.status, done.err) == (0, "")
    (empty.folder / "id").write_text(done.out.strip())
    (empty.folder / "first").write_bytes((empty.folder / "a.raw").read_bytes())
    change_disk(empty.folder / "a.raw", seed=2)
    (empty.folder / "old.raw").write_bytes(b"old")
    place = make_disk(empty.folder / "place.raw", seed=3)
    with place.open("ab") as file:
        file.write(b"longer")
    make_source(empty)
    return empty


def make_source(place: Place) -> None:
    """A region `source` with an image of both disks; places may be copied elsewhere."""
    config = place.folder / "config" / "amictl" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('[regions.source]\ndirectory = "~/source"\n')
    words = ["create-image", "--name", "web", "a.raw", "b.raw", "--quiet"]
    done = place.run(*words, "--store", place.folder / "source")
    assert (done.status, done.err) == (0, "")
    (place.folder / "source-id").write_text(done.out.strip())
