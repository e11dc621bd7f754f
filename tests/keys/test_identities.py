"""Identity files of all kinds, ours and others'."""

import os
import re
import subprocess
import sys
import uuid
from pathlib import Path

import pexpect
import pyrage
import pytest
from blake3 import blake3

from amictl.errors import AmictlError, KeyUnavailableError, UsageError
from amictl.keys import identities
from amictl.keys.age_headers import is_age_file
from tests.keys import age_plugin_sample as sample
from tests.keys.chest import SECRET, Chest, header

RECIPIENT = "age1s2m0f8n4upaxvd7urm4pqe65wzel5te5eukkeceev60cl5qjffgqstrkmf"


def opens(chest: Chest, key_id: str) -> bool:
    wrapped = chest.keyring().wrap(key_id, SECRET)
    return chest.keyring().unwrap(header(key_id, wrapped)) == SECRET


def run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True)


def ssh_key(folder: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    path = folder / f"id_{kind}"
    run("ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "me@here", "-f", path)
    return path


def test_the_id_of_a_key_is_the_same_everywhere() -> None:
    expected = str(uuid.UUID(bytes=blake3(RECIPIENT.encode()).digest()[:16]))
    assert identities.key_id_of(RECIPIENT) == expected
    assert expected == "ef63a1fb-ad3b-1176-561c-c126e8c98c86"


def test_a_new_identity_looks_as_from_age_keygen(chest: Chest) -> None:
    lines = chest.file(chest.create()).read_text().splitlines()
    assert lines[0] == "# created: 2026-11-22T12:00:00.000Z"
    assert re.fullmatch(r"# public key: age1[0-9a-z]{58}", lines[1])
    assert re.fullmatch(r"AGE-SECRET-KEY-1[0-9A-Z]{58}", lines[2])


@pytest.mark.needs("age-keygen")
def test_age_keygen_reads_what_we_make(chest: Chest) -> None:
    key_id = chest.create()
    finished = subprocess.run(
        ["age-keygen", "-y", chest.file(key_id)], capture_output=True, text=True, check=True
    )
    assert finished.stdout.strip() == chest.recipient(key_id)


@pytest.mark.needs("age-keygen")
def test_an_identity_of_age_keygen_keeps_its_comments(chest: Chest, tmp_path: Path) -> None:
    path = tmp_path / "key.txt"
    run("age-keygen", "-o", path)
    key_id = chest.import_(path, alias="theirs")
    assert chest.file(key_id).read_bytes() == path.read_bytes()
    assert key_id == identities.key_id_of(chest.recipient(key_id))
    assert opens(chest, key_id)


@pytest.mark.needs("age", "age-keygen")
@pytest.mark.parametrize("words", [["-p"], ["-p", "-a"]])
def test_an_identity_that_age_protected_stays_so(
    chest: Chest, tmp_path: Path, words: list[str]
) -> None:
    plain, path = tmp_path / "key.txt", tmp_path / "key.age"
    run("age-keygen", "-o", plain)
    talk = pexpect.spawn("age", [*words, "-o", str(path), str(plain)], encoding="utf-8")
    for _ in range(2):
        talk.expect("passphrase.*: ")
        talk.sendline("correct horse")
    talk.expect(pexpect.EOF)
    talk.close()
    chest.passphrase = "correct horse"
    key_id = chest.import_(path)
    assert chest.file(key_id).read_bytes() == path.read_bytes()
    assert chest.asked == [repr(str(path))]
    assert opens(chest, key_id)


@pytest.mark.needs("age", "age-keygen")
def test_age_opens_what_we_protected(chest: Chest) -> None:
    key_id = chest.create(passphrase="correct horse")
    talk = pexpect.spawn("age", ["-d", str(chest.file(key_id))], encoding="utf-8")
    talk.expect("passphrase.*: ")
    talk.sendline("correct horse")
    talk.expect("AGE-SECRET-KEY-1[0-9A-Z]{58}")
    talk.expect(pexpect.EOF)
    talk.close()
    assert talk.exitstatus == 0


def test_a_protected_identity_does_not_show_its_secret(chest: Chest) -> None:
    data = chest.file(chest.create(passphrase="correct")).read_bytes()
    assert is_age_file(data)
    assert b"AGE-SECRET-KEY" not in data


@pytest.mark.needs("ssh-keygen")
def test_an_ssh_key_is_a_key(chest: Chest, tmp_path: Path) -> None:
    path = ssh_key(tmp_path)
    key_id = chest.import_(path)
    public = path.with_suffix(".pub").read_text().split()
    assert chest.recipient(key_id) == " ".join(public[:2])
    assert opens(chest, key_id)


@pytest.mark.needs("ssh-keygen")
def test_an_ssh_key_makes_macs(chest: Chest, tmp_path: Path) -> None:
    key_id = chest.import_(ssh_key(tmp_path))
    made = chest.keyring().mac(key_id, b"header")
    assert made is not None
    assert made == chest.keyring().mac(key_id, b"header")


@pytest.mark.needs("ssh-keygen")
@pytest.mark.parametrize(
    ("kind", "passphrase", "reason"),
    [("ed25519", "secret", "ssh-keygen -p"), ("rsa", "", "another type than ed25519")],
)
def test_an_ssh_key_that_cannot_be_used_is_refused(
    chest: Chest, tmp_path: Path, kind: str, passphrase: str, reason: str
) -> None:
    with pytest.raises(UsageError) as caught:
        chest.import_(ssh_key(tmp_path, kind, passphrase))
    assert reason in f"{caught.value.message} {caught.value.hint}"
    assert chest.folder.records() == []


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The identity file of a plugin that is installed."""
    program = tmp_path / "bin" / "age-plugin-sample"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {sample.__file__} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    path = tmp_path / "plugin.txt"
    path.write_text(f"# Recipient: {sample.RECIPIENT}\n{sample.IDENTITY}\n")
    return path


def test_an_identity_of_a_plugin_is_a_key(chest: Chest, plugin: Path) -> None:
    key_id = chest.import_(plugin)
    assert chest.recipient(key_id) == sample.RECIPIENT
    assert opens(chest, key_id)


def test_an_identity_of_a_plugin_makes_no_mac(chest: Chest, plugin: Path) -> None:
    assert chest.keyring().mac(chest.import_(plugin), b"header") is None


def test_a_plugin_that_is_not_installed_is_named(
    chest: Chest, plugin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(KeyUnavailableError, match="age-plugin-sample") as caught:
        chest.import_(plugin)
    assert "install age-plugin-sample" in str(caught.value.hint)


def test_the_recipient_of_a_plugin_can_be_given(chest: Chest, plugin: Path) -> None:
    plugin.write_text(f"{sample.IDENTITY}\n")
    with pytest.raises(UsageError) as caught:
        chest.import_(plugin)
    assert caught.value.hint == "give it with --recipient"
    assert opens(chest, chest.import_(plugin, recipient=sample.RECIPIENT))


def test_an_identity_that_does_not_open_what_its_recipient_seals_is_refused(
    chest: Chest, plugin: Path
) -> None:
    plugin.write_text(f"{sample.IDENTITY}\n")
    with pytest.raises(KeyUnavailableError, match="does not open what is sealed to age1s2m"):
        chest.import_(plugin, recipient=RECIPIENT)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"# nothing\n",
        b"AGE-SECRET-KEY-1QQQ\n",
        b"\xff\xfe",
        RECIPIENT.encode(),
        b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
        b"AGE-PLUGIN-X-1QQQ",
        2 * f"{pyrage.x25519.Identity.generate()}\n".encode(),
        bytes(65_537),
        b"age-encryption.org/v1\n-> X25519 x\n\n--- x\n",
        b"age-encryption.org/v1\n",
    ],
)
def test_what_is_no_identity_is_refused_and_not_shown(
    chest: Chest, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(AmictlError) as caught:
        chest.import_(path)
    assert str(path) in caught.value.message
    assert "AGE-SECRET" not in f"{caught.value.message} {caught.value.hint}"
    assert caught.value.exit_code in (2, 12)
    assert not chest.path.exists()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (f" {RECIPIENT}\n", RECIPIENT),
        (RECIPIENT.upper(), RECIPIENT),
        (sample.RECIPIENT, sample.RECIPIENT),
    ],
)
def test_a_recipient_is_kept_in_one_form(given: str, kept: str) -> None:
    assert identities.require_recipient(given) == kept


@pytest.mark.parametrize("given", ["", "age1", RECIPIENT[:-1], "ssh-ed25519 AAAA", "ssh-rsa AAAA"])
def test_what_is_no_recipient_is_refused(given: str) -> None:
    with pytest.raises(UsageError, match="is not a recipient"):
        identities.require_recipient(given)
