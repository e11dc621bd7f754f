"""Errors of the system: full disks, failed syncs, unreadable disks; the first cause is told."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.real_program import (
    Place,
    calls_made,
    faults_of,
    first_id,
    reasons_of,
    staged_in,
    states_of,
)
from tests.faults.worlds import memory_folder

INJECTED = re.compile(r"fsync\(\d+<([^>]*)>\).*\(INJECTED\)")
SYNCED = re.compile(r"fsync\(\d+<([^>]*)>\)")
LEVELS = (0, 4_096, 8_192, 20_480, 40_960, 65_536, 131_072, 262_144)
"""Free bytes."""


def restores(place: Place) -> bool:
    """Whether the first snapshot comes back bit for bit."""
    target = place.folder / "check.raw"
    target.unlink(missing_ok=True)
    done = place.run("create-volume", "--snapshot-id", first_id(place), target)
    return done.status == 0 and target.read_bytes() == (place.folder / "first").read_bytes()


# --- syncs -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Failed:
    """How a command ended of which one sync failed."""

    status: int
    out: str
    err: str
    synced_again: bool
    faults: tuple[str, ...]
    staged: tuple[str, ...]


def fail_sync(base: Place, error: str, at: int) -> Failed:
    with memory_folder() as name:
        place = base.copy_to(Path(name))
        tracer = place.strace("fsync", f"inject=fsync:error={error}:when={at}")
        done = place.run("create-snapshot", "a.raw", "--parent", "none", before=tracer)
        before, injected, after = _split(place.trace.read_text().splitlines())
        assert injected, before
        return Failed(
            done.status,
            done.out,
            done.err,
            any(path == injected for path in after),
            tuple(faults_of(place)),
            tuple(staged_in(place)),
        )


def _split(lines: list[str]) -> tuple[list[str], str, list[str]]:
    """Lines before the injected error, the file that it hit, and the files synced later."""
    for number, line in enumerate(lines):
        if match := INJECTED.search(line):
            later = [found[1] for after in lines[number + 1 :] if (found := SYNCED.search(after))]
            return lines[:number], match[1], later
    return lines, "", []


EVENT_SYNCS = 3


@pytest.fixture
def sync_count(used: Place) -> int:
    """How often one thread syncs while a snapshot is made."""
    with memory_folder() as name:
        place = used.copy_to(Path(name))
        words = ["create-snapshot", "a.raw", "--parent", "none"]
        assert place.run(*words, before=place.strace("fsync")).status == 0
        return calls_made(place.trace)["fsync"]


@pytest.mark.needs("strace")
@pytest.mark.parametrize(
    ("error", "message"), [("EIO", "Input/output error"), ("ENOSPC", "No space left on device")]
)
def test_the_first_failed_sync_ends_the_command(
    used: Place, sync_count: int, error: str, message: str
) -> None:
    everything = [fail_sync(used, error, at) for at in range(1, sync_count + 1)]
    # The last syncs are those of the event, for whose sake no command fails.
    told = [result for result in everything if result.status == 0]
    assert 0 < len(told) <= EVENT_SYNCS
    assert everything[-len(told) :] == told
    assert all('"State": "completed"' in result.out for result in told)
    assert [result for result in told if result.faults or result.staged] == []
    results = everything[: -len(told)]
    assert {(result.status, result.out) for result in results} == {(16, "")}
    assert [result.err for result in results if message not in result.err] == []
    assert [result for result in results if result.synced_again] == []
    assert [result for result in results if result.faults or result.staged] == []
    assert len(results) >= 10


# --- full disks --------------------------------------------------------------------------------


@pytest.mark.needs("prlimit")
@pytest.mark.parametrize("limit", [100, 600, 5_000, 20_000])
def test_a_limit_on_the_size_of_files_is_an_error(used: Place, limit: int) -> None:
    words = ["create-snapshot", "a.raw", "--parent", "none"]
    done = used.run(*words, before=["prlimit", f"--fsize={limit}"])
    assert (done.status, done.out) == (16, "")
    assert "File too large" in done.err
    assert faults_of(used) == []
    assert staged_in(used) == []
    assert used.run(*words).status == 0
    assert restores(used)


@pytest.mark.needs("prlimit")
def test_a_volume_beyond_the_limit_on_the_size_of_files_is_absent(used: Place) -> None:
    words = ["create-volume", "--snapshot-id", first_id(used), "new.raw"]
    done = used.run(*words, before=["prlimit", "--fsize=100000"])
    assert (done.status, done.out) == (16, "")
    assert "File too large" in done.err
    assert not (used.folder / "new.raw").exists()
    assert not list(used.folder.glob(".new.raw*"))


def system(*words: str | Path) -> None:
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    command = [str(word) for word in words]
    environment = {**os.environ, "PATH": path}
    subprocess.run(command, check=True, env=environment, capture_output=True, timeout=60)


@contextmanager
def mounted(kind: str, folder: Path) -> Iterator[Path]:
    """A small file system."""
    mount = folder / "mount"
    mount.mkdir()
    if kind == "tmpfs":
        system("mount", "-t", "tmpfs", "-o", "size=8M", "amictl-test", mount)
    else:
        image = folder / "image"
        with image.open("wb") as file:
            file.truncate(16 << 20)
        system("mkfs.ext4", "-q", "-F", "-m", "0", image)
        system("mount", "-o", "loop", image, mount)
    try:
        yield mount
    finally:
        system("umount", "--lazy", mount)


def fill(folder: Path, free_bytes: int) -> Path:
    """A file that leaves only so much room."""
    ballast = folder / "ballast"
    status = os.statvfs(folder)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, status.f_bavail * status.f_frsize - free_bytes))
    return ballast


def starve(place: Place, free_bytes: int) -> tuple[int, str, list[str]]:
    """Take a snapshot where there is little room, and then where there is more again.

    Returns status and output of the first, and what is wrong then.
    """
    words = ["create-snapshot", "a.raw", "--parent", "none"]
    ballast = fill(place.folder, free_bytes)
    done = place.run(*words)
    faults = [done.err] if done.status == 16 and "No space left" not in done.err else []
    faults += faults_of(place) + staged_in(place)
    ballast.unlink()
    again = place.run(*words)
    if again.status != 0:
        faults.append(again.err)
    if not restores(place):
        faults.append("the first snapshot does not come back")
    return done.status, done.out if done.status else "", faults


@pytest.mark.needs("root", "mount", "mkfs.ext4")
@pytest.mark.parametrize("kind", ["tmpfs", "ext4"])
def test_a_full_disk_is_an_error_and_what_was_stored_stays(
    used: Place, kind: str, tmp_path: Path
) -> None:
    with mounted(kind, tmp_path) as mount:
        place = used.copy_to(mount)
        results = [starve(place, free) for free in LEVELS]
    assert [faults for *_, faults in results if faults] == []
    assert {(status, out) for status, out, _ in results} == {(16, ""), (0, "")}


@pytest.mark.needs("sh")
def test_a_result_that_cannot_be_shown_is_an_error_that_names_it(used: Place) -> None:
    before = ["sh", "-c", 'exec "$@" >/dev/full', "sh"]
    done = used.run("create-snapshot", "a.raw", before=before)
    known = {path.stem for path in (used.store / "snapshots").glob("*[0-9a-f].json")}
    (made,) = known - {first_id(used)}
    assert done.status == 16
    assert "No space left on device" in done.err
    assert made in done.err


# --- disks that cannot be read -----------------------------------------------------------------


@pytest.mark.needs("strace")
@pytest.mark.parametrize(
    ("lie", "message"),
    [("error=EIO", "Input/output error"), ("retval=0", "ended at byte")],
    ids=["read_error", "truncated"],
)
def test_a_disk_that_cannot_be_read_whole_makes_a_snapshot_that_says_so(
    used: Place, lie: str, message: str
) -> None:
    tracer = used.strace("preadv,preadv2", f"inject=preadv,preadv2:{lie}:when=1")
    words = ["create-snapshot", "a.raw", "--parent", "none"]
    done = used.run(*words, before=tracer)
    assert (done.status, done.out) == (16, "")
    assert message in done.err
    assert states_of(used) == {"completed": 1, "error": 1}
    assert any(message in reason for reason in reasons_of(used))
    assert faults_of(used) == []
    assert staged_in(used) == []
    assert used.run(*words).status == 0


@pytest.mark.needs("strace")
def test_an_image_of_which_one_disk_cannot_be_read_registers_nothing(used: Place) -> None:
    unreadable = ["-P", str(used.folder / "b.raw")]
    tracer = [*used.strace("preadv,preadv2", "inject=preadv,preadv2:error=EIO"), *unreadable]
    words = ["create-image", "--name", "web", "a.raw", "b.raw"]
    done = used.run(*words, before=tracer)
    assert (done.status, done.out) == (16, "")
    assert states_of(used) == {"completed": 1, "error": 2, "failed": 1}
    assert faults_of(used) == []
    assert used.run(*words).status == 0


@pytest.mark.needs("strace")
def test_a_pack_that_the_disk_cannot_give_back_is_damage_that_names_the_bytes(used: Place) -> None:
    packs = [word for pack in (used.store / "packs").iterdir() for word in ("-P", str(pack))]
    tracer = [*used.strace("preadv,preadv2", "inject=preadv,preadv2:error=EIO"), *packs]
    words = ["create-volume", "--snapshot-id", first_id(used), "new.raw"]
    done = used.run(*words, before=tracer)
    assert (done.status, done.out) == (13, "")
    assert "is damaged at bytes 0 to" in done.err
    assert "Input/output error" in done.err
    assert not (used.folder / "new.raw").exists()


# --- a store that cannot be written to ---------------------------------------------------------


@pytest.fixture
def read_only(used: Place) -> Iterator[Place]:
    system("mount", "--bind", used.store, used.store)
    try:
        system("mount", "-o", "remount,ro,bind", used.store)
        yield used
    finally:
        system("umount", "--lazy", used.store)


@pytest.mark.needs("root", "mount")
@pytest.mark.parametrize(
    "words",
    [
        ["describe-snapshots"],
        ["describe-images"],
        ["describe-store"],
        ["check-store", "--read-data"],
    ],
    ids=" ".join,
)
def test_a_read_only_store_can_be_read(read_only: Place, words: list[str]) -> None:
    done = read_only.run(*words)
    assert (done.status, done.err) == (0, "")
    assert json.loads(done.out)


@pytest.mark.needs("root", "mount")
def test_a_read_only_store_can_be_restored_from(read_only: Place) -> None:
    assert restores(read_only)


@pytest.mark.needs("root", "mount")
def test_a_read_only_store_refuses_a_snapshot(read_only: Place) -> None:
    done = read_only.run("create-snapshot", "a.raw")
    assert (done.status, done.out) == (16, "")
    assert "Read-only file system" in done.err
