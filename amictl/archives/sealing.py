"""Sealing what goes into an archive: age files to an identity that only this archive has.

amictl-archive(5), SEALING.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from amictl.errors import UsageError
from amictl.formats.framing import Buffer
from amictl.keys import age_headers


class Recipients(Protocol):
    """The user's keys, as far as something is to be sealed to them."""

    def recipients(self, key_id: str) -> tuple[str, ...]:
        """All to whom a secret of a key is wrapped. Raises KeyUnavailableError."""
        ...

    def seal(self, recipients: tuple[str, ...], secret: bytes) -> bytes:
        """An age file. Raises KeyUnavailableError, UsageError."""
        ...


class Sealing:
    """The identity of one archive; `key_file` is what key.age holds: it, for the recipients."""

    def __init__(self, keyring: Recipients, recipients: Sequence[str]) -> None:
        """Raises KeyUnavailableError; UsageError for what is no recipient, or too many."""
        from pyrage import x25519

        identity = x25519.Identity.generate()
        self._recipient: Any = identity.to_public()
        self.key_file = keyring.seal(tuple(dict.fromkeys(recipients)), f"{identity}\n".encode())
        try:
            age_headers.require_modest(self.key_file)
        except ValueError as error:
            raise UsageError(
                f"the archive cannot be wrapped to so many recipients: {error}"
            ) from None

    def seal(self, pieces: list[Buffer]) -> list[Buffer]:
        """One age file of these pieces, in pieces; `pieces` is used up, so that memory holds both
        only in part.
        """
        from pyrage import encrypt_io

        sealed = _Sealed()
        encrypt_io(_Plain(pieces), sealed, [self._recipient])
        return sealed.pieces


class _Plain:
    """Pieces as a file that is read once; each is let go of when it was."""

    def __init__(self, pieces: list[Buffer]) -> None:
        self._left = pieces
        self._left.reverse()
        self._piece = memoryview(b"")

    def read(self, size: int) -> bytes:
        """As of a file, less than asked for at the end of each piece."""
        while not self._piece and self._left:
            self._piece = memoryview(self._left.pop())
        data = bytes(self._piece[:size])
        self._piece = self._piece[size:]
        return data


class _Sealed:
    """A file that is written to memory."""

    def __init__(self) -> None:
        self.pieces: list[Buffer] = []

    def write(self, data: bytes) -> int:
        self.pieces.append(data)
        return len(data)


def recipients_of(keyring: Recipients, key_ids: Sequence[str], further: Sequence[str]) -> list[str]:
    """All to whom the archive of an image with these keys is wrapped. Raises
    KeyUnavailableError.
    """
    own = [recipient for key_id in key_ids for recipient in keyring.recipients(key_id)]
    return [*own, *further]
