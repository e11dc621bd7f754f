"""CopyImage and CopySnapshot: from one region to another, or within one."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from blake3 import blake3

from amictl.bundles.copying import BundleBuckets, BundleCopy, planned_copy
from amictl.errors import DryRunError, UsageError
from amictl.formats import records as record_format
from amictl.formats import shapes
from amictl.model import facts
from amictl.model.encryption import EncryptionRequest
from amictl.model.ids import new_id
from amictl.model.images import require_name
from amictl.model.records import (
    Attributes,
    ImageCore,
    PendingImage,
    SnapshotCore,
    tags_from,
)
from amictl.model.surroundings import Surroundings
from amictl.model.tags import tags_with, users_tags
from amictl.model.texts import require_description, require_text
from amictl.model.times import parse_timestamp, timestamp
from amictl.store import catalog, copies, events, image_names, tokens
from amictl.store.copies import Outcome, SnapshotCopy, pending_copy
from amictl.store.image_states import AVAILABLE, available_image
from amictl.store.pending import Work, unfinished
from amictl.store.snapshot_states import completed_snapshot
from amictl.store.store import Store
from amictl.store.writing import Writer

MAX_TOKEN_CHARACTERS = 128
_OF_THE_MAC = (facts.MAC_DOMAIN, facts.MAPPED_CONTENT, facts.COPIED_CORE)
"""What a copy has of its own."""

OnBegun = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class CopySnapshotRequest:
    """`source_region` is the name of the region that is copied from.

    `encrypted` is None where nothing was said. With `recut` the content is cut anew.
    """

    source_region: str
    source_snapshot_id: str
    description: str = ""
    encrypted: bool | None = None
    kms_key_id: str | None = None
    recut: bool = False
    tags: dict[str, str] | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class CopyImageRequest:
    """`source_region`, `encrypted` and `recut` as for snapshots.

    `bundles` finds the bundle of an instance-store image, and where it goes.
    With `copy_image_tags` the image gets the tags of its source; `image_tags` go before them.
    """

    name: str
    source_region: str
    source_image_id: str
    description: str = ""
    encrypted: bool | None = None
    kms_key_id: str | None = None
    recut: bool = False
    copy_image_tags: bool = False
    image_tags: dict[str, str] | None = None
    snapshot_tags: dict[str, str] | None = None
    client_token: str | None = None
    bundles: BundleBuckets | None = None
    dry_run: bool = False


class _Planned(NamedTuple):
    """The new image, the one that it is copied from, and the copies that it will map.

    And the bundle that goes with it, if its root disk is in one.
    """

    image: PendingImage
    source: ImageCore
    snapshots: list[SnapshotCopy]
    bundle: BundleCopy | None


class _DoneBeforeError(Exception):
    """Another run of the same request has the client token."""

    def __init__(self, image_id: str) -> None:
        super().__init__(image_id)
        self.image_id = image_id


def copy_snapshot(
    source: Store,
    target: Store,
    request: CopySnapshotRequest,
    surroundings: Surroundings,
    on_begun: OnBegun,
) -> dict[str, Any]:
    """`{"SnapshotId": …, "Tags": […]}` once the copy is completed.

    `on_begun` is called with it as soon as the copy shows as pending; should the source vanish
    after that, the copy ends in `error`. Raises SnapshotNotFoundError, ConflictError
    (IncorrectState) for a source that is not completed, CorruptStoreError where it is damaged,
    or forged; UsageError, UnsupportedError, KeyNotFoundError and KeyUnavailableError, before any
    work; BusyError (ResourceLimitExceeded), StorageError.
    """
    target.require_features("write")
    require_description(request.description)
    core = completed_snapshot(source, request.source_snapshot_id)
    outcome = _outcome(source, target, core, request, surroundings)
    copies.require_room(target)
    if request.dry_run:
        raise DryRunError
    snapshot_id = new_id("snap", surroundings.random_bytes)
    work = pending_copy(source, target, core, snapshot_id, timestamp(surroundings.now()))
    tags = tags_from(request.tags or {})
    work = replace(work, description=request.description, tags=tags)
    result = {"SnapshotId": snapshot_id, **shapes.tags_member(tags)}
    with (
        unfinished(
            target,
            "CopySnapshot",
            [work],
            surroundings,
            lambda: copies.require_room(target, [snapshot_id]),
        ) as files,
        Writer(target, surroundings.random_bytes) as writer,
    ):
        on_begun(result)
        plan = SnapshotCopy(work, core, request.source_region, outcome)
        (copied,) = copies.move(source, writer, [plan], files, surroundings)
        copies.complete(target, copied, plan, surroundings)
        events.record(target, surroundings, "CopySnapshot", (snapshot_id,), "completed")
    return result | shapes.copied_member([copied])


def copy_image(
    source: Store,
    target: Store,
    request: CopyImageRequest,
    surroundings: Surroundings,
    on_begun: OnBegun,
) -> dict[str, Any]:
    """`{"ImageId": …}` once the copy is available; at once if the client token was used before.

    See `copy_snapshot` for `on_begun` and errors. Raises ImageNotFoundError; ConflictError
    (InvalidAMIID.Unavailable) for a source that is disabled, and IdempotentParameterMismatch;
    ImageNameDuplicateError.
    """
    target.require_features("write")
    require_name(request.name)
    require_description(request.description)
    before = _done_before(target, request)
    if before is not None:
        return _again(before, request, on_begun)
    image, image_before, snapshots, bundle = _planned(source, target, request, surroundings)
    if request.dry_run:
        raise DryRunError
    works: list[Work] = [*(snapshot.work for snapshot in snapshots), image]
    ids = (image.image.image_id, *(snapshot.work.snapshot_id for snapshot in snapshots))
    try:
        with (
            unfinished(
                target,
                "CopyImage",
                works,
                surroundings,
                lambda: _take(target, request, ids),
            ) as files,
            Writer(target, surroundings.random_bytes) as writer,
        ):
            on_begun({"ImageId": ids[0]})
            cores = copies.move(source, writer, snapshots, files, surroundings)
            for one, snapshot in zip(cores, snapshots, strict=True):
                copies.complete(target, one, snapshot, surroundings)
            attributes = Attributes(ids[0], 0, AVAILABLE, image.description, image.tags)
            new = image.image
            if bundle is not None and request.bundles is not None:
                new = bundle.bring(target, new, request.bundles, surroundings.progress)
            core = copies.complete_image(target, new, image_before, snapshots)
            catalog.put_image(target, core, attributes)
            events.record(target, surroundings, "CopyImage", ids, AVAILABLE)
    except _DoneBeforeError as error:
        return _again(error.image_id, request, on_begun)
    return {"ImageId": ids[0]} | shapes.copied_member(cores)


def _done_before(target: Store, request: CopyImageRequest) -> str | None:
    """The image that this request made before, by its token. Raises UsageError, ConflictError."""
    token = request.client_token
    if token is None:
        return None
    if not 0 < len(token) <= MAX_TOKEN_CHARACTERS:
        raise UsageError(f"a client token has 1 to {MAX_TOKEN_CHARACTERS} characters")
    require_text(token, "the client token")
    return tokens.image_of(target, token, _digest(request))


def _again(image_id: str, request: CopyImageRequest, on_begun: OnBegun) -> dict[str, Any]:
    """The answer to a request that was sent before."""
    if request.dry_run:
        raise DryRunError
    result = {"ImageId": image_id}
    on_begun(result)
    return result


def _take(target: Store, request: CopyImageRequest, ids: tuple[str, ...]) -> None:
    """Take what only one copy can have: one of so many places, the token, the name."""
    copies.require_room(target, ids)
    if request.client_token is not None:
        holder = tokens.take(target, request.client_token, _digest(request), ids[0])
        if holder is not None:
            raise _DoneBeforeError(holder)
    image_names.require_reserved(target, request.name, ids[0])


def _digest(request: CopyImageRequest) -> str:
    """Tells requests apart that were sent with one token."""
    members = asdict(replace(request, client_token=None, bundles=None, dry_run=False))
    del members["bundles"]  # how buckets are found is no part of what is asked for
    return blake3(record_format.canonical_json(members)).hexdigest()


def _planned(
    source: Store, target: Store, request: CopyImageRequest, surroundings: Surroundings
) -> _Planned:
    """Raises what `copy_image` raises."""
    image_names.require_free(target, request.name)
    image, attributes = available_image(source, request.source_image_id)
    mapped = dict.fromkeys(one.snapshot_id for one in image.mappings if one.snapshot_id)
    cores = [completed_snapshot(source, snapshot_id) for snapshot_id in mapped]
    outcomes = [_outcome(source, target, core, request, surroundings) for core in cores]
    copies.require_image(source, image, outcomes)
    encryption = EncryptionRequest(request.encrypted, request.kms_key_id)
    bundle = planned_copy(target, image, encryption, request.bundles)
    copies.require_room(target)
    start_time = timestamp(surroundings.now())
    image_id = new_id("ami", surroundings.random_bytes)
    plans: dict[str | None, SnapshotCopy] = {}
    for core, outcome in zip(cores, outcomes, strict=True):
        snapshot_id = new_id("snap", surroundings.random_bytes)
        work = replace(
            pending_copy(source, target, core, snapshot_id, start_time),
            description=_description(image_id, image.image_id, core.snapshot_id, start_time),
            tags=tags_from(request.snapshot_tags or {}),
        )
        plans[core.snapshot_id] = SnapshotCopy(work, core, request.source_region, outcome)
    new_ids = {given: plan.work.snapshot_id for given, plan in plans.items()}
    copied = replace(
        image,
        image_id=image_id,
        name=request.name,
        owner_id=target.config.owner_id,
        creation_date=start_time,
        mappings=tuple(
            replace(one, snapshot_id=new_ids.get(one.snapshot_id)) for one in image.mappings
        ),
        signatures=(),
        further=tags_from(
            {tag.key: tag.value for tag in image.further if tag.key not in _OF_THE_MAC}
            | {
                facts.SOURCE_IMAGE: image.image_id,
                facts.SOURCE_IMAGE_REGION: request.source_region,
            }
        ),
    )
    tags = users_tags(attributes.tags) if request.copy_image_tags else ()
    together = tags_with(tags, request.image_tags or {})
    pending = PendingImage(copied, request.description, together)
    return _Planned(pending, image, list(plans.values()), bundle)


def _description(image_id: str, source_id: str, snapshot_id: str, start_time: str) -> str:
    """EC2's words for a snapshot of a copied image, with milliseconds since 1970."""
    milliseconds = round(parse_timestamp(start_time).timestamp() * 1000)
    return (
        f"Copied for DestinationAmi {image_id} from SourceAmi {source_id}"
        f" for SourceSnapshot {snapshot_id}. Task created on {milliseconds:,}."
    )


def _outcome(
    source: Store,
    target: Store,
    core: SnapshotCore,
    request: CopySnapshotRequest | CopyImageRequest,
    surroundings: Surroundings,
) -> Outcome:
    return copies.outcome_of(
        source,
        target,
        core,
        EncryptionRequest(request.encrypted, request.kms_key_id),
        recut=request.recut,
        surroundings=surroundings,
    )
