"""The keys of a folder, opened when they are needed and not before."""

import base64
import binascii
import threading
from collections.abc import Callable
from datetime import datetime

from amictl.errors import KeyNotFoundError, KeyUnavailableError
from amictl.keys import age_headers, identities
from amictl.keys.folder import KeyFolder, is_expired
from amictl.keys.identities import AskPassphrase, Identity, Talk
from amictl.model.keys import ENABLED, KeyRecord
from amictl.model.records import DomainHeader

SECRET_SIZE = 32


class FolderKeyring:
    """Wraps and unwraps the secrets of domains; see `store.domains.Keyring` for the contract.

    A key that is open stays open, so that its passphrase is asked for once. Safe for threads.
    """

    def __init__(
        self, folder: KeyFolder, ask: AskPassphrase, talk: Talk, now: Callable[[], datetime]
    ) -> None:
        self._folder = folder
        self._ask = ask
        self._talk = talk
        self._now = now
        self._open: dict[str, Identity] = {}
        self._lock = threading.Lock()

    def resolve(self, name: str) -> str:
        """The id of the key of this id, alias or ARN.

        Raises KeyNotFoundError, KeyUnavailableError if it is to be deleted.
        """
        record = self._folder.find(name)
        self._require_enabled(record)
        return record.key_id

    def unwrap(self, header: DomainHeader) -> bytes:
        """The root secret of a domain, 32 bytes. Raises KeyUnavailableError."""
        place = f"the domain {header.domain_id} of the key {header.key_id}"
        wrapped = _decoded(header, place)
        identity = self.identity(self._usable(header.key_id))
        from pyrage import DecryptError, decrypt

        try:
            secret: bytes = decrypt(wrapped, [identity.opener])
        except DecryptError as error:
            raise KeyUnavailableError(
                f"the key {header.key_id} does not open {place}: {error}",
                hint="its header may be damaged, or wrapped to other recipients",
            ) from None
        if len(secret) != SECRET_SIZE:
            raise KeyUnavailableError(f"{place} has no secret of {SECRET_SIZE} bytes")
        return secret

    def wrap(self, key_id: str, secret: bytes) -> str:
        """A secret for all recipients of a key, as the base64 of an age file.

        Raises KeyUnavailableError.
        """
        return base64.b64encode(self.seal(self._usable(key_id).recipients, secret)).decode()

    def mac(self, key_id: str, data: bytes) -> str | None:
        """In hexadecimal, a MAC that only who has the identity of a key can make.

        None for an identity of a plugin, which gives no secret away. Raises KeyUnavailableError.
        """
        secret = self.identity(self._usable(key_id)).secret
        if secret is None:
            return None
        from amictl.content.sealing import identity_mac

        return identity_mac(secret, data)

    def seal(self, recipients: tuple[str, ...], secret: bytes) -> bytes:
        """An age file to these recipients. Raises KeyUnavailableError, UsageError."""
        sealers = [identities.sealer(recipient, self._talk) for recipient in recipients]
        from pyrage import EncryptError, encrypt

        try:
            data: bytes = encrypt(secret, sealers)
        except EncryptError as error:
            raise KeyUnavailableError(
                f"nothing can be sealed to {', '.join(recipients)}: {error}"
            ) from None
        return data

    def identity(self, record: KeyRecord) -> Identity:
        """The identity of a key, opened now or before. Raises KeyUnavailableError."""
        with self._lock:  # held while a passphrase is asked for, so that it is asked for once
            identity = self._open.get(record.key_id)
            if identity is None:
                identity = self._opened(record)
                self._open[record.key_id] = identity
            return identity

    def _opened(self, record: KeyRecord) -> Identity:
        data = self._folder.identity(record.key_id)
        text = identities.unprotected(data, record.words, self._ask)
        identity = identities.identity_in(text, record.words, self._talk, record.recipient)
        if identity.recipient != record.recipient:
            path = self._folder.identity_path(record.key_id)
            raise KeyUnavailableError(f"{str(path)!r} is the identity of another key")
        return identity

    def _usable(self, key_id: str) -> KeyRecord:
        try:
            record = self._folder.find(key_id)
        except KeyNotFoundError as error:
            raise KeyUnavailableError(
                f"the key {key_id} is not in {str(self._folder.path)!r}",
                hint="bring its identity file here: amictl import-key FILE",
            ) from error
        self._require_enabled(record)
        return record

    def _require_enabled(self, record: KeyRecord) -> None:
        if is_expired(record, self._now()):
            raise KeyUnavailableError(
                f"the key {record.key_id} was to be deleted on {record.deletion_date}",
                hint="if its identity file was exported: amictl import-key FILE",
            )
        if record.state != ENABLED:
            raise KeyUnavailableError(
                f"the key {record.key_id} is pending deletion, on {record.deletion_date}",
                hint=f"amictl cancel-key-deletion --key-id {record.key_id}",
            )


def _decoded(header: DomainHeader, place: str) -> bytes:
    """The age file of a header, if it asks for little. Raises KeyUnavailableError."""
    try:
        if len(header.wrapped) > 2 * age_headers.SIZE_MAX:
            raise ValueError(f"it is over {age_headers.SIZE_MAX} bytes")
        wrapped = base64.b64decode(header.wrapped, validate=True)
        stanzas = age_headers.require_modest(wrapped)
    except (ValueError, binascii.Error) as error:
        raise KeyUnavailableError(f"{place} cannot be opened: {error}") from error
    if any(words[0] == "scrypt" for words in stanzas):
        raise KeyUnavailableError(f"{place} cannot be opened: it is wrapped to a passphrase")
    return wrapped
