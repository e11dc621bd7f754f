"""The whole program on hostile input, many times: each run is a child of a process that has
imported it already, inside the bounds.

`python -m tests.hostile.program`: lists of words in, exit statuses out, JSON, one a line. What a
run prints is in the files `out` and `err` of the working directory.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import Finished, Home
from tests.hostile.limits import bind_this_process


class Program:
    """The process, to be asked from a test; a context manager that ends it.

    A run that is killed has the negative number of its signal for a status.
    """

    def __init__(self, home: Home) -> None:
        self._folder = home.folder
        root = Path(__file__).parents[2]
        environment = home.environment(PYTHONPATH=str(root), OPENBLAS_NUM_THREADS="1")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.hostile.program"],
            # What measures coverage would write files, and takes time of its own.
            env={name: text for name, text in environment.items() if name[:3] != "COV"},
            cwd=home.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *words: str | Path) -> Finished:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([str(word) for word in words]) + "\n")
        self._process.stdin.flush()
        status = json.loads(self._process.stdout.readline())
        out, err = ((self._folder / name).read_text() for name in ("out", "err"))
        return Finished(status, out, err)

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


def main() -> None:
    from amictl.cli.main import main as amictl
    from tests.hostile import readers

    readers.warm()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            sys.argv = ["amictl", *json.loads(line)]
            for number, name in ((1, "out"), (2, "err")):
                os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            bind_this_process()
            amictl()
        _, status = os.waitpid(child, 0)
        print(json.dumps(os.waitstatus_to_exitcode(status)), flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
