"""Encrypted domains of a region: their headers, and the keys that open them.

amictl-store(5), DOMAINS.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from amictl.content.domains import Domain, SealedDomain
from amictl.errors import (
    AmictlError,
    CorruptStoreError,
    KeyUnavailableError,
    ObjectMissingError,
)
from amictl.formats import records as record_format
from amictl.formats.framing import PLAIN_DOMAIN
from amictl.model import facts
from amictl.model.records import DomainHeader, tags_from
from amictl.model.surroundings import Surroundings
from amictl.model.times import timestamp
from amictl.store import layout

if TYPE_CHECKING:
    from amictl.store.store import Store

MAGIC = b"AMIDOMN1"
WRAPPED_SIZE_MAX = 64 * 1024
SECRET_SIZE = 32
_PLAIN = PLAIN_DOMAIN.hex()


class Keyring(Protocol):
    """The user's keys, which are kept outside of every store."""

    def unwrap(self, header: DomainHeader) -> bytes:
        """The root secret of a domain, 32 bytes, with its key or one of its further recipients.

        Raises KeyUnavailableError.
        """
        ...

    def wrap(self, key_id: str, secret: bytes) -> str:
        """A secret for all recipients of a key, as the base64 of an age file.

        Raises KeyUnavailableError.
        """
        ...

    def mac(self, key_id: str, data: bytes) -> str | None:
        """A MAC that only who has the identity of a key can make; None if it can make none.

        Raises KeyUnavailableError.
        """
        ...

    def is_recipient(self, key_id: str, header: DomainHeader) -> bool:
        """Whether a key opens the domain of another, whose further recipient it is.

        Raises KeyUnavailableError.
        """
        ...

    def recipients(self, key_id: str) -> tuple[str, ...]:
        """All to whom what belongs to a key is wrapped. Raises KeyUnavailableError."""
        ...

    def seal(self, recipients: tuple[str, ...], secret: bytes) -> bytes:
        """An age file to these recipients. Raises KeyUnavailableError, UsageError."""
        ...

    def resolve(self, name: str) -> str:
        """The id of a key that can be used, by its id, an alias or the end of an ARN.

        Raises KeyNotFoundError, KeyUnavailableError.
        """
        ...


def read_header(store: "Store", domain_id: str) -> DomainHeader:
    """Raises CorruptStoreError, ObjectMissingError."""
    place = layout.domain(domain_id)
    header = record_format.decode(store.storage.read(place), DomainHeader, place)
    if header.domain_id != domain_id:
        raise CorruptStoreError(f"{place} is about {header.domain_id}")
    return header


def ids(store: "Store") -> list[str]:
    """Of the encrypted domains of a region, in order."""
    listed = (layout.core_id(name) for name, _ in store.storage.names("domains"))
    return sorted(domain_id for domain_id in listed if domain_id is not None)


def headers(store: "Store") -> Iterator[DomainHeader]:
    """All of a region, in the order of their ids. Raises CorruptStoreError."""
    for domain_id in ids(store):
        yield read_header(store, domain_id)


def key_id(store: "Store", domain_id: str) -> str | None:
    """The key of a domain, without opening it.

    None for the plain domain, and where the header cannot be read.
    """
    if domain_id == _PLAIN:
        return None
    try:
        return read_header(store, domain_id).key_id
    except CorruptStoreError:
        return None


def open_domain(store: "Store", domain_id: str) -> SealedDomain:
    """The domain with its keys; `Store.domain` keeps it.

    Raises KeyUnavailableError; CorruptStoreError for a header that was tampered with, or that
    somebody made who does not have the key.
    """
    try:
        header = read_header(store, domain_id)
    except ObjectMissingError as error:
        error.hint = "put the header back from a copy of the store: without it no key opens this"
        raise
    return _opened(header, secret_of(header, _keyring(store, header.key_id)))


def secret_of(header: DomainHeader, keyring: Keyring) -> bytes:
    """The root secret of a domain, which belongs there. Raises as `open_domain`."""
    place = layout.domain(header.domain_id)
    if len(header.wrapped) > WRAPPED_SIZE_MAX:
        raise CorruptStoreError(f"{place} has a secret that is too long")
    secret = keyring.unwrap(header)
    _opened(header, secret)
    right = None
    with suppress(KeyUnavailableError):  # a further recipient opened it, who cannot tell
        right = keyring.mac(header.key_id, _bound(header))
    if right is not None and not _is_equal(header.fact(facts.MADE_WITH_KEY) or "", right):
        raise CorruptStoreError(
            f"{place} was not made by who has the key {header.key_id}",
            hint="whoever made it can open what is encrypted in it: find out how it came there",
        )
    return secret


def opened(store: "Store", domain_id: str) -> Domain | None:
    """A domain, or None if its key is not at hand.

    Raises CorruptStoreError for a header that is damaged.
    """
    try:
        return store.domain(domain_id)
    except KeyUnavailableError:
        return None


def require_same(source: "Store", target: "Store", domain_id: str) -> None:
    """Raises CorruptStoreError if a domain has another secret in the target than in the source."""
    _merged(source, target, domain_id)


def bring_header(source: "Store", target: "Store", domain_id: str) -> None:
    """Have the header of a domain of the source in the target too; durable when it returns.

    Of two that are there, the newer one stays; but one that the target has is replaced only if
    the key is at hand, and opens the other: else whoever can write to the source could take
    everything away that the target has in the domain. Raises CorruptStoreError.
    """
    place = layout.domain(domain_id)
    while (header := _merged(source, target, domain_id)) is not None:
        after, before = header
        if target.storage.replace_if_unchanged(place, after, before):
            _tell_of_new(target)
            return


def _merged(source: "Store", target: "Store", domain_id: str) -> tuple[bytes, bytes | None] | None:
    """The bytes of the header that the target is to have, and what it has; None if that stays."""
    header = read_header(source, domain_id)
    opened(source, domain_id)  # one that was tampered with goes nowhere
    try:
        present = read_header(target, domain_id)
    except ObjectMissingError:
        return record_format.encode(header), None
    if (present.commitment, present.key_id) != (header.commitment, header.key_id):
        raise CorruptStoreError(
            f"{layout.domain(domain_id)} has another secret in the region to copy to",
            hint="check-key in both regions says which of the two is damaged",
        )
    if header.generation <= present.generation or opened(source, domain_id) is None:
        return None
    try:
        _require_own(source, header.key_id)
    except KeyUnavailableError:
        return None
    return record_format.encode(header), record_format.encode(present)


def for_key(store: "Store", key_id: str, surroundings: Surroundings) -> SealedDomain:
    """The domain of a key in this region, or a new one, whose header is durable.

    Raises KeyUnavailableError, also where only a further recipient of the key is; StorageError.
    """
    _require_own(store, key_id)
    present = _domain_of(store, key_id)
    if present is not None:
        return present
    secret = surroundings.random_bytes(SECRET_SIZE)
    header = new_header(store, key_id, secret, surroundings)
    if not store.storage.write_if_absent(
        layout.domain(header.domain_id), record_format.encode(header)
    ):
        raise AmictlError(f"the random id {header.domain_id} was there already")
    _tell_of_new(store)
    return store.sealed_domain(header.domain_id)


def _tell_of_new(store: "Store") -> None:
    if store.on_new_domain is not None:
        store.on_new_domain()


def new_header(
    store: "Store", key_id: str, secret: bytes, surroundings: Surroundings
) -> DomainHeader:
    """A header of a new domain, which is not yet written, but was opened with the key.

    Raises KeyUnavailableError.
    """
    from amictl.content.sealing import derive

    domain_id = surroundings.random_bytes(len(PLAIN_DOMAIN))
    keyring = _keyring(store, key_id)
    header = DomainHeader(
        domain_id=domain_id.hex(),
        key_id=key_id,
        commitment=derive(secret, domain_id).commitment.hex(),
        wrapped=keyring.wrap(key_id, secret),
        generation=0,
        created=timestamp(surroundings.now()),
    )
    right = keyring.mac(key_id, _bound(header))
    if right is not None:
        header = replace(header, further=tags_from({facts.MADE_WITH_KEY: right}))
    secret_of(header, keyring)
    return header


def require_key(store: "Store", key_id: str, surroundings: Surroundings) -> None:
    """Raises KeyUnavailableError if nothing could be encrypted with a key. Nothing is written."""
    _require_own(store, key_id)
    if _domain_of(store, key_id) is None:
        new_header(store, key_id, bytes(SECRET_SIZE), surroundings)


def require_own(store: "Store", domain_id: str) -> None:
    """Raises KeyUnavailableError if nothing could be encrypted in a domain: who opened it as a
    further recipient cannot tell who made it.
    """
    store.sealed_domain(domain_id)
    _require_own(store, read_header(store, domain_id).key_id)


def _require_own(store: "Store", key_id: str) -> None:
    try:
        _keyring(store, key_id).mac(key_id, b"")
    except KeyUnavailableError as error:
        raise type(error)(
            f"nothing new can be encrypted with the key {key_id}: {error.message}",
            hint=error.hint,
            code=error.code,
        ) from None


def _domain_of(store: "Store", key_id: str) -> SealedDomain | None:
    """The first domain of a key. What is damaged, or of somebody else, takes no new content."""
    for domain_id in ids(store):
        with suppress(CorruptStoreError):
            if read_header(store, domain_id).key_id == key_id:
                return store.sealed_domain(domain_id)
    return None


def _keyring(store: "Store", key_id: str) -> Keyring:
    if store.keyring is None:
        raise KeyUnavailableError(
            f"key {key_id} is needed, and no keys are at hand",
            hint="import the key: amictl import-key FILE",
        )
    return store.keyring


def _bound(header: DomainHeader) -> bytes:
    """What shows who made a header is over: its domain, and by the commitment the secret of it."""
    return MAGIC + bytes.fromhex(header.domain_id) + bytes.fromhex(header.commitment)


def _is_equal(text: str, right: str) -> bool:
    """How far it is right does not show."""
    import hmac

    return hmac.compare_digest(text.encode(), right.encode())


def _opened(header: DomainHeader, secret: bytes) -> SealedDomain:
    """Raises CorruptStoreError unless the header is of this secret."""
    from amictl.content.sealing import derive

    domain_id = bytes.fromhex(header.domain_id)
    keys = derive(secret, domain_id) if len(secret) == SECRET_SIZE else None
    if keys is None or not _is_equal(keys.commitment.hex(), header.commitment):
        raise CorruptStoreError(
            f"{layout.domain(header.domain_id)} holds another secret than it says",
            hint="put the header back from a copy of the store",
        )
    return SealedDomain(domain_id, keys)
