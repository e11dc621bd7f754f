"""Records: canonical JSON, and nothing but canonical JSON."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amictl.errors import CorruptStoreError, UnsupportedError
from amictl.formats.records import decode, encode
from amictl.model.blockmap import tree_height
from amictl.model.keys import KeyRecord
from amictl.model.records import (
    Attributes,
    ImageCore,
    ImageName,
    Mapping,
    PendingImage,
    SnapshotCore,
    tags_from,
)
from amictl.model.tasks import TaskRecord
from tests.strategies import IMAGE_CORES, RECORDS, damaged, snapshot_cores, task_records

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


def encoded_again(data: bytes, kind: type[Any]) -> bytes | None:
    """The encoding of what `data` decodes to; None if it is refused."""
    try:
        return encode(decode(data, kind, "here"))
    except (CorruptStoreError, UnsupportedError):
        return None


@given(RECORDS)
def test_decode_inverts_encode(record: Any) -> None:
    assert decode(encode(record), type(record), "here") == record


@given(RECORDS)
def test_a_record_is_what_a_json_library_writes_with_sorted_keys(record: Any) -> None:
    data = encode(record)
    again = json.dumps(json.loads(data), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert again.encode() + b"\n" == data


@given(RECORDS)
def test_a_record_says_its_format_and_version(record: Any) -> None:
    document = json.loads(encode(record))
    assert document["format"].startswith("amictl-")
    assert document["version"] == 1


@given(st.binary() | damaged(snapshot_cores().map(encode)))
def test_any_bytes_are_refused_or_canonical(data: bytes) -> None:
    assert encoded_again(data, SnapshotCore) in (None, data)


@given(snapshot_cores(), st.data(), JSON_VALUES)
def test_any_value_in_a_field_is_refused_or_canonical(
    core: SnapshotCore, data: st.DataObject, value: object
) -> None:
    document = json.loads(encode(core))
    document[data.draw(st.sampled_from(sorted(document)))] = value
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    changed = text.encode("utf-8", "surrogatepass") + b"\n"
    assert encoded_again(changed, SnapshotCore) in (None, changed)


@given(RECORDS)
def test_a_record_is_refused_where_another_kind_is_expected(record: Any) -> None:
    other = ImageName if not isinstance(record, ImageName) else SnapshotCore
    with pytest.raises(CorruptStoreError, match="not a record of format"):
        decode(encode(record), other, "here")


@given(snapshot_cores())
def test_a_refusal_names_the_place(core: SnapshotCore) -> None:
    with pytest.raises(CorruptStoreError, match=r"snapshots/x\.json"):
        decode(encode(core)[:-1], SnapshotCore, "snapshots/x.json")


@given(snapshot_cores())
def test_a_volume_larger_than_a_file_can_be_is_refused(core: SnapshotCore) -> None:
    core = replace(core, size_bytes=2**63, height=tree_height(2**63))
    with pytest.raises(CorruptStoreError, match="impossible size"):
        decode(encode(core), SnapshotCore, "here")


WRONG_MAPPINGS = {
    "device": {"device_name": "/dev/../x"},
    "virtual-name": {"virtual_name": "x$(touch made)"},
    "ephemeral-24": {"virtual_name": "ephemeral24"},
    "negative-size": {"volume_size": -1},
    "huge-size": {"volume_size": 2**33 + 1},
}


@pytest.mark.parametrize("fields", WRONG_MAPPINGS.values(), ids=WRONG_MAPPINGS)
@given(IMAGE_CORES)
def test_a_mapping_that_no_image_can_have_is_refused(
    fields: dict[str, Any], core: ImageCore
) -> None:
    mapping = replace(Mapping("/dev/sda1"), **fields)
    core = replace(core, root_device_name=mapping.device_name, mappings=(mapping,))
    with pytest.raises(CorruptStoreError, match="not a valid record"):
        decode(encode(core), ImageCore, "here")


@given(st.sampled_from((lambda core: core, lambda core: PendingImage(core, "", ()))), IMAGE_CORES)
def test_an_image_maps_its_root_device(of: Any, core: ImageCore) -> None:
    record = of(replace(core, root_device_name="/dev/sdz"))
    with pytest.raises(CorruptStoreError, match="does not map its root device"):
        decode(encode(record), type(record), "here")


@pytest.mark.parametrize("record_id", ["ami-0123456789abcdef0", "snap-0123456789abcdef0"])
def test_an_unknown_state_is_refused(record_id: str) -> None:
    attributes = Attributes(record_id, 0, "asleep", "", ())
    with pytest.raises(CorruptStoreError, match="unknown state 'asleep'"):
        decode(encode(attributes), Attributes, "here")


@pytest.mark.parametrize(
    ("state", "deletion_date", "reason"),
    [
        ("Disabled", None, "unknown state"),
        ("Enabled", "2026-11-22T12:00:00.000Z", "does not go with its time"),
        ("PendingDeletion", None, "does not go with its time"),
        ("PendingDeletion", "tomorrow", "impossible time"),
        ("PendingDeletion", "2026-11-22", "without a zone"),
    ],
)
def test_a_key_in_an_impossible_state_is_refused(
    state: str, deletion_date: str | None, reason: str
) -> None:
    key = KeyRecord(
        key_id="ef63a1fb-ad3b-1176-561c-c126e8c98c86",
        recipient="age1",
        further_recipients=(),
        aliases=(),
        state=state,
        deletion_date=deletion_date,
        created="2026-11-22T12:00:00.000Z",
        description="",
        origin="AWS_KMS",
    )
    with pytest.raises(CorruptStoreError, match=reason):
        decode(encode(key), KeyRecord, "here")


TASK = TaskRecord("store-0123456789abcdef0", "store-image", "2026-11-22T12:00:00.000Z")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"kind": "import-image"}, "does not go with its id"),
        ({"state": "asleep"}, "unknown state 'asleep'"),
        ({"state": "completed"}, "does not go with its time"),
        ({"end_time": "2026-11-22T12:00:00.000Z"}, "does not go with its time"),
        ({"task_id": "store-../../x"}, "not a valid record"),
        ({"image_id": "ami-1"}, "not a valid record"),
    ],
)
def test_a_task_that_cannot_be_is_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(CorruptStoreError, match=reason):
        decode(encode(replace(TASK, **fields)), TaskRecord, "here")


@given(st.binary() | damaged(task_records().map(encode)))
def test_any_bytes_are_no_task_or_a_canonical_one(data: bytes) -> None:
    assert encoded_again(data, TaskRecord) in (None, data)


def test_the_bytes_of_a_task_never_change() -> None:
    task = replace(
        TASK,
        image_id="ami-0123456789abcdef0",
        bucket="mine",
        object_key="ami-0123456789abcdef0.bin",
        total=8,
        further=tags_from({"tag:a": "b"}),
    )
    assert encode(task) == (
        b'{"Bucket":"mine","Done":0,"EndTime":null,"Further":[{"Key":"tag:a","Value":"b"}],'
        b'"ImageId":"ami-0123456789abcdef0","Kind":"store-image","Message":null,'
        b'"ObjectKey":"ami-0123456789abcdef0.bin","SnapshotIds":[],'
        b'"StartTime":"2026-11-22T12:00:00.000Z","State":"active",'
        b'"TaskId":"store-0123456789abcdef0","Total":8,'
        b'"digest":"df0411879b5b64f223fba1d49af2e9d25826d5940317c3ca05fef314ed2f40a1",'
        b'"format":"amictl-task","version":1}\n'
    )
