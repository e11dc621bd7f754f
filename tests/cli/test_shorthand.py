"""Shorthand: what is written is what is read, and whatever is not shorthand is refused."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amictl.cli import shorthand
from amictl.errors import UsageError

KEYS = st.from_regex(r"[A-Za-z0-9\-_.#/:]{1,8}", fullmatch=True)
STRUCTURES = st.dictionaries(
    KEYS,
    st.recursive(
        st.text(max_size=12),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
        max_leaves=6,
    ),
    min_size=1,
    max_size=4,
)


def written(value: Any) -> str:
    match value:
        case dict():
            return f"{{{pairs(value)}}}"
        case list():
            return f"[{','.join(written(item) for item in value)}]"
        case _:
            escaped = value.replace("\\", "\\\\").replace('"', '\\"')
            return f'"{escaped}"'


def pairs(value: dict[str, Any]) -> str:
    return ",".join(f"{key}={written(member)}" for key, member in value.items())


@given(STRUCTURES)
def test_what_is_written_is_read(value: dict[str, Any]) -> None:
    assert shorthand.parse(pairs(value)) == value


@given(st.text(alphabet="ab=,[]{}\"'\\ ", max_size=20) | st.text(max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(UsageError):
        assert isinstance(shorthand.parse(text), dict)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (
            "DeviceName=/dev/xvda,Ebs={SnapshotId=snap-0123,DeleteOnTermination=true,VolumeSize=8}",
            {
                "DeviceName": "/dev/xvda",
                "Ebs": {
                    "SnapshotId": "snap-0123",
                    "DeleteOnTermination": "true",
                    "VolumeSize": "8",
                },
            },
        ),
        ("DeviceName=/dev/sdj,NoDevice=", {"DeviceName": "/dev/sdj", "NoDevice": ""}),
        (
            "ResourceType=snapshot,Tags=[{Key=a,Value=b},{Key=c,Value=d}]",
            {
                "ResourceType": "snapshot",
                "Tags": [{"Key": "a", "Value": "b"}, {"Key": "c", "Value": "d"}],
            },
        ),
        ("Name=tag:Env,Values=a,b", {"Name": "tag:Env", "Values": ["a", "b"]}),
        ("Values=a,b,Name=x", {"Values": ["a", "b"], "Name": "x"}),
        ("Values=a", {"Values": "a"}),
        ("Key=Name,Value=", {"Key": "Name", "Value": ""}),
        ("Key=,Value=x", {"Key": "", "Value": "x"}),
        ("a={b=,c=d}", {"a": {"b": "", "c": "d"}}),
        ('Key=Name,Value="a,b"', {"Key": "Name", "Value": "a,b"}),
        (r"Key=Name,Value=a\,b", {"Key": "Name", "Value": "a,b"}),
        (r"Key='it\'s',Value=x", {"Key": "it's", "Value": "x"}),
        ("Key=a , Value = b c ", {"Key": "a", "Value": "b c"}),
        ("Key=a=b", {"Key": "a=b"}),
        ("a=[ x , y ]", {"a": ["x", "y"]}),
        ("a=[]", {"a": []}),
    ],
)
def test_the_aws_cli_reads_the_same(text: str, value: dict[str, Any]) -> None:
    assert shorthand.parse(text) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a key, found the end at column 1"),
        ("a", "expected '=', found the end at column 2"),
        ("a=b,", "expected a key, found the end at column 5"),
        ("a=b,a=c", "the key 'a' is given twice"),
        ("a=[b", "expected ',', found the end at column 5"),
        ("a={b=c", "expected ',', found the end at column 7"),
        ('a="b', "expected a value, found '\"' at column 3"),
        ("a=[b]c", "expected ',', found 'c' at column 6"),
        ("a=" + "[" * 1000, "nested too deep"),
    ],
)
def test_the_message_names_the_place(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        shorthand.parse(text)
    assert message in caught.value.message


def test_the_first_key_is_known_before_the_rest_is_read() -> None:
    assert shorthand.first_key("ResourceType=image,Tags=[") == "ResourceType"
    assert shorthand.first_key("disk.raw") is None
