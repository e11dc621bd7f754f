"""Reading many records: one after the other, or at once where each waits for a reply."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from amictl.store.store import Store

Record = TypeVar("Record")


def each(
    store: Store, read: Callable[[str], Record], record_ids: Sequence[str]
) -> Iterator[Record]:
    """What `read` gives for each id, in order. The first error ends it."""
    threads = store.storage.record_threads
    if threads == 1:
        yield from map(read, record_ids)
        return
    from amictl.store.parallel import in_order

    with in_order(read, record_ids, threads=threads) as records:
        yield from records
