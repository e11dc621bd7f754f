"""Wrapping and unwrapping the secrets of domains."""

import base64
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pyrage
import pytest

from amictl.actions import key_use
from amictl.content.sealing import identity_mac
from amictl.errors import CorruptStoreError, KeyNotFoundError, KeyUnavailableError
from amictl.keys import identities
from amictl.model.records import DomainHeader
from tests.keys.chest import SECRET, Chest, header, text


def test_unwrap_inverts_wrap(chest: Chest) -> None:
    key_id = chest.create()
    wrapped = chest.keyring().wrap(key_id, SECRET)
    assert chest.keyring().unwrap(header(key_id, wrapped)) == SECRET


def test_each_wrapping_is_another(chest: Chest) -> None:
    key_id = chest.create()
    keyring = chest.keyring()
    assert keyring.wrap(key_id, SECRET) != keyring.wrap(key_id, SECRET)


def test_another_key_does_not_open_it(chest: Chest) -> None:
    first, second = chest.create(), chest.create()
    wrapped = chest.keyring().wrap(first, SECRET)
    with pytest.raises(KeyUnavailableError, match=f"the key {second} does not open"):
        chest.keyring().unwrap(header(second, wrapped))


@pytest.mark.needs("age")
def test_age_opens_it_with_the_identity_file(chest: Chest) -> None:
    key_id = chest.create()
    wrapped = base64.b64decode(chest.keyring().wrap(key_id, SECRET))
    command = ["age", "-d", "-i", chest.file(key_id)]
    finished = subprocess.run(command, input=wrapped, capture_output=True, check=True)
    assert finished.stdout == SECRET


@pytest.mark.needs("age")
def test_what_age_wrapped_is_opened(chest: Chest) -> None:
    key_id = chest.create()
    command = ["age", "-r", chest.recipient(key_id)]
    finished = subprocess.run(command, input=SECRET, capture_output=True, check=True)
    assert chest.keyring().unwrap(header(key_id, text(finished.stdout))) == SECRET


def test_a_key_that_is_not_here_is_named_with_the_way_to_bring_it(chest: Chest) -> None:
    wrapped = text(pyrage.encrypt(SECRET, [pyrage.x25519.Identity.generate().to_public()]))
    missing = "00000000-0000-0000-0000-000000000000"
    with pytest.raises(KeyUnavailableError, match=missing) as caught:
        chest.keyring().unwrap(header(missing, wrapped))
    assert caught.value.exit_code == 12
    assert "amictl import-key" in str(caught.value.hint)


def test_a_key_without_its_identity_is_named(chest: Chest) -> None:
    key_id = chest.create()
    wrapped = chest.keyring().wrap(key_id, SECRET)
    chest.file(key_id).unlink()
    with pytest.raises(KeyUnavailableError, match=f"identity file .* of the key {key_id}"):
        chest.keyring().unwrap(header(key_id, wrapped))


def test_the_identity_of_another_key_in_its_place_is_noticed(chest: Chest) -> None:
    first, second = chest.create(), chest.create()
    wrapped = chest.keyring().wrap(first, SECRET)
    chest.file(second).rename(chest.file(first))
    with pytest.raises(KeyUnavailableError, match="is the identity of another key"):
        chest.keyring().unwrap(header(first, wrapped))


def test_a_key_that_is_to_be_deleted_opens_nothing(chest: Chest) -> None:
    key_id = chest.create()
    wrapped = chest.keyring().wrap(key_id, SECRET)
    key_use.schedule_key_deletion(chest.folder, key_id, 7, {}, chest.surroundings)
    with pytest.raises(KeyUnavailableError, match="pending deletion") as caught:
        chest.keyring().unwrap(header(key_id, wrapped))
    assert caught.value.hint == f"amictl cancel-key-deletion --key-id {key_id}"
    with pytest.raises(KeyUnavailableError, match="pending deletion"):
        chest.keyring().wrap(key_id, SECRET)
    with pytest.raises(KeyUnavailableError, match="pending deletion"):
        chest.keyring().resolve(key_id)


def test_a_key_whose_time_has_come_opens_nothing_though_it_is_still_there(chest: Chest) -> None:
    key_id = chest.create()
    wrapped = chest.keyring().wrap(key_id, SECRET)
    key_use.schedule_key_deletion(chest.folder, key_id, 7, {}, chest.surroundings)
    chest.pass_days(7)
    with pytest.raises(KeyUnavailableError, match="was to be deleted"):
        chest.keyring().unwrap(header(key_id, wrapped))


def test_a_passphrase_is_asked_for_once_and_only_when_needed(chest: Chest) -> None:
    chest.passphrase = "correct"
    key_id = chest.create(alias="web", passphrase="correct")
    keyring = chest.keyring()
    wrapped = keyring.wrap(key_id, SECRET)
    assert chest.asked == []
    with ThreadPoolExecutor(4) as threads:
        opened = list(threads.map(keyring.unwrap, 4 * [header(key_id, wrapped)]))
    assert opened == 4 * [SECRET]
    assert chest.asked == [f"the key {key_id} alias/web"]
    chest.passphrase = "wrong"
    with pytest.raises(KeyUnavailableError, match=f"passphrase does not open the key {key_id}"):
        chest.keyring().unwrap(header(key_id, wrapped))


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_secret_of_another_size_is_refused(chest: Chest, size: int) -> None:
    key_id = chest.create()
    wrapped = chest.keyring().wrap(key_id, bytes(size))
    with pytest.raises(KeyUnavailableError, match="no secret of 32 bytes"):
        chest.keyring().unwrap(header(key_id, wrapped))


@pytest.mark.parametrize(
    ("wrapped", "reason"),
    [
        ("no base64!", "cannot be opened"),
        ("", "not an age file"),
        (4 * 65_536 * "A", "over 65536 bytes"),
        (text(b"age-encryption.org/v1\n" + 65 * b"-> X25519 x\n\n" + b"---"), "over 64 recipients"),
        (text(b"age-encryption.org/v1\n-> scrypt c2FsdA 63\n\n---"), "work factor of 63"),
        (text(b"age-encryption.org/v1\n-> scrypt c2FsdA 10\n\n---"), "wrapped to a passphrase"),
        (text(b"age-encryption.org/v1\n-> X25519 x\n\n--- x\n"), "does not open"),
    ],
)
def test_a_header_that_asks_for_too_much_or_is_damaged_is_refused(
    chest: Chest, wrapped: str, reason: str
) -> None:
    with pytest.raises(KeyUnavailableError, match=reason):
        chest.keyring().unwrap(header(chest.create(), wrapped))


def test_an_identity_file_with_too_much_work_is_refused_before_it_is_done(chest: Chest) -> None:
    key_id = chest.create()
    wrapped = chest.keyring().wrap(key_id, SECRET)
    chest.file(key_id).write_bytes(b"age-encryption.org/v1\n-> scrypt c2FsdA 23\n\n--- x\n")
    with pytest.raises(KeyUnavailableError, match="work factor of 23"):
        chest.keyring().unwrap(header(key_id, wrapped))
    assert chest.asked == []


def test_a_key_is_found_by_its_names(chest: Chest) -> None:
    key_id = chest.create(alias="web")
    keyring = chest.keyring()
    names = [key_id, "alias/web", f"arn:aws:kms:x:1:key/{key_id}", "arn:aws:kms:x:1:alias/web"]
    assert {keyring.resolve(name) for name in names} == {key_id}
    with pytest.raises(KeyNotFoundError) as caught:
        keyring.resolve("alias/other")
    assert (caught.value.code, caught.value.exit_code) == ("NotFoundException", 10)


def test_nothing_is_read_before_a_key_is_needed(tmp_path: Path) -> None:
    Chest(tmp_path / "keys").keyring()
    assert list(tmp_path.iterdir()) == []


def test_an_open_identity_does_not_show_itself(chest: Chest) -> None:
    key_id = chest.create()
    identity = chest.keyring().identity(chest.folder.find(key_id))
    assert "AGE-SECRET" not in repr(identity)
    assert chest.recipient(key_id) in repr(identity)


def test_who_has_the_identity_makes_the_same_mac_on_every_machine(
    chest: Chest, tmp_path: Path
) -> None:
    key_id = chest.create()
    elsewhere = Chest(tmp_path / "elsewhere", passphrase="long")
    text = identities.protected(chest.file(key_id).read_bytes(), "long")
    (tmp_path / "brought").write_bytes(text)
    elsewhere.import_(tmp_path / "brought")
    made = chest.keyring().mac(key_id, b"header")
    assert made is not None
    assert made == elsewhere.keyring().mac(key_id, b"header")
    assert made != chest.keyring().mac(key_id, b"another")
    assert made != chest.keyring().mac(chest.create(), b"header")


def test_the_mac_of_an_identity_is_made_of_its_text(chest: Chest) -> None:
    key_id = chest.create()
    line = chest.file(key_id).read_bytes().splitlines()[-1]
    assert chest.keyring().mac(key_id, b"header") == identity_mac(line, b"header")


def shared(chest: Chest, further: str) -> DomainHeader:
    """The header of a domain of a key that is gone, wrapped to another too."""
    gone = chest.create()
    recipients = (chest.recipient(gone), chest.recipient(further))
    wrapped = text(chest.keyring().seal(recipients, SECRET))
    chest.folder.remove(gone)
    return header(gone, wrapped)


def test_a_further_recipient_opens_what_its_key_is_gone_of(chest: Chest) -> None:
    chest.create()
    assert chest.keyring().unwrap(shared(chest, chest.create())) == SECRET


def test_all_recipients_of_a_key_are_told(chest: Chest) -> None:
    key, other = chest.create(), chest.folder.find(chest.create()).recipient
    record = chest.folder.find(key)
    chest.folder.put(replace(record, further_recipients=(other,)))
    assert chest.keyring().recipients(key) == (record.recipient, other)


def test_the_passphrase_of_a_further_recipient_is_asked_for_once(chest: Chest) -> None:
    chest.passphrase = "correct"
    found = shared(chest, chest.create(passphrase="correct"))
    keyring = chest.keyring()
    assert [keyring.unwrap(found), keyring.unwrap(found)] == [SECRET, SECRET]
    assert len(chest.asked) == 1


def test_nobody_is_asked_for_the_passphrase_of_a_key_that_cannot_be_a_recipient(
    chest: Chest,
) -> None:
    chest.create(passphrase="correct")
    gone = chest.create()
    wrapped = chest.keyring().wrap(gone, SECRET)
    chest.folder.remove(gone)
    with pytest.raises(KeyUnavailableError, match=f"the key {gone} is not in"):
        chest.keyring().unwrap(header(gone, wrapped))
    assert chest.asked == []


def test_the_hint_names_further_recipients_where_there_are_some(chest: Chest) -> None:
    recovery = chest.create()
    found = shared(chest, recovery)
    chest.folder.remove(recovery)
    with pytest.raises(KeyUnavailableError) as caught:
        chest.keyring().unwrap(found)
    assert "further recipient" in str(caught.value.hint)


def test_what_is_wrapped_to_a_further_recipient_is_of_it(chest: Chest) -> None:
    recovery, other = chest.create(), chest.create()
    found = shared(chest, recovery)
    assert chest.keyring().is_recipient(recovery, found)
    assert not chest.keyring().is_recipient(other, found)


def test_an_identity_file_of_rubbish_is_named(chest: Chest) -> None:
    key_id = chest.create()
    wrapped = chest.keyring().wrap(key_id, SECRET)
    chest.file(key_id).write_text("rubbish\n")
    with pytest.raises(KeyUnavailableError, match=f"{chest.file(key_id)}.* key {key_id}") as caught:
        chest.keyring().unwrap(header(key_id, wrapped))
    assert "amictl import-key FILE" in str(caught.value.hint)


def test_a_passphrase_that_is_wrong_is_no_revoked_key(chest: Chest) -> None:
    chest.passphrase = "wrong"
    key_id = chest.create(passphrase="correct")
    wrapped = chest.keyring().wrap(key_id, SECRET)
    with pytest.raises(KeyUnavailableError) as caught:
        chest.keyring().unwrap(header(key_id, wrapped))
    assert (caught.value.code, caught.value.exit_code) == ("AccessDeniedException", 12)


def test_a_key_that_is_missing_is_revoked_to_who_asks(chest: Chest) -> None:
    key_id = chest.create()
    wrapped = chest.keyring().wrap(key_id, SECRET)
    chest.file(key_id).unlink()
    with pytest.raises(KeyUnavailableError) as caught:
        chest.keyring().unwrap(header(key_id, wrapped))
    assert caught.value.code == "CustomerKeyHasBeenRevoked"
    assert caught.value.hint == "put it back there, or import it: amictl import-key FILE"


def test_a_key_without_its_identity_keeps_no_other_from_opening(chest: Chest) -> None:
    chest.file(chest.create()).unlink()
    found = shared(chest, chest.create())
    assert chest.keyring().unwrap(found) == SECRET


def test_an_alias_may_be_in_a_record_that_is_damaged(chest: Chest) -> None:
    chest.create(alias="web")
    broken = chest.path / f"{chest.create(alias='mail')}.json"
    broken.write_text("rubbish")
    assert chest.keyring().resolve("alias/web")
    with pytest.raises(CorruptStoreError, match=str(broken)) as caught:
        chest.keyring().resolve("alias/mail")
    assert "import the .age file" in str(caught.value.hint)
