"""How long work tells how far it is; the command line decides what becomes of it."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Step:
    """Counters of one piece of work, in bytes of the volume, since its start.

    `done` grows to `total`; new, known and zero say what became of it and add up to `done`
    while a snapshot is made. Restores and checks count everything as `known`.
    """

    what: str
    done: int
    total: int
    new: int = 0
    known: int = 0
    zero: int = 0


class Progress(Protocol):
    """Receives steps, from one thread at a time, often; must return quickly."""

    def update(self, step: Step) -> None: ...

    def note(self, text: str) -> None:
        """One line for the person who waits (not an error, not the result)."""
        ...


class Silent:
    """A progress that nobody watches."""

    def update(self, step: Step) -> None:
        pass

    def note(self, text: str) -> None:
        pass
