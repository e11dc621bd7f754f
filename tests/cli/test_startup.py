"""What start and completion cost: nothing heavy is imported, and the time is bounded."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import PROGRAM, Home

HEAVY = (
    *("rich", "numpy", "msgspec", "zstandard", "blake3", "xxhash", "platformdirs"),
    *("jmespath", "yaml", "tomlkit", "json", "subprocess", "concurrent", "amictl.store"),
    *("amictl.actions", "amictl.volumes", "amictl.content", "amictl.formats", "amictl.storage"),
    *("amictl.keys", "cryptography", "pyrage", "obstore"),
)


def heavy_modules(*words: str, **variables: str) -> list[str]:
    """The heavy ones among the modules that one run of the program imports."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("COV", "AMICTL"))}
    command = [sys.executable, "-X", "importtime", "-m", "amictl", *words]
    finished = subprocess.run(
        command, env={**clean, **variables}, capture_output=True, text=True, check=False
    )
    lines = [line for line in finished.stderr.splitlines() if line.startswith("import time:")]
    imported = {line.rpartition("|")[2].strip() for line in lines}
    assert "amictl.cli.main" in imported
    return sorted(imported.intersection(HEAVY))


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["wait", "--help"]])
def test_nothing_heavy_is_imported_at_start(words: list[str]) -> None:
    assert heavy_modules(*words) == []


@pytest.mark.parametrize(
    "command", ["create-image", "create-key", "describe-images", "create-volume", "wait"]
)
def test_help_of_a_command_imports_nothing_heavy(command: str) -> None:
    assert heavy_modules(command, "--help") == []


@pytest.mark.parametrize(
    "line", ["amictl ", "amictl cr", "amictl --", "amictl create-image --", "amictl create-volume "]
)
def test_completion_imports_nothing_heavy(line: str) -> None:
    number = len(line.split()) - (0 if line.endswith(" ") else 1)
    variables = {"_AMICTL_COMPLETE": "zsh_complete", "COMP_WORDS": line, "COMP_CWORD": str(number)}
    assert heavy_modules(**variables) == []


def fastest(command: list[str | Path]) -> float:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("COV")}

    def once() -> float:
        start = time.perf_counter()
        subprocess.run(command, env=clean, capture_output=True, check=True)
        return time.perf_counter() - start

    return min(once() for _ in range(15))


def test_version_takes_at_most_twice_the_import_of_click() -> None:
    click = fastest([sys.executable, "-c", "import click"])
    assert fastest([PROGRAM, "--version"]) <= 2 * click


def test_version(amictl: Home) -> None:
    finished = amictl("--version")
    assert (finished.status, finished.out, finished.err) == (0, "amictl 0.1.0\n", "")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("amictl create-v", "create-volume"),
        ("amictl create-volume --vol", "--volume-id"),
        ("amictl wait image-a", "image-available"),
        ("amictl create-volume --reg", "--region"),
    ],
)
def test_completion_knows_commands_and_options(amictl: Home, words: str, expected: str) -> None:
    cword = str(len(words.split()) - 1)
    finished = amictl(_AMICTL_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=cword)
    assert f"plain,{expected}" in finished.out.splitlines()


def test_the_completion_script_works_in_bash(amictl: Home) -> None:
    script = Path(__file__).resolve().parent.parent.parent / "completions" / "amictl.bash"
    line = (
        f"PATH={PROGRAM.parent}:$PATH; source {script}; COMP_WORDS=(amictl create-i); COMP_CWORD=1;"
        " _amictl_completion amictl; echo ${COMPREPLY[@]}"
    )
    finished = subprocess.run(
        ["bash", "-c", line],
        env=amictl.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (finished.stdout, finished.stderr) == ("create-image\n", "")
