"""Commands about keys, end to end."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pexpect
import pytest

from tests.conftest import PROGRAM, Home

CORRECT = "correct horse battery"


def answer(amictl: Home, *words: str | Path, **variables: str) -> dict[str, Any]:
    finished = amictl(*words, **variables)
    assert (finished.status, finished.err) == (0, ""), finished.err
    result: dict[str, Any] = json.loads(finished.out)
    return result


def create(amictl: Home, *words: str | Path) -> str:
    finished = amictl("create-key", "--quiet", *words)
    assert (finished.status, finished.err) == (0, ""), finished.err
    return finished.out.strip()


def keys_folder(amictl: Home) -> Path:
    return amictl.folder / "data" / "amictl" / "keys"


@pytest.fixture
def passphrase_file(amictl: Home) -> Path:
    path = amictl.folder / "passphrase"
    path.write_text(f"{CORRECT}\n")
    path.chmod(0o600)
    return path


def at_a_terminal(amictl: Home, *words: str | Path) -> "pexpect.spawn[str]":
    return pexpect.spawn(
        str(PROGRAM),
        [str(word) for word in words],
        env=amictl.environment(),
        cwd=str(amictl.folder),
        encoding="utf-8",
        timeout=60,
    )


def end(talk: "pexpect.spawn[str]") -> tuple[int, str]:
    """The exit status, and what was said to the end."""
    talk.expect(pexpect.EOF)
    talk.close()
    assert talk.exitstatus is not None
    return talk.exitstatus, str(talk.before)


def test_a_key_is_made_shown_and_named(amictl: Home) -> None:
    key_id = create(amictl, "--alias", "web", "--description", "for the web")
    shown = answer(amictl, "describe-key", "--key-id", "alias/aws/ebs")["KeyMetadata"]
    assert (shown["KeyId"], shown["Description"]) == (key_id, "for the web")
    assert shown["Amictl"]["Aliases"] == ["alias/aws/ebs", "alias/web"]
    assert answer(amictl, "describe-keys")["Keys"] == [shown]
    assert amictl("describe-keys", "--quiet").out == f"{key_id}\n"


def test_the_key_folder_is_where_the_environment_says(amictl: Home) -> None:
    folder = amictl.folder / "elsewhere"
    assert amictl("create-key", AMICTL_KEYS=str(folder)).status == 0
    assert sorted(path.suffix for path in folder.iterdir()) == [".age", ".json"]
    assert not keys_folder(amictl).exists()


def test_showing_keys_makes_no_folder(amictl: Home) -> None:
    assert answer(amictl, "describe-keys") == {"Keys": []}
    assert list(amictl.folder.iterdir()) == []


def test_a_key_that_others_can_read_is_refused_with_the_command_that_mends_it(
    amictl: Home,
) -> None:
    create(amictl)
    keys_folder(amictl).chmod(0o755)
    finished = amictl("describe-keys")
    assert (finished.status, finished.out) == (12, "")
    assert f"hint: run: chmod 700 {keys_folder(amictl)}\n" in finished.err


def test_a_record_of_a_key_that_is_damaged_hides_no_other(amictl: Home) -> None:
    first, second = create(amictl), create(amictl)
    broken = keys_folder(amictl) / f"{first}.json"
    broken.write_text("rubbish")
    finished = amictl("describe-keys")
    assert finished.status == 3
    shown = json.loads(finished.out)
    assert [key["KeyId"] for key in shown["Keys"]] == [second]
    assert shown["Faults"][0]["KeyId"] == first
    assert str(broken) in shown["Faults"][0]["Problem"]


def test_an_identity_file_that_others_can_read_is_noted(amictl: Home) -> None:
    key_id = create(amictl)
    amictl("export-key", "--key-id", key_id, "--output-file", "key.age")
    path = amictl.folder / "key.age"
    path.chmod(0o644)
    finished = amictl("import-key", path, AMICTL_KEYS=str(amictl.folder / "other"))
    assert finished.status == 0
    assert finished.err.startswith("note: others can read")
    assert f"chmod 600 {path}\n" in finished.err
    path.chmod(0o600)
    finished = amictl("import-key", path, AMICTL_KEYS=str(amictl.folder / "third"))
    assert (finished.status, finished.err) == (0, "")


def test_a_folder_is_no_identity_file(amictl: Home) -> None:
    finished = amictl("import-key", amictl.folder)
    assert finished.status == 16
    assert f"cannot read the identity file '{amictl.folder}': Is a directory" in finished.err


def test_no_secret_is_shown(amictl: Home) -> None:
    key_id = create(amictl)
    secret = (keys_folder(amictl) / f"{key_id}.age").read_text().splitlines()[-1]
    out = amictl.folder / "out.age"
    for words in (
        ["describe-keys"],
        ["export-key", "--key-id", key_id, "--output-file", out],
        ["export-key", "--key-id", key_id, "--recipient-only"],
        ["rewrap-key", "--key-id", key_id],
        ["check-key", "--key-id", key_id],
        ["import-key", out, "--debug"],
    ):
        finished = amictl(*words)
        assert secret not in finished.out + finished.err
    assert secret in out.read_text()


def test_an_identity_is_not_exported_to_a_terminal(amictl: Home) -> None:
    key_id = create(amictl)
    status, said = end(
        at_a_terminal(amictl, "export-key", "--key-id", key_id, "--output-file", "/dev/tty")
    )
    assert status == 14
    assert "AGE-SECRET" not in said


@pytest.mark.parametrize("words", [[], ["--recipient-only", "--output-file", "x"]])
def test_export_needs_one_target(amictl: Home, words: list[str]) -> None:
    assert amictl("export-key", "--key-id", create(amictl), *words).status == 2


def test_a_key_comes_from_a_key_file(amictl: Home) -> None:
    key_id = create(amictl, "--alias", "web")
    amictl("export-key", "--key-id", key_id, "--output-file", "key.txt")
    path = amictl.folder / "key.txt"
    other = {"AMICTL_KEYS": str(amictl.folder / "other")}
    made = answer(amictl, "create-key", "--key-file", path, **other)["KeyMetadata"]
    assert (made["KeyId"], made["Origin"]) == (key_id, "EXTERNAL")
    assert made["Amictl"]["Aliases"] == ["alias/aws/ebs"]


def test_a_passphrase_is_typed_twice_for_a_new_key_and_once_to_open_it(amictl: Home) -> None:
    talk = at_a_terminal(amictl, "create-key", "--alias", "web", "--passphrase", "--quiet")
    for prompt in ("New passphrase for the key: ", "The same once more: "):
        talk.expect_exact(prompt)
        talk.sendline(CORRECT)
    status, said = end(talk)
    assert (status, CORRECT in said) == (0, False)

    talk = at_a_terminal(amictl, "rewrap-key", "--key-id", "alias/web", "--no-passphrase")
    talk.expect(r"Passphrase for the key \S+ alias/web: ")
    talk.sendline(CORRECT)
    status, said = end(talk)
    assert (status, CORRECT in said) == (0, False)
    shown = answer(amictl, "describe-key", "--key-id", "alias/web")["KeyMetadata"]
    assert shown["Amictl"]["Protection"] == "file mode"


def test_two_passphrases_that_differ_make_no_key(amictl: Home) -> None:
    talk = at_a_terminal(amictl, "create-key", "--passphrase")
    talk.expect_exact("New passphrase for the key: ")
    talk.sendline("one")
    talk.expect_exact("The same once more: ")
    talk.sendline("another")
    status, said = end(talk)
    assert (status, "not the same" in said) == (2, True)
    assert not keys_folder(amictl).exists()


def test_without_a_terminal_a_passphrase_is_not_waited_for(amictl: Home) -> None:
    finished = amictl("create-key", "--passphrase")
    assert (finished.status, finished.out) == (12, "")
    assert "--passphrase-file" in finished.err


@pytest.mark.parametrize("way", ["FILE", "COMMAND"])
def test_a_passphrase_comes_from_a_file_or_a_command(
    amictl: Home, passphrase_file: Path, way: str
) -> None:
    given = str(passphrase_file) if way == "FILE" else f"cat {passphrase_file}"
    key_id = create(amictl, f"--passphrase-{way.lower()}", given)
    words = ["rewrap-key", "--key-id", key_id, "--no-passphrase"]
    refused = amictl(*words)
    assert refused.status == 12
    assert "AMICTL_PASSPHRASE_FILE" in refused.err
    assert answer(amictl, *words, **{f"AMICTL_PASSPHRASE_{way}": given})["KeyId"] == key_id


@pytest.mark.parametrize("way", ["FILE", "COMMAND"])
def test_a_new_key_takes_the_passphrase_of_the_environment(
    amictl: Home, passphrase_file: Path, way: str
) -> None:
    given = str(passphrase_file) if way == "FILE" else f"cat {passphrase_file}"
    variables = {f"AMICTL_PASSPHRASE_{way}": given}
    key_id = answer(amictl, "create-key", "--passphrase", **variables)["KeyMetadata"]["KeyId"]
    words = ["rewrap-key", "--key-id", key_id, "--no-passphrase"]
    assert amictl(*words).status == 12
    assert answer(amictl, *words, **variables)["KeyId"] == key_id


def test_a_key_without_a_passphrase_does_not_look_for_one(
    amictl: Home, passphrase_file: Path
) -> None:
    variables = {"AMICTL_PASSPHRASE_FILE": str(passphrase_file)}
    key_id = answer(amictl, "create-key", **variables)["KeyMetadata"]["KeyId"]
    assert amictl("rewrap-key", "--key-id", key_id, "--no-passphrase").status == 0


def test_a_passphrase_comes_from_a_file_descriptor(amictl: Home, passphrase_file: Path) -> None:
    words = ["create-key", "--passphrase-fd", "7", "--output", "json"]
    command = f'exec "$0" {" ".join(words)} 7<{passphrase_file}'
    talk = pexpect.spawn(
        "sh", ["-c", command, str(PROGRAM)], env=amictl.environment(), encoding="utf-8", timeout=60
    )
    status, said = end(talk)
    assert (status, '"Protection": "passphrase"' in said) == (0, True)


def test_a_passphrase_file_that_others_can_read_is_refused(
    amictl: Home, passphrase_file: Path
) -> None:
    passphrase_file.chmod(0o644)
    finished = amictl("create-key", "--passphrase-file", passphrase_file)
    assert (finished.status, finished.out) == (12, "")
    assert f"chmod 600 {passphrase_file}" in finished.err


@pytest.mark.parametrize("number", ["x", "-1", "1.5"])
def test_a_descriptor_that_is_no_number_is_wrong_usage(amictl: Home, number: str) -> None:
    finished = amictl("rewrap-key", "--key-id", create(amictl), AMICTL_PASSPHRASE_FD=number)
    assert finished.status == 2
    assert "AMICTL_PASSPHRASE_FD" in finished.err


def test_a_passphrase_has_one_source(amictl: Home, passphrase_file: Path) -> None:
    both = ["--passphrase-file", passphrase_file, "--passphrase-command", "true"]
    assert amictl("create-key", *both).status == 2


def test_recipients_and_none_contradict_each_other(amictl: Home) -> None:
    key_id = create(amictl)
    recipient = answer(amictl, "export-key", "--key-id", key_id, "--recipient-only")["Recipient"]
    words = ["rewrap-key", "--key-id", key_id, "--recipients", recipient, "--no-recipients"]
    assert amictl(*words).status == 2
    words = ["rewrap-key", "--key-id", key_id, "--no-passphrase", "--passphrase-fd", "0"]
    assert amictl(*words).status == 2


def test_a_recovery_key_is_added_and_taken_away(amictl: Home) -> None:
    key_id, other = create(amictl), create(amictl)
    recipient = answer(amictl, "export-key", "--key-id", other, "--recipient-only")["Recipient"]
    answer(amictl, "rewrap-key", "--key-id", key_id, "--recipients", recipient)
    shown = answer(amictl, "describe-key", "--key-id", key_id)["KeyMetadata"]
    assert shown["Amictl"]["FurtherRecipients"] == [recipient]
    answer(amictl, "rewrap-key", "--key-id", key_id, "--no-recipients")
    shown = answer(amictl, "describe-key", "--key-id", key_id)["KeyMetadata"]
    assert shown["Amictl"]["FurtherRecipients"] == []


def test_a_region_that_cannot_be_reached_is_named(amictl: Home) -> None:
    key_id = create(amictl)
    away = amictl.folder / "away"
    assert amictl("create-region", "away", "--directory", away).status == 0
    away.rename(amictl.folder / "gone")
    finished = amictl("rewrap-key", "--key-id", key_id)
    assert finished.status == 3
    assert json.loads(finished.out)["Faults"][0]["RegionName"] == "away"
    finished = amictl("schedule-key-deletion", "--key-id", key_id)
    assert finished.status == 0
    assert "warning: away could not be looked at" in finished.err


def test_every_region_is_looked_at(amictl: Home) -> None:
    key_id = create(amictl)
    assert amictl("enable-ebs-encryption-by-default").status == 0
    assert amictl("create-region", "b", "--directory", "b").status == 0
    for region in ("local", "b"):
        broken = amictl.local_region if region == "local" else amictl.folder / "b"
        (broken / "domains" / f"{'0' * 32}.json").write_text("no record")
    finished = amictl("rewrap-key", "--key-id", key_id, AMICTL_STORE=str(amictl.folder / "c"))
    names = {fault["RegionName"] for fault in json.loads(finished.out)["Faults"]}
    assert names == {"local", "b", str(amictl.folder / "c")}


def test_encryption_by_default_without_a_key_leads_to_create_key(amictl: Home) -> None:
    assert answer(amictl, "get-ebs-default-kms-key-id") == {"KmsKeyId": "alias/aws/ebs"}
    finished = amictl("modify-ebs-default-kms-key-id", "--kms-key-id", "alias/aws/ebs")
    assert finished.status == 10
    key_id = create(amictl)
    words = ["modify-ebs-default-kms-key-id", "--kms-key-id", "alias/aws/ebs"]
    assert answer(amictl, *words) == {"KmsKeyId": key_id}
    assert amictl("reset-ebs-default-kms-key-id", "--dry-run").status == 17
    assert answer(amictl, "get-ebs-default-kms-key-id") == {"KmsKeyId": key_id}


def test_only_its_key_opens_an_image(amictl: Home, passphrase_file: Path) -> None:
    disk = amictl.folder / "disk.raw"
    disk.write_bytes(bytes(range(256)) * 4096)
    key_id = create(amictl, "--passphrase-file", passphrase_file)
    opening = {"AMICTL_PASSPHRASE_FILE": str(passphrase_file)}
    assert amictl("enable-ebs-encryption-by-default").status == 0
    assert amictl("create-image", "--name", "one", disk).status == 12
    assert amictl("create-image", "--name", "one", disk, **opening).status == 0
    (shown,) = answer(amictl, "describe-snapshots")["Snapshots"]
    assert (shown["Encrypted"], shown["KmsKeyId"]) == (True, key_id)
    words = ["create-volume", "--snapshot-id", shown["SnapshotId"], "back.raw"]
    for wrong in ({}, {"AMICTL_PASSPHRASE_COMMAND": "echo wrong"}, {"AMICTL_KEYS": "/nonexistent"}):
        finished = amictl(*words, **wrong)
        assert (finished.status, key_id in finished.err) == (12, True)
    assert amictl(*words, **opening).status == 0
    assert (amictl.folder / "back.raw").read_bytes() == disk.read_bytes()
    assert answer(amictl, "check-key", "--key-id", key_id, **opening)["Faults"] == []
    finished = amictl("schedule-key-deletion", "--key-id", key_id)
    assert f"these are lost: {shown['SnapshotId']} (local)" in finished.err


def test_listing_images_loads_nothing_that_opens_keys(amictl: Home) -> None:
    create(amictl)
    assert amictl("enable-ebs-encryption-by-default").status == 0
    environment = amictl.environment()
    program = (
        "import sys; from amictl.cli.main import run; run(['describe-images']);"
        "print(sorted({'pyrage', 'cryptography', 'obstore', 'numpy', 'amictl.keys'}"
        " & sys.modules.keys()), file=sys.stderr)"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert finished.stderr == "[]\n"


def test_a_recovery_key_opens_on_a_new_machine_what_the_lost_key_encrypted(
    amictl: Home,
) -> None:
    safe = {"AMICTL_KEYS": str(amictl.folder / "safe")}
    recovery = answer(amictl, "create-key", **safe)["KeyMetadata"]["KeyId"]
    recovery_file = amictl.folder / "recovery.age"
    words = ["export-key", "--key-id", recovery]
    recipient = answer(amictl, *words, "--recipient-only", **safe)["Recipient"]
    answer(amictl, *words, "--output-file", recovery_file, **safe)

    lost = create(amictl)
    disk = amictl.folder / "disk.raw"
    disk.write_bytes(bytes(512) + bytes(range(256)) * 4)
    answer(amictl, "enable-ebs-encryption-by-default")
    made = answer(amictl, "create-snapshot", disk)["SnapshotId"]
    answer(amictl, "rewrap-key", "--key-id", lost, "--recipients", recipient)

    new = {"AMICTL_KEYS": str(amictl.folder / "new")}
    own = answer(amictl, "create-key", **new)["KeyMetadata"]["KeyId"]
    restore = ["create-volume", "--snapshot-id", made, amictl.folder / "out.raw"]
    finished = amictl(*restore, **new)
    assert finished.status == 12
    assert "import the identity of a further recipient: amictl import-key FILE" in finished.err
    answer(amictl, "import-key", recovery_file, **new)
    assert amictl(*restore, **new).status == 0
    assert (amictl.folder / "out.raw").read_bytes() == disk.read_bytes()
    checked = answer(amictl, "check-key", "--key-id", recovery, **new)
    assert [snapshot["SnapshotId"] for snapshot in checked["Snapshots"]] == [made]
    copy = ["copy-snapshot", "--source-region", "local", "--source-snapshot-id", made]
    copy += ["--encrypted", "--kms-key-id", own]
    copied = answer(amictl, *copy, **new)["SnapshotId"]
    checked = answer(amictl, "check-key", "--key-id", own, **new)
    assert [snapshot["SnapshotId"] for snapshot in checked["Snapshots"]] == [copied]
