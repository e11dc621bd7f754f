"""`--no-wait`: a detached worker runs the same command; we return once it holds the moment.

The worker is this program again, in a session of its own, so that it survives the terminal. It
inherits one end of a pipe, whose number stands in AMICTL_SECURED_FD, and writes one line of JSON
to it when the disk may change: the result. No lock and no lease is inherited; the worker takes
its own.
"""

import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from amictl.cli.failures import FailedWorkerError
from amictl.errors import CorruptStoreError, InterruptedBySignalError, StorageError, UsageError
from amictl.progress import Progress, Silent

if TYPE_CHECKING:
    import subprocess

SECURED_FD = "AMICTL_SECURED_FD"

Announcer = Callable[[dict[str, Any]], None]


def is_worker(environment: Mapping[str, str]) -> bool:
    """Whether this process is a detached worker."""
    return SECURED_FD in environment


def announcer(progress: Progress, environment: MutableMapping[str, str]) -> Announcer:
    """What to call when the moment is secured: tells the parent, or the person who waits."""
    if is_worker(environment):
        number = environment.pop(SECURED_FD)
        if not number.isdecimal():
            raise UsageError(f"{SECURED_FD} is {number!r}, not a file descriptor")
        return _writer_to_parent(int(number))
    return lambda result: progress.note(_note(result))


def announcer_to_parent(environment: MutableMapping[str, str]) -> Announcer:
    """What to call when the work shows as pending, for work that no machine waits for."""
    if is_worker(environment):
        return announcer(Silent(), environment)
    return lambda result: None


def run_detached(arguments: Sequence[str], environment: Mapping[str, str]) -> dict[str, Any]:
    """Start a worker for this command line and wait until it holds the moment; its result.

    Raises FailedWorkerError, with the worker's own words and status, if it ends before that.
    """
    import tempfile

    reader, writer = os.pipe()
    with tempfile.TemporaryFile() as complaints, os.fdopen(reader, "rb") as line_from_worker:
        try:
            worker = _spawn(arguments, {**environment, SECURED_FD: str(writer)}, writer, complaints)
        finally:
            os.close(writer)
        try:
            line = line_from_worker.readline()
        except InterruptedBySignalError:
            worker.terminate()
            worker.wait()
            raise
        if not line.endswith(b"\n"):
            raise _failure(worker.wait(), complaints)
        worker.returncode = 0  # it lives on; this keeps subprocess from calling it forgotten
        return _result(line)


def _spawn(
    arguments: Sequence[str], environment: Mapping[str, str], writer: int, complaints: IO[bytes]
) -> "subprocess.Popen[bytes]":
    import subprocess

    # -P: `python -m` must not take a folder named amictl in the current directory for us.
    here = sys.path[:1] == [str(Path.cwd())]
    return subprocess.Popen(
        [sys.executable, *([] if here else ["-P"]), "-m", "amictl", *arguments],
        env=environment,
        pass_fds=[writer],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=complaints,
        start_new_session=True,
    )


def _writer_to_parent(descriptor: int) -> Announcer:
    os.set_inheritable(descriptor, False)

    def announce(result: dict[str, Any]) -> None:
        # A parent that was killed meanwhile is no reason to stop.
        with contextlib.suppress(BrokenPipeError), os.fdopen(descriptor, "wb") as pipe:
            pipe.write(json.dumps(result).encode() + b"\n")

    return announce


def _failure(status: int, complaints: IO[bytes]) -> FailedWorkerError:
    complaints.seek(0)
    message = complaints.read().decode(errors="replace").rstrip()
    if status < 0:
        message = "\n".join(filter(None, (message, f"the worker was killed by signal {-status}")))
        # Stopped by a person, or by the system, as when memory runs out.
        stopped = -status in (signal.SIGINT, signal.SIGTERM)
        status = 128 - status if stopped else StorageError.exit_code
    return FailedWorkerError(message or "the worker ended without a word", status or 1)


def _result(line: bytes) -> dict[str, Any]:
    try:
        result = json.loads(line)
    except ValueError:
        result = None
    if not isinstance(result, dict):
        raise CorruptStoreError(f"the worker said {line[:100]!r} instead of a result")
    return result


def _note(result: Mapping[str, Any]) -> str:
    name = result.get("ImageId") or result.get("SnapshotId") or "the image"
    method = result.get("Amictl", {}).get("FreezeMethod")
    how = f" ({method})" if method else ""
    return f"the moment of {name} is secured{how}; the machine may go on"
