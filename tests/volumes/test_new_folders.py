"""Folders of new disks: complete under their names, or not there."""

from collections.abc import Callable
from pathlib import Path

import pytest

from amictl.errors import ConflictError, NotFoundError, StorageError
from amictl.storage.disk import Disk
from amictl.volumes.new_folders import NewFolder, unfinished_folders

DOCUMENT = "launch.json"
SIZE = 8192


def fill(target: Path, document: str = DOCUMENT, meanwhile: Callable[[], object] = list) -> None:
    """One disk that begins with `disk`, a script and a document."""
    with NewFolder(target, Disk()) as folder:
        folder.new_disk("sda1.raw", SIZE).write(0, memoryview(b"disk"))
        meanwhile()
        folder.commit(("launch.sh", b"text"), (document, b"{}"))


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_new_folder_has_all_files_with_their_modes(tmp_path: Path) -> None:
    fill(tmp_path / "machine")
    names = ["launch.json", "launch.sh", "sda1.raw"]
    assert everything(tmp_path) == ["machine", *(f"machine/{name}" for name in names)]
    modes = [(tmp_path / "machine" / name).stat().st_mode & 0o777 for name in names]
    assert modes == [0o600, 0o700, 0o600]
    assert (tmp_path / "machine" / "sda1.raw").read_bytes() == b"disk".ljust(SIZE, b"\0")


def test_nothing_is_to_be_seen_before_it_is_complete(tmp_path: Path) -> None:
    seen: list[bool] = []
    fill(tmp_path / "machine", meanwhile=lambda: seen.append((tmp_path / "machine").exists()))
    assert seen == [False]


def test_a_folder_that_is_there_shows_no_disk_before_all_are_complete(tmp_path: Path) -> None:
    (tmp_path / "machine").mkdir()
    seen: list[list[str]] = []
    fill(tmp_path / "machine", meanwhile=lambda: seen.append(everything(tmp_path / "machine")))
    assert seen == [[]]


def test_a_folder_that_cannot_be_completed_does_not_come_to_be(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="machine"):
        fill(tmp_path / "machine", document="missing/text")
    assert everything(tmp_path) == []


def test_a_folder_that_was_there_is_empty_again_when_it_cannot_be_completed(
    tmp_path: Path,
) -> None:
    (tmp_path / "machine").mkdir()
    with pytest.raises(StorageError):
        fill(tmp_path / "machine", document="missing/text")
    assert everything(tmp_path) == ["machine"]


def test_a_folder_that_comes_into_being_meanwhile_is_left_alone(tmp_path: Path) -> None:
    def put_another() -> None:
        (tmp_path / "machine").mkdir()
        (tmp_path / "machine" / "mine").write_text("precious")

    with pytest.raises(ConflictError, match="meanwhile"):
        fill(tmp_path / "machine", meanwhile=put_another)
    assert everything(tmp_path) == ["machine", "machine/mine"]


def test_a_file_that_comes_into_being_in_an_empty_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "machine").mkdir()

    def put_a_text() -> None:
        (tmp_path / "machine" / "launch.json").write_text("precious")

    with pytest.raises(ConflictError, match=r"launch\.json. exists"):
        fill(tmp_path / "machine", meanwhile=put_a_text)
    assert everything(tmp_path / "machine") == ["launch.json"]
    assert (tmp_path / "machine" / "launch.json").read_text() == "precious"


@pytest.mark.parametrize("name", ["x" * 300, "missing/machine", "file/machine"])
def test_a_folder_that_cannot_be_made_leaves_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("precious")
    with pytest.raises((StorageError, NotFoundError)):
        fill(tmp_path / name)
    assert everything(tmp_path) == ["file"]


def test_a_file_system_that_takes_no_folder_is_told() -> None:
    with pytest.raises(StorageError, match="/proc"):
        fill(Path("/proc/amictl"))


def test_the_current_folder_can_be_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fill(Path())
    assert everything(tmp_path) == ["launch.json", "launch.sh", "sda1.raw"]


def test_a_long_name_that_is_not_ascii_has_a_hidden_one_that_fits(tmp_path: Path) -> None:
    name = "ä" * 127
    fill(tmp_path / name)
    assert len(everything(tmp_path / name)) == 3


def test_the_folders_of_who_was_killed_are_found(tmp_path: Path) -> None:
    target = tmp_path / ("ä" * 127)
    folder = NewFolder(target, Disk())
    (left,) = unfinished_folders(target)
    assert left.name.startswith(".ä")
    folder.__exit__(KeyboardInterrupt, None, None)
    assert unfinished_folders(target) == []
    assert unfinished_folders(tmp_path / "missing" / "machine") == []
