"""Passphrases that nobody types."""

import os
from pathlib import Path

import pytest

from amictl.errors import KeyUnavailableError
from amictl.keys import passphrases


def file(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    path = folder / "passphrase"
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    "content", ["geheim ß", "geheim ß\n", "geheim ß\r\n", "geheim ß\nand more\n"]
)
def test_the_first_line_counts(tmp_path: Path, content: str) -> None:
    path = file(tmp_path, content.encode())
    assert passphrases.from_file(path) == "geheim ß"
    assert passphrases.from_command(f"cat {path}") == "geheim ß"
    with path.open("rb") as opened:
        assert passphrases.from_descriptor(opened.fileno()) == "geheim ß"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(KeyUnavailableError) as caught:
        passphrases.from_file(file(tmp_path, b"secret", mode))
    assert caught.value.hint == f"run: chmod 600 {tmp_path / 'passphrase'}"


@pytest.mark.parametrize("content", [b"", b"\n", b"\nsecret", b"\xff\xfe", 70_000 * b"x"])
def test_what_is_no_passphrase_is_refused_and_not_shown(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(KeyUnavailableError) as caught:
        passphrases.from_file(file(tmp_path, content))
    assert "secret" not in caught.value.message


def test_a_command_that_fails_is_named_without_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(KeyUnavailableError, match="ended with status 3") as caught:
        passphrases.from_command("echo secret; exit 3")
    assert "secret" not in f"{caught.value.message} {caught.value.hint}"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyUnavailableError, match="No such file"):
        passphrases.from_file(tmp_path / "none")


def test_a_descriptor_that_is_closed_is_named() -> None:
    reader, writer = os.pipe()
    os.close(writer)
    os.close(reader)
    with pytest.raises(KeyUnavailableError, match=f"file descriptor {reader}"):
        passphrases.from_descriptor(reader)
