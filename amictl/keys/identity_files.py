"""Identity files of the user, wherever they are."""

import os
from pathlib import Path

from amictl.errors import KeyUnavailableError, NotFoundError, UsageError
from amictl.keys import age_headers, identities
from amictl.keys.identities import AskPassphrase, Talk
from amictl.keys.process import shield
from amictl.storage.disk import as_storage_error


def read(path: Path) -> bytes:
    """An identity file, whatever is in it. Raises NotFoundError, StorageError, UsageError."""
    shield()
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC), "rb") as file:
            data = file.read(age_headers.SIZE_MAX + 1)
    except FileNotFoundError:
        raise NotFoundError(f"there is no file {str(path)!r}") from None
    except OSError as error:
        raise as_storage_error(error, "read the identity file", path) from error
    if len(data) > age_headers.SIZE_MAX:
        raise UsageError(
            f"{str(path)!r} is too large for an identity file",
            hint="give what age-keygen or export-key wrote, or an SSH key",
        )
    return data


def opened(data: bytes, place: str, path: Path, ask: AskPassphrase, talk: Talk) -> bytes:
    """What is in an age file, which `place` names, with the identity in a file.

    Raises KeyUnavailableError; NotFoundError, StorageError and UsageError for the identity file.
    """
    from pyrage import DecryptError, decrypt

    name = repr(str(path))
    text = identities.unprotected(read(path), name, ask)
    identity = identities.identity_in(text, name, talk)
    try:
        content: bytes = decrypt(data, [identity.opener])
    except DecryptError as error:
        raise KeyUnavailableError(
            f"the identity in {name} does not open {place}: {error}",
            hint="give the identity of one of those whom it was sealed to",
        ) from None
    return content
