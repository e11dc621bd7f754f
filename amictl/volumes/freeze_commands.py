"""The user's commands before and after a freeze, and the promise that the second one runs.

The command after the freeze is run by a guardian, a small process of its own session, when we say
so, when we die (even of SIGKILL), or when the time is up, whichever comes first. So a machine that
the first command brought to a stop goes on whatever becomes of us.
"""

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from amictl.errors import AmictlError, BusyError, ConflictError

# Waits for one byte, the end of the pipe, or the time; shuts its end, so that our byte can no
# longer arrive; then becomes the command.
_GUARDIAN = """
timeout "$1" head -c 1 >/dev/null 2>&1
exec </dev/null
exec env "AMICTL_DISKS=$2" /bin/sh -c "$3"
"""
_BEFORE = 'exec env "AMICTL_DISKS=$1" /bin/sh -c "$2"'
# The first command must be dead when the guardian starts the second.
_SHARE_OF_THE_FIRST_COMMAND = 0.9
_REPORTED_BYTES = 2000


class CommandBracket:
    """Runs `pre` on entry and has `post` run on exit, or earlier by `close`.

    `timeout_seconds` counts from the start of `pre`. The paths are in the commands' environment as
    AMICTL_DISKS, one a line. Raises ConflictError (FreezeCommandFailed) when a command fails and
    BusyError (FreezeTimeout) when the time ran out, in which case `post` has run already.
    """

    def __init__(
        self, paths: Sequence[Path], *, pre: str | None, post: str | None, timeout_seconds: float
    ) -> None:
        self._disks = "\n".join(str(path.absolute()) for path in paths)
        self._pre = pre
        self._post = post
        self._timeout_seconds = timeout_seconds
        self._deadline = float("inf")
        self._guardian: subprocess.Popen[bytes] | None = None
        self._output = -1

    def __enter__(self) -> "CommandBracket":
        self._deadline = time.monotonic() + self._timeout_seconds
        self._output = os.memfd_create("freeze command output")
        try:
            if self._post is not None:
                self._guardian = self._start_guardian(self._post)
            if self._pre is not None:
                self._run_before(self._pre)
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except AmictlError as second:
            if error is None:
                raise
            _add(error, second)
        finally:
            if self._output >= 0:
                os.close(self._output)
                self._output = -1

    def require_time(self) -> None:
        """Raises BusyError (FreezeTimeout) when the time is up. Cheap."""
        if time.monotonic() > self._deadline:
            raise self._timed_out()

    def close(self) -> None:
        """End the freeze: run `post` and wait for it. Nothing more happens the second time."""
        deadline, self._deadline = self._deadline, float("inf")
        if self._guardian is not None:
            guardian, self._guardian = self._guardian, None
            in_time = _tell(guardian)
            self._await(guardian)
        else:
            in_time = time.monotonic() <= deadline
        if not in_time:
            raise self._timed_out()

    def _start_guardian(self, command: str) -> subprocess.Popen[bytes]:
        words = ["/bin/sh", "-c", _GUARDIAN, "sh", f"{self._timeout_seconds:g}", self._disks]
        return subprocess.Popen(
            [*words, command],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=self._output,
            stderr=self._output,
            start_new_session=True,  # Ctrl-C is for us, not for the guardian
        )

    def _run_before(self, command: str) -> None:
        with subprocess.Popen(
            ["/bin/sh", "-c", _BEFORE, "sh", self._disks, command],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
            process_group=0,
        ) as process:
            try:
                status = process.wait(self._timeout_seconds * _SHARE_OF_THE_FIRST_COMMAND)
            except subprocess.TimeoutExpired:
                raise self._timed_out() from None
            finally:
                if process.returncode is None:
                    os.killpg(process.pid, 9)
        if status != 0:
            raise self._failed("pre-freeze", status)

    def _await(self, guardian: subprocess.Popen[bytes]) -> None:
        try:
            status = guardian.wait(self._timeout_seconds)
        except subprocess.TimeoutExpired:
            guardian.returncode = 0  # it goes on without us
            raise BusyError(
                f"the post-freeze command still runs after {self._timeout_seconds:g} s"
                f" (process {guardian.pid})",
                hint="see whether the machine goes on; end the command by hand",
                code="FreezeTimeout",
            ) from None
        if status != 0:
            raise self._failed("post-freeze", status)

    def _failed(self, which: str, status: int) -> ConflictError:
        end = os.fstat(self._output).st_size
        said = os.pread(self._output, _REPORTED_BYTES, max(0, end - _REPORTED_BYTES))
        text = said.decode(errors="replace").strip()
        how = f"exit status {status}" if status >= 0 else f"signal {-status}"
        return ConflictError(
            f"the {which} command ended with {how}" + (f": {text}" if text else ""),
            hint="see whether the machine goes on, then mend the command",
            code="FreezeCommandFailed",
        )

    def _timed_out(self) -> BusyError:
        return BusyError(
            f"the freeze took longer than {self._timeout_seconds:g} s",
            hint="give it more time with --freeze-timeout, or keep the disk on XFS or btrfs, where"
            " the moment is secured at once",
            code="FreezeTimeout",
        )


def _tell(guardian: subprocess.Popen[bytes]) -> bool:
    """Have the command run now. False: the time was up before, and it ran already."""
    assert guardian.stdin is not None
    with guardian.stdin as pipe:
        try:
            pipe.write(b".")
        except BrokenPipeError:
            return False
    return True


def _add(first: BaseException, second: AmictlError) -> None:
    """Report the second of two errors with the first."""
    if isinstance(first, AmictlError):
        first.hint = f"{second.message}; {first.hint or second.hint}"
    else:
        first.add_note(second.message)
