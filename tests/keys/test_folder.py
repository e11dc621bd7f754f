"""The key folder: who may read it, what survives, and what is gone."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from amictl.errors import (
    AmictlError,
    CorruptStoreError,
    KeyNotFoundError,
    KeyUnavailableError,
)
from amictl.keys.folder import KeyFolder
from tests.keys.chest import Chest


def modes(folder: Path) -> set[int]:
    return {path.stat().st_mode & 0o777 for path in folder.iterdir()}


def test_only_the_owner_can_read_the_folder_and_its_files(chest: Chest) -> None:
    chest.create(passphrase=None)
    assert chest.path.stat().st_mode & 0o777 == 0o700
    assert modes(chest.path) == {0o600}


def test_reading_an_absent_folder_makes_none(chest: Chest) -> None:
    assert chest.folder.records() == []
    with pytest.raises(KeyNotFoundError):
        chest.folder.find("alias/web")
    assert not chest.path.exists()


@pytest.mark.parametrize("mode", [0o750, 0o701, 0o720])
def test_a_folder_that_others_can_enter_is_refused(chest: Chest, mode: int) -> None:
    chest.create()
    chest.path.chmod(mode)
    with pytest.raises(KeyUnavailableError) as caught:
        chest.folder.records()
    assert caught.value.hint == f"run: chmod 700 {chest.path}"
    with pytest.raises(KeyUnavailableError):
        chest.create()


@pytest.mark.parametrize("suffix", ["age", "json"])
def test_a_file_that_others_can_read_is_refused(chest: Chest, suffix: str) -> None:
    key_id = chest.create()
    path = chest.path / f"{key_id}.{suffix}"
    path.chmod(0o640)
    with pytest.raises(KeyUnavailableError) as caught:
        chest.folder.identity(chest.folder.find(key_id).key_id)
    assert caught.value.hint == f"run: chmod 600 {path}"


@pytest.mark.needs("root")
@pytest.mark.parametrize("name", ["", ".json", ".age"])
def test_what_belongs_to_another_user_is_refused(chest: Chest, name: str) -> None:
    key_id = chest.create()
    os.chown(chest.path / (f"{key_id}{name}" if name else ""), 12345, -1)
    with pytest.raises(KeyUnavailableError, match="another user"):
        chest.folder.identity(chest.folder.find(key_id).key_id)


def test_a_link_is_not_followed(chest: Chest, tmp_path: Path) -> None:
    key_id = chest.create()
    chest.file(key_id).rename(tmp_path / "elsewhere")
    chest.file(key_id).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AmictlError):
        chest.folder.identity(key_id)


def test_a_damaged_record_is_named_and_hides_no_other(chest: Chest) -> None:
    first, second = chest.create(), chest.create()
    path = chest.path / f"{first}.json"
    path.write_bytes(path.read_bytes().replace(b"Enabled", b"enabled"))
    with pytest.raises(CorruptStoreError, match=first):
        chest.folder.find(first)
    assert chest.folder.find(second).key_id == second


def test_a_record_under_the_id_of_another_key_is_refused(chest: Chest) -> None:
    first, second = chest.create(), chest.create()
    (chest.path / f"{first}.json").rename(chest.path / f"{second}.json")
    with pytest.raises(CorruptStoreError, match=f"is about the key {first}"):
        chest.folder.find(second)


def test_what_a_killed_run_left_is_removed_by_the_next(chest: Chest) -> None:
    key_id = chest.create()
    left = chest.path / f".{key_id}.age"
    left.write_bytes(b"half of an identity")
    assert len(chest.folder.records()) == 1
    chest.create()
    assert not left.exists()


def test_an_identity_that_is_replaced_is_overwritten(chest: Chest) -> None:
    key_id = chest.create()
    with chest.file(key_id).open("rb") as before:
        with chest.folder.changing():
            chest.folder.put_identity(key_id, b"another")
        assert not any(before.read())
    assert chest.folder.identity(key_id) == b"another"


def test_an_identity_that_is_deleted_is_overwritten(chest: Chest) -> None:
    key_id = chest.create()
    with chest.file(key_id).open("rb") as before:
        chest.folder.remove(key_id)
        assert not any(before.read())
    assert list(chest.path.iterdir()) == []


@pytest.mark.parametrize("replaced", [True, False])
def test_a_copy_by_hard_link_is_not_overwritten(
    chest: Chest, tmp_path: Path, replaced: bool
) -> None:
    """As a backup has it that links what did not change."""
    key_id = chest.create()
    text = chest.file(key_id).read_bytes()
    backup = tmp_path / "backup"
    backup.hardlink_to(chest.file(key_id))
    with chest.folder.changing():
        if replaced:
            chest.folder.put_identity(key_id, b"another")
        else:
            chest.folder.remove(key_id)
    assert backup.read_bytes() == text


def test_deleting_goes_on_where_it_was_stopped(chest: Chest) -> None:
    key_id = chest.create()
    chest.file(key_id).unlink()
    chest.folder.remove(key_id)
    assert chest.folder.records() == []


def test_only_what_has_a_time_expires(chest: Chest) -> None:
    chest.create()
    with chest.folder.changing():
        assert chest.folder.remove_expired(datetime(3000, 1, 1, tzinfo=UTC)) == []


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_bytes(b"")
    with pytest.raises(KeyUnavailableError, match="not a directory"):
        KeyFolder(path).records()
