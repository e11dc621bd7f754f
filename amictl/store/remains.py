"""What work that was killed, or failed, left of a snapshot or an image that does not exist."""

from amictl.store import catalog, layout, pending
from amictl.store.store import Store


def are_there(store: Store, record_id: str) -> bool:
    """Whether something is left of a snapshot or an image that does not exist and is not made.

    That is pending work that failed, damaged or not; or attributes, where a removal or the making
    was killed between them and the core.
    """
    if pending.is_alive(store, record_id):
        return False
    attributes = catalog.is_there(store, layout.attributes(record_id))
    # The core last: who wrote the attributes may have finished meanwhile.
    return (attributes or pending.is_there(store, record_id)) and not catalog.is_there(
        store, layout.core(record_id)
    )


def remove(store: Store, record_id: str) -> None:
    """Remove it, if there is any. Durable when it returns."""
    if are_there(store, record_id):
        pending.remove_dead(store, record_id)
        store.storage.delete(layout.attributes(record_id))
