"""Keys in their folder: what commands do with them."""

from pathlib import Path

import pytest

from amictl.actions import keys
from amictl.errors import ConflictError, KeyNotFoundError, KeyUnavailableError, UsageError
from amictl.model.keys import DEFAULT_ALIAS
from tests.keys.chest import SECRET, Chest, header


@pytest.fixture
def chest(tmp_path: Path) -> Chest:
    return Chest(tmp_path / "keys")


def aliases(chest: Chest, key_id: str) -> tuple[str, ...]:
    return chest.folder.find(key_id).aliases


def may_be_default(chest: Chest) -> str:
    new = keys.NewKey(may_be_default=True)
    made = keys.create_key(chest.folder, new, None, chest.surroundings)
    return str(made["KeyMetadata"]["KeyId"])


def test_the_first_key_that_may_be_is_the_default(chest: Chest) -> None:
    other, first, second = chest.create("web"), may_be_default(chest), may_be_default(chest)
    assert aliases(chest, other) == ("alias/web",)
    assert aliases(chest, first) == (DEFAULT_ALIAS,)
    assert aliases(chest, second) == ()


@pytest.mark.parametrize("alias", ["web", "alias/web"])
def test_alias_slash_may_be_left_out_for_a_new_key(chest: Chest, alias: str) -> None:
    assert aliases(chest, chest.create(alias)) == ("alias/web",)


def test_an_alias_belongs_to_one_key(chest: Chest) -> None:
    holder = chest.create("web")
    with pytest.raises(ConflictError, match=holder) as caught:
        chest.create("web")
    assert caught.value.code == "AlreadyExistsException"
    assert len(chest.folder.records()) == 1


def test_an_alias_is_given_and_taken_away(chest: Chest) -> None:
    key_id = chest.create("web")
    keys.create_alias(chest.folder, "alias/b", key_id, chest.surroundings)
    assert aliases(chest, key_id) == ("alias/b", "alias/web")
    with pytest.raises(ConflictError):
        keys.create_alias(chest.folder, "alias/b", key_id, chest.surroundings)
    keys.delete_alias(chest.folder, "alias/web", chest.surroundings)
    assert aliases(chest, key_id) == ("alias/b",)
    with pytest.raises(KeyNotFoundError):
        keys.delete_alias(chest.folder, "alias/web", chest.surroundings)


def test_an_alias_has_no_alias(chest: Chest) -> None:
    chest.create("web")
    with pytest.raises(UsageError, match="is an alias"):
        keys.create_alias(chest.folder, "alias/b", "alias/web", chest.surroundings)


@pytest.mark.parametrize("passphrase", [None, "correct"])
def test_an_exported_key_is_imported_elsewhere_as_the_same(
    chest: Chest, tmp_path: Path, passphrase: str | None
) -> None:
    key_id = chest.create("web", passphrase)
    wrapped = chest.keyring().wrap(key_id, SECRET)
    path = tmp_path / "exported"
    result = keys.export_key(chest.folder, "alias/web", path)
    assert (result["KeyId"], path.stat().st_mode & 0o777) == (key_id, 0o600)
    other = Chest(tmp_path / "elsewhere", passphrase)
    assert other.import_(path) == key_id
    assert other.keyring().unwrap(header(key_id, wrapped)) == SECRET


def test_an_identity_is_never_written_over_a_file(chest: Chest, tmp_path: Path) -> None:
    chest.create("web")
    path = tmp_path / "there"
    path.write_bytes(b"precious")
    for target in (path, Path("/dev/tty"), Path("/dev/stdout")):
        with pytest.raises(ConflictError):
            keys.export_key(chest.folder, "alias/web", target)
    assert path.read_bytes() == b"precious"


def test_a_key_is_imported_once(chest: Chest, tmp_path: Path) -> None:
    key_id = chest.create("web")
    keys.export_key(chest.folder, key_id, tmp_path / "exported")
    with pytest.raises(ConflictError, match="is here already"):
        chest.import_(tmp_path / "exported")


def test_a_lost_identity_is_put_back_under_its_names(chest: Chest, tmp_path: Path) -> None:
    key_id = chest.create("web")
    keys.export_key(chest.folder, key_id, tmp_path / "exported")
    chest.file(key_id).unlink()
    shown = keys.describe_key(chest.folder, key_id, chest.surroundings)["KeyMetadata"]
    assert shown["Amictl"]["Protection"] == "unavailable"
    assert chest.import_(tmp_path / "exported", alias="other") == key_id
    assert aliases(chest, key_id) == ("alias/web",)


def test_a_key_says_how_it_is_protected(chest: Chest) -> None:
    chest.create()
    chest.create(passphrase="correct")
    found = keys.describe_keys(chest.folder, (), chest.surroundings)["Keys"]
    assert sorted(key["Amictl"]["Protection"] for key in found) == ["file mode", "passphrase"]


def test_an_unknown_key_fails_the_whole_request(chest: Chest) -> None:
    key_id = chest.create()
    with pytest.raises(KeyNotFoundError):
        keys.describe_keys(chest.folder, (key_id, "alias/none"), chest.surroundings)


def test_another_passphrase_opens_the_same_identity(chest: Chest) -> None:
    key_id = chest.create(passphrase="first")
    wrapped = chest.keyring().wrap(key_id, SECRET)
    keys.change_protection(chest.folder, key_id, "second", lambda _: "first")
    chest.passphrase = "first"
    with pytest.raises(KeyUnavailableError):
        chest.keyring().unwrap(header(key_id, wrapped))
    chest.passphrase = "second"
    assert chest.keyring().unwrap(header(key_id, wrapped)) == SECRET


def test_a_passphrase_can_be_taken_away(chest: Chest) -> None:
    key_id = chest.create(passphrase="first")
    keys.change_protection(chest.folder, key_id, None, lambda _: "first")
    assert b"AGE-SECRET-KEY-1" in chest.file(key_id).read_bytes()


def test_a_wrong_passphrase_changes_nothing(chest: Chest) -> None:
    key_id = chest.create(passphrase="first")
    before = chest.file(key_id).read_bytes()
    with pytest.raises(KeyUnavailableError):
        keys.change_protection(chest.folder, key_id, None, lambda _: "wrong")
    assert chest.file(key_id).read_bytes() == before
