"""DeregisterImage: an image ceases to exist, or goes to the recycle bin; its snapshots may too."""

from contextlib import suppress
from typing import Any

from amictl.errors import (
    UNREADABLE,
    AmictlError,
    ConflictError,
    CorruptStoreError,
    DryRunError,
)
from amictl.model import facts
from amictl.model.ids import require_id
from amictl.model.records import Attributes, ImageCore
from amictl.model.surroundings import Surroundings
from amictl.model.times import timestamp
from amictl.store import catalog, deleting, events, recycling, remains
from amictl.store.image_states import failed_image, registered_image
from amictl.store.store import Store


def deregister_image(
    store: Store,
    image_id: str,
    surroundings: Surroundings,
    *,
    delete_snapshots: bool = False,
    dry_run: bool = False,
) -> dict[str, Any]:
    """`{"Return": True}`, and what became of each snapshot if they are to be deleted too.

    The name is free when it returns. Raises ImageNotFoundError; ConflictError when the image is
    protected (OperationNotPermitted), being made (IncorrectState) or in the bin already.
    """
    store.require_features("delete")
    require_id("ami", image_id)
    core: ImageCore | None
    if remains.are_there(store, image_id):
        core = _cleared(store, image_id, surroundings, dry_run=dry_run)
    else:
        core = _discarded(store, image_id, surroundings, dry_run=dry_run)
    if not delete_snapshots:
        return {"Return": True}
    results = _delete_all(store, core, surroundings) if core else []
    return {"Return": True, "DeleteSnapshotResults": results}


def _cleared(
    store: Store, image_id: str, surroundings: Surroundings, *, dry_run: bool
) -> ImageCore | None:
    """Remove what is left of an image that failed, or was removed by half.

    Returns what it was to become, where that can be read.
    """
    failed = None
    with suppress(CorruptStoreError):
        failed = failed_image(store, image_id)
    if dry_run:
        raise DryRunError
    remains.remove(store, image_id)
    events.record(store, surroundings, "DeregisterImage", (image_id,), "deregistered")
    return failed.image if failed else None


def _discarded(
    store: Store, image_id: str, surroundings: Surroundings, *, dry_run: bool
) -> ImageCore:
    with catalog.exclusively(store):  # nobody protects it meanwhile
        core, attributes = registered_image(store, image_id)
        _require_unprotected(attributes, surroundings)
        if dry_run:
            raise DryRunError
        due = recycling.discard(store, image_id, surroundings.now())
    outcome = "deregistered" if due is None else catalog.IN_BIN
    events.record(store, surroundings, "DeregisterImage", (image_id,), outcome)
    return core


def _require_unprotected(attributes: Attributes, surroundings: Surroundings) -> None:
    """Raises ConflictError (OperationNotPermitted) while an image may not be deregistered."""
    until = facts.moment(attributes, facts.PROTECTED_UNTIL)
    if attributes.fact(facts.PROTECTION) is not None:
        raise ConflictError(
            f"The image {attributes.id} is protected from deregistration",
            code="OperationNotPermitted",
            hint="amictl disable-image-deregistration-protection"
            f" --image-id {attributes.id} ends that",
        )
    if until is not None and surroundings.now() < until:
        raise ConflictError(
            f"The image {attributes.id} is protected from deregistration until {timestamp(until)},"
            " the end of the cooldown",
            code="OperationNotPermitted",
            hint="deregister it after that time",
        )


def _delete_all(store: Store, core: ImageCore, surroundings: Surroundings) -> list[dict[str, str]]:
    ids = dict.fromkeys(one.snapshot_id for one in core.mappings if one.snapshot_id is not None)
    errors = deleting.delete_unused(store, ids, surroundings)
    return [{"SnapshotId": given, "ReturnCode": _code(error)} for given, error in errors.items()]


def _code(error: AmictlError | None) -> str:
    """EC2's word for what became of one snapshot."""
    if error is None:
        return "success"
    if isinstance(error, UNREADABLE):
        return "internal-error"
    return "skipped" if error.code == deleting.IN_USE else "client-error"
