"""Public keys in files, and who signed."""

import base64
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from amictl.errors import StorageError, UsageError
from amictl.keys.public_keys import PublicKey, public_keys, public_keys_in, signer

KEYS = [Ed25519PrivateKey.generate() for _ in range(3)]
PUBLIC = [PublicKey(key.public_key().public_bytes_raw()) for key in KEYS]
PEM = [
    key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo) for key in KEYS
]
SSH = [key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) for key in KEYS]


def test_keys_stand_in_pem_and_in_lines_of_openssh() -> None:
    text = b"# the office\n\n" + PEM[0] + SSH[1] + b" me@here\n" + PEM[2]

    assert public_keys(text, "here") == tuple(PUBLIC)


@pytest.mark.needs("ssh-keygen", "openssl")
def test_files_of_ssh_keygen_and_openssl_are_read(tmp_path: Path) -> None:
    def run(*words: str) -> str:
        done = subprocess.run(words, cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout

    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "ssh")
    run("openssl", "genpkey", "-algorithm", "ed25519", "-out", "private.pem")
    run("openssl", "pkey", "-in", "private.pem", "-pubout", "-out", "public.pem")

    (key,) = public_keys_in(tmp_path / "ssh.pub")

    assert key.fingerprint in run("ssh-keygen", "-l", "-f", "ssh.pub")
    assert len(public_keys_in(tmp_path / "public.pem")) == 1
    assert shutil.which("ssh-keygen")


def test_the_one_who_signed_is_found() -> None:
    signature = KEYS[1].sign(b"table")

    assert signer(signature, b"table", PUBLIC) == PUBLIC[1]
    assert signer(signature, b"table", [PUBLIC[0], PUBLIC[2]]) is None
    assert signer(signature, b"tables", PUBLIC) is None


def foreign() -> bytes:
    """A public key of another type."""
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


BLOB = base64.b64decode(SSH[0].split()[1])
WRONG = {
    "nothing": b"",
    "a comment": b"# nobody\n",
    "noise": bytes(range(256)),
    "words": b"hello there\n",
    "another type in pem": foreign(),
    "another type of openssh": b"ssh-rsa " + SSH[0].split()[1],
    "the type alone": b"ssh-ed25519\n",
    "no base64": b"ssh-ed25519 %%%%\n",
    "a short key": b"ssh-ed25519 " + base64.b64encode(BLOB[:-1]),
    "a long key": b"ssh-ed25519 " + base64.b64encode(BLOB + b"\0"),
    "pem without end": PEM[0][:60],
    "a private key": b"-----BEGIN PRIVATE KEY-----\n",
    "too much": SSH[0] + b"\n" + b"#" * (1 << 20),
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_what_is_no_public_key_is_refused(text: bytes) -> None:
    with pytest.raises(UsageError, match="here"):
        public_keys(text, "here")


def test_a_file_that_is_not_there_is_an_error_of_the_disk(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        public_keys_in(tmp_path / "absent")
