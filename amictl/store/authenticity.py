"""Whether the cores of encrypted snapshots, and of images that map them, are what was recorded.

amictl-store(5), RECORDS. A core carries a MAC of its domain. A copy that was made without the key
has none: it is unconfirmed, until a command that has the key has looked at it.
"""

from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from amictl.content.domains import SealedDomain
from amictl.errors import CorruptStoreError, NotFoundError, StorageError, UnsupportedError
from amictl.formats import records as record_format
from amictl.model import facts
from amictl.model.records import Attributes, ImageCore, SnapshotCore, tags_from
from amictl.store import catalog, layout
from amictl.store.domains import opened
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

    The MAC is of the domain of its root device, or of the first that is encrypted, and over what
    each device maps. Raises SnapshotNotFoundError, KeyUnavailableError.
    """
    mapped = _by_device(core, _snapshots_of(store, core))
    sealed = {device: one.domain for device, one in mapped.items() if is_encrypted(one)}
    if not sealed:
        return core
    domain_id = sealed.get(core.root_device_name, next(iter(sealed.values())))
    core = _with_fact(core, facts.MAPPED_CONTENT, _content_of(mapped))
    return image_of_domain(core, store.sealed_domain(domain_id))


def image_of_domain(core: ImageCore, domain: SealedDomain) -> ImageCore:
    """The core of an image with the MAC of a domain."""
    return signed(_with_fact(core, facts.MAC_DOMAIN, domain.id.hex()), domain)


def of_copy(store: Store, core: Core, source: Core) -> Core:
    """The core of a copy in the domain of its source.

    With a MAC where the key is at hand, and the source has a right one; else with what the source
    says of itself, so that a command with the key can tell later. Raises CorruptStoreError if the
    source is forged.
    """
    domain_id = mac_domain(source)
    if domain_id is None:
        return core
    if isinstance(core, ImageCore):
        core = _with_fact(core, facts.MAC_DOMAIN, domain_id)
        core = _with_fact(core, facts.MAPPED_CONTENT, source.fact(facts.MAPPED_CONTENT) or "")
    if store.can_open(domain_id):
        domain = store.sealed_domain(domain_id)
        if not _is_recorded(source, domain):
            raise _forged(source)
        return signed(core, domain)
    text = source.fact(facts.COPIED_CORE) or record_format.encode(source).decode()
    return replace(_with_fact(core, facts.COPIED_CORE, text), signatures=())


def mac_domain(core: SnapshotCore | ImageCore) -> str | None:
    """The domain whose MAC a core needs; None where it needs none."""
    if isinstance(core, SnapshotCore):
        return core.domain if is_encrypted(core) else None
    return core.fact(facts.MAC_DOMAIN)


def state_of(store: Store, core: SnapshotCore | ImageCore, attributes: Attributes | None) -> str:
    """AUTHENTIC, UNCONFIRMED or FORGED, as the key of its domain says.

    Raises KeyUnavailableError, CorruptStoreError for a damaged header.
    """
    domain_id = mac_domain(core)
    if domain_id is None:
        return AUTHENTIC
    domain = store.sealed_domain(domain_id)
    if not _is_recorded(core, domain):
        return FORGED
    confirmation = attributes.fact(facts.CONFIRMATION) if attributes else None
    if core.signatures or (confirmation and _is_confirmed(core, domain, confirmation)):
        return AUTHENTIC
    return UNCONFIRMED


def is_unconfirmed(core: SnapshotCore | ImageCore, attributes: Attributes) -> bool:
    """Whether it is a copy that no command with the key has confirmed; needs no key."""
    needs_mac = mac_domain(core) is not None and not core.signatures
    return needs_mac and attributes.fact(facts.CONFIRMATION) is None


def require_authentic(store: Store, core: SnapshotCore | ImageCore) -> None:
    """Raises CorruptStoreError if a core was not recorded with the key of its domain, or an image
    maps something else than was recorded.

    KeyUnavailableError without it. What is plain carries no MAC, and nothing that is sealed. A
    copy that was made without the key, and holds what its source's core says, is confirmed for
    the future.
    """
    if isinstance(core, ImageCore) and not maps_what_was_recorded(store, core):
        raise CorruptStoreError(
            f"{layout.core(core.image_id)} maps other content than was recorded",
            hint="put the file, and those of its snapshots, back from a copy of the store",
        )
    if mac_domain(core) is None:
        if not is_wholly_plain(core):
            raise _forged(core)
        return
    attributes = None
    with suppress(CorruptStoreError):
        attributes = catalog.read_attributes(store, _id(core))
    state = state_of(store, core, attributes)
    if state == FORGED:
        raise _forged(core)
    if state == UNCONFIRMED:
        confirm(store, core)


def require_recorded(store: Store, core: SnapshotCore | ImageCore) -> None:
    """Raises CorruptStoreError if a core is forged, as far as the key is at hand.

    Unlike `require_authentic` it writes nothing down.
    """
    domain_id = mac_domain(core)
    if domain_id is not None:
        domain = opened(store, domain_id)
        if isinstance(domain, SealedDomain) and not _is_recorded(core, domain):
            raise _forged(core)


def confirm(store: Store, core: SnapshotCore | ImageCore) -> None:
    """Write down that a copy was found to be what its source was; where that can be written."""
    domain_id = mac_domain(core)
    assert domain_id is not None
    right = store.sealed_domain(domain_id).mac(record_format.encode(core))
    with suppress(StorageError, UnsupportedError, NotFoundError, CorruptStoreError):
        store.require_features("write")
        catalog.change_attributes(
            store, _id(core), lambda before: before.with_facts({facts.CONFIRMATION: right})
        )


def _snapshots_of(store: Store, core: ImageCore) -> dict[str, SnapshotCore]:
    """The snapshots that an image maps, by their ids. Raises SnapshotNotFoundError."""
    ids = {mapping.snapshot_id for mapping in core.mappings if mapping.snapshot_id is not None}
    return {given: catalog.read_snapshot_core(store, given) for given in ids}


def _by_device(core: ImageCore, snapshots: dict[str, SnapshotCore]) -> dict[str, SnapshotCore]:
    """What each device of an image maps, in the order of the devices."""
    return {
        mapping.device_name: snapshots[mapping.snapshot_id]
        for mapping in sorted(core.mappings, key=lambda one: one.device_name)
        if mapping.snapshot_id in snapshots
    }


def _content_of(mapped: dict[str, SnapshotCore]) -> str:
    """What is on the disks of an image, whatever the ids of its snapshots are."""
    return " ".join(
        f"{device}={one.domain}:{one.root or ''}:{one.size_bytes}" for device, one in mapped.items()
    )


def maps_what_was_recorded(store: Store, core: ImageCore) -> bool:
    """Whether the disks of an image have the content that its core names; needs no key.

    An image whose core carries no MAC maps only what is plain; else the MAC is of a domain that
    one of its disks is in, so that no other key makes an image of them. Raises
    SnapshotNotFoundError, CorruptStoreError.
    """
    return are_recorded(core, _snapshots_of(store, core))


def are_recorded(core: ImageCore, snapshots: dict[str, SnapshotCore]) -> bool:
    """The same, where what there is of its snapshots is known, by their ids."""
    mapped = _by_device(core, snapshots)
    domains = {one.domain for one in mapped.values() if is_encrypted(one)}
    if mac_domain(core) is None:
        return not domains
    recorded = core.fact(facts.MAPPED_CONTENT) == _content_of(mapped)
    return recorded and mac_domain(core) in domains


def is_wholly_plain(core: SnapshotCore | ImageCore) -> bool:
    """Whether a core that needs no MAC has nothing either of one that needs it.

    It has if somebody made a plain one of it, and left something behind.
    """
    sealed = (facts.SEALED, facts.COPIED_CORE, facts.MAPPED_CONTENT)
    return not core.signatures and not any(core.fact(key) is not None for key in sealed)


def _id(core: SnapshotCore | ImageCore) -> str:
    return core.snapshot_id if isinstance(core, SnapshotCore) else core.image_id


def _forged(core: SnapshotCore | ImageCore) -> CorruptStoreError:
    return CorruptStoreError(
        f"{layout.core(_id(core))} was not recorded with the key of its domain",
        hint="put the file back from a copy of the store",
    )


def _with_fact(core: Core, key: str, value: str) -> Core:
    pairs = {tag.key: tag.value for tag in core.further} | {key: value}
    return replace(core, further=tags_from(pairs))


def _is_recorded(core: SnapshotCore | ImageCore, domain: SealedDomain) -> bool:
    """Whether a core has the right MAC; or, as a copy, the content of one that had it."""
    if core.signatures:
        return _has_mac(core, domain)
    text = core.fact(facts.COPIED_CORE)
    if text is None:
        return False
    source = record_format.decode(text.encode(), type(core), f"the source of {_id(core)}")
    return _has_mac(source, domain) and _content(core) == _content(source)


def _has_mac(core: SnapshotCore | ImageCore, domain: SealedDomain) -> bool:
    if len(core.signatures) != 1 or not core.signatures[0].startswith(_PREFIX):
        return False
    return domain.is_mac(core.signatures[0].removeprefix(_PREFIX), record_format.unsigned(core))


def _is_confirmed(core: SnapshotCore | ImageCore, domain: SealedDomain, confirmation: str) -> bool:
    return domain.is_mac(confirmation, record_format.encode(core))


def _content(core: SnapshotCore | ImageCore) -> tuple[object, ...]:
    """What a copy shares with its source: also the moment, so that none passes for a newer one."""
    if isinstance(core, SnapshotCore):
        keys = core.domain, core.fact(facts.SEALED), core.cut, core.hash
        content = core.root, core.height, core.size_bytes, core.data_bytes
        return keys, content, core.freeze, core.source
    mappings = tuple(replace(mapping, snapshot_id=None) for mapping in core.mappings)
    recorded = core.fact(facts.MAC_DOMAIN), core.fact(facts.MAPPED_CONTENT)
    machine = core.architecture, core.boot_mode, core.platform, core.root_device_name
    return machine, recorded, mappings
