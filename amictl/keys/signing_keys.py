"""Ed25519 keys that sign: files as openssl or ssh-keygen write them, and nobody else can read."""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from amictl.errors import KeyLockedError, KeyUnavailableError, UsageError
from amictl.keys.age_headers import SIZE_MAX
from amictl.keys.folder import require_private
from amictl.keys.identities import AskPassphrase
from amictl.keys.process import shield
from amictl.storage.disk import as_storage_error

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_SSH = b"-----BEGIN OPENSSH PRIVATE KEY-----"


def signer(path: Path, ask: AskPassphrase) -> Callable[[bytes], bytes]:
    """Signs with the key in a file; `ask` is asked if a passphrase protects it.

    Raises UsageError for what is no such key, KeyLockedError if others can read it or the
    passphrase is wrong, KeyUnavailableError if it is not there, StorageError.
    """
    return _opened(_read(path), repr(str(path)), ask).sign


def _opened(data: bytes, place: str, ask: AskPassphrase) -> "Ed25519PrivateKey":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    try:
        key = _loaded(data, None, place)
    except TypeError:  # it is protected
        passphrase = ask(f"the signing key {place}")
        try:
            key = _loaded(data, passphrase.encode(), place)
        except UsageError:
            raise KeyLockedError(
                f"the passphrase does not open {place}",
                hint="try again, or give another passphrase",
            ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(
            f"{place} is a key of another type than Ed25519",
            hint="make one: openssl genpkey -algorithm ed25519 -out FILE",
        )
    return key


def _loaded(data: bytes, passphrase: bytes | None, place: str) -> object:
    """The key in the text of a file. Raises UsageError, TypeError if it needs a passphrase."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    is_ssh = data.lstrip().startswith(_SSH)
    load = serialization.load_ssh_private_key if is_ssh else serialization.load_pem_private_key
    try:
        return load(data, passphrase)
    except UnsupportedAlgorithm as error:
        raise UsageError(
            f"{place} cannot be used: {error}",
            hint="take the passphrase from a copy of it with ssh-keygen -p",
        ) from None
    except ValueError as error:
        raise UsageError(
            f"{place} is not a private key: {error}",
            hint="make one: openssl genpkey -algorithm ed25519 -out FILE",
        ) from None


def _read(path: Path) -> bytes:
    shield()
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size > SIZE_MAX:
                raise UsageError(f"{str(path)!r} is not the file of a key")
            require_private(status, path, "600")
            return os.read(descriptor, SIZE_MAX)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise KeyUnavailableError(
            f"there is no signing key {str(path)!r}",
            hint="make one: openssl genpkey -algorithm ed25519 -out FILE",
        ) from None
    except OSError as error:
        raise as_storage_error(error, "read", path) from error
