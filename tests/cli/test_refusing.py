"""What EC2 has and amictl has not: refused by name first of all, or left out when asked for."""

import click
import pytest

from amictl.cli.command import Command
from amictl.cli.invocation import Invocation
from amictl.cli.main import program
from amictl.cli.words import Words
from amictl.errors import UnsupportedError
from tests.conftest import Finished, Home


def prepared(command: str, *words: str) -> list[str]:
    found = program.get_command(click.Context(program), command)
    assert isinstance(found, Command)
    return Words.of(found, click.Context(found, obj=Invocation(words))).prepared(words)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("create-volume", ["--volume-type", "gp3"]),
        ("create-volume", ["--volume-type=gp3"]),
        ("create-volume", ["--no-multi-attach-enabled"]),
        ("create-volume", ["--volume-t", "gp3"]),
        ("create-volume", ["--bogus", "--volume-type", "gp3"]),
        ("create-volume", ["--snapshot-id", "nonsense", "--iops", "3000"]),
        ("create-volume", ["--iops"]),
        ("describe-images", ["--profile", "x"]),
        ("describe-images", ["--image-ids", "nonsense", "--no-verify-ssl"]),
    ],
)
def test_an_unsupported_option_is_refused(command: str, words: list[str]) -> None:
    with pytest.raises(UnsupportedError, match="is not supported: "):
        prepared(command, *words)


@pytest.mark.parametrize(
    ("command", "words", "rest"),
    [
        ("create-volume", ["--volume-type", "gp3", "a.raw"], ["a.raw"]),
        ("create-volume", ["--volume-type=gp3", "a.raw"], ["a.raw"]),
        ("create-volume", ["--multi-attach-enabled", "a.raw"], ["a.raw"]),
        ("create-volume", ["--no-verify-ssl", "a.raw"], ["a.raw"]),
        ("create-volume", ["--profile", "x", "a.raw"], ["a.raw"]),
        ("create-volume", ["--iops", "--force"], ["--force"]),
        ("modify-image-attribute", ["--user-ids", "a", "b", "--debug"], ["--debug"]),
    ],
)
def test_what_is_left_out_takes_its_values_along(
    command: str, words: list[str], rest: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    flag = "--ignore-unsupported"
    assert prepared(command, *words, flag) == [*rest, flag]
    assert prepared(command, flag, *words) == [flag, *rest]
    assert capsys.readouterr().err.count(f"warning: {words[0].partition('=')[0]} is left out") == 2


@pytest.mark.parametrize("flag", ["--ignore-unsupported", "--ignore", "--ig"])
def test_the_beginning_of_ignoring_is_enough(flag: str) -> None:
    assert prepared("create-volume", "--iops", "1", flag, "a") == ["--ignore-unsupported", "a"]


def test_a_line_with_an_unsupported_option_can_be_completed(amictl: Home) -> None:
    line = "amictl create-volume --iops 1 --snap"
    variables = {"_AMICTL_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": "4"}
    finished = amictl(**variables)
    assert (finished.status, finished.err) == (0, "")
    assert "plain,--snapshot-id" in finished.out.splitlines()


def test_a_value_that_looks_like_an_unsupported_option_is_a_value() -> None:
    words = ["--description", "--outpost-arn", "a.raw"]
    assert prepared("create-snapshot", *words) == words


def test_words_after_two_hyphens_are_no_options() -> None:
    assert prepared("create-snapshot", "--", "--location") == ["--", "--location"]


def test_an_option_is_refused_before_what_is_missing(amictl: Home) -> None:
    finished = amictl("create-image", "--instance-id", "i-0123456789abcdef0")
    assert (finished.status, finished.out) == (15, "")
    assert finished.err.startswith(
        "An error occurred (UnsupportedOperation) when calling the CreateImage operation:"
        " --instance-id is not supported: "
    )


def test_an_option_before_the_command_is_refused_too(amictl: Home) -> None:
    finished = amictl("--endpoint-url", "http://localhost", "describe-regions")
    assert (finished.status, finished.out) == (15, "")
    assert "--endpoint-url is not supported" in finished.err


def test_ignoring_before_the_command_counts_for_it(amictl: Home) -> None:
    words = ["--ignore-unsupported", "--profile", "x", "describe-regions", "--ca-bundle", "y"]
    finished = amictl(*words, "--query", "Regions[].RegionName", "--output", "text")
    assert (finished.status, finished.out) == (0, "local\n")
    assert [line.split(":")[0] for line in finished.err.splitlines()] == ["warning", "warning"]


@pytest.mark.parametrize(
    "words",
    [
        ["restore", "x"],
        ["backup"],
        ["gc", "--dry-run"],
        ["prune"],
        ["rm"],
        ["list"],
        ["import-volume", "--image", "Format=RAW"],
        ["run-instances"],
        ["wait", "instance-running"],
    ],
)
def test_an_operation_that_is_not_here_is_answered(amictl: Home, words: list[str]) -> None:
    finished = amictl(*words)
    name = next(word for word in words if word != "wait")
    assert (finished.status, finished.out) == (15, "")
    assert f"(UnsupportedOperation): amictl has no {name}: " in finished.err


def test_a_word_that_nobody_knows_gets_a_suggestion(amictl: Home) -> None:
    assert amictl("wait", "image-availabel") == Finished(
        2,
        "",
        "An error occurred (InvalidAction): no such command: image-availabel\n"
        "hint: did you mean image-available?\n",
    )


def test_a_restart_of_the_machine_is_left_out_too(amictl: Home) -> None:
    (amictl.folder / "disk.raw").write_bytes(b"x" * 1000)
    words = ["create-snapshot", "--reboot", "disk.raw", "--quiet"]
    refused = amictl(*words)
    assert (refused.status, refused.out) == (15, "")
    assert "--reboot is not supported: " in refused.err
    made = amictl(*words, "--ignore-unsupported")
    assert made.status == 0
    assert made.err.startswith("warning: --reboot is left out: ")
