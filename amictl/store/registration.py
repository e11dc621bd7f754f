"""A new image that needs no work: its name is taken, and its records are written."""

from amictl.model.records import Attributes, PendingImage
from amictl.store import catalog, image_names
from amictl.store.image_states import AVAILABLE
from amictl.store.pending import PendingFile
from amictl.store.store import Store


def register(store: Store, image: PendingImage) -> None:
    """Write the records of an image, which is available then; durable when it returns.

    Raises ImageNameDuplicateError. The pending file holds the name until the records are there.
    """
    core = image.image
    attributes = Attributes(core.image_id, 0, AVAILABLE, image.description, image.tags)
    file = PendingFile(store, core.image_id, image)
    try:
        image_names.require_reserved(store, core.name, core.image_id)
        catalog.put_image(store, core, attributes)
    finally:
        file.remove()
