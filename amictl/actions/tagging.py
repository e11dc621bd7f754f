"""CreateTags, DeleteTags and DescribeTags, for images, snapshots and volumes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from amictl.errors import (
    ConflictError,
    DryRunError,
    MalformedIdError,
    NotFoundError,
    UsageError,
)
from amictl.model.filters import Texts, matching
from amictl.model.ids import is_well_formed
from amictl.model.records import Attributes, Tag
from amictl.model.tags import require_tag, require_tags, tags_with, tags_without
from amictl.store import catalog, pending, volume_records
from amictl.store.store import Store

MAX_RESOURCES = 1000
MAX_DELETED = 1000

_TYPES = {"ami": "image", "snap": "snapshot", "vol": "volume"}
_FILTERS: dict[str, Texts] = {
    "key": lambda tag: [tag["Key"]],
    "resource-id": lambda tag: [tag["ResourceId"]],
    "resource-type": lambda tag: [tag["ResourceType"]],
    "value": lambda tag: [tag["Value"]],
    "tag:": lambda tag: [f"{tag['Key']}={tag['Value']}"],
}

Change = Callable[[Attributes], Attributes]


def create_tags(
    store: Store,
    resources: Sequence[str],
    pairs: Sequence[tuple[str, str]],
    *,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Give every resource these tags; `{}` when that is durable.

    A value replaces that of the same key. Raises UsageError, MalformedIdError, NotFoundError, and
    ConflictError for what is still being made; then nothing is changed. After a StorageError some
    resources may have the tags and others not.
    """
    tags = require_tags(pairs)
    if not tags:
        raise _missing("tagSet")

    def change(attributes: Attributes) -> Attributes:
        return replace(attributes, tags=tags_with(attributes.tags, tags))

    return _change_all(store, resources, change, dry_run=dry_run)


def delete_tags(
    store: Store,
    resources: Sequence[str],
    pairs: Sequence[tuple[str, str | None]] = (),
    *,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Take tags from every resource; `{}` when that is durable.

    Tags of a key go whatever their value is if it is None, else only with this value. Without
    pairs all go. A tag that a resource has not is no error. Raises as `create_tags`.
    """
    if len(pairs) > MAX_DELETED:
        raise UsageError(f"more than {MAX_DELETED} tags in one request")
    for key, value in pairs:
        require_tag(key, value or "")

    def change(attributes: Attributes) -> Attributes:
        return replace(attributes, tags=tags_without(attributes.tags, pairs))

    return _change_all(store, resources, change, dry_run=dry_run)


def describe_tags(
    store: Store, filters: Sequence[Mapping[str, Any]] = (), *, dry_run: bool = False
) -> dict[str, Any]:
    """`{"Tags": […]}` of all that exists or is being made, by resource and key.

    A record that is damaged does not hide the others. Raises UsageError for a wrong filter.
    """
    tags = [
        {
            "Key": tag.key,
            "ResourceId": record_id,
            "ResourceType": _TYPES[record_id.partition("-")[0]],
            "Value": tag.value,
        }
        for record_id, tags in sorted(_all_tags(store).items())
        for tag in tags
    ]
    tags = matching(tags, filters, _FILTERS)
    if dry_run:
        raise DryRunError
    return {"Tags": tags}


def _change_all(
    store: Store, resources: Sequence[str], change: Change, *, dry_run: bool
) -> dict[str, Any]:
    """Change all, or none if one cannot be changed; only a StorageError can come between two.

    Nothing is deleted and no other tags are written meanwhile.
    """
    store.require_features("write")
    if not resources:
        raise _missing("resourceIdSet")
    ids = list(dict.fromkeys(resources))
    if len(ids) > MAX_RESOURCES:
        raise UsageError(f"more than {MAX_RESOURCES} resources in one request")
    for record_id in ids:
        _require_taggable(record_id)
    with catalog.exclusively(store):
        for record_id in ids:
            change(_attributes(store, record_id))
        if dry_run:
            raise DryRunError
        for record_id in ids:
            if is_well_formed("vol", record_id):
                volume_records.change_attributes(store, record_id, change)
            else:
                catalog.change_attributes(store, record_id, change)
    return {}


def _missing(name: str) -> UsageError:
    return UsageError(f"The request must contain the parameter {name}", code="MissingParameter")


def _require_taggable(record_id: str) -> None:
    if not any(is_well_formed(kind, record_id) for kind in _TYPES):
        raise MalformedIdError(
            f"The ID '{record_id}' is not valid",
            hint="images (ami-), snapshots (snap-) and volumes (vol-) have tags",
            code="InvalidID",
        )


def _attributes(store: Store, record_id: str) -> Attributes:
    """The attributes of what exists and is not in the bin. Raises NotFoundError, ConflictError."""
    if is_well_formed("vol", record_id):
        return volume_records.attributes(store, record_id)
    work = pending.seen(store, record_id)  # before the record, since it may be finished meanwhile
    try:
        if is_well_formed("ami", record_id):
            catalog.read_image(store, record_id)
        elif is_well_formed("snap", record_id):
            catalog.read_snapshot(store, record_id)
        return catalog.read_attributes(store, record_id)
    except NotFoundError:
        if work is not None:
            raise _unfinished(record_id, alive=work.alive) from None
        raise


def _unfinished(record_id: str, *, alive: bool) -> ConflictError:
    if alive:
        hint = "tag it when it is done, or with --tag-specifications when it is created"
        return ConflictError(f"{record_id} is still being made", hint=hint)
    return ConflictError(f"the making of {record_id} failed", hint="make it again")


def _all_tags(store: Store) -> dict[str, tuple[Tag, ...]]:
    """The tags of everything by its id."""
    making = (*pending.all_seen(store, "ami-"), *pending.all_seen(store, "snap-"))
    ids = (
        *catalog.image_ids(store),
        *catalog.snapshot_ids(store),
        *volume_records.volume_ids(store),
    )
    finished = set(ids)
    tags = {record_id: seen.work.tags for record_id, seen in making if record_id not in finished}
    return tags | {found.id: found.tags for found in catalog.live_attributes(store, ids)}
