"""Children of this process, for work that holds the interpreter's lock, and talking with them.

What they change in memory stays theirs. If this process is killed they end by themselves.
"""

import gc
import os
import pickle
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn

from amictl.errors import StorageError

_STOPPING = (signal.SIGINT, signal.SIGTERM)


class Line:
    """One end of a conversation. What is said must be picklable."""

    def __init__(self, incoming: int, outgoing: int) -> None:
        self._incoming = os.fdopen(incoming, "rb")
        self._outgoing = os.fdopen(outgoing, "wb")

    def send(self, item: Any) -> None:
        """Say something. Raises BrokenPipeError if nobody is there any more."""
        pickle.dump(item, self._outgoing, pickle.HIGHEST_PROTOCOL)
        self._outgoing.flush()

    def receive(self) -> Any:
        """Wait for something. Raises EOFError if nobody is there any more."""
        return pickle.load(self._incoming)

    def close(self) -> None:
        """Never raises."""
        for file in (self._incoming, self._outgoing):
            with suppress(OSError):
                file.close()

    def descriptors(self) -> tuple[int, int]:
        """What a child that is forked later has to close."""
        return self._incoming.fileno(), self._outgoing.fileno()


@dataclass(frozen=True, slots=True)
class Child:
    """A process that was forked; to be ended by whoever forked it."""

    process: int
    line: Line

    def ask(self, item: Any) -> Any:
        """Say something, and wait for the answer. Raises as `answer`."""
        try:
            self.line.send(item)
        except BrokenPipeError as error:
            raise _gone() from error
        return self.answer()

    def answer(self) -> Any:
        """Wait for what it says. Raises the error that it failed with; StorageError if it is
        gone."""
        try:
            said = self.line.receive()
        except (EOFError, pickle.UnpicklingError) as error:
            raise _gone() from error
        if isinstance(said, _Failure):
            raise said.error
        return said

    def end(self) -> None:
        """Nothing of it is needed any more."""
        self.line.close()
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)


@dataclass(frozen=True, slots=True)
class _Failure:
    error: BaseException


def fork(live: Callable[[Line], None], children: list[Child]) -> None:
    """Add a child to those that there are; `live` is its life.

    It is to be called before there are threads. An error of `live` is the answer that is
    waited for. Who started a child is told to stop, and stops it.
    """
    there, back = os.pipe(), os.pipe()
    # A signal between here and there would run our clean-up in the child too, or leave a child
    # that nobody knows.
    masked = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    try:
        process = os.fork()
        if process == 0:
            # Else it would not find out that its starter is gone.
            for child in children:
                for descriptor in child.line.descriptors():
                    os.close(descriptor)
            os.close(there[1])
            os.close(back[0])
            _live(live, (there[0], back[1]), masked)
        children.append(Child(process, Line(back[0], there[1])))
        os.close(there[0])
        os.close(back[1])
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, masked)


def _live(live: Callable[[Line], None], pipes: tuple[int, int], masked: Any) -> NoReturn:
    try:
        import traceback

        gc.freeze()  # to look through what was there before would copy its pages
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, masked)
        line = Line(*pipes)
        try:
            live(line)
        except Exception as error:  # noqa: BLE001  (raised again where it is waited for)
            error.add_note(traceback.format_exc())
            line.send(_Failure(error))
    finally:
        os._exit(0)


def _gone() -> StorageError:
    return StorageError(
        "a process that did a part of the work is gone",
        hint="the kernel log says so if memory was short",
    )
