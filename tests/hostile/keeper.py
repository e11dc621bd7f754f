"""A process that reads vectors for the tests, each in a child of its own inside the bounds.

`python -m tests.hostile.keeper`: names of vectors in, one a line; outcomes out, JSON, one a line.
A child costs a few milliseconds, since everything that it needs is imported already.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from tests.hostile.corpus import Vector, by_name
from tests.hostile.limits import bind_this_process


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a reading ended: the class of what was raised and its message, or the signal."""

    error: str | None
    message: str = ""
    signal: int = 0


class Keeper:
    """The process, to be asked from a test; a context manager that ends it."""

    def __init__(self) -> None:
        # What measures coverage would write files, and takes time of its own.
        environment = {name: text for name, text in os.environ.items() if name[:3] != "COV"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.hostile.keeper"],
            env=environment | {"OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def read(self, name: str) -> Outcome:
        """Have a vector of the corpus read."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{name}\n")
        self._process.stdin.flush()
        return Outcome(**json.loads(self._process.stdout.readline()))

    def __enter__(self) -> "Keeper":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


def main() -> None:
    from tests.hostile import readers

    readers.warm()
    vectors = by_name()
    for line in sys.stdin:
        _answer(vectors[line.strip()])


def _answer(vector: Vector) -> None:
    """Made and read in two children: what making took is not counted when it is read."""
    memory = os.memfd_create("vector")
    with os.fdopen(memory, "w+b", buffering=0) as file:
        status = in_a_child(lambda: file.write(vector.make()))
        file.seek(0)
        status = status or in_a_child(lambda: _tell(_outcome(vector, file)))
    if status != 0:
        _tell(Outcome("", signal=-status))


def in_a_child(work: Callable[[], object]) -> int:
    """Do it there; the exit status, negative for a signal."""
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _outcome(vector: Vector, file: BinaryIO) -> Outcome:
    from tests.hostile.readers import READERS

    bind_this_process(file_bytes=0)
    try:
        READERS[vector.reader](file.read())
    except Exception as error:  # noqa: BLE001 - whatever it is, the test wants to see it
        return Outcome(type(error).__name__, str(error))
    return Outcome(None)


def _tell(outcome: Outcome) -> None:
    fields = {"error": outcome.error, "message": outcome.message, "signal": outcome.signal}
    os.write(1, (json.dumps(fields) + "\n").encode())


if __name__ == "__main__":
    main()
