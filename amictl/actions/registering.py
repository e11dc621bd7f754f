"""RegisterImage: snapshots that exist become an image, which is available at once."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from amictl.errors import DryRunError, UnsupportedError
from amictl.model.ids import new_id
from amictl.model.images import (
    DEFAULT_ARCHITECTURE,
    ImageRequest,
    registered_core,
    require_name,
    root_mapping,
)
from amictl.model.records import ImageCore, PendingImage, SnapshotCore, tags_from
from amictl.model.surroundings import Surroundings
from amictl.model.texts import require_description
from amictl.model.times import timestamp
from amictl.store import catalog, events, image_names
from amictl.store.authenticity import signed_image
from amictl.store.encryption import require_encryption_kept
from amictl.store.first_data import first_data
from amictl.store.image_states import AVAILABLE
from amictl.store.registration import register
from amictl.store.snapshot_states import size_to_map
from amictl.store.store import Store
from amictl.volumes.inspecting import DiskFacts, inspect_disk


@dataclass(frozen=True, slots=True)
class RegisterImageRequest:
    """`block_device_mappings` have EC2's shape. What is None is found out from the root disk."""

    name: str
    block_device_mappings: tuple[dict[str, Any], ...]
    root_device_name: str | None = None
    description: str = ""
    architecture: str | None = None
    boot_mode: str | None = None
    virtualization_type: str | None = None
    tags: dict[str, str] | None = None
    dry_run: bool = False


def register_image(
    store: Store, request: RegisterImageRequest, surroundings: Surroundings
) -> dict[str, Any]:
    """`{"ImageId": …}` once the image is available.

    Raises ImageNameMalformedError, ImageNameDuplicateError, BlockDeviceMappingError, UsageError,
    SnapshotNotFoundError; ConflictError (IncorrectState) for a snapshot that is not completed.
    """
    store.require_features("write")
    require_name(request.name)
    require_description(request.description)
    if request.virtualization_type not in (None, "hvm"):
        raise UnsupportedError(
            f"virtualization type {request.virtualization_type}: all images here are hvm",
            hint="leave --virtualization-type out",
        )
    image_names.require_free(store, request.name)
    core = _core(store, request, surroundings)
    require_encryption_kept(store, core, request.block_device_mappings, {})
    if request.dry_run:
        raise DryRunError
    core = signed_image(store, _with_facts(store, core, request))
    image = PendingImage(core, request.description, tags_from(request.tags or {}))
    register(store, image)
    events.record(store, surroundings, "RegisterImage", (core.image_id,), AVAILABLE)
    return {"ImageId": core.image_id}


def _core(store: Store, request: RegisterImageRequest, surroundings: Surroundings) -> ImageCore:
    wanted = ImageRequest(
        image_id=new_id("ami", surroundings.random_bytes),
        name=request.name,
        owner_id=store.config.owner_id,
        creation_date=timestamp(surroundings.now()),
        architecture=request.architecture,
        boot_mode=request.boot_mode,
        platform=None,
        mappings=request.block_device_mappings,
    )
    return registered_core(wanted, request.root_device_name, partial(size_to_map, store))


def _with_facts(store: Store, core: ImageCore, request: RegisterImageRequest) -> ImageCore:
    """The image with what its root disk says of it, where the request says nothing."""
    snapshot_id = root_mapping(core).snapshot_id
    assert snapshot_id is not None
    found = _inspected(store, catalog.read_snapshot(store, snapshot_id))
    return replace(
        core,
        architecture=request.architecture or found.architecture or DEFAULT_ARCHITECTURE,
        boot_mode=request.boot_mode or found.boot_mode,
        platform=found.platform,
    )


def _inspected(store: Store, snapshot: SnapshotCore) -> DiskFacts:
    """What the first data of a disk says of it; nothing where that cannot be read."""
    with first_data(store, snapshot) as descriptor:
        return inspect_disk(descriptor, snapshot.size_bytes)
