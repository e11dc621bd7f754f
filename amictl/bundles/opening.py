"""A bundle that may be read: its manifest is signed, and the private key opens it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from amictl.bundles import manifest_xml, reading, rsa_keys
from amictl.bundles.reading import Target
from amictl.errors import InvalidManifestError, UnsupportedError
from amictl.model.bundles import BundleManifest, SignedBundle
from amictl.progress import Progress
from amictl.storage.objects import ObjectBucket


@dataclass(frozen=True, slots=True)
class BundlePlace:
    """The manifest of a bundle, as the key of an object; its parts are beside it."""

    bucket: ObjectBucket
    key: str

    @property
    def prefix(self) -> str:
        """What the names of the parts follow."""
        return self.key[: self.key.rfind("/") + 1]

    @property
    def where(self) -> str:
        return self.bucket.where(self.key)


@dataclass(frozen=True, slots=True, repr=False)
class OpenedBundle:
    """A bundle whose parts are beside `place`, and the secret that opens them."""

    place: BundlePlace
    manifest: BundleManifest
    secret: tuple[bytes, bytes]

    def check(self, progress: Progress) -> None:
        """Read all parts. Raises as `reading.check_parts`."""
        reading.check_parts(self.place.bucket, self.place.prefix, self.manifest, progress)

    def fill(self, target: Target, progress: Progress) -> int:
        """Write the image; returns the bytes written. Raises as `reading.extract`."""
        prefix = self.place.prefix
        return reading.extract(
            self.place.bucket, prefix, self.manifest, self.secret, target, progress
        )


def read_bundle(place: BundlePlace) -> tuple[bytes, SignedBundle]:
    """A manifest as it stands and as it is meant; nobody has looked at its signature.

    Raises InvalidManifestError, which names the place; NotFoundError, StorageError.
    """
    document = reading.read_document(place.bucket, place.key)
    try:
        bundle = manifest_xml.decode(document)
    except InvalidManifestError as error:
        error.message = f"the manifest {place.where} cannot be read: {error.message}"
        error.args = (error.message,)
        raise
    return document, bundle


def certified(place: BundlePlace, certificate: Path) -> tuple[bytes, SignedBundle]:
    """The same, signed with the key of a certificate, and of a machine image.

    Raises what `read_bundle` and `rsa_keys.read_public_key` raise; UnsupportedError.
    """
    public = rsa_keys.read_public_key(certificate)
    document, bundle = read_bundle(place)
    rsa_keys.require_signed(bundle, public, place.where)
    if bundle.manifest.image_type != "machine":
        raise UnsupportedError(
            f"the bundle {place.where} is a {bundle.manifest.image_type} image;"
            " only machine images can be started"
        )
    return document, bundle


def opened(place: BundlePlace, private_key: Path, certificate: Path | None) -> OpenedBundle:
    """A bundle that is signed, and that the private key opens.

    Without a certificate it has to be signed with the private key itself. Raises
    InvalidManifestError, KeyUnavailableError, and what reading keys and manifest raises.
    """
    private = rsa_keys.read_private_key(private_key)
    public = private.public_key() if certificate is None else rsa_keys.read_public_key(certificate)
    _, bundle = read_bundle(place)
    rsa_keys.require_signed(bundle, public, place.where)
    return OpenedBundle(place, bundle.manifest, rsa_keys.unwrap(private, bundle.manifest))


def registered(place: BundlePlace, digest: str, private_key: Path) -> OpenedBundle:
    """A bundle that an image was made of; its signature was checked then.

    `digest` is the SHA-256 of the manifest at that time. Raises InvalidManifestError if it is
    another one now, KeyUnavailableError, and what reading keys and manifest raises.
    """
    private = rsa_keys.read_private_key(private_key)
    document, bundle = read_bundle(place)
    if manifest_digest(document) != digest:
        raise InvalidManifestError(
            f"the manifest {place.where} was changed since the image was registered",
            hint="register it again: amictl register-image --image-location",
        )
    return OpenedBundle(place, bundle.manifest, rsa_keys.unwrap(private, bundle.manifest))


def manifest_digest(document: bytes) -> str:
    """What an image keeps of a manifest: its SHA-256, in hexadecimal."""
    return hashlib.sha256(document).hexdigest()
