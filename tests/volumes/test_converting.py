"""Disks written by qemu-img from what we serve."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from amictl.errors import CorruptStoreError, StorageError, UnsupportedError, UsageError
from amictl.volumes.converting import convert
from amictl.volumes.luks import (
    luks_content_size,
    require_luks_passphrase,
    require_luks_target,
    write_luks,
)
from tests.conftest import await_end
from tests.volumes.nbd_client import DISK_SIZE, ZEROS, MemoryDisk, SoundDisk

pytestmark = pytest.mark.needs_tool("qemu-img")
SECTORS = luks_content_size(DISK_SIZE)


@pytest.fixture
def target(tmp_path: Path):
    """An unnamed file, and what it is to be called."""
    descriptor = os.open(tmp_path, os.O_TMPFILE | os.O_RDWR, 0o600)
    yield descriptor, tmp_path / "target"
    os.close(descriptor)


def name(target: tuple[int, Path]) -> Path:
    folder = os.open(target[1].parent, os.O_RDONLY)
    os.link(f"/proc/self/fd/{target[0]}", target[1].name, dst_dir_fd=folder, follow_symlinks=True)
    os.close(folder)
    return target[1]


def test_a_disk_in_another_format_has_the_same_bytes(target, tool) -> None:
    convert(SoundDisk(), *target, ["-O", "qcow2"])
    path = name(target)
    raw = path.with_name("raw")
    tool("qemu-img", "convert", "-f", "qcow2", "-O", "raw", path, raw)
    assert raw.read_bytes()[:DISK_SIZE] == SoundDisk().content


PASSPHRASE = "schön, and with spaces, commas"


@pytest.fixture(scope="module")
def luks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LUKS disk; making its header takes seconds."""
    path = tmp_path_factory.mktemp("luks") / "disk.luks"
    with path.open("xb") as file:
        write_luks(SoundDisk(SECTORS), file.fileno(), path, PASSPHRASE)
    return path


def test_a_luks_disk_opens_with_its_passphrase(luks: Path, tool, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(PASSPHRASE)
    opened = f"driver=luks,key-secret=s,file.filename={luks}"
    words = ["--object", f"secret,id=s,file={secret}", "--image-opts", opened]
    tool("qemu-img", "convert", *words, "-O", "raw", tmp_path / "raw")
    assert (tmp_path / "raw").read_bytes() == SoundDisk(SECTORS).content


def test_a_luks_disk_shows_nothing_of_its_content(luks: Path) -> None:
    content = luks.read_bytes()
    assert content.startswith(b"LUKS\xba\xbe\0\1")
    windows = (SoundDisk().content[at : at + 16] for at in range(0, ZEROS, 512))
    assert not any(window in content for window in windows)


@pytest.mark.needs_tool("cryptsetup")
def test_cryptsetup_opens_a_luks_disk(luks: Path, tool) -> None:
    assert "Version:       \t1" in tool("cryptsetup", "luksDump", luks)
    words = ["cryptsetup", "luksOpen", "--test-passphrase", "--key-file=-", luks]
    tool(*words, text=PASSPHRASE)
    with pytest.raises(subprocess.CalledProcessError):
        tool(*words, text="another")


def test_what_reading_raises_comes_out(target) -> None:
    with pytest.raises(CorruptStoreError, match="damaged here"):
        convert(MemoryDisk(), *target, ["-O", "qcow2"])


def test_what_qemu_says_is_told(target) -> None:
    with pytest.raises(StorageError, match=r"could not write .*target.*nonesuch"):
        convert(SoundDisk(), *target, ["-O", "nonesuch"])


def test_without_qemu_it_is_told_what_to_install(target, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnsupportedError) as caught:
        convert(SoundDisk(), *target, ["-O", "qcow2"])
    assert "qemu-utils" in str(caught.value.hint)
    with pytest.raises(UnsupportedError):
        require_luks_target(tmp_path / "target", in_place=False)


def test_a_program_that_cannot_be_started_is_told(target, monkeypatch, tmp_path: Path) -> None:
    (tmp_path / "qemu-img").write_bytes(b"no program")
    (tmp_path / "qemu-img").chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StorageError, match=r"cannot start .*/qemu-img"):
        convert(SoundDisk(), *target, ["-O", "qcow2"])


@pytest.mark.parametrize("passphrase", ["", "before\0after"])
def test_a_passphrase_that_would_be_shortened_is_refused(passphrase: str) -> None:
    with pytest.raises(UsageError, match="zero byte"):
        require_luks_passphrase(passphrase)


# A disk of which no byte comes: qemu-img waits for it when the program is killed.
_WAITS = """
import os, signal, sys, threading
from pathlib import Path
from amictl.volumes.converting import convert

class Slow:
    size_bytes = 1 << 20
    def read(self, offset, length):
        (child,) = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        print(child, flush=True)
        threading.Event().wait()
    def extents(self, offset, length):
        return [(length, False)]

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background ignores it
target = os.open(sys.argv[1], os.O_TMPFILE | os.O_RDWR, 0o600)
convert(Slow(), target, Path("target"), ["-O", "qcow2"])
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_qemu_ends_with_us(tmp_path: Path, number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _WAITS, tmp_path],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        assert Path(f"/proc/{child}/comm").read_text() == "qemu-img\n"
        process.send_signal(number)
        process.wait(60)
    await_end(child)
    assert list(tmp_path.iterdir()) == []
