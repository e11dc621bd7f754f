"""Making the index again from the packs."""

from typing import Any

from amictl.model.surroundings import Surroundings
from amictl.store.rebuilding import IndexRebuild
from amictl.store.store import Store
from amictl.store.writing import alone


def rebuild_index(store: Store, surroundings: Surroundings) -> dict[str, Any]:
    """Replace the index by one made from the packs; `Faults` lists what could not be read.

    Raises BusyError while another command writes to the store, StorageError.
    """
    store.require_features("write")
    with alone(store):
        rebuilt = IndexRebuild(store, lambda: surroundings.random_bytes(16)).run()
    return {"PackCount": rebuilt.packs, "RowCount": rebuilt.rows, "Faults": list(rebuilt.faults)}
