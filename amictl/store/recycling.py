"""The recycle bin: what is deleted while a retention rule is for it can be had back for a while.

amictl-store(5), RECYCLE BIN. What is in the bin is a root like any other until it is due.
"""

from datetime import datetime

from amictl.store import catalog
from amictl.store.store import Store


def discard(store: Store, record_id: str, now: datetime) -> datetime | None:
    """Move a snapshot or an image to the recycle bin if a rule is for it, else remove it.

    Returns when it will be gone from the bin, or None if it is gone; durable when it returns.
    Whoever discards a snapshot holds the catalogue (`catalog.exclusively`) and has asked for its
    users.
    """
    catalog.remove(store, record_id)
    return None
