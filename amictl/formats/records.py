"""Records as canonical JSON (RFC 8785) with a final newline. amictl-store(5), RECORDS."""

import dataclasses
from functools import cache
from typing import Any, TypeVar, cast

import msgspec
from blake3 import blake3

from amictl.errors import CorruptStoreError, UnsupportedError
from amictl.formats.framing import PLAIN_DOMAIN
from amictl.model import facts
from amictl.model.blockmap import tree_height
from amictl.model.keys import ENABLED, PENDING_DELETION, KeyRecord
from amictl.model.records import (
    FORMAT_VERSION,
    STATES,
    Attributes,
    CheckLog,
    CopyToken,
    DamageList,
    DomainHeader,
    Epoch,
    Event,
    EventLog,
    ImageCore,
    ImageName,
    PendingImage,
    PendingSnapshot,
    PendingState,
    RegionSettings,
    RetentionRules,
    SnapshotCore,
    StoreConfig,
    VolumeRecord,
)
from amictl.model.seen import SeenState
from amictl.model.tasks import (
    ACTIVE,
    TaskCancellation,
    TaskRecord,
    kind_of,
)
from amictl.model.tasks import STATES as TASK_STATES
from amictl.model.times import parse_timestamp

SIZE_MAX = 1024 * 1024
"""The longest record, in bytes: who writes it decides how much memory it takes to read."""

LIST_SIZE_MAX = 64 * 1024 * 1024
"""The longest record that grows with the store."""

VOLUME_SIZE_MAX = 2**63 - 1
"""The largest volume, in bytes: what the kernel can count to in a file."""

Record = TypeVar("Record")

_FORMATS: dict[type, str] = {
    StoreConfig: "amictl-store",
    SnapshotCore: "amictl-snapshot",
    ImageCore: "amictl-image",
    Attributes: "amictl-attributes",
    PendingSnapshot: "amictl-pending-snapshot",
    PendingImage: "amictl-pending-image",
    PendingState: "amictl-pending-state",
    ImageName: "amictl-image-name",
    CopyToken: "amictl-copy-token",
    VolumeRecord: "amictl-volume",
    DamageList: "amictl-damage",
    CheckLog: "amictl-checks",
    Epoch: "amictl-epoch",
    Event: "amictl-event",
    EventLog: "amictl-events",
    RetentionRules: "amictl-retention-rules",
    RegionSettings: "amictl-region-settings",
    DomainHeader: "amictl-domain",
    KeyRecord: "amictl-key",
    TaskRecord: "amictl-task",
    TaskCancellation: "amictl-task-cancellation",
    SeenState: "amictl-seen",
}

_LISTS = (EventLog, DamageList, CheckLog)


def encode(record: Any) -> bytes:
    """The document of a record. Equal records give equal bytes."""
    document = _to_document(record)
    document["format"] = _FORMATS[type(record)]
    document["version"] = FORMAT_VERSION
    document["digest"] = blake3(canonical_json(document)).hexdigest()
    return canonical_json(document) + b"\n"


def decode(data: bytes, kind: type[Record], place: str) -> Record:
    """Raises CorruptStoreError, naming `place`, unless `encode` could have written `data`.

    A document of a newer version raises UnsupportedError.
    """
    if len(data) > (LIST_SIZE_MAX if kind in _LISTS else SIZE_MAX):
        raise CorruptStoreError(f"{place} is too large for a record")
    try:
        document = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CorruptStoreError(f"{place} is not a JSON document: {error}") from error
    if not isinstance(document, dict) or document.get("format") != _FORMATS[kind]:
        raise CorruptStoreError(f"{place} is not a record of format {_FORMATS[kind]}")
    version = document.get("version")
    if isinstance(version, int) and not isinstance(version, bool) and version > FORMAT_VERSION:
        raise UnsupportedError(
            f"{place} has format version {version}; this amictl knows {FORMAT_VERSION}",
            hint="use a newer amictl",
        )
    try:
        record = msgspec.convert(_from_document(document), kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise CorruptStoreError(f"{place} is not a valid record: {error}") from error
    if encode(record) != data:
        raise CorruptStoreError(f"{place} is damaged, or not in canonical form")
    _require_sound(record, place)
    return record


def encode_plain(value: Any) -> bytes:
    """Canonical JSON of a value that is no document of its own, but a part of one."""
    return canonical_json(_to_document(value))


def decode_plain(data: bytes, kind: type[Record], place: str) -> Record:
    """Raises CorruptStoreError, naming `place`, unless `encode_plain` could have written `data`."""
    try:
        value = msgspec.convert(_from_document(msgspec.json.decode(data)), kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise CorruptStoreError(f"{place} cannot be read: {error}") from error
    if encode_plain(value) != data:
        raise CorruptStoreError(f"{place} is not in canonical form")
    return value


def unsigned(core: SnapshotCore | ImageCore) -> bytes:
    """What the MAC of a core is over: its canonical JSON without signatures and digest."""
    document = _to_document(core)
    del document["Signatures"]
    document["format"] = _FORMATS[type(core)]
    document["version"] = FORMAT_VERSION
    return canonical_json(document)


def _require_sound(record: object, place: str) -> None:
    """What the types of single fields cannot say."""
    match record:
        case SnapshotCore():
            _require_sound_snapshot(record, place)
        case ImageCore():
            _require_root(record, place)
        case PendingImage():
            _require_root(record.image, place)
        case Attributes():
            known = STATES.get(record.id.partition("-")[0], (record.state,))
            if record.state not in known:
                raise CorruptStoreError(f"{place} has the unknown state {record.state!r}")
        case KeyRecord():
            _require_sound_key(record, place)
        case TaskRecord():
            _require_sound_task(record, place)


def _require_sound_key(record: KeyRecord, place: str) -> None:
    if record.state not in (ENABLED, PENDING_DELETION):
        raise CorruptStoreError(f"{place} has the unknown state {record.state!r}")
    if (record.state == PENDING_DELETION) != (record.deletion_date is not None):
        raise CorruptStoreError(f"{place} has a state that does not go with its time")
    try:
        zone = parse_timestamp(record.deletion_date or record.created).tzinfo
    except ValueError as error:
        raise CorruptStoreError(f"{place} has an impossible time: {error}") from error
    if zone is None:
        raise CorruptStoreError(f"{place} has a time without a zone")


def _require_sound_task(record: TaskRecord, place: str) -> None:
    if record.kind != kind_of(record.task_id):
        raise CorruptStoreError(f"{place} has a kind that does not go with its id")
    if record.state not in TASK_STATES:
        raise CorruptStoreError(f"{place} has the unknown state {record.state!r}")
    if (record.state == ACTIVE) != (record.end_time is None):
        raise CorruptStoreError(f"{place} has a state that does not go with its time")


def _require_root(core: ImageCore, place: str) -> None:
    is_mapped = core.root_device_name in (mapping.device_name for mapping in core.mappings)
    if core.fact(facts.IMAGE_LOCATION) is not None:
        if is_mapped:
            raise CorruptStoreError(f"{place} maps its root device, which is in its bundle")
    elif not is_mapped:
        raise CorruptStoreError(f"{place} does not map its root device {core.root_device_name!r}")


def _require_sound_snapshot(core: SnapshotCore, place: str) -> None:
    if core.hash != "blake3":
        raise UnsupportedError(
            f"{place} has a hash that this amictl does not know", hint="use a newer amictl"
        )
    if core.domain != PLAIN_DOMAIN.hex():
        _require_sealed(core, place)
    try:
        parse_timestamp(core.start_time)
        parse_timestamp(core.freeze.moment)
    except ValueError as error:
        raise CorruptStoreError(f"{place} has an impossible time: {error}") from error
    if core.size_bytes > VOLUME_SIZE_MAX:
        raise CorruptStoreError(f"{place} has an impossible size")
    if core.height != tree_height(core.size_bytes):
        raise CorruptStoreError(f"{place} has a height that does not go with its size")


def _require_sealed(core: SnapshotCore, place: str) -> None:
    if core.fingerprint_key != "0" * 64 or core.fact(facts.SEALED) is None:
        raise UnsupportedError(
            f"{place} is of an encrypted domain, and its keys are not sealed as this amictl knows",
            hint="use a newer amictl",
        )


def canonical_json(value: Any) -> bytes:
    """RFC 8785 for documents without floating-point numbers, whose keys are ASCII."""
    return msgspec.json.encode(value, order="sorted")


@cache
def _pascal(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


@cache
def _snake(name: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name).lstrip("_")


@cache
def _members(kind: type) -> tuple[tuple[str, str], ...]:
    """Names of the fields of a dataclass, as they are in Python and in documents."""
    fields = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ()
    return tuple((field.name, _pascal(field.name)) for field in fields)


def _to_document(value: Any) -> Any:
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, tuple):
        return [_to_document(item) for item in value]
    return {
        member: _to_document(getattr(value, name)) for name, member in _members(value.__class__)
    }


def _from_document(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            _snake(key): _from_document(item) for key, item in cast(dict[str, Any], value).items()
        }
    if isinstance(value, list):
        return [_from_document(item) for item in value]
    return value
