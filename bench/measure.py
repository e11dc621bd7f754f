"""Run commands as whole processes and say what they took."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

SCRUBBED_PREFIXES = ("AMICTL_", "BORG_", "RESTIC_")
READ_BYTES = 1 << 20
Command = list[str | Path]


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of one command.

    `seconds` is wall clock from before the process is started until it was waited for;
    `cpu_seconds` is user and system time and `peak_rss_bytes` the largest resident set, both as
    wait4 reports them for the process and the children it waited for. `fsync_seconds` is what
    making the output durable took afterwards, 0 where that is not asked.
    """

    seconds: float
    cpu_seconds: float
    peak_rss_bytes: int
    fsync_seconds: float = 0.0


def clean_environment(home: Path) -> dict[str, str]:
    """The caller's environment, without settings of the tools, and with folders under `home`.

    Python may write its compiled modules, as it does on a user's machine.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(SCRUBBED_PREFIXES) and name != "PYTHONDONTWRITEBYTECODE"
    }
    folders = {"XDG_CONFIG_HOME": "config", "XDG_DATA_HOME": "data", "XDG_CACHE_HOME": "cache"}
    return kept | {name: str(home / folder) for name, folder in folders.items()}


def timed(
    command: Command,
    environment: dict[str, str],
    folder: Path | None = None,
) -> tuple[Sample, str]:
    """Run a command and return what it took and its stdout; ends the script when it fails."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        begin = time.perf_counter()
        child = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            env=environment,
            cwd=folder,
        )
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - begin
        child.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if child.returncode:
            words = " ".join(str(word) for word in command)
            sys.exit(f"exit code {child.returncode}: {words}\n{errors.read().decode()}")
        sample = Sample(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)
        return sample, output.read().decode()


def output_of(command: Command, environment: dict[str, str]) -> str:
    """The stdout of a command, stripped; not timed."""
    return timed(command, environment)[1].strip()


def fsync_seconds(path: Path) -> float:
    """How long it takes until a file that a command left behind is durable."""
    begin = time.perf_counter()
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    return time.perf_counter() - begin


def data_extents(path: Path) -> Iterator[tuple[int, int]]:
    """(begin, end) of each allocated range of a file."""
    with path.open("rb") as file:
        handle, end = file.fileno(), 0
        size = path.stat().st_size
        while end < size:
            try:
                begin = os.lseek(handle, end, os.SEEK_DATA)
            except OSError:  # ENXIO: nothing but a hole follows
                return
            end = os.lseek(handle, begin, os.SEEK_HOLE)
            yield begin, end


def warm(*paths: Path) -> None:
    """Read files, or all files under folders, into the page cache; holes are left out."""
    for path in paths:
        files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
        for file in files:
            with file.open("rb", buffering=0) as reader:
                for begin, end in data_extents(file):
                    for offset in range(begin, end, READ_BYTES):
                        os.pread(reader.fileno(), min(READ_BYTES, end - offset), offset)


def settle() -> None:
    """Write out what earlier steps left dirty, so that the next one does not pay for it."""
    os.sync()


def stored(*folders: Path) -> dict[str, int]:
    """What all files under the folders take: `bytes` by their lengths, `disk_bytes` by blocks."""
    files = [entry for folder in folders for entry in folder.rglob("*")]
    entries = [file.lstat() for file in files if file.is_file() and not file.is_symlink()]
    return {
        "bytes": sum(entry.st_size for entry in entries),
        "disk_bytes": sum(entry.st_blocks * 512 for entry in entries),
        "files": len(entries),
    }


def fresh(folder: Path) -> Path:
    """An empty folder in this place."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def median(values: Iterable[float]) -> float:
    """The middle value."""
    return statistics.median(list(values))


def machine() -> dict[str, str | int | None]:
    """What the figures were obtained on."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "unknown",
    )
    return {"cpu": model, "cores": os.cpu_count(), "kernel": os.uname().release}
