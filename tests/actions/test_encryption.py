"""What a region encrypts by default."""

from pathlib import Path

import pytest

from amictl.actions import encryption
from amictl.errors import DryRunError, KeyNotFoundError, KeyUnavailableError
from amictl.model.encryption import EncryptionRequest
from amictl.store.encryption import key_for_new
from amictl.store.store import Store
from tests.keys.chest import Chest
from tests.workshop import Workshop

PLAIN = EncryptionRequest()
ENCRYPTED = EncryptionRequest(encrypted=True)


@pytest.fixture
def chest(tmp_path: Path) -> Chest:
    return Chest(tmp_path / "keys")


@pytest.fixture
def store(workshop: Workshop, chest: Chest) -> Store:
    store = workshop.open()
    store.keyring = chest.keyring()
    return store


def test_encryption_by_default_is_switched_on_and_off(store: Store) -> None:
    seen = [encryption.get_ebs_encryption_by_default(store)]
    for enabled in (True, False):
        encryption.change_ebs_encryption_by_default(store, enabled=enabled)
        seen.append(encryption.get_ebs_encryption_by_default(store))
    assert [answer["EbsEncryptionByDefault"] for answer in seen] == [False, True, False]


def test_the_default_key_is_the_alias_until_another_is_chosen(store: Store, chest: Chest) -> None:
    key_id = chest.create("web")
    seen = [
        encryption.get_ebs_default_kms_key_id(store),
        encryption.modify_ebs_default_kms_key_id(store, "alias/web"),
        encryption.get_ebs_default_kms_key_id(store),
        encryption.reset_ebs_default_kms_key_id(store),
    ]
    shown = [answer["KmsKeyId"] for answer in seen]
    assert shown == ["alias/aws/ebs", key_id, key_id, "alias/aws/ebs"]


def test_a_key_that_is_not_there_cannot_be_the_default(store: Store) -> None:
    with pytest.raises(KeyNotFoundError):
        encryption.modify_ebs_default_kms_key_id(store, "alias/none")
    store.keyring = None
    with pytest.raises(KeyUnavailableError):
        encryption.modify_ebs_default_kms_key_id(store, "alias/none")


def test_a_dry_run_checks_and_changes_nothing(store: Store, chest: Chest) -> None:
    chest.create("web")
    for answer in (
        lambda: encryption.change_ebs_encryption_by_default(store, enabled=True, dry_run=True),
        lambda: encryption.modify_ebs_default_kms_key_id(store, "alias/web", dry_run=True),
        lambda: encryption.reset_ebs_default_kms_key_id(store, dry_run=True),
        lambda: encryption.get_ebs_default_kms_key_id(store, dry_run=True),
        lambda: encryption.get_ebs_encryption_by_default(store, dry_run=True),
    ):
        with pytest.raises(DryRunError):
            answer()
    with pytest.raises(KeyNotFoundError):
        encryption.modify_ebs_default_kms_key_id(store, "alias/none", dry_run=True)
    assert encryption.get_ebs_encryption_by_default(store) == {"EbsEncryptionByDefault": False}
    assert encryption.get_ebs_default_kms_key_id(store) == {"KmsKeyId": "alias/aws/ebs"}


def test_without_a_default_key_the_way_to_one_is_said(store: Store) -> None:
    with pytest.raises(KeyUnavailableError, match="there is no default key") as caught:
        key_for_new(store, ENCRYPTED, None)
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("make one: amictl create-key; or bring yours:")


def test_a_default_key_that_is_gone_is_named(store: Store, chest: Chest) -> None:
    key_id = chest.create("web")
    encryption.modify_ebs_default_kms_key_id(store, "alias/web")
    chest.folder.remove(key_id)
    with pytest.raises(KeyUnavailableError, match=key_id):
        key_for_new(store, ENCRYPTED, None)


def test_something_new_gets_the_key_that_the_region_says(store: Store, chest: Chest) -> None:
    first, chosen = chest.create("aws/ebs"), chest.create("web")
    assert key_for_new(store, PLAIN, None) is None
    assert key_for_new(store, ENCRYPTED, None) == first
    encryption.change_ebs_encryption_by_default(store, enabled=True)
    assert key_for_new(store, PLAIN, None) == first
    encryption.modify_ebs_default_kms_key_id(store, chosen)
    assert key_for_new(store, PLAIN, None) == chosen
    assert key_for_new(store, EncryptionRequest(True, "alias/aws/ebs"), None) == first


def test_the_key_of_the_source_need_not_be_there(store: Store) -> None:
    source = "00000000-0000-0000-0000-00000000000a"
    store.keyring = None
    assert key_for_new(store, PLAIN, source) == source
    with pytest.raises(KeyUnavailableError):
        key_for_new(store, EncryptionRequest(True, "alias/web"), source)


def test_a_key_that_was_asked_for_and_is_unknown_is_not_found(store: Store) -> None:
    with pytest.raises(KeyNotFoundError, match="alias/none"):
        key_for_new(store, EncryptionRequest(True, "alias/none"), None)
