"""Sending a request again while that may help, and being interruptible meanwhile."""

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TypeVar

from amictl.errors import AmictlError
from amictl.storage.waiting import result_of

Answer = TypeVar("Answer")

_ATTEMPTS_UNANSWERED = 3
"""An address where never anything answered is more likely wrong than busy."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a request may take, and how often it is sent again. `bulk` is for whole packs."""

    attempts: int = 7
    first_wait_seconds: float = 0.2
    timeout_seconds: float = 30.0
    bulk_timeout_seconds: float = 600.0


BRIEF = Patience(attempts=2, timeout_seconds=3.0)
"""For a look in passing."""


class Attempts:
    """Requests to one server. Safe for many threads."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._answered = False

    def made(
        self,
        request: Callable[[], Answer],
        may_pass: Callable[[Exception], bool],
        is_answer: Callable[[Exception], bool],
    ) -> Answer:
        """The answer to a request, sent again while that may help; else its last error.

        `may_pass` says of an error whether the same request may succeed a little later, and
        `is_answer` whether it is what a server said.
        """
        wait = self._patience.first_wait_seconds
        for done in range(1, self._patience.attempts + 1):
            try:
                answer = interruptible(request)
                self._answered = True
                return answer
            except AmictlError:
                raise
            except Exception as error:
                self._answered = self._answered or is_answer(error)
                if done >= self._most or not may_pass(error):
                    raise
            time.sleep(wait * random.uniform(0.5, 1.5))
            wait = min(wait * 2, 10.0)
        raise AssertionError("there is at least one attempt")

    @property
    def _most(self) -> int:
        """How often a request is sent; fewer times while nothing ever answered."""
        attempts = self._patience.attempts
        return attempts if self._answered else min(attempts, _ATTEMPTS_UNANSWERED)


def interruptible(request: Callable[[], Answer]) -> Answer:
    """The answer to a request; a signal in the main thread ends the waiting for it.

    The libraries wait without looking for signals, or take what a signal raises for an error.
    """
    return result_of(begun(request))


def begun(request: Callable[[], Answer]) -> Future[Answer]:
    """What will come of a request, which a thread makes that nobody has to wait for."""
    done: Future[Answer] = Future()

    def ask() -> None:
        try:
            done.set_result(request())
        except BaseException as error:  # noqa: BLE001  (raised again where it is waited for)
            done.set_exception(error)

    threading.Thread(target=ask, name="request", daemon=True).start()
    return done
