"""Bundling: a disk becomes numbered parts and a signed manifest. amictl-bundle(5), WRITING.

One pass over the disk; at most one part is in memory.
"""

import hashlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from amictl.bundles import manifest_xml, rsa_keys
from amictl.bundles.image_tar import Extent, header_blocks, trailer
from amictl.errors import ConflictError, NotFoundError, StorageError
from amictl.model.bundles import (
    PART_SIZE,
    BundleManifest,
    BundlePart,
    manifest_name,
    part_name,
)
from amictl.progress import Progress, Step
from amictl.storage.objects import ObjectBucket

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

_PIECE = 1 << 20
_BLOCK_BITS = 128
_GZIP = 31
_LEVEL = 6


class BundledDisk(Protocol):
    """A disk that is at rest, and where it holds data."""

    size_bytes: int

    def extents(self) -> Sequence[Extent]:
        """In order and apart; each begins, and all but the last end, at a multiple of 512."""
        ...

    def read(self, offset: int, length: int) -> bytes | bytearray: ...


@dataclass(frozen=True, slots=True)
class BundleRequest:
    """What the manifest says beside what is found; `name` is that of the image and its files."""

    name: str
    user: str
    architecture: str
    mappings: tuple[tuple[str, str], ...] = ()
    product_codes: tuple[str, ...] = ()
    bundler: tuple[str, str, str] | None = None
    mtime: int = 0


@dataclass(frozen=True, slots=True, repr=False)
class BundleKeys:
    """Who signs, and for whom the key of the bundle is encrypted."""

    private: "RSAPrivateKey"
    user: "RSAPublicKey"
    ec2: "RSAPublicKey"


class BundleFiles:
    """The objects of a bundle: each appears whole, and all go away again if one fails."""

    def __init__(self, bucket: ObjectBucket) -> None:
        self._bucket = bucket
        self.names: list[str] = []

    def put(self, name: str, content: bytes) -> None:
        """Durable when it returns. Raises ObjectExistsError, StorageError."""
        with self._bucket.create(name, {}, {}, None) as writer:
            writer.write(content)
            writer.finish()
        self.names.append(name)

    def __enter__(self) -> "BundleFiles":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            for name in reversed(self.names):
                with suppress(StorageError, NotFoundError):
                    self._bucket.delete(name)


def require_no_bundle(bucket: ObjectBucket, name: str) -> None:
    """Raises ConflictError if files of this name are there."""
    present = [one for one in (manifest_name(name),) if bucket.exists(one)]
    present += bucket.names(f"{name}.part.")
    if present:
        raise ConflictError(
            f"{bucket.where(present[0])!r} exists",
            hint="give another --prefix or --destination, or remove what a killed bundling left",
        )


def write_parts(
    disk: BundledDisk,
    request: BundleRequest,
    keys: BundleKeys,
    files: BundleFiles,
    random_bytes: Callable[[int], bytes],
    progress: Progress,
) -> BundleManifest:
    """Write the parts; the manifest that goes with them, which is not yet written.

    Raises StorageError, ConflictError, and what reading the disk raises.
    """
    secret = random_bytes(16), random_bytes(16)
    tar_digest = hashlib.sha1(usedforsecurity=False)
    parts: list[BundlePart] = []
    bundled_size = 0
    plain = _tar(disk, request, tar_digest.update, progress)
    for content in _split(_encrypted(_compressed(plain), secret)):
        name = part_name(request.name, len(parts))
        files.put(name, bytes(content))
        digest = hashlib.sha1(content, usedforsecurity=False).digest()
        parts.append(BundlePart(name, digest))
        bundled_size += len(content)
    return BundleManifest(
        name=request.name,
        user=request.user,
        architecture=request.architecture,
        sha1=tar_digest.digest(),
        size_bytes=disk.size_bytes,
        bundled_size_bytes=bundled_size,
        for_user=rsa_keys.wrap(keys.user, *secret),
        for_ec2=rsa_keys.wrap(keys.ec2, *secret),
        parts=tuple(parts),
        mappings=request.mappings,
        product_codes=request.product_codes,
        bundler=request.bundler,
    )


def write_manifest(manifest: BundleManifest, keys: BundleKeys, files: BundleFiles) -> None:
    """Sign and write the manifest: where it is, the bundle is whole."""
    document = manifest_xml.encode(manifest, lambda data: rsa_keys.sign(keys.private, data))
    files.put(manifest_name(manifest.name), document)


def _tar(
    disk: BundledDisk,
    request: BundleRequest,
    seen: Callable[[bytes | bytearray], None],
    progress: Progress,
) -> Iterator[bytes | bytearray]:
    """The tar stream in pieces, of which `seen` is told."""
    extents = disk.extents()
    length = 0
    for piece in _tar_pieces(disk, extents, request, progress):
        length += len(piece)
        seen(piece)
        yield piece
    end = trailer(length)
    seen(end)
    yield end


def _tar_pieces(
    disk: BundledDisk, extents: Sequence[Extent], request: BundleRequest, progress: Progress
) -> Iterator[bytes | bytearray]:
    yield header_blocks(request.name, disk.size_bytes, extents, request.mtime)
    for offset, length in extents:
        for start in range(offset, offset + length, _PIECE):
            stop = min(start + _PIECE, offset + length)
            yield disk.read(start, stop - start)
            progress.update(Step("bundle", stop, disk.size_bytes, new=stop))
    progress.update(Step("bundle", disk.size_bytes, disk.size_bytes, new=disk.size_bytes))


def _compressed(pieces: Iterator[bytes | bytearray]) -> Iterator[bytes]:
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    for piece in pieces:
        yield compressor.compress(piece)
    yield compressor.flush()


def _encrypted(pieces: Iterator[bytes], secret: tuple[bytes, bytes]) -> Iterator[bytes]:
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.ciphers.modes import CBC
    from cryptography.hazmat.primitives.padding import PKCS7

    key, vector = secret
    cipher = Cipher(AES(key), CBC(vector)).encryptor()
    padding = PKCS7(_BLOCK_BITS).padder()
    for piece in pieces:
        yield cipher.update(padding.update(piece))
    yield cipher.update(padding.finalize()) + cipher.finalize()


def _split(pieces: Iterator[bytes]) -> Iterator[bytearray]:
    """Parts of PART_SIZE bytes, and a last one with the rest."""
    part = bytearray()
    for piece in pieces:
        part += piece
        while len(part) >= PART_SIZE:
            yield part[:PART_SIZE]
            del part[:PART_SIZE]
    if part:
        yield part
