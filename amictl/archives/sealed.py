"""Opening what is sealed in an archive: age files to an identity that only the archive has.

That identity stands in key.age, which the keys of the image's owner open. amictl-archive(5), KEYS.
"""

from collections.abc import Callable, Iterator
from typing import Any

from amictl.errors import CorruptStoreError
from amictl.formats.framing import refuse
from amictl.keys import age_headers
from amictl.model.archives import KEY

OpenKey = Callable[[bytes, str], bytes]
"""Gives what is in an age file that one of the keys at hand opens; the text names it in messages.

Raises KeyUnavailableError.
"""

_STANZA, _PASSPHRASE = "X25519", "scrypt"


class Unsealer:
    """Opens the sealed members of one archive."""

    def __init__(self, key_file: bytes, open_key: OpenKey) -> None:
        """`key_file` is the content of key.age. Raises KeyUnavailableError, CorruptStoreError."""
        from pyrage import IdentityError, x25519

        refuse(_PASSPHRASE in _sealed_to(key_file, KEY), f"{KEY} is sealed with a passphrase")
        text = open_key(key_file, KEY)
        try:
            self._identity: Any = x25519.Identity.from_str(text.decode("ascii").strip())
        except (IdentityError, UnicodeDecodeError):
            raise CorruptStoreError(f"what is in {KEY} is not an identity of age") from None
        refuse(
            text != f"{self._identity}\n".encode(),
            f"what is in {KEY} is more than an identity of age",
        )

    def open(self, sealed: bytes, name: str) -> bytes:
        """What is in a sealed member. Raises CorruptStoreError, naming it."""
        target = Target(bytearray(len(sealed)))
        self.open_into(iter((sealed,)), target, name)
        return bytes(target.filled)

    def open_into(self, pieces: Iterator[bytes], target: "Target", name: str) -> None:
        """The same from pieces, on its way to a buffer. Raises also what the iterator raises."""
        from pyrage import DecryptError, decrypt_io

        source = _Stream(pieces)
        _require_one_recipient(source.piece, name)
        try:
            decrypt_io(source, target, [self._identity])
        except (DecryptError, OSError) as error:  # what is raised in between comes as it was
            raise CorruptStoreError(f"{name} cannot be opened: {error}") from None


class Target:
    """A buffer that is filled from its start; to who writes, a file."""

    def __init__(self, buffer: bytearray) -> None:
        self._buffer = memoryview(buffer)
        self._size = 0

    @property
    def filled(self) -> memoryview:
        """What was written."""
        return self._buffer[: self._size]

    def write(self, data: bytes) -> int:
        """Raises CorruptStoreError if it is more than there is room for."""
        stop = self._size + len(data)
        refuse(stop > len(self._buffer), "a member is longer than it says")
        self._buffer[self._size : stop] = data
        self._size = stop
        return len(data)

    def flush(self) -> None:
        pass


class _Stream:
    """Pieces as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self.piece = next(pieces, b"")
        self._position = 0

    def read(self, size: int = -1) -> bytes:
        """As of a file, less than asked for at the end of each piece."""
        if self._position == len(self.piece):
            self.piece, self._position = next(self._pieces, b""), 0
        start = self._position
        stop = len(self.piece) if size < 0 else min(start + size, len(self.piece))
        self._position = stop
        return self.piece[start:stop]


def _require_one_recipient(piece: bytes, name: str) -> None:
    """Raises CorruptStoreError if opening would cost more than it does for what amictl writes."""
    sealed_to = _sealed_to(piece[: age_headers.SIZE_MAX], name)
    refuse(sealed_to != [_STANZA], f"{name} is not sealed to the key of its archive alone")


def _sealed_to(head: bytes, name: str) -> list[str]:
    """The types of the recipients of an age file, without those that nobody opens.

    Raises CorruptStoreError if it is none as archives have them.
    """
    try:
        stanzas = age_headers.require_modest(head)
    except ValueError as error:
        raise CorruptStoreError(f"{name} cannot be opened: {error}") from error
    refuse(age_headers.is_armored(head), f"{name} is armored")
    return [words[0] for words in stanzas if not words[0].endswith(age_headers.GREASE)]
