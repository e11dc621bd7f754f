"""Instance-store bundles on this machine: making one of a disk or an image, and opening one."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from amictl import __version__
from amictl.bundles import opening, rsa_keys
from amictl.bundles.disks import FileToBundle, SnapshotToBundle
from amictl.bundles.opening import BundlePlace
from amictl.bundles.writing import (
    BundledDisk,
    BundleFiles,
    BundleKeys,
    BundleRequest,
    require_no_bundle,
    write_manifest,
    write_parts,
)
from amictl.errors import ConflictError, DryRunError, UnsupportedError, UsageError
from amictl.model.bundles import IMAGE_ARCHITECTURES, IMAGE_SIZE_MAX, manifest_name
from amictl.model.records import ImageCore, SnapshotCore
from amictl.model.surroundings import Surroundings
from amictl.storage.disk import Disk, as_storage_error
from amictl.storage.object_files import DirectoryBucket
from amictl.storage.objects import ObjectBucket
from amictl.store.image_states import registered_image, require_on_volumes
from amictl.store.lineages import is_encrypted
from amictl.store.serving import ServedSnapshot
from amictl.store.snapshot_states import completed_snapshot
from amictl.store.store import Store
from amictl.volumes.freezing import FreezeRequest, FrozenDisk, frozen
from amictl.volumes.inspecting import inspect_disk
from amictl.volumes.key_labels import labelled_key
from amictl.volumes.rawness import require_raw
from amictl.volumes.sources import Source
from amictl.volumes.targets import NewFile, path_text

_PREFIX = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,79}")
_USER = re.compile(r"[0-9]{12}")
_VIRTUAL = re.compile(r"ami|root|swap|ephemeral([0-9]|1[0-9]|2[0-3])")
_DEVICE = re.compile(r"(/dev/)?[a-z][a-z0-9]{1,31}")


@dataclass(frozen=True, slots=True)
class BundleImageRequest:
    """What a bundle is made with; paths are of PEM files and of the folder that it is put into.

    Without an EC2 certificate there is nobody but the user who could open the bundle.
    """

    certificate: Path
    private_key: Path
    destination: Path
    user: str
    prefix: str | None = None
    architecture: str | None = None
    ec2_certificate: Path | None = None
    mappings: tuple[tuple[str, str], ...] = ()
    product_codes: tuple[str, ...] = ()
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class UnbundleRequest:
    """Which bundle is opened with what, and the folder that the image is to be in.

    The parts are in the folder `source`, or beside the manifest.
    """

    manifest: BundlePlace
    private_key: Path
    destination: Path
    certificate: Path | None = None
    source: Path | None = None
    dry_run: bool = False


def bundle_file(
    path: Path, request: BundleImageRequest, surroundings: Surroundings
) -> dict[str, Any]:
    """The manifest and the parts that were written, once all are durable.

    Raises UsageError, NotFoundError, SourceInUseError, ConflictError if files of the bundle are
    there, UnsupportedError for Windows and for what belongs to a key, StorageError. After an error
    there is nothing.
    """
    keys = _keys(request)
    with _frozen(path, request, surroundings) as disk:
        facts = inspect_disk(disk.descriptor, disk.size_bytes)
        if facts.platform == "windows":
            raise _no_windows(str(path))
        wanted = _wanted(request, request.prefix or path.name, facts.architecture, surroundings)
        source = FileToBundle(disk)
        return _written(source, request, wanted, keys, surroundings, [disk])


def bundle_image(
    store: Store, image_id: str, request: BundleImageRequest, surroundings: Surroundings
) -> dict[str, Any]:
    """The same of a registered image that has one disk, and no encrypted one.

    Raises ImageNotFoundError, ConflictError, CorruptStoreError besides.
    """
    keys = _keys(request)
    image, snapshot = _only_disk(store, image_id)
    wanted = _wanted(request, request.prefix or image_id, image.architecture, surroundings)
    store.reload_index()
    size = snapshot.size_bytes
    with ServedSnapshot(store, snapshot, size, surroundings.progress) as served:
        source = SnapshotToBundle(served)
        return _written(source, request, wanted, keys, surroundings, [])


def unbundle_image(request: UnbundleRequest, surroundings: Surroundings) -> dict[str, Any]:
    """The image file that was written, sparse, once it is durable.

    Every part is read and compared with the manifest before anything is written, and the file
    appears when the digest of the whole is right. Raises InvalidManifestError, CorruptStoreError,
    KeyUnavailableError, ConflictError if there is such a file, NotFoundError, StorageError.
    """
    bundle = opening.opened(request.manifest, request.private_key, request.certificate)
    manifest = bundle.manifest
    if request.source is not None:
        place = BundlePlace(DirectoryBucket(request.source), request.manifest.key)
        bundle = replace(bundle, place=place)
    target = request.destination / manifest.name
    file = NewFile(target, manifest.size_bytes, Disk(), replace=False)
    try:
        bundle.check(surroundings.progress)
        if request.dry_run:
            raise DryRunError
        written = bundle.fill(file, surroundings.progress)
        file.commit()
    finally:
        file.discard()
    return {
        "Image": path_text(target),
        "Name": manifest.name,
        "Architecture": manifest.architecture or "i386",
        "User": manifest.user,
        "SizeBytes": manifest.size_bytes,
        "WrittenBytes": written,
    }


def mappings_from(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Pairs of a virtual and a device name from `VIRTUAL=DEVICE`, sorted. Raises UsageError."""
    pairs: dict[str, str] = {}
    for text in (one for given in texts for one in given.split(",") if one):
        virtual, _, device = text.partition("=")
        if not _VIRTUAL.fullmatch(virtual) or not _DEVICE.fullmatch(device):
            raise UsageError(
                f"{text!r} is not a mapping of a bundle",
                hint="for example ami=sda1,root=/dev/sda1,ephemeral0=sdb,swap=sda3",
            )
        if virtual in pairs:
            raise UsageError(f"{virtual} is mapped twice")
        pairs[virtual] = device
    return tuple(sorted(pairs.items()))


def _written(
    source: BundledDisk,
    request: BundleImageRequest,
    wanted: BundleRequest,
    keys: BundleKeys,
    surroundings: Surroundings,
    held: Sequence[FrozenDisk],
) -> dict[str, Any]:
    """Write parts and manifest; the disks that are `held` are set free in between."""
    bucket: ObjectBucket = DirectoryBucket(request.destination)
    if source.size_bytes > IMAGE_SIZE_MAX:
        raise UsageError(
            f"the image has {source.size_bytes} bytes; bundles hold at most {IMAGE_SIZE_MAX}",
            hint="use an archive instead: create-image, then create-store-image-task",
        )
    require_no_bundle(bucket, wanted.name)
    if request.dry_run:
        raise DryRunError
    with BundleFiles(bucket) as files:
        manifest = write_parts(
            source, wanted, keys, files, surroundings.random_bytes, surroundings.progress
        )
        for disk in held:
            disk.finish_reading()
        write_manifest(manifest, keys, files)
    return {
        "Manifest": path_text(request.destination / manifest_name(wanted.name)),
        "Parts": [part.file_name for part in manifest.parts],
        "SizeBytes": manifest.size_bytes,
        "BundledSizeBytes": manifest.bundled_size_bytes,
        "Architecture": manifest.architecture,
        "User": manifest.user,
    }


def _keys(request: BundleImageRequest) -> BundleKeys:
    """Raises UsageError if the certificate is not of the private key."""
    private = rsa_keys.read_private_key(request.private_key)
    user = rsa_keys.read_public_key(request.certificate)
    if not rsa_keys.is_pair(private, user):
        raise UsageError(
            f"the certificate {str(request.certificate)!r} is not of the private key"
            f" {str(request.private_key)!r}"
        )
    ec2 = request.ec2_certificate
    return BundleKeys(private, user, user if ec2 is None else rsa_keys.read_public_key(ec2))


def _wanted(
    request: BundleImageRequest, name: str, found: str | None, surroundings: Surroundings
) -> BundleRequest:
    """Raises UsageError for a wrong user, prefix or architecture."""
    if not _USER.fullmatch(request.user):
        raise UsageError(
            f"the user {request.user!r} is not an account of twelve digits",
            hint="amictl describe-regions shows the owner of a region",
        )
    if not _PREFIX.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be what the names of files begin with",
            hint="give --prefix: up to 80 letters, digits, '.', '_' and '-'",
        )
    architecture = request.architecture or found or "x86_64"
    if architecture not in IMAGE_ARCHITECTURES:
        raise UsageError(f"architecture {architecture}: bundles are of {IMAGE_ARCHITECTURES}")
    return BundleRequest(
        name=name,
        user=request.user,
        architecture=architecture,
        mappings=request.mappings,
        product_codes=request.product_codes,
        bundler=("amictl", __version__, "0"),
        mtime=int(surroundings.now().timestamp()),
    )


def _only_disk(store: Store, image_id: str) -> tuple[ImageCore, SnapshotCore]:
    """Raises UnsupportedError for an image that a bundle cannot hold, ConflictError."""
    image, _ = registered_image(store, image_id)
    require_on_volumes(image)
    if image.platform == "windows":
        raise _no_windows(image_id)
    mapped = [one.snapshot_id for one in image.mappings if one.snapshot_id is not None]
    if len(mapped) != 1:
        raise ConflictError(
            f"{image_id} has {len(mapped)} disks; a bundle holds exactly one",
            hint="use an archive instead: amictl create-store-image-task",
        )
    snapshot = completed_snapshot(store, mapped[0])
    if is_encrypted(snapshot):
        raise UnsupportedError(
            f"{image_id} is encrypted, and its bundle would not be so with its key",
            hint="use an archive, which stays encrypted: amictl create-store-image-task",
        )
    return image, snapshot


@contextmanager
def _frozen(
    path: Path, request: BundleImageRequest, surroundings: Surroundings
) -> Iterator[FrozenDisk]:
    """The disk, which is raw, and of which nothing is encrypted elsewhere."""

    def require_plain(sources: Sequence[Source]) -> None:
        for source in sources:
            if labelled_key(source.descriptor, source.path, surroundings.progress) is not None:
                raise UnsupportedError(
                    f"{str(source.path)!r} holds what is encrypted with a key elsewhere",
                    hint="use create-image, and an archive, which stays encrypted",
                )

    staging = request.destination
    with frozen(
        [path], FreezeRequest(), staging=staging, now=surroundings.now, opened=require_plain
    ) as (disk,):
        try:
            require_raw(disk.descriptor, disk.path)
        except OSError as error:
            raise as_storage_error(error, "read", disk.path) from error
        yield disk


def _no_windows(what: str) -> UnsupportedError:
    return UnsupportedError(
        f"{what} holds Windows, which bundles cannot: EC2 starts no Windows from one",
        hint="use an archive instead: amictl create-store-image-task",
    )
