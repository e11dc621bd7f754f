"""SIGINT and SIGTERM become an exception in the main thread, so that actions clean up."""

import signal
from types import FrameType

from amictl.errors import InterruptedBySignalError

_STOPPING = (signal.SIGINT, signal.SIGTERM)


def install() -> None:
    """From now on the first signal raises InterruptedBySignalError and a second one kills.

    A signal that is ignored already stays so: a shell ignores SIGINT for jobs in its background.
    """
    for number in _STOPPING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)


def ignore() -> None:
    """The result is out: a signal that arrives while the program ends changes nothing any more."""
    for number in _STOPPING:
        signal.signal(number, signal.SIG_IGN)


def _stop(number: int, _: FrameType | None) -> None:
    for each in _STOPPING:
        signal.signal(each, signal.SIG_DFL)
    raise InterruptedBySignalError(number)
