"""Disks, file systems and other programs for the tests of `amictl.volumes`."""

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from amictl.volumes.freezing import FreezeRequest, FrozenDisk, frozen

MOMENT = datetime(2026, 3, 4, 5, 6, 7, 890_000, tzinfo=UTC)
TOOL_PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs_root: mounts, loop devices, other users")
    config.addinivalue_line("markers", "needs_tool(*names): programs that must be installed")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if any(item.iter_markers("needs_root")) and os.geteuid() != 0:
        _missing("root")
    for marker in item.iter_markers("needs_tool"):
        for name in marker.args:
            if shutil.which(name, path=TOOL_PATH) is None:
                _missing(name)


def _missing(what: str) -> None:
    """A test that cannot run is a failure in CI, where everything is there."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must have {what}", pytrace=False)
    pytest.skip(f"needs {what}")


def _run(*command: str | Path, text: str | None = None) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        check=True,
        input=text,
        text=True,
        capture_output=True,
        env={**os.environ, "PATH": TOOL_PATH},
    )
    return done.stdout


@pytest.fixture(scope="session")
def tool() -> Callable[..., str]:
    """`tool(name, argument, …, text=…)` runs a program and returns what it printed."""
    return _run


# --- places ------------------------------------------------------------------------------------


@pytest.fixture
def tmpfs() -> Iterator[Path]:
    """A folder whose file system grants leases and cannot clone, for any user."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


@contextmanager
def _mounted(make: Sequence[str], size_mib: int) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        image, mount = Path(folder, "image"), Path(folder, "mount")
        with image.open("wb") as file:
            file.truncate(size_mib << 20)
        _run(*make, image)
        mount.mkdir()
        _run("mount", "-o", "loop", image, mount)
        try:
            yield mount
        finally:
            _run("umount", "--lazy", mount)


@pytest.fixture(scope="session")
def xfs_mount() -> Iterator[Path]:
    with _mounted(("mkfs.xfs", "-q", "-m", "reflink=1"), 320) as mount:
        yield mount


@pytest.fixture(scope="session")
def btrfs_mount() -> Iterator[Path]:
    with _mounted(("mkfs.btrfs", "-q"), 256) as mount:
        yield mount


@pytest.fixture(scope="session")
def ext4_mount() -> Iterator[Path]:
    with _mounted(("mkfs.ext4", "-q", "-F"), 64) as mount:
        yield mount


@pytest.fixture
def xfs(xfs_mount: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=xfs_mount) as folder:
        yield Path(folder)


@pytest.fixture
def btrfs(btrfs_mount: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=btrfs_mount) as folder:
        yield Path(folder)


@pytest.fixture
def ext4(ext4_mount: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=ext4_mount) as folder:
        yield Path(folder)


@pytest.fixture
def loop_device(tmp_path: Path) -> Iterator[Path]:
    """A block device of 32 MiB whose bytes are all 'd'."""
    image = tmp_path / "device.raw"
    image.write_bytes(b"d" * (32 << 20))
    device = _run("losetup", "--find", "--show", image).strip()
    try:
        yield Path(device)
    finally:
        _run("losetup", "--detach", device)


# --- freezing ----------------------------------------------------------------------------------


@pytest.fixture
def freeze(tmp_path: Path) -> Callable[..., AbstractContextManager[tuple[FrozenDisk, ...]]]:
    """`freeze(path, …, staging=folder, method=…, …)`: `frozen` with a request of these words."""

    def freeze(
        *paths: Path, staging: Path = tmp_path, **words: object
    ) -> AbstractContextManager[tuple[FrozenDisk, ...]]:
        request = FreezeRequest(**words)  # type: ignore[arg-type]  # the tests know the words
        return frozen(paths, request, staging=staging, now=lambda: MOMENT)

    return freeze


@pytest.fixture
def read_all() -> Callable[[FrozenDisk], bytes]:
    """All bytes of a frozen disk, asked for as a reader does."""

    def read_all(disk: FrozenDisk) -> bytes:
        disk.require_held(disk.size_bytes, 1e9)
        return os.pread(disk.descriptor, disk.size_bytes + 1, 0)

    return read_all


@pytest.fixture
def await_broken() -> Callable[[FrozenDisk], None]:
    """Returns when somebody waits for the lease of a disk."""

    def await_broken(disk: FrozenDisk) -> None:
        end = time.monotonic() + 20
        while fcntl.fcntl(disk.descriptor, fcntl.F_GETLEASE) == fcntl.F_RDLCK:
            assert time.monotonic() < end
            time.sleep(0.001)

    return await_broken


# --- other processes ---------------------------------------------------------------------------


class Program:
    """Another process, which says a line when it has done something."""

    def __init__(self, *command: str | Path) -> None:
        self.process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            env={**os.environ, "PATH": TOOL_PATH},
        )

    def await_line(self) -> bytes:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def say(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)

    def end(self) -> bytes:
        """Let it end by the end of its input; returns what it still said."""
        output, _ = self.process.communicate(timeout=20)
        return bytes(output)


@pytest.fixture
def start() -> Iterator[Callable[..., Program]]:
    """`start(command…)`: a program that is ended with the test."""
    with ExitStack() as stack:

        def start(*command: str | Path) -> Program:
            program = Program(*command)
            stack.callback(program.end)
            return program

        yield start


@pytest.fixture
def open_for_writing(start: Callable[..., Program]) -> Callable[[Path], Program]:
    """Another process that opens a file for writing, says so, and then writes what it is told."""

    def open_for_writing(path: Path) -> Program:
        return start("/bin/sh", "-c", 'exec 3<>"$1"; echo open; exec cat >&3', "sh", path)

    return open_for_writing


@pytest.fixture
def open_with_qemu(start: Callable[..., Program]) -> Callable[..., Program]:
    """QEMU with an image open, and locked as a virtual machine locks its disk."""

    def open_with_qemu(path: Path, *options: str) -> Program:
        program = start("qemu-io", *options, "-f", "raw", path)
        program.say(b"length\n")
        while b"MiB" not in program.await_line():
            assert program.process.poll() is None
        return program

    return open_with_qemu
