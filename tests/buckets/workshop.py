"""A store in a bucket, and what is done with it through the actions."""

from copy import copy
from dataclasses import dataclass, field, replace
from typing import Self

from amictl.storage.attempts import Patience
from amictl.storage.places import BucketPlace
from amictl.store.opening import open_storage
from amictl.store.store import Store
from tests.buckets.servers import SHORT, Region
from tests.workshop import Workshop


@dataclass
class BucketWorkshop(Workshop):
    """A workshop whose store is in a bucket; disks and what is restored are in `folder`.

    Requests go to `url` if one is given, which may be a proxy; making the store does not.
    """

    region: Region = field(kw_only=True)
    url: str | None = None
    patience: Patience = SHORT

    @property
    def place(self) -> BucketPlace:
        return self.region.place

    def behind(self, url: str, patience: Patience) -> Self:
        """The same store, opened through another endpoint."""
        other = copy(self)
        other.url, other.patience = url, patience
        return other

    def with_empty_cache(self) -> Self:
        """The same store, opened where nothing was read of it yet."""
        other = copy(self)
        cache = self.region.cache
        other.region = replace(self.region, cache=cache / self._random.randbytes(4).hex())
        return other

    def open(self) -> Store:
        return open_storage(self.region.storage(self.url, self.patience))
