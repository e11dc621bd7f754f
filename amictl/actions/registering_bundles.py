"""RegisterImage with an image location: the root disk of the image is a bundle in a bucket."""

import re
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from amictl.bundles import reading
from amictl.bundles.opening import BundlePlace, certified, manifest_digest
from amictl.errors import DryRunError, UnsupportedError
from amictl.model import facts
from amictl.model.bundles import BundleManifest
from amictl.model.ids import new_id
from amictl.model.images import (
    ROOT_DEVICE,
    ImageRequest,
    bundled_core,
    plan_devices,
    require_name,
)
from amictl.model.records import PendingImage, tags_from
from amictl.model.surroundings import Surroundings
from amictl.model.texts import require_description, require_text
from amictl.model.times import timestamp
from amictl.store import events, image_names
from amictl.store.authenticity import signed_image
from amictl.store.encryption import require_encryption_kept
from amictl.store.image_states import AVAILABLE
from amictl.store.registration import register
from amictl.store.snapshot_states import size_to_map
from amictl.store.store import Store

_EPHEMERAL = re.compile(r"ephemeral([0-9]|1[0-9]|2[0-3])")


@dataclass(frozen=True, slots=True)
class RegisterBundleRequest:
    """`location` is the text that says where `bundle` is; the bundle is signed by `certificate`.

    `block_device_mappings` have EC2's shape and go before those of the manifest.
    """

    name: str
    location: str
    bundle: BundlePlace
    certificate: Path
    block_device_mappings: tuple[dict[str, Any], ...] = ()
    root_device_name: str | None = None
    description: str = ""
    architecture: str | None = None
    boot_mode: str | None = None
    virtualization_type: str | None = None
    tags: dict[str, str] | None = None
    dry_run: bool = False


def register_bundle(
    store: Store, request: RegisterBundleRequest, surroundings: Surroundings
) -> dict[str, Any]:
    """`{"ImageId": …}` once the image is available. The parts are there, and as long as they say.

    Raises InvalidManifestError, also for another signature; CorruptStoreError, NotFoundError,
    StorageError for the bundle; and what `register_image` raises.
    """
    store.require_features("write")
    require_name(request.name)
    require_description(request.description)
    require_text(request.location, "the image location")
    if request.virtualization_type not in (None, "hvm"):
        raise UnsupportedError(
            f"virtualization type {request.virtualization_type}: all images here are hvm",
            hint="leave --virtualization-type out",
        )
    image_names.require_free(store, request.name)
    document, bundle = certified(request.bundle, request.certificate)
    reading.require_sizes(request.bundle.bucket, request.bundle.prefix, bundle.manifest)
    core = bundled_core(
        _image_request(store, request, bundle.manifest, surroundings),
        root_device(request.root_device_name, bundle.manifest),
        partial(size_to_map, store),
    )
    require_encryption_kept(store, core, request.block_device_mappings, {})
    if request.dry_run:
        raise DryRunError
    further = {
        facts.IMAGE_LOCATION: request.location,
        facts.BUNDLE_MANIFEST: manifest_digest(document),
    }
    core = signed_image(store, replace(core, further=tags_from(further)))
    register(store, PendingImage(core, request.description, tags_from(request.tags or {})))
    events.record(store, surroundings, "RegisterImage", (core.image_id,), AVAILABLE)
    return {"ImageId": core.image_id}


def root_device(given: str | None, manifest: BundleManifest) -> str:
    """The device that was given, else the one that the kernel or the instance sees as the root.

    Raises BlockDeviceMappingError.
    """
    mapped = dict(manifest.mappings)
    found = given or mapped.get("root") or mapped.get("ami")
    return plan_devices([_full(found) if found else ROOT_DEVICE], None)[0]


def _image_request(
    store: Store,
    request: RegisterBundleRequest,
    manifest: BundleManifest,
    surroundings: Surroundings,
) -> ImageRequest:
    return ImageRequest(
        image_id=new_id("ami", surroundings.random_bytes),
        name=request.name,
        owner_id=store.config.owner_id,
        creation_date=timestamp(surroundings.now()),
        architecture=request.architecture or manifest.architecture,
        boot_mode=request.boot_mode,
        platform=None,
        mappings=_mappings(request, manifest),
    )


def _mappings(
    request: RegisterBundleRequest, manifest: BundleManifest
) -> tuple[dict[str, Any], ...]:
    """What was given, and the ephemeral devices of the manifest that nothing was said of."""
    given = {str(one.get("DeviceName", "")) for one in request.block_device_mappings}
    root = root_device(request.root_device_name, manifest)
    own = (
        {"DeviceName": _full(device), "VirtualName": virtual}
        for virtual, device in manifest.mappings
        if _EPHEMERAL.fullmatch(virtual)
    )
    kept = (one for one in own if one["DeviceName"] not in {*given, root})
    return (*request.block_device_mappings, *kept)


def _full(device: str) -> str:
    """The AMI tools write devices without their folder, too."""
    return device if device.startswith(("/", "xvd")) else f"/dev/{device}"
