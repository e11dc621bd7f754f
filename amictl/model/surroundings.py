"""What an action needs from the world outside: the time, random bytes, and somebody to tell."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from amictl.progress import Progress


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Handed in by the command line; tests hand in what they like.

    `now` returns an aware UTC datetime; `random_bytes(n)` returns n unpredictable bytes.
    """

    now: Callable[[], datetime]
    random_bytes: Callable[[int], bytes]
    progress: Progress
