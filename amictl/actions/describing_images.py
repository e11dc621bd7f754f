"""DescribeImages: what is registered, what is being made, what failed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from amictl.errors import (
    UNREADABLE,
    AmictlError,
    DryRunError,
    ImageNotFoundError,
    SnapshotNotFoundError,
)
from amictl.formats import shapes
from amictl.model.accounts import includes_owner, require_executable_users
from amictl.model.ids import require_id
from amictl.model.image_filters import matching_images
from amictl.model.records import PendingImage, SnapshotCore
from amictl.store import at_once, authenticity, catalog, pending, showing
from amictl.store.image_states import DISABLED
from amictl.store.lineages import is_encrypted
from amictl.store.pending import Seen
from amictl.store.showing import Kind
from amictl.store.store import Store

_Shape = dict[str, Any]
_BEING_MADE = ("pending", "failed")


@dataclass(frozen=True, slots=True)
class ImageSelection:
    """Which images are asked for; `filters` have EC2's shape. Nothing given is no restriction."""

    image_ids: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    executable_users: tuple[str, ...] = ()
    filters: tuple[dict[str, Any], ...] = ()
    include_disabled: bool = False
    dry_run: bool = False


def describe_images(
    store: Store, image_ids: tuple[str, ...] = (), selection: ImageSelection | None = None
) -> dict[str, Any]:
    """`{"Images": […]}`, oldest first.

    Disabled images are left out unless they are asked for, or named by their ids. Raises
    ImageNotFoundError if one of the ids is unknown, UsageError for an unknown filter or owner.
    """
    selection = selection or ImageSelection(image_ids)
    found = _selected(store, selection)
    if selection.dry_run:
        raise DryRunError
    details = _Details(store, found, named=bool(selection.image_ids))
    images = [details.added(image) for image in found]
    images.sort(key=lambda image: (image.get("CreationDate", ""), image["ImageId"]))
    return {"Images": images}


def _selected(store: Store, selection: ImageSelection) -> list[_Shape]:
    require_executable_users(selection.executable_users)
    ours = not selection.owners or includes_owner(selection.owners, store.config.owner_id)
    # One after the other: what no filter lets through is not kept.
    images = _named(store, selection) if selection.image_ids else _listed(store, selection)
    found = matching_images(images, selection.filters)
    # Nobody was ever given the right to launch an image, and all are of one owner.
    return found if ours and not selection.executable_users else []


def _named(store: Store, selection: ImageSelection) -> Iterator[_Shape]:
    image_ids = list(dict.fromkeys(selection.image_ids))
    return at_once.each(store, partial(_image, store), image_ids)


def _listed(store: Store, selection: ImageSelection) -> Iterator[_Shape]:
    hidden = () if selection.include_disabled else (DISABLED,)
    return (image for image in showing.every(store, _IMAGES) if image["State"] not in hidden)


def _image(store: Store, image_id: str) -> _Shape:
    """Raises MalformedIdError, ImageNotFoundError, and what is UNREADABLE."""
    require_id("ami", image_id)
    image = showing.one(store, _IMAGES, image_id)
    if image is not None:
        return image
    raise ImageNotFoundError(
        f"The image id '[{image_id}]' does not exist",
        hint="amictl describe-images --include-disabled lists all,"
        " list-images-in-recycle-bin those in the recycle bin",
    )


def _pending(seen: Seen) -> _Shape | None:
    if not isinstance(seen.work, PendingImage):
        return None
    return shapes.pending_image_shape(seen.work, alive=seen.alive, died=pending.DIED)


def _damaged(image_id: str, error: AmictlError) -> _Shape:
    reason = {"Code": error.code, "Message": error.message}
    return {"ImageId": image_id, "State": "invalid", "StateReason": reason}


_IMAGES = Kind(
    "ami-",
    catalog.image_ids,
    catalog.read_image_core,
    shapes.image_shape,
    _pending,
    _damaged,
)


class _Details:
    """What snapshots say of images that map them; each snapshot is read once.

    A damaged snapshot spoils an image in a list, and the answer where the image was named.
    """

    def __init__(self, store: Store, images: Sequence[_Shape], *, named: bool) -> None:
        self._store = store
        self._named = named
        ids = list(dict.fromkeys(one for image in images for one in _mapped(image)))
        self._known = dict(zip(ids, at_once.each(store, self._read, ids), strict=True))

    def added(self, image: _Shape) -> _Shape:
        """The image with sizes in bytes and the moment."""
        if "BlockDeviceMappings" not in image:
            return image
        known: shapes.Snapshots = {}
        for snapshot_id in _mapped(image):
            found = self._known[snapshot_id]
            if isinstance(found, SnapshotCore):
                known[snapshot_id] = found
            elif found is not None:
                if self._named:
                    raise found
                return _damaged(image["ImageId"], found)
        keys = {core.domain: self._store.key_id(core.domain) for core in known.values()}
        shape = shapes.with_snapshots(image, known, keys)
        if not any(map(is_encrypted, known.values())) or image["State"] in _BEING_MADE:
            return shape
        core = catalog.read_image_core(self._store, image["ImageId"])
        if authenticity.are_recorded(core, known):
            return shape
        return shape | {"Amictl": shape.get("Amictl", {}) | shapes.UNCONFIRMED}

    def _read(self, snapshot_id: str) -> SnapshotCore | AmictlError | None:
        """A snapshot, or why it cannot be read; None for one of an image that is being made."""
        try:
            return catalog.read_snapshot(self._store, snapshot_id)
        except SnapshotNotFoundError:
            return None
        except UNREADABLE as error:
            return error


def _mapped(image: _Shape) -> Sequence[str]:
    return shapes.mapped_snapshots(image) if "BlockDeviceMappings" in image else ()
