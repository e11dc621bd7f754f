"""Secure the moment of one disk or of several, so that what is read afterwards is of that moment.

First the disks are held at rest, by a read lease or exclusively; then each is cloned, copied, or
read while it is held. A disk in use can only be cloned.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

from amictl.errors import UsageError
from amictl.model.source import Freeze
from amictl.model.times import timestamp
from amictl.volumes.moments import METHODS, Asked, Secured, ask, require_allowed, secure
from amictl.volumes.sources import Source, opened_sources

_LONGEST_TIMEOUT_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class FreezeRequest:
    """How to freeze, as the user asked for it.

    `method` is auto (clone, else hold), reflink, lease or copy. `no_reboot` accepts a disk in use.
    The commands are for a shell; `timeout_seconds` is the longest time between them.
    """

    method: str = "auto"
    no_reboot: bool = False
    pre_freeze: str | None = None
    post_freeze: str | None = None
    timeout_seconds: float = 30.0

    def without_commands(self) -> "FreezeRequest":
        """What a dry run asks for: the commands of the user would do something."""
        return replace(self, pre_freeze=None, post_freeze=None)


class _Commands(Protocol):
    """What is needed of a `CommandBracket`; its module is loaded only when there are commands."""

    def require_time(self) -> None: ...
    def close(self) -> None: ...


class FrozenDisk:
    """One disk, readable until `close`.

    `descriptor` is read-only: a clone, a copy, or the source itself, for preads of `size_bytes`.
    `secured` is true from the moment on when nothing depends on the source any more.
    """

    def __init__(self, asked: Asked, kept: Secured, freeze: Freeze, together: "_Together") -> None:
        self.path = asked.source.path
        self.descriptor = kept.descriptor
        self.size_bytes = kept.size_bytes
        self.identity = kept.identity
        self.freeze = freeze
        self.secured = False
        self.has_own_file = kept.private
        self._claim = asked.claim
        self._remaining_bytes = kept.size_bytes
        self._together = together

    def require_held(self, remaining_bytes: int, bytes_per_second: float) -> None:
        """Ask before each piece is read; any thread may, it costs a system call per disk held.

        Raises SourceChangedError when somebody waits to write to one of the disks frozen together
        and what remains of them will not be read within half of the time that he can be kept
        waiting; the writer then goes on at once. Raises BusyError when the time between the
        commands is up.
        """
        self._remaining_bytes = remaining_bytes
        self._together.require_held(bytes_per_second)

    def finish_reading(self) -> None:
        """Say that the last byte was read; then the disk is secured, and the source let go.

        Raises SourceChangedError when the source changed meanwhile, or may have; and what the
        post-freeze command raises, if it runs now.
        """
        self._remaining_bytes = 0
        if self.secured:
            return
        assert self._claim is not None
        try:
            self._claim.confirm()
        finally:
            self._claim.release()
        self.secured = True
        self._together.end_if_secured()

    def close(self) -> None:
        """Let everything go. May be called again."""
        if self._claim is not None:
            self._claim.release()
        if self.has_own_file and self.descriptor >= 0:
            os.close(self.descriptor)
        self.descriptor = -1

    def require_claim(self, bytes_before: int, bytes_per_second: float) -> int:
        """`require_held` for this disk alone, of which the rest is read after `bytes_before`.

        Returns what remains to be read with it. A clone needs no claim, but time to be read.
        """
        remaining_bytes = bytes_before + self._remaining_bytes
        if not self.secured and self._claim is not None:
            self._claim.require_held(remaining_bytes, bytes_per_second)
        return remaining_bytes

    def leave_source(self) -> None:
        """Called when every disk was cloned or copied that can be, and this one was."""
        if self._claim is not None:
            self._claim.require_held(0, 1.0)
            self._claim.release()
        self.secured = True


class _Together:
    """The disks of one freeze, in the order of reading, and the commands around it."""

    def __init__(self, commands: _Commands | None) -> None:
        self.disks: list[FrozenDisk] = []
        self._commands = commands

    def require_held(self, bytes_per_second: float) -> None:
        if self._commands is not None:
            self._commands.require_time()
        remaining_bytes = 0
        for disk in self.disks:
            remaining_bytes = disk.require_claim(remaining_bytes, bytes_per_second)

    def end_if_secured(self) -> None:
        if self._commands is not None and all(disk.secured for disk in self.disks):
            self._commands.close()


@contextmanager
def frozen(
    paths: Sequence[Path],
    request: FreezeRequest,
    *,
    staging: Path,
    now: Callable[[], datetime],
    opened: Callable[[Sequence[Source]], None] = lambda sources: None,
) -> Iterator[tuple[FrozenDisk, ...]]:
    """All the disks at one moment, in the order of `paths`, until the block is left.

    Clones and copies are unnamed files in `staging`, or beside the source when only that can share
    extents with it. `opened` is called with the open disks before anything is done with them:
    it may take its time, and refuse. Raises NotFoundError, UsageError, StorageError for a wrong
    path; SourceInUseError for a disk in use; UnsupportedError for a method that does not work here;
    SourceChangedError when a writer came too early; ConflictError and BusyError for the commands.
    """
    _require_sound(request)
    with (
        _looked_at(paths, opened) as sources,
        _commands(paths, request) as commands,
        ExitStack() as stack,
    ):
        together = _Together(commands)
        asked = [_ask(source, stack) for source in sources]
        for one in asked:
            require_allowed(one, request.method, no_reboot=request.no_reboot)
        for one, freeze in zip(asked, _moments(asked, request, now), strict=True):
            kept = secure(one, request.method, staging)
            freeze = replace(freeze, method=kept.method)
            disk = FrozenDisk(one, kept, freeze, together)
            stack.callback(disk.close)
            together.disks.append(disk)
        for disk in together.disks:
            if disk.has_own_file:
                disk.leave_source()
        together.end_if_secured()
        yield tuple(together.disks)


@contextmanager
def _looked_at(
    paths: Sequence[Path], opened: Callable[[Sequence[Source]], None]
) -> Iterator[tuple[Source, ...]]:
    with opened_sources(paths) as sources:
        opened(sources)
        yield sources


def _ask(source: Source, stack: ExitStack) -> Asked:
    asked = ask(source)
    if asked.claim is not None:
        stack.callback(asked.claim.release)
    return asked


def _moments(
    asked: Sequence[Asked], request: FreezeRequest, now: Callable[[], datetime]
) -> Iterator[Freeze]:
    """What to record of each disk, asked for right before it is secured; `method` comes later.

    Disks at rest and disks held by a command share a moment, and so does one live disk among
    disks at rest. Several live disks have one each.
    """
    live_consistency = "crash" if request.pre_freeze is None else "quiesced"
    live_count = sum(one.claim is None for one in asked)
    one_moment = live_count <= 1 or request.pre_freeze is not None
    shared = timestamp(now())
    for one in asked:
        if one.claim is not None:
            yield Freeze(shared, "", "at-rest", together=True)
        else:
            moment = shared if one_moment else timestamp(now())
            yield Freeze(moment, "", live_consistency, together=one_moment)


def _commands(
    paths: Sequence[Path], request: FreezeRequest
) -> AbstractContextManager[_Commands | None]:
    if request.pre_freeze is None and request.post_freeze is None:
        return nullcontext()
    from amictl.volumes.freeze_commands import CommandBracket  # starting processes costs 10 ms

    return CommandBracket(
        paths,
        pre=request.pre_freeze,
        post=request.post_freeze,
        timeout_seconds=request.timeout_seconds,
    )


def _require_sound(request: FreezeRequest) -> None:
    if request.method not in METHODS:
        raise UsageError(
            f"{request.method!r} is no way to freeze a disk", hint=f"use {', '.join(METHODS)}"
        )
    if not 0 < request.timeout_seconds <= _LONGEST_TIMEOUT_SECONDS:
        raise UsageError(
            f"a freeze cannot last {request.timeout_seconds:g} s",
            hint=f"give a time above 0 and up to {_LONGEST_TIMEOUT_SECONDS} s",
        )
