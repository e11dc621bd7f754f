"""Disks in the formats of virtual machine monitors, written and read by qemu-img.

qemu-img reads a disk from a socket that only it and we have, so no raw copy of it is on a disk,
and writes to a file that we opened, which need not have a name. What it reads for us, a file in
such a format, it gets from a socket as well, and it writes to another one: it opens no path.
"""

import ctypes
import errno
import os
import resource
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from amictl.errors import StorageError, UnsupportedError
from amictl.storage.disk import as_storage_error
from amictl.volumes import nbd

SECTOR_SIZE = 512
_REPORTED_BYTES = 2000
_PR_SET_PDEATHSIG = 1
READERS = 8
"""Requests that qemu-img has under way."""

Limit = tuple[int, int]
"""A resource, as in the module of this name, and the most of it."""

_libc = ctypes.CDLL(None)


def require_converter() -> str:
    """The path of qemu-img. Raises UnsupportedError if it is not installed."""
    program = shutil.which("qemu-img")
    if program is None:
        raise UnsupportedError(
            "disks that are not raw are read and written by qemu-img, which is not installed",
            hint="install it, as with: apt install qemu-utils",
        )
    return program


def convert(
    disk: nbd.ServedDisk,
    target: int,
    path: Path,
    options: Sequence[str],
    inherited: Sequence[int] = (),
) -> None:
    """Make the open file `target`, which is to be called `path`, a disk in another format.

    `options` are words for `qemu-img convert`, the format among them; the descriptors in
    `inherited` keep their numbers there. The file is not durable yet. Raises what reading the disk
    raised, UnsupportedError, StorageError. qemu-img ends when this returns, or when we are killed.
    """
    program = require_converter()
    ours, theirs = socket.socketpair()
    said = os.memfd_create("what qemu-img says")
    try:
        with theirs:
            source = f"driver=nbd,server.type=fd,server.str={theirs.fileno()}"
            words = [program, "convert", "-m", str(READERS), *options, "--image-opts", source]
            words.append(f"/proc/self/fd/{target}")
            process = start(words, said, (theirs.fileno(), target, *inherited))
        failure, status = _attend(process, ours, disk)
        if failure is not None:
            raise failure
        if status != 0:
            raise _failed(path, status, said)
    finally:
        ours.close()
        os.close(said)


def start(
    words: Sequence[str], said: int, inherited: Sequence[int], limits: Sequence[Limit] = ()
) -> subprocess.Popen[bytes]:
    """Start a program that ends when we do, and that has these resource limits.

    What it says goes to the open file `said`. Raises StorageError.
    """
    try:
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            pass_fds=inherited,
            env={"PATH": os.defpath, "LC_ALL": "C"},  # no credentials of ours
            process_group=0,  # Ctrl-C is for us
            preexec_fn=_die_with(os.getpid(), limits),  # noqa: PLW1509  (a few system calls)
        )
    except OSError as error:
        raise as_storage_error(error, "start", words[0]) from error


def _attend(
    process: subprocess.Popen[bytes], connection: socket.socket, disk: nbd.ServedDisk
) -> tuple[Exception | None, int]:
    """Serve the disk until the process has ended: what reading raised, and the exit status."""
    try:
        failure = nbd.serve(connection, disk)
        connection.close()  # if it was we who hung up, it is not to wait for us
        return failure, process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            process.wait()


def _die_with(parent: int, limits: Sequence[Limit]) -> Callable[[], None]:
    """What a child does before it becomes the program: it asks to be killed when we are gone."""

    def ask() -> None:
        for kind, most in limits:
            with suppress(ValueError):  # we have less ourselves
                resource.setrlimit(kind, (most, most))
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return ask


def _failed(path: Path, status: int, said: int) -> StorageError:
    reason = reason_of(status, said)
    full = os.strerror(errno.ENOSPC) in reason
    hint = "free some space, then run the command again" if full else None
    return StorageError(f"qemu-img could not write {str(path)!r}: {reason}", hint=hint)


def reason_of(status: int, said: int) -> str:
    """Why qemu-img ended with this status, in its own words if it had any."""
    end = os.fstat(said).st_size
    text = os.pread(said, _REPORTED_BYTES, max(0, end - _REPORTED_BYTES))
    reason = text.decode(errors="replace").strip().removeprefix("qemu-img: ")
    return reason or (f"exit status {status}" if status >= 0 else f"signal {-status}")
