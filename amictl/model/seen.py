"""What was seen of a store, for noticing later that it went back in time.

amictl-security(7), OLD STATES.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from amictl.model.records import Count, Hex32, Hex64, KeyId, VolumeId

DOMAINS_MAX = 1000
"""So many domains of a store are remembered."""

VOLUMES_MAX = 5000
"""So many volumes."""


@dataclass(frozen=True, slots=True)
class SeenDomain:
    """The header of an encrypted domain; it belongs to the secret that was committed to."""

    domain_id: Hex32
    commitment: Hex64
    generation: Count


@dataclass(frozen=True, slots=True)
class SeenVolume:
    """A volume whose snapshots are encrypted, and the key of the newest that was made here."""

    volume_id: VolumeId
    key_id: KeyId


@dataclass(frozen=True, slots=True)
class SeenState:
    """The newest state of a store that was seen; None is what could not be read.

    `newest_event` is the object of the newest event, without suffix. Domains are in the order of
    their ids, as are volumes.
    """

    store_id: Hex32
    index_generation: Count | None = None
    index_digest: Hex64 | None = None
    newest_event: str | None = None
    encryption_by_default: bool | None = None
    domains: tuple[SeenDomain, ...] | None = None
    volumes: tuple[SeenVolume, ...] = ()


def newest_of(before: SeenState, now: SeenState) -> SeenState:
    """What is to be remembered of a store that did not go back between the two."""
    readable = now if now.index_generation is not None else before
    known = {domain.domain_id: domain for domain in before.domains or ()}
    known |= {domain.domain_id: domain for domain in now.domains or ()}
    domains = tuple(known[key] for key in sorted(known)[:DOMAINS_MAX])
    return replace(
        now,
        index_generation=readable.index_generation,
        index_digest=readable.index_digest,
        newest_event=max(filter(None, (before.newest_event, now.newest_event)), default=None),
        encryption_by_default=(
            before.encryption_by_default
            if now.encryption_by_default is None
            else now.encryption_by_default
        ),
        domains=before.domains if now.domains is None else domains,
        volumes=before.volumes,
    )


def with_volumes(seen: SeenState, learnt: Mapping[str, str | None]) -> SeenState:
    """The same with the keys of volumes that were learnt, by their ids; None is none any more.

    What was learnt goes before what was known, where there are too many.
    """
    known = {volume.volume_id: volume.key_id for volume in seen.volumes}
    new = {volume_id: key_id for volume_id, key_id in learnt.items() if key_id is not None}
    kept = new | {given: known[given] for given in known if given not in learnt}
    chosen = sorted(list(kept.items())[:VOLUMES_MAX])
    return replace(seen, volumes=tuple(SeenVolume(*pair) for pair in chosen))
