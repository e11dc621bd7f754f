"""The keys of a folder, opened when they are needed and not before."""

import base64
import binascii
import shlex
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from amictl.errors import KeyNotFoundError, KeyUnavailableError, UsageError
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
        self._shut: dict[str, KeyUnavailableError] = {}
        self._lock = threading.Lock()

    def resolve(self, name: str) -> str:
        """The id of the key of this id, alias or ARN.

        Raises KeyNotFoundError, KeyUnavailableError if it is to be deleted.
        """
        record = self._folder.find(name)
        self._require_enabled(record)
        return record.key_id

    def unwrap(self, header: DomainHeader) -> bytes:
        """The root secret of a domain, 32 bytes. Raises KeyUnavailableError.

        Where the key itself is not here, another one opens it that is a further recipient.
        """
        place = f"the domain {header.domain_id} of the key {header.key_id}"
        wrapped, is_shared = _decoded(header, place)
        try:
            identity = self.identity(self._usable(header.key_id))
        except KeyUnavailableError as error:
            found = self._opened_by_others(header.key_id, wrapped) if is_shared else None
            if found is None:
                raise (_with_others(error) if is_shared else error) from None
            secret = found
        else:
            secret = _unwrapped(wrapped, identity, f"the key {header.key_id} does not open {place}")
        if len(secret) != SECRET_SIZE:
            raise KeyUnavailableError(f"{place} has no secret of {SECRET_SIZE} bytes")
        return secret

    def is_recipient(self, key_id: str, header: DomainHeader) -> bool:
        """Whether a key opens the domain of another. Raises KeyUnavailableError."""
        wrapped, is_shared = _decoded(header, f"the domain {header.domain_id}")
        identity = self.identity(self._usable(key_id))
        with suppress(KeyUnavailableError):
            return is_shared and len(_unwrapped(wrapped, identity, "")) == SECRET_SIZE
        return False

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

    def recipients(self, key_id: str) -> tuple[str, ...]:
        """All to whom what belongs to a key is wrapped. Raises KeyUnavailableError."""
        return self._usable(key_id).recipients

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
        """The identity of a key, opened now or before. Raises KeyUnavailableError.

        One that could not be opened is not tried again.
        """
        with self._lock:  # held while a passphrase is asked for, so that it is asked for once
            if record.key_id in self._shut:
                raise self._shut[record.key_id]
            identity = self._open.get(record.key_id)
            if identity is None:
                try:
                    identity = self._opened(record)
                except KeyUnavailableError as error:
                    self._shut[record.key_id] = error
                    raise
                self._open[record.key_id] = identity
            return identity

    def open(self, data: bytes, place: str) -> bytes:
        """What is in an age file that one of the keys opens. Raises KeyUnavailableError."""
        try:
            age_headers.require_modest(data)
        except ValueError as error:
            raise KeyUnavailableError(f"{place} cannot be opened: {error}") from error
        found = self._opened_by_others("", data)
        if found is None:
            for locked in self._shut.values():
                raise locked
            raise KeyUnavailableError(
                f"none of the keys in {str(self._folder.path)!r} opens {place}",
                hint="import one that does: amictl import-key FILE; or name it: --identity FILE",
            )
        return found

    def _opened(self, record: KeyRecord) -> Identity:
        data = self._folder.identity(record.key_id)
        text = identities.unprotected(data, record.words, self._ask)
        path = str(self._folder.identity_path(record.key_id))
        hint = f"put the right file there, or: rm {shlex.quote(path)}; amictl import-key FILE"
        try:
            identity = identities.identity_in(text, repr(path), self._talk, record.recipient)
        except UsageError as error:
            raise KeyUnavailableError(
                f"{error.message}, for the key {record.key_id}", hint=hint
            ) from None
        if identity.recipient != record.recipient:
            raise KeyUnavailableError(f"{path!r} is the identity of another key", hint=hint)
        return identity

    def _opened_by_others(self, key_id: str, wrapped: bytes) -> bytes | None:
        """What another key of the folder opens, if one does: those without a passphrase first."""
        others = [record for record in self._folder.survey()[0] if record.key_id != key_id]
        for record in sorted(others, key=self._is_protected):
            with suppress(KeyUnavailableError):
                self._require_enabled(record)
                return _unwrapped(wrapped, self.identity(record), "")
        return None

    def _is_protected(self, record: KeyRecord) -> bool:
        try:
            return age_headers.is_age_file(self._folder.identity(record.key_id))
        except KeyUnavailableError:
            return True

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


def _unwrapped(wrapped: bytes, identity: Identity, problem: str) -> bytes:
    """What is in an age file. Raises KeyUnavailableError, which begins with `problem`."""
    from pyrage import DecryptError, decrypt

    try:
        secret: bytes = decrypt(wrapped, [identity.opener])
    except DecryptError as error:
        raise KeyUnavailableError(
            f"{problem}: {error}", hint="its header may be damaged, or wrapped to other recipients"
        ) from None
    return secret


def _with_others(error: KeyUnavailableError) -> KeyUnavailableError:
    others = "import the identity of a further recipient: amictl import-key FILE"
    hint = f"{error.hint}; or {others}" if error.hint else others
    return type(error)(error.message, hint=hint, code=error.code)


def _decoded(header: DomainHeader, place: str) -> tuple[bytes, bool]:
    """The age file of a header, if it asks for little, and whether it has several recipients.

    Raises KeyUnavailableError.
    """
    try:
        if len(header.wrapped) > 2 * age_headers.SIZE_MAX:
            raise ValueError(f"it is over {age_headers.SIZE_MAX} bytes")
        wrapped = base64.b64decode(header.wrapped, validate=True)
        stanzas = age_headers.require_modest(wrapped)
    except (ValueError, binascii.Error) as error:
        raise KeyUnavailableError(f"{place} cannot be opened: {error}") from error
    if any(words[0] == "scrypt" for words in stanzas):
        raise KeyUnavailableError(f"{place} cannot be opened: it is wrapped to a passphrase")
    recipients = [words for words in stanzas if not words[0].endswith(age_headers.GREASE)]
    return wrapped, len(recipients) > 1
