"""Every way to fail: status, standard output and standard error together."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from amictl.cli import failures
from amictl.cli.invocation import Invocation
from tests.conftest import PROGRAM, Finished, Home

SNAPSHOT = "snap-0123456789abcdef0"
QUERY_HINT = "hint: write JMESPath, for example 'Images[].ImageId'; jmespath.org describes it\n"
VOLUME = "vol-0123456789abcdef0"


def refusal(code: str, operation: str, message: str) -> str:
    return f"An error occurred ({code}) when calling the {operation} operation: {message}\n"


@pytest.mark.parametrize(
    ("words", "err"),
    [
        (
            ["creat-image"],
            "An error occurred (InvalidAction): no such command: creat-image\n"
            "hint: did you mean create-image?\n",
        ),
        (
            ["frobnicate"],
            "An error occurred (InvalidAction): no such command: frobnicate\n"
            "hint: see amictl --help\n",
        ),
        (
            ["describe-images", "--imageids", "x"],
            refusal("UnknownParameter", "DescribeImages", "no such option: --imageids")
            + "hint: did you mean --image-ids?\n",
        ),
        (
            ["describe-images", "--image-ids", "foo"],
            refusal(
                "InvalidAMIID.Malformed",
                "DescribeImages",
                'Invalid id: "foo" (expecting "ami-...")',
            )
            + "hint: an id is ami- and 17 hexadecimal digits\n",
        ),
        (
            ["create-snapshot", "--encrypted", "x"],
            refusal("UnknownParameter", "CreateSnapshot", "no such option: --encrypted")
            + "hint: make it first, then an encrypted copy: amictl copy-snapshot --encrypted;"
            " or encrypt all that is new: amictl enable-ebs-encryption-by-default\n",
        ),
        (
            ["create-image", "disk.raw"],
            refusal("MissingParameter", "CreateImage", "Missing option '--name'")
            + "hint: see amictl create-image --help\n",
        ),
        (
            ["describe-store", "extra"],
            refusal(
                "InvalidParameterValue", "DescribeStore", "Got unexpected extra argument (extra)"
            )
            + "hint: see amictl describe-store --help\n",
        ),
        (
            ["describe-regions", "--query", "Regions["],
            refusal(
                "InvalidParameterValue",
                "DescribeRegions",
                "bad value for --query Regions[: Invalid jmespath expression: Incomplete"
                " expression",
            )
            + QUERY_HINT,
        ),
        (
            ["describe-regions", "--query", "a ]"],
            refusal(
                "InvalidParameterValue",
                "DescribeRegions",
                "bad value for --query a ]: Unexpected token: ]: Parse error at column 2,"
                ' token "]" (RBRACKET)',
            )
            + QUERY_HINT,
        ),
        (
            ["describe-images", "--images-ids", "ami-0123456789abcdef0"],
            refusal("UnknownParameter", "DescribeImages", "no such option: --images-ids")
            + "hint: did you mean --image-ids?\n",
        ),
        (
            ["lock-snapshot", "--snapshot-id", SNAPSHOT],
            refusal(
                "MissingParameter",
                "LockSnapshot",
                "Missing option '--lock-mode'. Choose from: governance",
            )
            + "hint: see amictl lock-snapshot --help\n",
        ),
        (
            ["create-tags", "--resources", SNAPSHOT, "--tags", "Key=Name,Value=a,b"],
            refusal(
                "InvalidParameterValue",
                "CreateTags",
                """--tags: expected text in Value, found ["a", "b"]""",
            )
            + """hint: a value with commas needs quotes of its own: 'Key="a,b"'\n""",
        ),
        (
            ["modify-image-attribute", "--image-id", "ami-0123456789abcdef0"],
            refusal(
                "MissingParameter",
                "ModifyImageAttribute",
                "nothing is said that should change",
            )
            + "hint: give --description TEXT; tags change with create-tags and delete-tags\n",
        ),
        (
            ["describe-regions", "--region", "a", "--store", "b"],
            refusal(
                "InvalidParameterCombination",
                "DescribeRegions",
                "--region and --store name two places",
            ),
        ),
        (
            ["create-volume", "t.raw"],
            refusal("MissingParameter", "CreateVolume", "give --snapshot-id or --volume-id"),
        ),
        (
            ["create-volume", "t.raw", "--snapshot-id", SNAPSHOT, "--volume-id", VOLUME],
            refusal(
                "InvalidParameterCombination",
                "CreateVolume",
                "--snapshot-id and --volume-id name two sources",
            ),
        ),
        (
            ["create-volume", "t.raw", "--snapshot-id", SNAPSHOT, "--as-of", "2026-11-22"],
            refusal("InvalidParameterCombination", "CreateVolume", "--as-of needs --volume-id"),
        ),
        (
            ["check-store", "--sample", "5"],
            refusal(
                "InvalidParameterCombination",
                "CheckStore",
                "--sample and --max-age need --read-data",
            ),
        ),
        (
            ["create-image", "--name", "n", "d", "--tag-specifications", "ResourceType=volume"],
            refusal(
                "InvalidParameterValue",
                "CreateImage",
                "'volume' is not a resource that is made here: image, snapshot",
            ),
        ),
    ],
)
def test_wrong_usage(amictl: Home, words: list[str], err: str) -> None:
    assert amictl(*words) == Finished(2, "", err)


def test_the_name_of_a_command_may_go_on(amictl: Home) -> None:
    finished = amictl("restore-image")
    assert finished.status == 2
    assert finished.err.endswith("hint: did you mean restore-image-from-recycle-bin?\n")


def test_a_query_that_fails_on_a_large_result_is_one_short_line(amictl: Home) -> None:
    finished = amictl("describe-regions", "--query", "sort_by(Regions,&Nope)")
    assert (finished.status, finished.out) == (2, "")
    assert len(finished.err) < 400
    assert finished.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "same"),
    [
        (["help"], ["--help"]),
        (["wait", "help"], ["wait", "--help"]),
        (["create-image", "help"], ["create-image", "--help"]),
        (["wait", "image-exists", "help"], ["wait", "image-exists", "--help"]),
        (["help", "create-image"], ["create-image", "--help"]),
    ],
)
def test_the_word_help_shows_help(amictl: Home, words: list[str], same: list[str]) -> None:
    finished = amictl(*words)
    assert finished.status == 0
    assert finished.out.startswith("Usage: amictl")
    assert finished == amictl(*same)


def test_help_on_an_unknown_command_is_refused(amictl: Home) -> None:
    assert amictl("help", "nonsense").status == 2


def test_no_command_shows_the_help_on_standard_error(amictl: Home) -> None:
    finished = amictl()
    assert (finished.status, finished.out) == (2, "")
    assert finished.err.startswith("Usage: amictl")


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["create-image", "--name", "n", "--instance-id", "i-1", "d"], "--instance-id"),
        (["create-volume", "--availability-zone", "x", "t"], "--availability-zone"),
        (["create-image", "--name", "n", "--reboot", "d"], "--reboot"),
    ],
)
def test_options_without_meaning_are_refused_by_name(
    amictl: Home, words: list[str], option: str
) -> None:
    finished = amictl(*words)
    assert (finished.status, finished.out) == (15, "")
    assert "(UnsupportedOperation)" in finished.err
    assert option in finished.err


def test_a_wrong_output_in_the_environment_is_refused(amictl: Home) -> None:
    finished = amictl("describe-regions", AMICTL_OUTPUT="xml")
    assert (finished.status, finished.out) == (2, "")
    assert "AMICTL_OUTPUT is 'xml'" in finished.err


def test_a_configuration_that_is_not_toml_is_refused(amictl: Home) -> None:
    amictl.config.parent.mkdir(parents=True)
    amictl.config.write_text("[regions")
    finished = amictl("describe-regions")
    assert (finished.status, finished.out) == (2, "")
    assert "(InvalidConfiguration)" in finished.err


def test_the_system_saying_no_is_status_16(amictl: Home) -> None:
    amictl.config.mkdir(parents=True)
    finished = amictl("describe-regions")
    assert (finished.status, finished.out) == (16, "")
    assert "(StorageError)" in finished.err
    assert "config.toml" in finished.err


def test_a_disk_is_no_identity_file(amictl: Home) -> None:
    (amictl.folder / "disk.img").write_bytes(bytes(1 << 20))
    finished = amictl("import-key", "disk.img")
    assert (finished.status, finished.out) == (2, "")
    assert "is too large for an identity file\nhint: give what age-keygen" in finished.err


def test_a_bug_is_one_line_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert failures.report(ZeroDivisionError("by\nzero"), Invocation()) == 1
    assert capsys.readouterr().err == (
        "amictl bug: ZeroDivisionError: by zero\n"
        "hint: run it again with --debug to see where, and please report it\n"
    )


@pytest.mark.parametrize("module", ["yaml", "zstandard", "cryptography", "pyrage", "blake3"])
def test_a_missing_library_is_named(amictl: Home, module: str) -> None:
    libraries = amictl.folder / "libraries"
    libraries.mkdir()
    missing = f"raise ModuleNotFoundError('No module named {module}', name={module!r})\n"
    (libraries / f"{module}.py").write_text(missing)
    (amictl.folder / "disk.raw").write_bytes(b"disk" * 1000)
    (amictl.folder / "office.pem").write_text("a key")
    (amictl.folder / "office.pem").chmod(0o600)
    path = os.pathsep.join(filter(None, [str(libraries), os.environ.get("PYTHONPATH")]))

    def run(*words: str) -> Finished:
        return amictl(*words, PYTHONPATH=path)

    command = {
        "yaml": ["describe-images", "--output", "yaml"],
        "pyrage": ["create-key"],
        "cryptography": [
            *["bundle-image", "--image", "disk.raw", "--user", "123456789012"],
            *["--certificate", "office.pem", "--private-key", "office.pem"],
        ],
    }.get(module, ["create-image", "--name", "web", "disk.raw"])
    finished = run(*command)
    assert (finished.status, finished.out) == (15, "")
    assert f"amictl needs the Python library '{module}', which is missing" in finished.err
    assert "pip install --force-reinstall amictl" in finished.err


def test_a_bug_with_debug_shows_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert failures.report(ZeroDivisionError("x"), Invocation(("wait", "--debug"))) == 1
    assert capsys.readouterr().err == "ZeroDivisionError: x\namictl bug: ZeroDivisionError: x\n"


def test_a_full_device_on_standard_output_names_what_was_made(amictl: Home) -> None:
    with Path("/dev/full").open("w") as full:
        finished = subprocess.run(
            [PROGRAM, "create-region", "r", "--directory", amictl.folder / "r"],
            env=amictl.environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert finished.returncode == 16
    assert finished.stderr == (
        refusal(
            "StorageError",
            "CreateRegion",
            "cannot write the result to standard output: No space left on device",
        )
        + "hint: it was done all the same: r\n"
    )


@pytest.mark.parametrize("words", [["describe-regions"], ["--help"], ["create-image", "--help"]])
def test_a_reader_that_went_away_is_no_complaint(amictl: Home, words: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    finished = subprocess.run(
        [PROGRAM, *words],
        env=amictl.environment(),
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert (finished.returncode, finished.stderr) == (16, "")


def test_closed_standard_streams_are_survived(amictl: Home) -> None:
    line = f"exec {PROGRAM} describe-regions 0<&- 1>&- 2>&-"
    finished = subprocess.run(["bash", "-c", line], env=amictl.environment(), check=False)
    assert finished.returncode == 16


def test_a_query_that_fails_on_the_result_is_wrong_usage(amictl: Home) -> None:
    finished = amictl("describe-regions", "--query", "sort_by(Regions,&None)")
    assert (finished.status, finished.out) == (2, "")
    assert "bad value for --query" in finished.err


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"]
)
def test_a_signal_ends_a_wait(amictl: Home, number: int, status: int) -> None:
    amictl("create-region", "r", "--directory", amictl.folder / "r")
    process = subprocess.Popen(
        [PROGRAM, "wait", "image-exists", "--image-ids", "ami-0123456789abcdef0", "--region", "r"],
        env=amictl.environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(1.5)
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert process.returncode == status
    assert f"stopped by signal {number}" in err
    assert "hint" not in err


def test_debug_shows_where_an_error_arose(amictl: Home) -> None:
    finished = amictl("describe-store", "--debug")
    assert finished.status == 10
    assert "Traceback (most recent call last)" in finished.err
    assert "(InvalidRegion)" in finished.err


def test_without_debug_there_is_no_traceback(amictl: Home) -> None:
    assert "Traceback" not in amictl("describe-store").err


def test_a_parameter_file_that_is_missing_is_named(amictl: Home, tmp_path: Path) -> None:
    missing = tmp_path / "no-such-file"
    finished = amictl(
        "create-image", "--name", "nnn", "--tag-specifications", f"file://{missing}", "disk"
    )
    assert (finished.status, finished.out) == (16, "")
    assert str(missing) in finished.err


def test_a_second_signal_ends_it_at_once(amictl: Home) -> None:
    """Even if the clean-up after the first one hangs, as this command does."""
    (amictl.folder / "disk.raw").write_bytes(b"x" * 5000)
    hang = "trap '' INT TERM; sleep 30 & wait"
    process = subprocess.Popen(
        [PROGRAM, "create-snapshot", amictl.folder / "disk.raw", "--pre-freeze", hang],
        env=amictl.environment(),
        stderr=subprocess.DEVNULL,
    )
    time.sleep(1.5)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) in (143, -signal.SIGTERM)
