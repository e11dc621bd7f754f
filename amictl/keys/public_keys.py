"""Public Ed25519 keys, and who of their holders signed something.

They are read as PEM, or as lines of OpenSSH: `ssh-ed25519 AAAA… comment`.
"""

import base64
import binascii
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from amictl.errors import UsageError
from amictl.storage.disk import as_storage_error

SIGNATURE_SIZE = 64

_SIZE_MAX = 1 << 20
_TYPE = "ssh-ed25519"
_RAW_SIZE = 32
_BEGIN, _END = "-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----"
_HINT = "write lines as in an OpenSSH .pub file, ssh-ed25519 AAAA…, or public keys in PEM"
_BLOB = len(_TYPE).to_bytes(4, "big") + _TYPE.encode() + _RAW_SIZE.to_bytes(4, "big")


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The 32 bytes of a public Ed25519 key."""

    raw: bytes

    @property
    def fingerprint(self) -> str:
        """As `ssh-keygen -l` shows it: SHA256: and 43 characters."""
        digest = sha256(_BLOB + self.raw).digest()
        return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def public_keys(text: bytes, place: str) -> tuple[PublicKey, ...]:
    """All keys of a file; empty lines and comments (#) are left out.

    Raises UsageError, naming `place`, for a file without a key, or with something else in it.
    """
    try:
        lines = text.decode().splitlines() if len(text) <= _SIZE_MAX else []
        keys = tuple(_keys(iter(lines)))
    except (ValueError, binascii.Error) as error:
        raise UsageError(f"{place} is not a file of public keys: {error}", hint=_HINT) from None
    if not keys:
        raise UsageError(f"{place} has no public key", hint=_HINT)
    return keys


def public_keys_in(path: Path) -> tuple[PublicKey, ...]:
    """The same from a file by its path. Raises UsageError, StorageError."""
    try:
        with path.open("rb") as file:
            return public_keys(file.read(_SIZE_MAX + 1), repr(str(path)))
    except OSError as error:
        raise as_storage_error(error, "read", path) from error


def signer(signature: bytes, data: bytes, keys: Sequence[PublicKey]) -> PublicKey | None:
    """The first of these keys whose holder made a raw Ed25519 signature; None if none did."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    for key in keys:
        try:
            Ed25519PublicKey.from_public_bytes(key.raw).verify(signature, data)
        except InvalidSignature:
            continue
        return key
    return None


def _keys(lines: Iterator[str]) -> Iterator[PublicKey]:
    """Raises ValueError."""
    for line in lines:
        line = line.strip()
        if line == _BEGIN:
            yield _from_pem(line, lines)
        elif line and not line.startswith("#"):
            yield _from_ssh(line)


def _from_ssh(line: str) -> PublicKey:
    words = line.split()
    if len(words) < 2 or words[0] != _TYPE:
        raise ValueError(f"{line[:40]!r} is not a key of the type {_TYPE}")
    blob = base64.b64decode(words[1], validate=True)
    if not blob.startswith(_BLOB) or len(blob) != len(_BLOB) + _RAW_SIZE:
        raise ValueError("a key is damaged")
    return PublicKey(blob[len(_BLOB) :])


def _from_pem(begin: str, lines: Iterator[str]) -> PublicKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    block = [begin]
    for line in lines:
        block.append(line.strip())
        if block[-1] == _END:
            break
    try:
        key = load_pem_public_key("\n".join((*block, "")).encode())
    except UnsupportedAlgorithm as error:
        raise ValueError(str(error)) from None
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("a key is of another type than Ed25519")
    return PublicKey(key.public_bytes_raw())
