"""In which state an image is, for those who are about to change it; and changing it."""

from collections.abc import Callable

from amictl.errors import (
    ConflictError,
    DryRunError,
    ImageNotFoundError,
    ObjectMissingError,
    UnsupportedError,
)
from amictl.model import facts
from amictl.model.ids import require_id
from amictl.model.records import Attributes, ImageCore, PendingImage
from amictl.model.surroundings import Surroundings
from amictl.store import catalog, events, layout, pending
from amictl.store.store import Store

AVAILABLE = "available"
DISABLED = "disabled"


def registered_image(store: Store, image_id: str) -> tuple[ImageCore, Attributes]:
    """An image that can be changed: available or disabled.

    Raises MalformedIdError, ImageNotFoundError; ConflictError while the image is being made
    (IncorrectState), when that failed, or when it is in the recycle bin (InvalidAMIID.Unavailable).
    """
    require_id("ami", image_id)
    try:
        core = catalog.read_image_core(store, image_id)
    except ImageNotFoundError:
        _require_no_work(store, image_id)
        core = catalog.read_image_core(store, image_id)  # it may have been finished just now
    attributes = catalog.read_attributes(store, image_id)
    if attributes.state == catalog.IN_BIN:
        command = "amictl list-images-in-recycle-bin"
        raise unavailable(image_id, hint=f"{command} says whether it can still be restored")
    return core, attributes


def available_image(store: Store, image_id: str) -> tuple[ImageCore, Attributes]:
    """An image that can be copied or stored. Raises as `registered_image`, and ConflictError
    (InvalidAMIID.Unavailable) for one that is disabled.
    """
    image, attributes = registered_image(store, image_id)
    if attributes.state != AVAILABLE:
        raise unavailable(
            image.image_id, hint=f"it is {attributes.state}: use enable-image in its region first"
        )
    return image, attributes


def failed_image(store: Store, image_id: str) -> PendingImage | None:
    """What an image that failed was to become; None if it was finished, or nothing is known of it.

    Raises MalformedIdError, and ConflictError (IncorrectState) while it is being made; BusyError
    where its writer may be dead.
    """
    require_id("ami", image_id)
    seen = pending.seen(store, image_id)
    if seen is None or not isinstance(seen.work, PendingImage) or _has_core(store, image_id):
        return None  # a writer that ended between record and pending file left both
    if seen.alive:
        message = f"The image {image_id} is in state pending"
        pending.require_certainly_alive(store, image_id, message, ConflictError.code)
        raise _being_made(image_id)
    return seen.work


def change_image(
    store: Store,
    surroundings: Surroundings,
    image_id: str,
    operation: tuple[str, str],
    change: Callable[[Attributes], Attributes],
    *,
    dry_run: bool,
) -> Attributes:
    """Replace the attributes of an image by what `change` makes of them; durable when it returns.

    Nobody deregisters the image meanwhile. A change leaves an event: `operation` is EC2's name
    and the outcome. Raises what `registered_image` and `change` raise; DryRunError instead of
    changing anything.
    """
    store.require_features("write")
    with catalog.exclusively(store):
        _, before = registered_image(store, image_id)
        change(before)
        if dry_run:
            raise DryRunError
        after = catalog.change_attributes(store, image_id, change)
    if after.generation != before.generation:
        events.record(store, surroundings, operation[0], (image_id,), operation[1])
    return after


def require_on_volumes(image: ImageCore) -> None:
    """Raises UnsupportedError for an image whose root disk is in a bundle, not in the region."""
    location = image.fact(facts.IMAGE_LOCATION)
    if location is not None:
        raise UnsupportedError(
            f"the root disk of {image.image_id} is in the bundle {location}, not in the region",
            hint="download-bundle and unbundle-image write it to a file, of which create-image"
            " makes an image that is whole",
        )


def unavailable(image_id: str, *, hint: str | None = None) -> ConflictError:
    """The error for an image that is in no state to be used or changed."""
    return ConflictError(
        f"The image id '[{image_id}]' is no longer available",
        hint=hint,
        code="InvalidAMIID.Unavailable",
    )


def _require_no_work(store: Store, image_id: str) -> None:
    """Raises ConflictError if an image is being made, or failed."""
    if failed_image(store, image_id) is not None:
        raise unavailable(image_id, hint="it failed; all that can be done is deregister-image")


def _has_core(store: Store, image_id: str) -> bool:
    try:
        store.storage.size(layout.core(image_id))
    except ObjectMissingError:
        return False
    return True


def _being_made(image_id: str) -> ConflictError:
    return ConflictError(
        f"The image {image_id} is in state pending",
        hint=f"amictl wait image-available --image-ids {image_id}",
    )
