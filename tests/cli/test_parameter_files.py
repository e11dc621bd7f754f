"""Values that stand in files or in JSON: for texts, for lists of words, inside shorthand."""

import json
from pathlib import Path
from typing import Any

import click
import pytest

from amictl.cli import shorthand
from amictl.cli.command import Command
from amictl.cli.main import program
from amictl.cli.option_types import IdsType, WordsType
from amictl.cli.words import Words
from amictl.errors import MalformedIdError, StorageError, UsageError
from tests.conftest import Home

ONE, OTHER = "ami-0123456789abcdef0", "ami-0fedcba9876543210"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "value.txt"


def prepared(command: str, *words: str, completing: bool = False) -> list[str]:
    found = program.get_command(click.Context(program), command)
    assert isinstance(found, Command)
    return Words.of(found, click.Context(found, resilient_parsing=completing)).prepared(words)


@pytest.mark.parametrize(
    ("word", "items"),
    [
        (ONE, (ONE,)),
        (f'["{ONE}", "{OTHER}"]', (ONE, OTHER)),
        ("[]", ()),
    ],
)
def test_a_list_is_words_or_json(word: str, items: tuple[str, ...], file: Path) -> None:
    file.write_text(word + "\n")
    for given in (word, f"file://{file}"):
        assert IdsType("ami").accepts(given)
        assert IdsType("ami").convert(given, None, None) == items
        assert WordsType().convert(given, None, None) == items


@pytest.mark.parametrize("word", ["[", '[{"a": 1}]', "[1]"])
def test_json_that_is_no_list_of_texts_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match="the option: "):
        WordsType().convert(word, None, None)


def test_a_wrong_id_in_a_list_is_refused() -> None:
    with pytest.raises(MalformedIdError, match="ami-1"):
        IdsType("ami").convert(f'["{ONE}", "ami-1"]', None, None)


def test_a_text_may_stand_in_a_file(file: Path) -> None:
    file.write_text("--größer, and\nlonger\n")
    expected = "--größer, and\nlonger"
    for words in (["--name", f"file://{file}"], [f"--name=file://{file}"]):
        assert "=".join(prepared("create-image", *words)) == f"--name={expected}"


@pytest.mark.parametrize(
    "words",
    [
        ["--pre-freeze", "file:///nowhere"],
        ["--query", "file:///nowhere"],
        ["--store=file:///nowhere"],
        ["file:///nowhere"],
        ["--", "--name", "file:///nowhere"],
    ],
)
def test_commands_paths_and_arguments_are_left_as_they_are(words: list[str]) -> None:
    assert prepared("create-image", *words) == words


def test_completion_opens_no_file() -> None:
    words = ["--name", "file:///nowhere"]
    assert prepared("create-image", *words, completing=True) == words


def test_a_file_that_is_missing_is_named() -> None:
    with pytest.raises(StorageError, match="/nowhere/at/all"):
        prepared("create-image", "--name", "file:///nowhere/at/all")


def test_the_home_and_variables_are_expanded(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("web")
    monkeypatch.setenv("HOME", str(file.parent))
    monkeypatch.setenv("FOLDER", str(file.parent))
    for place in ("~", "$FOLDER"):
        words = prepared("create-image", "--name", f"file://{place}/value.txt")
        assert words == ["--name", "web"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Key=Name,Value@=file://{}", {"Key": "Name", "Value": "a, b"}),
        ("Key=Name,Value @= file://{}", {"Key": "Name", "Value": "a, b"}),
        ("Name=n,Values@=[x,file://{}]", {"Name": "n", "Values": ["x", "a, b"]}),
        ("Ebs={{Id@=file://{},Other=y}}", {"Ebs": {"Id": "a, b", "Other": "y"}}),
        ("Value@=plain", {"Value": "plain"}),
    ],
)
def test_shorthand_looks_into_files_after_an_at_sign(
    text: str, value: dict[str, Any], file: Path
) -> None:
    file.write_text("a, b\n")
    assert shorthand.parse(text.format(file)) == value


def test_without_an_at_sign_shorthand_opens_no_file() -> None:
    assert shorthand.parse("Value=file:///nowhere") == {"Value": "file:///nowhere"}


def test_an_image_whose_ids_name_and_tags_come_from_files(amictl: Home) -> None:
    (amictl.folder / "disk.raw").write_bytes(b"x" * 1000)
    (amictl.folder / "name").write_text("web\n")
    made = amictl("create-image", "--name", "file://name", "disk.raw", "--quiet")
    assert (made.status, made.err) == (0, "")
    image_id = made.out.strip()
    (amictl.folder / "ids.json").write_text(json.dumps([image_id]))
    tagged = amictl(
        "create-tags", "--resources", "file://ids.json", "--tags", "Key=k,Value@=file://name"
    )
    assert (tagged.status, tagged.err) == (0, "")
    words = ["--image-ids", f'["{image_id}"]', "--owners", '["self"]']
    (image,) = json.loads(amictl("describe-images", *words).out)["Images"]
    assert image["Name"] == "web"
    assert image["Tags"] == [{"Key": "k", "Value": "web"}]


def test_a_volume_that_is_made_quietly_tells_its_id(amictl: Home) -> None:
    (amictl.folder / "disk.raw").write_bytes(b"x" * 1000)
    snapshot_id = amictl("create-snapshot", "disk.raw", "--quiet").out.strip()
    words = ["--snapshot-id", snapshot_id, "--quiet", "new.raw"]
    made = amictl("create-volume", *words)
    assert made.status == 0
    assert made.out in amictl("describe-volumes", "--quiet").out
    assert made.out.startswith("vol-")
