"""Unbundling: parts are checked, then decrypted, decompressed and unpacked as one stream.

amictl-bundle(5), READING. Memory is bounded: nothing is kept of what has passed.
"""

import hashlib
import zlib
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import Protocol

from amictl.bundles.image_tar import read_image
from amictl.bundles.strict_xml import DOCUMENT_SIZE_MAX
from amictl.errors import CorruptStoreError, InvalidManifestError
from amictl.model.bundles import BundleManifest, BundlePart
from amictl.progress import Progress, Step
from amictl.storage.objects import ObjectBucket
from amictl.store.parallel import in_order

_PIECE = 1 << 20
_WRITE = 65_536
_THREADS = 4
_BLOCK_BITS = 128
_GZIP = 31
"""What zlib calls a stream with the header and the checksum of gzip."""


class Target(Protocol):
    """A new disk that reads as zeros where nothing was written."""

    def write(self, offset: int, data: memoryview) -> None: ...


def read_document(bucket: ObjectBucket, key: str) -> bytes:
    """The bytes of a manifest, which are bounded. Raises InvalidManifestError, StorageError."""
    with closing(bucket.open(key)) as source:
        if not 0 < source.size <= DOCUMENT_SIZE_MAX:
            raise InvalidManifestError(
                f"the manifest {source.where} has {source.size} bytes;"
                f" 1 to {DOCUMENT_SIZE_MAX} are read"
            )
        return source.read(0, source.size)


def check_parts(
    bucket: ObjectBucket, prefix: str, manifest: BundleManifest, progress: Progress
) -> None:
    """Read every part and compare it with the manifest.

    Raises CorruptStoreError that names the part, NotFoundError, StorageError.
    """
    require_sizes(bucket, prefix, manifest)
    check = partial(_checked_size, bucket, prefix)
    done = 0
    with in_order(check, manifest.parts, threads=_THREADS) as sizes:
        for size in sizes:
            done += size
            progress.update(Step("check", done, manifest.bundled_size_bytes, known=done))


def extract(
    bucket: ObjectBucket,
    prefix: str,
    manifest: BundleManifest,
    secret: tuple[bytes, bytes],
    target: Target,
    progress: Progress,
) -> int:
    """Write the image to a disk that is all zeros; returns the bytes written.

    `secret` is the key and the vector. The parts are checked again as they pass, and the whole
    stream at its end: until this returns, what was written is nothing. Raises CorruptStoreError,
    NotFoundError, StorageError.
    """
    stream = TarStream(decrypted(_passing(bucket, prefix, manifest.parts), secret))
    written = 0
    zeros = bytes(_WRITE)
    for offset, data in read_image(stream, manifest.size_bytes):
        for start in range(0, len(data), _WRITE):
            piece = memoryview(data)[start : start + _WRITE]
            if piece != zeros[: len(piece)]:
                target.write(offset + start, piece)
                written += len(piece)
        done = offset + len(data)
        progress.update(Step("restore", done, manifest.size_bytes, known=done))
    if stream.sha1.digest() != manifest.sha1:
        raise CorruptStoreError(f"the bundle of {manifest.name!r} holds another image than it says")
    progress.update(Step("restore", manifest.size_bytes, manifest.size_bytes))
    return written


def require_sizes(bucket: ObjectBucket, prefix: str, manifest: BundleManifest) -> None:
    """Raises CorruptStoreError before anything is read if the parts cannot be those meant."""
    sizes = partial(_size, bucket, prefix)
    with in_order(sizes, manifest.parts, threads=_THREADS) as found:
        total = sum(found)
    if total != manifest.bundled_size_bytes:
        raise CorruptStoreError(
            f"the parts of the bundle of {manifest.name!r} have {total} bytes,"
            f" but {manifest.bundled_size_bytes} in the manifest"
        )


def _size(bucket: ObjectBucket, prefix: str, part: BundlePart) -> int:
    with closing(bucket.open(prefix + part.file_name)) as source:
        return source.size


def _checked_size(bucket: ObjectBucket, prefix: str, part: BundlePart) -> int:
    return sum(len(piece) for piece in part_content(bucket, prefix, part))


def part_content(bucket: ObjectBucket, prefix: str, part: BundlePart) -> Iterator[bytes]:
    """A part in pieces; after the last one it raises CorruptStoreError if it is another one."""
    found = hashlib.sha1(usedforsecurity=False)
    with closing(bucket.open(prefix + part.file_name)) as source:
        for offset in range(0, source.size, _PIECE):
            piece = source.read(offset, min(_PIECE, source.size - offset))
            found.update(piece)
            yield piece
        if found.digest() != part.sha1:
            raise CorruptStoreError(
                f"{source.where} is damaged: its SHA-1 is {found.hexdigest()},"
                f" but {part.sha1.hex()} in the manifest"
            )


def _passing(bucket: ObjectBucket, prefix: str, parts: tuple[BundlePart, ...]) -> Iterator[bytes]:
    for part in parts:
        yield from part_content(bucket, prefix, part)


def decrypted(pieces: Iterator[bytes], secret: tuple[bytes, bytes]) -> Iterator[bytes]:
    """What AES-128-CBC was made of, in pieces; nothing says yet that it is right.

    Raises CorruptStoreError for an end that the padding does not have.
    """
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.ciphers.modes import CBC
    from cryptography.hazmat.primitives.padding import PKCS7

    key, vector = secret
    cipher = Cipher(AES(key), CBC(vector)).decryptor()
    padding = PKCS7(_BLOCK_BITS).unpadder()
    for piece in pieces:
        yield padding.update(cipher.update(piece))
    try:
        yield padding.update(cipher.finalize()) + padding.finalize()
    except ValueError:
        raise CorruptStoreError(
            "the last part of the bundle does not end as AES-128-CBC does"
        ) from None


class TarStream:
    """What gunzip makes of the decrypted bytes; `sha1` is of all that was taken."""

    def __init__(self, compressed: Iterator[bytes]) -> None:
        self.sha1 = hashlib.sha1(usedforsecurity=False)
        self._compressed = filter(None, compressed)
        self._zip = zlib.decompressobj(_GZIP)

    def take(self, length: int) -> bytes:
        """Exactly so many bytes, or fewer at the end. Raises CorruptStoreError."""
        taken = bytearray()
        while len(taken) < length and (piece := self._next(length - len(taken))):
            taken += piece
        self.sha1.update(taken)
        return bytes(taken)

    def _next(self, most: int) -> bytes:
        """At most so many bytes; none at the end, where nothing may follow."""
        try:
            while not self._zip.eof:
                data = self._zip.unconsumed_tail or next(self._compressed, b"")
                piece = self._zip.decompress(data, most)
                if piece:
                    return piece
                if not data and not self._zip.eof:
                    raise CorruptStoreError("the bundle ends inside of its compressed stream")
        except zlib.error as error:
            raise CorruptStoreError(f"the bundle is not compressed with gzip: {error}") from None
        if self._zip.unused_data or any(self._compressed):
            raise CorruptStoreError("the bundle goes on after its compressed stream")
        return b""
