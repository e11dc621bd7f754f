"""Encrypted domains of a region: their headers, and the keys that open them."""

from typing import Protocol

from amictl.model.records import DomainHeader


class Keyring(Protocol):
    """The user's keys, which are kept outside of every store."""

    def unwrap(self, header: DomainHeader) -> bytes:
        """The root secret of a domain, 32 bytes. Raises KeyUnavailableError."""
        ...

    def wrap(self, key_id: str, secret: bytes) -> str:
        """A secret for all recipients of a key, as the base64 of an age file.

        Raises KeyUnavailableError.
        """
        ...

    def resolve(self, name: str) -> str:
        """The id of a key that can be used, by its id, an alias or the end of an ARN.

        Raises KeyNotFoundError, KeyUnavailableError.
        """
        ...
