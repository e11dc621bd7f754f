"""What an instance-store bundle says of itself. amictl-bundle(5), THE MANIFEST."""

from dataclasses import dataclass

PART_SIZE = 10 * 1024 * 1024
"""Bytes of every part but the last."""

IMAGE_SIZE_MAX = 10 * 1024**3
"""Bytes of the largest image that is bundled, as in EC2; larger ones of others are read."""

IMAGE_ARCHITECTURES = ("i386", "x86_64", "arm64")


@dataclass(frozen=True, slots=True)
class BundlePart:
    """One part: the name of its file, without a folder, and the SHA-1 of its bytes."""

    file_name: str
    sha1: bytes


@dataclass(frozen=True, slots=True, repr=False)
class WrappedKey:
    """The key of a bundle and its initialisation vector, both encrypted for one RSA key."""

    key: bytes
    vector: bytes


@dataclass(frozen=True, slots=True)
class BundleManifest:
    """A bundle: one raw image, as parts of an encrypted, compressed tar stream.

    `name` is the file name of the image; `sha1` is of the tar stream; `size_bytes` is the image's,
    `bundled_size_bytes` that of all parts. `mappings` are pairs of a virtual and a device name, in
    their order. `for_user` and `for_ec2` wrap the same key.
    """

    name: str
    user: str
    architecture: str | None
    sha1: bytes
    size_bytes: int
    bundled_size_bytes: int
    for_user: WrappedKey
    for_ec2: WrappedKey
    parts: tuple[BundlePart, ...]
    image_type: str = "machine"
    mappings: tuple[tuple[str, str], ...] = ()
    kernel_id: str | None = None
    ramdisk_id: str | None = None
    product_codes: tuple[str, ...] = ()
    ancestors: tuple[str, ...] = ()
    bundler: tuple[str, str, str] | None = None
    """Name, version and release of the program that made it."""
    version: str = "2007-10-10"


@dataclass(frozen=True, slots=True)
class SignedBundle:
    """A manifest as it was read: `signed` are the bytes of it that the signature is over."""

    manifest: BundleManifest
    signed: bytes
    signature: bytes


def part_name(name: str, index: int) -> str:
    """The file of a part: `NAME.part.00` and on, at least two digits."""
    return f"{name}.part.{index:02d}"


def manifest_name(name: str) -> str:
    """The file of a manifest."""
    return f"{name}.manifest.xml"
