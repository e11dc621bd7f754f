"""Bundles in buckets: bringing one there, fetching it, and deleting it."""

import re
from dataclasses import dataclass
from functools import partial
from typing import Any

from amictl.bundles.opening import BundlePlace, read_bundle
from amictl.bundles.transferring import ATTEMPTS, BundleTransfer, repeated
from amictl.errors import DryRunError, UnsupportedError, UsageError
from amictl.model.bundles import BundleManifest, manifest_name
from amictl.model.surroundings import Surroundings


@dataclass(frozen=True, slots=True)
class TransferRequest:
    """From where to where a bundle goes, by the places of its manifests.

    Of the parts those before `first_part` are left out; without `with_manifest` so is the manifest.
    """

    source: BundlePlace
    target: BundlePlace
    first_part: int = 0
    with_manifest: bool = True
    retry: bool = False
    dry_run: bool = False


def transfer_bundle(request: TransferRequest, surroundings: Surroundings) -> dict[str, Any]:
    """What is there now: the parts, and last the manifest, each durable.

    Raises InvalidManifestError, CorruptStoreError for a part that the manifest does not mean,
    ConflictError where something else is in its place, UsageError, NotFoundError, StorageError.
    """
    attempts = ATTEMPTS if request.retry else 1
    document, bundle = repeated(partial(read_bundle, request.source), attempts)
    manifest = bundle.manifest
    if request.first_part >= len(manifest.parts):
        raise UsageError(
            f"there is no part {request.first_part}: the bundle has {len(manifest.parts)} parts"
        )
    if request.dry_run:
        raise DryRunError
    transfer = BundleTransfer(request.source, request.target, request.first_part, attempts)
    transfer.bring_parts(manifest, surroundings.progress)
    if request.with_manifest:
        transfer.bring_manifest(document)
    names = [part.file_name for part in manifest.parts[request.first_part :]]
    return {"Manifest": request.target.where, "Parts": names} | _sizes(manifest)


def delete_bundle(place: BundlePlace, *, retry: bool, dry_run: bool) -> dict[str, Any]:
    """What was deleted: the parts that the manifest names, then the manifest.

    So that a deletion that was broken off can be repeated. Images that were registered from it
    cannot be launched any more. Raises InvalidManifestError, UnsupportedError for a manifest that
    names objects that are no parts of it, NotFoundError, StorageError.
    """
    attempts = ATTEMPTS if retry else 1
    _, bundle = repeated(partial(read_bundle, place), attempts)
    keys = [place.prefix + part.file_name for part in bundle.manifest.parts]
    _require_parts(place, bundle.manifest)
    if dry_run:
        raise DryRunError
    for key in (*keys, place.key):
        repeated(partial(place.bucket.delete, key), attempts)
    return {"Deleted": [place.bucket.where(key) for key in (*keys, place.key)]}


def _require_parts(place: BundlePlace, manifest: BundleManifest) -> None:
    """Raises UnsupportedError if a manifest would have other things deleted than its parts."""
    file_name = place.key[len(place.prefix) :]
    name = file_name.removesuffix(manifest_name(""))
    usual = re.compile(re.escape(name) + r"\.part\.[0-9]{1,6}")
    for part in manifest.parts:
        if name == file_name or not usual.fullmatch(part.file_name):
            raise UnsupportedError(
                f"the manifest {place.where} names the part {part.file_name!r}, which is not"
                " called as its parts are",
                hint="nothing was deleted; delete single objects with the tools of the bucket",
            )


def _sizes(manifest: BundleManifest) -> dict[str, int]:
    return {
        "SizeBytes": manifest.size_bytes,
        "BundledSizeBytes": manifest.bundled_size_bytes,
    }
