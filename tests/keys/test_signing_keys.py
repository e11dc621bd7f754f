"""Keys that sign: files of openssl and ssh-keygen, with and without a passphrase."""

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key, load_ssh_public_key

from amictl.errors import AmictlError, KeyLockedError, KeyUnavailableError, StorageError, UsageError
from amictl.keys.signing_keys import signer

pytestmark = pytest.mark.needs("openssl", "ssh-keygen")


def run(*words: str | Path) -> bytes:
    return subprocess.run(list(map(str, words)), check=True, capture_output=True).stdout


def nobody(place: str) -> str:
    raise AssertionError(f"{place} needs no passphrase")


def pem(folder: Path, *words: str, algorithm: str = "ed25519") -> Path:
    path = folder / "key.pem"
    run("openssl", "genpkey", "-algorithm", algorithm, *words, "-out", path)
    path.chmod(0o600)
    return path


def ssh(folder: Path, passphrase: str = "", kind: str = "ed25519") -> Path:
    path = folder / "id"
    run("ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", path)
    return path


def refused(path: Path, kind: type[AmictlError]) -> AmictlError:
    with pytest.raises(kind) as caught:
        signer(path, lambda place: "wrong")
    return caught.value


def test_a_key_of_openssl_signs(tmp_path: Path) -> None:
    path = pem(tmp_path)
    public = load_pem_public_key(run("openssl", "pkey", "-in", path, "-pubout"))
    public.verify(signer(path, nobody)(b"table"), b"table")  # type: ignore[call-arg, union-attr]


def test_a_key_of_ssh_signs(tmp_path: Path) -> None:
    path = ssh(tmp_path)
    public = load_ssh_public_key(path.with_name("id.pub").read_bytes())
    public.verify(signer(path, nobody)(b"table"), b"table")  # type: ignore[call-arg, union-attr]


def test_a_key_with_a_passphrase_is_opened_with_it(tmp_path: Path) -> None:
    path = pem(tmp_path, "-aes-256-cbc", "-pass", "pass:secret")
    asked: list[str] = []

    def ask(place: str) -> str:
        asked.append(place)
        return "secret"

    public = load_pem_public_key(
        run("openssl", "pkey", "-in", path, "-passin", "pass:secret", "-pubout")
    )
    public.verify(signer(path, ask)(b"table"), b"table")  # type: ignore[call-arg, union-attr]
    assert asked == [f"the signing key {str(path)!r}"]


def test_a_wrong_passphrase_is_refused(tmp_path: Path) -> None:
    path = pem(tmp_path, "-aes-256-cbc", "-pass", "pass:secret")
    assert "does not open" in refused(path, KeyLockedError).message


def test_a_key_of_ssh_with_a_passphrase_is_opened_or_refused_clearly(tmp_path: Path) -> None:
    error = refused(ssh(tmp_path, "secret"), AmictlError)
    assert isinstance(error, KeyLockedError) or "ssh-keygen -p" in str(error.hint)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = pem(tmp_path)
    path.chmod(0o640)
    assert f"chmod 600 {path}" in str(refused(path, KeyLockedError).hint)


@pytest.mark.parametrize("algorithm", ["rsa", "ed448", "x25519"])
def test_a_key_of_another_type_is_refused(tmp_path: Path, algorithm: str) -> None:
    error = refused(pem(tmp_path, algorithm=algorithm), UsageError)
    assert "another type than Ed25519" in error.message


def test_a_key_of_ssh_of_another_type_is_refused(tmp_path: Path) -> None:
    refused(ssh(tmp_path, kind="ecdsa"), UsageError)


@pytest.mark.parametrize("text", [b"", b"text", b"-----BEGIN PRIVATE KEY-----\nAAAA\n", b"\0" * 99])
def test_what_is_no_key_is_refused(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(text)
    path.chmod(0o600)
    assert "is not a private key" in refused(path, UsageError).message


def test_a_public_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "public"
    path.write_bytes(run("openssl", "pkey", "-in", pem(tmp_path), "-pubout"))
    path.chmod(0o600)
    refused(path, UsageError)


def test_a_key_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert "there is no signing key" in refused(tmp_path / "none", KeyUnavailableError).message


def test_a_folder_is_no_key(tmp_path: Path) -> None:
    refused(tmp_path, UsageError)


def test_a_key_below_a_file_cannot_be_read(tmp_path: Path) -> None:
    assert "cannot read" in refused(pem(tmp_path) / "key", StorageError).message
