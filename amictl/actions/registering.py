"""RegisterImage: snapshots that exist become an image, which is available at once."""

import os
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any

from amictl.errors import (
    CorruptStoreError,
    DryRunError,
    UnsupportedError,
)
from amictl.model.blockmap import SEGMENT_SIZE
from amictl.model.ids import new_id
from amictl.model.images import (
    DEFAULT_ARCHITECTURE,
    ImageRequest,
    registered_core,
    require_name,
    root_mapping,
)
from amictl.model.records import Attributes, ImageCore, PendingImage, SnapshotCore, tags_from
from amictl.model.surroundings import Surroundings
from amictl.model.texts import require_description
from amictl.model.times import timestamp
from amictl.store import catalog, events, image_names
from amictl.store.authenticity import signed_image
from amictl.store.encryption import require_encryption_kept
from amictl.store.image_states import AVAILABLE
from amictl.store.pending import PendingFile
from amictl.store.reading import SegmentReader, data_ranges
from amictl.store.snapshot_states import size_to_map
from amictl.store.store import Store
from amictl.store.walking import leaves, map_of, read_leaf_at
from amictl.volumes.inspecting import DiskFacts, inspect_disk

SEGMENTS_INSPECTED = 16
"""How many segments with data, from the start of the root disk on, are looked at."""


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
    _register(store, image)
    events.record(store, surroundings, "RegisterImage", (core.image_id,), AVAILABLE)
    return {"ImageId": core.image_id}


def _register(store: Store, image: PendingImage) -> None:
    """Take the name and write the records; the pending file holds the name meanwhile."""
    core = image.image
    attributes = Attributes(core.image_id, 0, AVAILABLE, image.description, image.tags)
    file = PendingFile(store, core.image_id, image)
    try:
        image_names.require_reserved(store, core.name, core.image_id)
        catalog.put_image(store, core, attributes)
    finally:
        file.remove()


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
    """What the first data of a disk says of it; nothing where that cannot be read.

    The data is put into a file in memory, at most SEGMENTS_INSPECTED segments of it.
    """
    descriptor = os.memfd_create("amictl-root-disk")
    try:
        os.truncate(descriptor, snapshot.size_bytes)
        with suppress(CorruptStoreError):  # a check finds it; an image can be of what is left
            _fill(descriptor, store, snapshot)
        return inspect_disk(descriptor, snapshot.size_bytes)
    finally:
        os.close(descriptor)


def _fill(descriptor: int, store: Store, snapshot: SnapshotCore) -> None:
    block_map = map_of(snapshot)
    reader = SegmentReader(store)
    for index, name in islice(leaves(store, block_map), SEGMENTS_INSPECTED):
        leaf = read_leaf_at(store, block_map, index, name)
        if reader.read(leaf):
            continue
        for start, stop in data_ranges(leaf):
            os.pwrite(descriptor, reader.buffer[start:stop], index * SEGMENT_SIZE + start)
