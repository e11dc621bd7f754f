"""The state of a store, as far as time goes one way in it, and whether it went back.

The index and the headers of domains have generations that only grow, and no event is ever lost.
amictl-security(7), OLD STATES.
"""

from collections.abc import Iterator
from contextlib import suppress

from blake3 import blake3

from amictl.errors import UNREADABLE
from amictl.formats import current as current_format
from amictl.model.seen import SeenDomain, SeenState
from amictl.store import domains, events, layout, settings
from amictl.store.store import Store

Finding = tuple[str, str]
"""An object, and what is wrong with it."""


def observe(store: Store) -> SeenState:
    """The state of a store now. Raises nothing for what cannot be read."""
    generation = digest = event = encrypts = found = None
    with suppress(*UNREADABLE):
        data = store.storage.read(layout.CURRENT)
        generation = current_format.decode(data).generation
        digest = blake3(data).hexdigest()
    with suppress(*UNREADABLE):
        event = events.newest(store)
    with suppress(*UNREADABLE):
        encrypts = settings.read(store).encryption_by_default
    with suppress(*UNREADABLE):
        found = tuple(
            SeenDomain(header.domain_id, header.commitment, header.generation)
            for header in domains.headers(store)
        )
    return SeenState(store.config.store_id, generation, digest, event, encrypts, found)


def went_back(store: Store, before: SeenState, now: SeenState) -> Iterator[Finding]:
    """What shows that a store is older than it was, or is another one. What cannot be read shows
    nothing.
    """
    if now.store_id != before.store_id:
        yield (
            layout.CONFIG,
            f"it is of another store than was seen in this place, {before.store_id}",
        )
        return
    if before.index_generation is not None and now.index_generation is not None:
        if now.index_generation < before.index_generation:
            yield (
                layout.CURRENT,
                f"it has generation {now.index_generation}, and had {before.index_generation}"
                " when it was last seen here",
            )
        elif (
            now.index_generation == before.index_generation
            and now.index_digest != before.index_digest
        ):
            yield (
                layout.CURRENT,
                f"it is another one of generation {now.index_generation} than was seen here",
            )
    if before.newest_event is not None and not events.holds(store, before.newest_event):
        yield before.newest_event, "this event was seen here, and is gone"
    if now.domains is not None:
        yield from _older_domains(before.domains or (), now.domains)


def _older_domains(
    before: tuple[SeenDomain, ...], now: tuple[SeenDomain, ...]
) -> Iterator[Finding]:
    present = {domain.domain_id: domain for domain in now}
    for seen in before:
        place, found = layout.domain(seen.domain_id), present.get(seen.domain_id)
        if found is None:
            yield place, "this header was seen here, and is gone"
        elif found.commitment != seen.commitment:
            yield place, "it is of another secret than was seen here"
        elif found.generation < seen.generation:
            yield (
                place,
                f"it has generation {found.generation}, and had {seen.generation} when it was"
                " last seen here",
            )


def changes_to_know(before: SeenState, now: SeenState) -> Iterator[str]:
    """What somebody else changed about who can read what is new: nothing wrong, if it was meant."""
    if before.encryption_by_default and now.encryption_by_default is False:
        yield "encryption by default was on when this region was last seen here, and is off now"
    if before.domains is not None:
        known = {domain.domain_id for domain in before.domains}
        for domain in now.domains or ():
            if domain.domain_id not in known:
                yield (
                    f"{layout.domain(domain.domain_id)} came from elsewhere since this region was"
                    " last seen here: from a copy, or another machine of yours, if all is well"
                )
