"""What a writer has in a bucket: objects that grow, holds, and work in hand."""

import mmap
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from amictl.errors import AmictlError
from amictl.storage.disk import as_storage_error
from amictl.storage.leases import Lease

if TYPE_CHECKING:
    from amictl.storage.bucket import BucketStorage


class BucketUpload:
    """An object that grows in a local file without a name, until it is put whole."""

    def __init__(self, storage: "BucketStorage", name: str) -> None:
        self.name = name
        self.size = 0
        self.published = False
        self._storage = storage
        self._sealed = False
        staging = storage.staging
        try:
            self._descriptor = storage.disk.create_unnamed(staging)
        except OSError as error:
            raise as_storage_error(error, "create a file in", staging) from error

    def append(self, data: bytes | memoryview) -> None:
        try:
            self._storage.disk.write_at(self._descriptor, data, self.size)
        except OSError as error:
            raise as_storage_error(error, "write to", self._storage.staging) from error
        self.size += len(data)

    def seal(self) -> None:
        # Not closed here: a request that was given up may still hold it.
        content = mmap.mmap(self._descriptor, self.size, prot=mmap.PROT_READ) if self.size else b""
        self._storage.put_immutable(self.name, memoryview(content))
        self._sealed = True
        self._close()

    def discard(self) -> None:
        with suppress(OSError):
            self._close()
        # What was published may be counted on, also where the publisher was told nothing.
        if self._sealed and not self.published:
            self.published = True
            with suppress(AmictlError):
                self._storage.clean(self.name)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class BucketHold:
    """A lease beside others."""

    def __init__(self, lease: Lease) -> None:
        self._lease: Lease | None = lease

    def release(self) -> None:
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.remove()


class BucketWork:
    """Work in hand as a lease that says how far it is."""

    def __init__(self, lease: Lease, head: bytes) -> None:
        self._lease = lease
        self._head = head
        self._ended = False

    def write(self, state: bytes) -> None:
        self._lease.say(self._head + state)

    def end(self, state: bytes) -> None:
        self._ended = True
        self._lease.end(self._head + state)

    def remove(self) -> None:
        if not self._ended:
            self._ended = True
            self._lease.remove()

    def release(self) -> None:
        if not self._ended:
            self._ended = True
            self._lease.end(self._lease.content)
