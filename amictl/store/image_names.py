"""Names of images: each belongs to one image that exists or is being made."""

from amictl.errors import CorruptStoreError, ImageNameDuplicateError, ObjectMissingError
from amictl.formats import records as record_format
from amictl.model.records import ImageName
from amictl.store import catalog, layout, pending
from amictl.store.store import Store


def require_free(store: Store, name: str) -> None:
    """Raises ImageNameDuplicateError if an image has the name; BusyError if one is being made with
    it by a writer that may be dead.
    """
    _require_none(store, name, name_holder(store, name))


def require_reserved(store: Store, name: str, image_id: str) -> None:
    """Take an image name as `reserve_name`. Raises as `require_free` if an image has it."""
    _require_none(store, name, reserve_name(store, name, image_id))


def reserve_name(store: Store, name: str, image_id: str) -> str | None:
    """Take an image name; returns None, or the id of the image that has it.

    A name whose image neither exists nor is being made is taken over.
    """
    with catalog.exclusively(store):
        return take_name(store, name, image_id)


def take_name(store: Store, name: str, image_id: str) -> str | None:
    """The same for who holds the catalogue, as one who takes an image out of the recycle bin does:
    nobody takes the name over before that image exists again.
    """
    place = layout.image_name(name)
    wanted = record_format.encode(ImageName(name, image_id))
    while not store.storage.write_if_absent(place, wanted):
        try:
            present = store.storage.read(place)
        except ObjectMissingError:
            continue
        holder = _holder(present, name)
        if catalog.exists_or_begun(store, holder):
            return holder
        if store.storage.replace_if_unchanged(place, wanted, present):
            return None
    return None


def name_holder(store: Store, name: str) -> str | None:
    """The image that has a name, or None; changes nothing."""
    place = layout.image_name(name)
    try:
        holder = _holder(store.storage.read(place), name)
    except ObjectMissingError:
        return None
    return holder if catalog.exists_or_begun(store, holder) else None


def _require_none(store: Store, name: str, holder: str | None) -> None:
    if holder is None:
        return
    if not catalog.exists(store, holder):
        message = f"AMI name {name} is taken by AMI {holder}, which is being made"
        pending.require_certainly_alive(store, holder, message, ImageNameDuplicateError.code)
    raise ImageNameDuplicateError.of(name, holder)


def _holder(data: bytes, name: str) -> str:
    """The image that a name's record gives it to. Raises CorruptStoreError."""
    place = layout.image_name(name)
    record = record_format.decode(data, ImageName, place)
    if record.name != name:
        raise CorruptStoreError(f"{place} is about {record.name!r}")
    return record.image_id
