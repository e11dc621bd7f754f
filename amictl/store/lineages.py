"""What a snapshot shares with its parents and copies, and where its record keeps that.

In an encrypted domain it is sealed, and the record carries a MAC. amictl-store(5), LINEAGE.
"""

import binascii
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from amictl.content.domains import RandomBytes, SealedDomain
from amictl.errors import CorruptStoreError
from amictl.formats import records as record_format
from amictl.formats.framing import PLAIN_DOMAIN, associated_data
from amictl.model import facts
from amictl.model.blockmap import AVERAGE_SIZES, CUT_ID, SECRET_CUT_ID
from amictl.model.records import Cut, LineageSecrets, SnapshotCore, tags_from
from amictl.store.store import Store

if TYPE_CHECKING:
    from amictl.content.cutting import Pattern

MAGIC = b"AMICORE1"
_NO_KEY = "0" * 64
_PLAIN = PLAIN_DOMAIN.hex()


@dataclass(frozen=True, slots=True, repr=False)
class Lineage:
    """What a snapshot shares with its parent, so that their maps can be compared.

    `domain` is an id in hexadecimal; `cut_secret` has 32 bytes where the cut is a secret one.
    """

    cut: Cut
    fingerprint_key: bytes
    domain: str = _PLAIN
    cut_secret: bytes | None = None


def is_encrypted(core: SnapshotCore) -> bool:
    """Whether a key is needed for the content of a snapshot."""
    return core.domain != _PLAIN


def is_known(core: SnapshotCore) -> bool:
    """Whether this program can cut as a snapshot was cut."""
    known = (CUT_ID, SECRET_CUT_ID) if is_encrypted(core) else (CUT_ID,)
    return core.cut.id in known and core.cut.average in AVERAGE_SIZES


def new_lineage(average: int, domain: str, random_bytes: RandomBytes) -> Lineage:
    """Of something that has no parent. What begins encrypted is cut by a secret pattern."""
    if domain == _PLAIN:
        return Lineage(Cut(CUT_ID, average), random_bytes(32))
    return Lineage(Cut(SECRET_CUT_ID, average), random_bytes(32), domain, random_bytes(32))


def lineage_of(store: Store, core: SnapshotCore) -> Lineage:
    """Of a snapshot. Raises KeyUnavailableError, CorruptStoreError if what is sealed is not so."""
    if not is_encrypted(core):
        return Lineage(core.cut, bytes.fromhex(core.fingerprint_key))
    domain = store.sealed_domain(core.domain)
    place = f"what is sealed in {core.snapshot_id}"
    try:
        sealed = binascii.a2b_base64(core.fact(facts.SEALED) or "", strict_mode=True)
    except binascii.Error as error:
        raise CorruptStoreError(f"{place} is not base64") from error
    opened = bytes(domain.open(sealed, _associated(domain, core), place))
    secrets = record_format.decode_plain(opened, LineageSecrets, place)
    if (secrets.cut_secret is None) != (core.cut.id != SECRET_CUT_ID):
        raise CorruptStoreError(f"{place} does not go with the cut")
    return Lineage(
        core.cut,
        bytes.fromhex(secrets.fingerprint_key),
        core.domain,
        bytes.fromhex(secrets.cut_secret) if secrets.cut_secret else None,
    )


def with_lineage(
    store: Store, core: SnapshotCore, lineage: Lineage, random_bytes: RandomBytes
) -> SnapshotCore:
    """A core with cut, domain and keys of a lineage: in the clear, or sealed.

    What is sealed is bound to root, height, size and cut, but not to the snapshot's id: a copy
    that is made without the key can take it along.
    """
    core = replace(core, cut=lineage.cut, domain=lineage.domain)
    if not is_encrypted(core):
        return replace(core, fingerprint_key=lineage.fingerprint_key.hex())
    core = replace(core, fingerprint_key=_NO_KEY)
    domain = store.sealed_domain(lineage.domain)
    secrets = LineageSecrets(
        lineage.fingerprint_key.hex(), lineage.cut_secret.hex() if lineage.cut_secret else None
    )
    plain = record_format.encode_plain(secrets)
    sealed = domain.seal(plain, _associated(domain, core), random_bytes)
    text = binascii.b2a_base64(sealed, newline=False).decode()
    pairs = {tag.key: tag.value for tag in core.further} | {facts.SEALED: text}
    return replace(core, further=tags_from(pairs))


def pattern_of(lineage: Lineage) -> "Pattern":
    """The constants by which the segments of a lineage are cut."""
    from amictl.content.cutting import PUBLIC_PATTERN, secret_pattern

    return secret_pattern(lineage.cut_secret) if lineage.cut_secret else PUBLIC_PATTERN


def _associated(domain: SealedDomain, core: SnapshotCore) -> bytes:
    bound = {
        "Cut": {"Average": core.cut.average, "Id": core.cut.id},
        "Height": core.height,
        "Root": core.root,
        "SizeBytes": core.size_bytes,
    }
    return associated_data(MAGIC, domain.id, 0, record_format.canonical_json(bound))
