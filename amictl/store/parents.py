"""With what a new snapshot is compared, and with which key, if any, it is encrypted."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from amictl.content.domains import PLAIN, Domain
from amictl.errors import (
    UNREADABLE,
    ConflictError,
    CorruptStoreError,
    KeyUnavailableError,
    ObjectMissingError,
    UnsupportedError,
)
from amictl.model import facts
from amictl.model.encryption import EncryptionRequest
from amictl.model.keys import LABEL
from amictl.model.records import SnapshotCore
from amictl.model.surroundings import Surroundings
from amictl.model.volumes import SOURCE
from amictl.store import authenticity, catalog, domains
from amictl.store.encryption import key_for_new
from amictl.store.lineages import Lineage, is_encrypted, is_known, lineage_of, new_lineage
from amictl.store.store import Store


@dataclass(frozen=True, slots=True)
class Disk:
    """Of what a snapshot is to be taken: of which volume, where it is, and of which key it says
    itself that it is.

    `parent` is auto, none or a snapshot id.
    """

    volume_id: str
    path: str
    parent: str = "auto"
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """From what a new snapshot goes on.

    `domain` is that of a snapshot of the volume, in hexadecimal; `key_id` says with which key
    something new is to be encrypted where there is no such domain. Neither: it is plain.
    """

    parent: SnapshotCore | None
    domain: str | None = None
    key_id: str | None = None


def origin_of(
    store: Store,
    volume_id: str,
    parent: str,
    key_unsaid: Callable[[SnapshotCore | None], str | None],
) -> Origin:
    """`parent` is auto, none or a snapshot id.

    A child of an encrypted snapshot that is named has its key; else the key of the volume counts,
    then that of its newest snapshot; then `key_unsaid` is asked, and told of a plain newest one. A
    parent that cannot be read or continued is done without, unless it was named. Raises
    KeyUnavailableError if there is to be a default key and none was chosen; ConflictError for a
    named parent that is plain while the snapshot is to be encrypted.
    """
    named = _named(store, parent) if parent not in ("auto", "none") else None
    if named is not None and is_encrypted(named):
        return Origin(named, named.domain)
    newest, domain = _newest(store, volume_id)
    own = _own_key(store, volume_id)
    if own is not None and domain is not None and own != store.key_id(domain):
        domain = None  # of another key, which the disk had before it was written anew
    key_id = None if domain else own or key_unsaid(newest)
    if named is not None:
        if domain or key_id:
            raise ConflictError(
                f"{named.snapshot_id} is not encrypted, and its child would be",
                hint="encrypt the parent by copying it: amictl copy-snapshot --encrypted;"
                " or leave --parent out",
                code="ValidationException",
            )
        return Origin(named)
    usable = newest if newest and is_known(newest) and parent == "auto" else None
    if domain:
        return Origin(usable if usable and usable.domain == domain else None, domain)
    return Origin(None, None, key_id) if key_id else Origin(usable)


def likely_key(store: Store, disk: Disk) -> str | None:
    """The key of what is being made of a disk, as far as can be told from outside."""
    try:
        return _key_id(store, _origin_of(store, disk))
    except (KeyUnavailableError, *UNREADABLE):
        return None


def require_key(store: Store, disk: Disk, surroundings: Surroundings) -> str | None:
    """The key that a new snapshot of a disk is to be encrypted with; None if it is plain.

    Raises before any work, and without writing anything, what would be raised after it:
    KeyUnavailableError, ConflictError as `origin_of`.
    """
    origin = _origin_of(store, disk)
    if origin.key_id is not None and origin.key_id == store.known_keys.get(disk.volume_id):
        _tell_if_unsaid(store, disk, surroundings)
    if origin.domain is not None and origin.domain != PLAIN.id.hex():
        domains.require_own(store, origin.domain)
    elif origin.key_id is not None:
        with _with_way_out(store, disk, origin.key_id):
            domains.require_key(store, origin.key_id, surroundings)
    return _key_id(store, origin)


def own_key(store: Store, disk: Disk) -> str | None:
    """The key of a volume, whatever says it, the disk itself too; None if nothing does.

    Raises CorruptStoreError.
    """
    return disk.label or _key_of_volume(store, disk.volume_id)


def domain_of(store: Store, origin: Origin, surroundings: Surroundings) -> Domain:
    """The domain of the new snapshot; of a key that has none here, a new one."""
    if origin.domain is not None:
        return store.domain(origin.domain)
    if origin.key_id is not None:
        return domains.for_key(store, origin.key_id, surroundings)
    return PLAIN


def lineage_from(
    store: Store, parent: SnapshotCore | None, domain: Domain, surroundings: Surroundings
) -> Lineage:
    """The parent's, which must be what was recorded; or a new one."""
    if parent is None:
        chunk_size = store.config.chunk_size
        return new_lineage(chunk_size, domain.id.hex(), surroundings.random_bytes)
    authenticity.require_authentic(store, parent)
    return lineage_of(store, parent)


def _key_id(store: Store, origin: Origin) -> str | None:
    return store.key_id(origin.domain) if origin.domain else origin.key_id


def _origin_of(store: Store, disk: Disk) -> Origin:
    return origin_of(store, disk.volume_id, disk.parent, partial(_key_unsaid, store, disk))


def _named(store: Store, snapshot_id: str) -> SnapshotCore:
    named = catalog.read_snapshot(store, snapshot_id)
    if not is_known(named):
        raise UnsupportedError(
            f"{snapshot_id} is cut in a way that this amictl does not know",
            hint="use a newer amictl, or --parent none",
        )
    return named


def _newest(store: Store, volume_id: str) -> tuple[SnapshotCore | None, str | None]:
    """The newest snapshot of a volume that can be read, and its domain if it is encrypted.

    Where the newest one is damaged, the others say whether the volume is encrypted: it must not
    become plain because of that. Raises CorruptStoreError where nothing says so.
    """
    try:
        newest = catalog.newest_snapshot(store, volume_id)
    except CorruptStoreError:
        own, _ = catalog.snapshots_of(store, volume_id)
        if not own and domains.ids(store) and _own_key(store, volume_id) is None:
            raise
        sealed = [core for core in own if is_encrypted(core)]
        last = max(sealed, key=lambda core: core.start_time, default=None)
        return None, last.domain if last else None
    if newest is not None and is_encrypted(newest):
        return newest, newest.domain
    return newest, None


def _key_unsaid(store: Store, disk: Disk, newest: SnapshotCore | None) -> str | None:
    """The key of a disk of whose volume the region has no record that says one.

    What was encrypted stays so: on this machine, even if whoever can write to the region made it
    look plain there; of a volume whose record alone was deleted; of a file that says so itself, or
    is at the path of another volume of a key. Else the region says what new things have.
    """
    key_id = store.known_keys.get(disk.volume_id) or disk.label
    if key_id is None and newest is None:
        key_id = _forgotten_key(store, disk.volume_id)
    place = store.volume_id(disk.path)
    if key_id is None and place != disk.volume_id:
        key_id = _key_of_volume(store, place)
    return key_id or key_for_new(store, EncryptionRequest(), None)


def _key_of_volume(store: Store, volume_id: str) -> str | None:
    """The key of a volume, whatever says it; None if nothing does."""
    if (own := _own_key(store, volume_id)) is not None:
        return own
    _, domain = _newest(store, volume_id)
    if domain is not None:
        return domains.read_header(store, domain).key_id
    return store.known_keys.get(volume_id) or _forgotten_key(store, volume_id)


def _forgotten_key(store: Store, volume_id: str) -> str | None:
    """The key of the newest snapshot of a volume that has no record any more.

    Where some snapshots cannot be read, that of the newest encrypted one: what is encrypted must
    not become plain because of damage.
    """
    if not domains.ids(store) or _has_record(store, volume_id):
        return None
    own, unreadable = catalog.snapshots_of(store, volume_id)
    if unreadable:
        own = [core for core in own if is_encrypted(core)]
    newest = max(own, key=lambda core: core.taken, default=None)
    if newest is None or not is_encrypted(newest):
        return None
    return domains.read_header(store, newest.domain).key_id


def _has_record(store: Store, volume_id: str) -> bool:
    """Whether amictl wrote the volume, or knows its newest snapshot."""
    try:
        if catalog.read_volume(store, volume_id) is not None:
            return True
        return catalog.read_attributes(store, volume_id).state != SOURCE
    except ObjectMissingError:
        return False
    except CorruptStoreError:
        return True


def _tell_if_unsaid(store: Store, disk: Disk, surroundings: Surroundings) -> None:
    volume_id = disk.volume_id
    if _own_key(store, volume_id) is None:
        surroundings.progress.note(
            f"snapshots of {volume_id} were encrypted here, and the region does not say so any"
            f" more: this one is encrypted with {store.known_keys[volume_id]}; if it is to be as"
            f" the region says: amictl delete-volume --volume-id {volume_id}"
            + (f", and {_unlabelling(disk)}" if disk.label is not None else "")
        )


@contextmanager
def _with_way_out(store: Store, disk: Disk, key_id: str) -> Iterator[None]:
    """Where it was the label that asked for a key that is not here, say how to take it away."""
    try:
        yield
    except KeyUnavailableError as error:
        by_label = disk.label == key_id and _own_key(store, disk.volume_id) is None
        if by_label and disk.volume_id not in store.known_keys:
            bring = error.hint or "bring the key: amictl import-key FILE"
            error.hint = f"{bring}; or, if nothing of it is on the disk: {_unlabelling(disk)}"
        raise


def _unlabelling(disk: Disk) -> str:
    from shlex import quote  # loads the regular expressions, for a hint only

    return f"setfattr -x {LABEL} {quote(disk.path)}"


def _own_key(store: Store, volume_id: str) -> str | None:
    """The key that was written down for a volume.

    Raises CorruptStoreError where that cannot be read, if it may have been one: what is encrypted
    must not become plain because of damage.
    """
    try:
        return catalog.read_attributes(store, volume_id).fact(facts.KMS_KEY_ID)
    except ObjectMissingError:
        return None
    except CorruptStoreError:
        if domains.ids(store):
            raise
        return None
