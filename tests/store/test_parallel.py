"""Work in processes: in order, each once, and nobody is left behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from amictl.errors import CorruptStoreError, ImageNameMalformedError, StorageError
from amictl.store.parallel import in_processes


def _square(number: int) -> tuple[int, int]:
    return number * number, os.getpid()


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("count", [0, 1, 2, 7, 500])
def test_results_come_in_order_from_all_processes(count: int, processes: int) -> None:
    with in_processes(_square, lambda: range(count), processes) as results:
        found = list(results)
    assert [square for square, _ in found] == [number * number for number in range(count)]
    workers = {process for _, process in found}
    assert len(workers) == min(count, processes)
    assert (os.getpid() in workers) == (processes == 1 and count > 0)


def test_an_error_arrives_as_it_was_raised() -> None:
    def work(number: int) -> int:
        if number == 5:
            raise ImageNameMalformedError("five", hint="take six", code="Five")
        return number

    seen: list[int] = []
    with (
        pytest.raises(ImageNameMalformedError) as caught,
        in_processes(work, lambda: range(9), 2) as results,
    ):
        seen.extend(results)
    assert (caught.value.message, caught.value.hint, caught.value.code) == (
        "five",
        "take six",
        "Five",
    )
    assert seen == list(range(len(seen)))


def test_an_error_of_the_items_arrives_too() -> None:
    def items() -> "list[int]":
        raise CorruptStoreError("a node is gone")

    with (
        pytest.raises(CorruptStoreError, match="a node is gone"),
        in_processes(_square, items, 2) as results,
    ):
        list(results)


def test_a_killed_process_is_an_error() -> None:
    def work(number: int) -> int:
        if number == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    with (
        pytest.raises(StorageError, match="is gone"),
        in_processes(work, lambda: range(9), 2) as results,
    ):
        list(results)


def test_no_process_outlives_the_block() -> None:
    def work(number: int) -> int:
        if number > 3:
            time.sleep(60)
        return os.getpid()

    with in_processes(work, lambda: range(100), 2) as results:
        workers = {next(results) for _ in range(4)}
    for process in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_processes_stop_when_the_one_that_started_them_is_killed(tmp_path: Path) -> None:
    """They would otherwise go on writing, and hold what it held."""
    told = tmp_path / "told"
    starter = os.fork()
    if starter == 0:

        def work(number: int) -> int:
            (tmp_path / str(os.getpid())).touch()
            time.sleep(0.01)
            return number

        try:
            with in_processes(work, lambda: range(100_000), 2) as results:
                next(results)
                next(results)
                told.touch()
                time.sleep(60)
        finally:
            os._exit(0)
    deadline = time.monotonic() + 30
    while not told.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(starter, signal.SIGKILL)
    os.waitpid(starter, 0)
    workers = [int(path.name) for path in tmp_path.iterdir() if path != told]
    assert len(workers) == 2
    while any(map(_runs, workers)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(map(_runs, workers))


def test_signals_reach_the_starter_alone() -> None:
    """A worker that ran the starter's handler would clean up what is not its own."""
    handled = []
    before = signal.signal(signal.SIGTERM, lambda *_: handled.append(os.getpid()))
    try:

        def work(number: int) -> int:
            if number == 2:
                os.kill(os.getpid(), signal.SIGTERM)
            return number

        with (
            pytest.raises(StorageError, match="is gone"),
            in_processes(work, lambda: range(4), 2) as results,
        ):
            list(results)
        assert handled == []
        assert threading.current_thread() is threading.main_thread()
    finally:
        signal.signal(signal.SIGTERM, before)


SIGNAL_AS_A_PROCESS_BEGINS = """
import os, signal
from amictl.store.parallel import in_processes

fork, begun = os.fork, []

def fork_and_be_told_to_stop():
    process = fork()
    if process:
        begun.append(process)
        os.kill(os.getpid(), signal.SIGINT)
    return process

os.fork = fork_and_be_told_to_stop
try:
    with in_processes(str, lambda: range(9), 2):
        raise SystemExit("it goes on")
except KeyboardInterrupt:
    pass
(process,) = begun
try:
    os.kill(process, 0)
except ProcessLookupError:
    raise SystemExit(0)
raise SystemExit("it is still there")
"""


def test_a_signal_as_a_process_begins_leaves_none_behind() -> None:
    """In a program of its own: where others have threads, these take the signal meanwhile."""
    program = [sys.executable, "-c", SIGNAL_AS_A_PROCESS_BEGINS]
    finished = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stderr) == (0, "")


def _runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
