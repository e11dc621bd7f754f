"""Bundles from one bucket to another: each part is compared with the manifest as it passes.

What is there already stays, if it is the same: so what was broken off can be repeated.
"""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar

from amictl.bundles.opening import BundlePlace
from amictl.bundles.reading import part_content
from amictl.errors import ConflictError, CorruptStoreError, ObjectExistsError, StorageError
from amictl.model.bundles import BundleManifest, BundlePart
from amictl.progress import Progress, Step
from amictl.storage.objects import ObjectBucket
from amictl.store.parallel import in_order

ATTEMPTS = 6
"""How often something is tried where that is wished: EC2's tools repeat it five times."""

_THREADS = 4
_FIRST_PAUSE_SECONDS = 0.5
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class BundleTransfer:
    """From where to where a bundle is brought, and how often each object is tried.

    The parts before `first_part` are taken to be there.
    """

    source: BundlePlace
    target: BundlePlace
    first_part: int = 0
    attempts: int = 1

    def bring_parts(self, manifest: BundleManifest, progress: Progress) -> None:
        """Bring the parts; each is durable then.

        Raises CorruptStoreError for a part that the manifest does not mean, ConflictError for
        another object in its place, NotFoundError, StorageError.
        """
        parts = manifest.parts[self.first_part :]
        done = 0
        with in_order(self._bring_part, parts, threads=_THREADS) as sizes:
            for size in sizes:
                done += size
                progress.update(Step("copy", done, manifest.bundled_size_bytes, new=done))

    def bring_manifest(self, document: bytes) -> None:
        """Bring the manifest, after its parts: where it is, the bundle is whole."""

        def bring() -> None:
            target = self.target.bucket
            try:
                with target.create(self.target.key, {}, {}, None) as writer:
                    writer.write(document)
                    writer.finish()
            except ObjectExistsError:
                with closing(target.open(self.target.key)) as present:
                    same = present.size == len(document)
                    same = same and present.read(0, present.size) == document
                if not same:
                    raise

        repeated(bring, self.attempts)

    def _bring_part(self, part: BundlePart) -> int:
        return repeated(lambda: self._brought(part), self.attempts)

    def _brought(self, part: BundlePart) -> int:
        """The bytes of a part that is there now."""
        size = 0
        try:
            target = self.target.bucket.create(self.target.prefix + part.file_name, {}, {}, None)
            with target as writer:
                for piece in part_content(self.source.bucket, self.source.prefix, part):
                    writer.write(piece)
                    size += len(piece)
                writer.finish()
        except ObjectExistsError as taken:
            return _same_size(self.target, part, taken)
        return size


def repeated(work: Callable[[], _Result], attempts: int) -> _Result:
    """The result of the first attempt that raises no StorageError, each after a longer pause."""
    for attempt in range(attempts - 1):
        try:
            return work()
        except StorageError:
            time.sleep(_FIRST_PAUSE_SECONDS * 2**attempt)
    return work()


def _same_size(target: BundlePlace, part: BundlePart, taken: ObjectExistsError) -> int:
    """The size of a part that was there before. Raises ConflictError if it is something else."""
    bucket: ObjectBucket = target.bucket
    try:
        return sum(map(len, part_content(bucket, target.prefix, part)))
    except CorruptStoreError as error:
        raise ConflictError(taken.message, hint=taken.hint, code=taken.code) from error
