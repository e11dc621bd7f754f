"""Whether the cores of encrypted snapshots, and of images that map them, are what was recorded.

amictl-store(5), RECORDS. A core carries a MAC of its domain. A copy that was made without the key
has none: it is unconfirmed, until a command that has the key has looked at it.
"""

import hmac
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from amictl.content.domains import SealedDomain
from amictl.errors import CorruptStoreError, NotFoundError, StorageError, UnsupportedError
from amictl.formats import records as record_format
from amictl.model import facts
from amictl.model.records import Attributes, ImageCore, SnapshotCore, tags_from, value_of
from amictl.store import catalog, layout
from amictl.store.lineages import is_encrypted
from amictl.store.store import Store

AUTHENTIC, UNCONFIRMED, FORGED = "authentic", "unconfirmed", "forged"
_PREFIX = "mac:"

Core = TypeVar("Core", SnapshotCore, ImageCore)


def signed(core: Core, domain: SealedDomain) -> Core:
    """The core with its MAC; nothing in it may change after that."""
    mac = domain.mac(record_format.unsigned(core))
    return replace(core, signatures=(_PREFIX + mac,))


def signed_image(store: Store, core: ImageCore) -> ImageCore:
    """The core of an image: with a MAC if it maps an encrypted snapshot, else as it is.

    The MAC is of the domain of its root device, or of the first that is encrypted. Raises
    SnapshotNotFoundError, KeyUnavailableError.
    """
    mapped = sorted(core.mappings, key=lambda one: one.device_name != core.root_device_name)
    for mapping in mapped:
        if mapping.snapshot_id is not None:
            snapshot = catalog.read_snapshot_core(store, mapping.snapshot_id)
            if is_encrypted(snapshot):
                return image_of_domain(core, store.sealed_domain(snapshot.domain))
    return core


def image_of_domain(core: ImageCore, domain: SealedDomain) -> ImageCore:
    """The core of an image with the MAC of a domain."""
    pairs = {tag.key: tag.value for tag in core.further} | {facts.MAC_DOMAIN: domain.id.hex()}
    return signed(replace(core, further=tags_from(pairs)), domain)


def mac_domain(core: SnapshotCore | ImageCore) -> str | None:
    """The domain whose MAC a core needs; None where it needs none."""
    if isinstance(core, SnapshotCore):
        return core.domain if is_encrypted(core) else None
    return value_of(core.further, facts.MAC_DOMAIN)


def state_of(store: Store, core: SnapshotCore | ImageCore, attributes: Attributes | None) -> str:
    """AUTHENTIC, UNCONFIRMED or FORGED, as the key of its domain says.

    Raises KeyUnavailableError, CorruptStoreError for a damaged header.
    """
    domain_id = mac_domain(core)
    if domain_id is None:
        return AUTHENTIC
    domain = store.sealed_domain(domain_id)
    if core.signatures:
        return AUTHENTIC if _has_mac(core, domain) else FORGED
    if not isinstance(core, SnapshotCore) or not _is_copy(core, domain):
        return FORGED
    confirmation = attributes.fact(facts.CONFIRMATION) if attributes else None
    right = domain.mac(record_format.encode(core))
    if confirmation is None:
        return UNCONFIRMED
    return AUTHENTIC if hmac.compare_digest(confirmation, right) else FORGED


def is_unconfirmed(core: SnapshotCore, attributes: Attributes) -> bool:
    """Whether a snapshot is a copy that no command with the key has confirmed; needs no key."""
    return (
        is_encrypted(core) and not core.signatures and attributes.fact(facts.CONFIRMATION) is None
    )


def require_authentic(store: Store, core: SnapshotCore | ImageCore) -> None:
    """Raises CorruptStoreError if a core was not recorded with the key of its domain.

    KeyUnavailableError without it. What is plain carries no MAC. A copy that was made without the
    key, and holds what its source's core says, is confirmed for the future.
    """
    if mac_domain(core) is None:
        return
    record_id = core.snapshot_id if isinstance(core, SnapshotCore) else core.image_id
    attributes = None
    with suppress(CorruptStoreError):
        attributes = catalog.read_attributes(store, record_id)
    state = state_of(store, core, attributes)
    if state == FORGED:
        raise CorruptStoreError(
            f"{layout.core(record_id)} was not recorded with the key of its domain",
            hint="put the file back from a copy of the store",
        )
    if state == UNCONFIRMED:
        confirm(store, core)


def confirm(store: Store, core: SnapshotCore | ImageCore) -> None:
    """Write down that a copy was found to be what its source was; where that can be written."""
    assert isinstance(core, SnapshotCore)
    right = store.sealed_domain(core.domain).mac(record_format.encode(core))
    with suppress(StorageError, UnsupportedError, NotFoundError, CorruptStoreError):
        store.require_features("write")
        catalog.change_attributes(
            store, core.snapshot_id, lambda before: before.with_facts({facts.CONFIRMATION: right})
        )


def _has_mac(core: SnapshotCore | ImageCore, domain: SealedDomain) -> bool:
    right = _PREFIX + domain.mac(record_format.unsigned(core))
    return len(core.signatures) == 1 and hmac.compare_digest(core.signatures[0], right)


def _is_copy(core: SnapshotCore, domain: SealedDomain) -> bool:
    """Whether the core that a copy carries along is authentic, and says the same of the content."""
    text = value_of(core.further, facts.COPIED_CORE)
    if text is None:
        return False
    source = record_format.decode(text.encode(), SnapshotCore, f"the source of {core.snapshot_id}")
    if not source.signatures:  # a copy of a copy: the first one is inside
        return _says_the_same(core, source) and _is_copy(source, domain)
    return _says_the_same(core, source) and _has_mac(source, domain)


def _says_the_same(core: SnapshotCore, source: SnapshotCore) -> bool:
    def content(of: SnapshotCore) -> tuple[object, ...]:
        sealed = value_of(of.further, facts.SEALED)
        return of.domain, of.root, of.height, of.size_bytes, of.cut, of.hash, sealed

    return content(core) == content(source)
