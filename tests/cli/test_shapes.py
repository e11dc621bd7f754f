"""Structured values: types, JSON, files, and messages that name the place."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amictl.cli import shapes
from amictl.cli.option_types import StructureType
from amictl.cli.shapes import BLOCK_DEVICE_MAPPING, TAG_SPECIFICATION
from amictl.errors import StorageError, UsageError

MAPPINGS = st.fixed_dictionaries(
    {"DeviceName": st.text(max_size=10)},
    optional={
        "NoDevice": st.just(""),
        "Ebs": st.fixed_dictionaries(
            {},
            optional={
                "VolumeSize": st.integers(0, 65536),
                "DeleteOnTermination": st.booleans(),
                "SnapshotId": st.text(max_size=10),
            },
        ),
    },
)


@given(st.lists(MAPPINGS, max_size=3))
def test_a_json_list_is_read_as_it_is(mappings: list[dict[str, Any]]) -> None:
    assert shapes.read(json.dumps(mappings), BLOCK_DEVICE_MAPPING) == mappings


@given(MAPPINGS)
def test_a_json_object_is_one_item(mapping: dict[str, Any]) -> None:
    assert shapes.read(json.dumps(mapping), BLOCK_DEVICE_MAPPING) == [mapping]


@given(st.text(max_size=30) | st.text(alphabet='[]{}":,tfn0', max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(UsageError, StorageError):
        assert isinstance(shapes.read(text, TAG_SPECIFICATION), list)


def test_shorthand_gets_the_types_of_its_shape() -> None:
    text = "DeviceName=/dev/sdb,Ebs={VolumeSize=8,DeleteOnTermination=False}"
    ebs = {"VolumeSize": 8, "DeleteOnTermination": False}
    assert shapes.read(text, BLOCK_DEVICE_MAPPING) == [{"DeviceName": "/dev/sdb", "Ebs": ebs}]


def test_one_value_is_a_list_of_one() -> None:
    text = "ResourceType=image,Tags={Key=a,Value=b}"
    tags = [{"Key": "a", "Value": "b"}]
    assert shapes.read(text, TAG_SPECIFICATION) == [{"ResourceType": "image", "Tags": tags}]


@pytest.mark.parametrize("content", ["ResourceType=image\n", '[{"ResourceType": "image"}]\n'])
def test_a_file_holds_shorthand_or_json(tmp_path: Path, content: str) -> None:
    (tmp_path / "tags").write_text(content)
    read = shapes.read(f"file://{tmp_path}/tags", TAG_SPECIFICATION)
    assert read == [{"ResourceType": "image"}]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no-such-file"):
        shapes.read(f"file://{tmp_path}/no-such-file", TAG_SPECIFICATION)


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tags").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not UTF-8"):
        shapes.read(f"file://{tmp_path}/tags", TAG_SPECIFICATION)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("DeviceName=a,Ebs={VolumeSize=8.5}", "expected a whole number in Ebs.VolumeSize"),
        ("DeviceName=a,Ebs={VolumeSize=-1}", "expected a whole number in Ebs.VolumeSize"),
        ("DeviceName=a,Ebs={Encrypted=yes}", "expected true or false in Ebs.Encrypted"),
        ("DeviceName=a,Ebs=b", "expected Key=value pairs in Ebs, found 'b'"),
        ("DeviceName=[a,b]", "expected text in DeviceName"),
        ("DeviceName=a,Bogus=b", "unknown key 'Bogus'"),
        ("NoDevice=", "the key 'DeviceName' is missing"),
        ('{"DeviceName": 1}', "expected text in DeviceName, found '1'"),
        ('{"DeviceName": "a", "DeviceName": "b"}', "a member is given twice"),
        ('{"DeviceName": "a"', "invalid JSON"),
        ("[" * 100_000, "nested too deep"),
        ("[1]", "expected Key=value pairs, found '1'"),
    ],
)
def test_what_does_not_fit_is_named(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        shapes.read(text, BLOCK_DEVICE_MAPPING)
    assert message in caught.value.message


@pytest.mark.parametrize("word", ["DeviceName=a", "{}", "[]", "file://x", "Ebs={"])
def test_a_word_in_the_form_of_a_value_is_known(word: str) -> None:
    assert shapes.begins_like(word, BLOCK_DEVICE_MAPPING)


@pytest.mark.parametrize("word", ["disk.raw", "/dev/sda1=disk.raw", "Name=disk.raw", "", "="])
def test_other_words_are_no_values(word: str) -> None:
    assert not shapes.begins_like(word, BLOCK_DEVICE_MAPPING)


VALUE = shapes.Structure({"Value": shapes.Text()})


@pytest.mark.parametrize("text", ["a text, with = and more", "Value='a text, with = and more'"])
def test_the_only_member_of_a_structure_needs_no_name(text: str) -> None:
    assert shapes.read(text, VALUE) == [{"Value": "a text, with = and more"}]


def test_the_only_member_may_be_in_json() -> None:
    assert shapes.read('{"Value": "a"}', VALUE) == [{"Value": "a"}]


def test_one_structure_is_one() -> None:
    structure = StructureType(VALUE)
    assert structure.convert("Value=a", None, None) == {"Value": "a"}
    with pytest.raises(UsageError, match="expected one structure, found 2"):
        structure.convert('[{"Value": "a"}, {"Value": "b"}]', None, None)
