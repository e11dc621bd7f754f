"""The detached worker: what it is given, what it says, and what becomes of it."""

import json
import os
import re
import signal
import subprocess
import time

import pytest

from amictl.cli import detaching
from amictl.cli.failures import FailedWorkerError
from amictl.errors import UsageError
from amictl.progress import Silent
from tests.cli.test_images import make_disk
from tests.conftest import PROGRAM, Home


class Notebook(Silent):
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_a_worker_tells_its_parent_once_and_forgets_the_way() -> None:
    reader, writer = os.pipe()
    environment = {detaching.SECURED_FD: str(writer)}
    announce = detaching.announcer(Silent(), environment)
    assert not os.get_inheritable(writer)
    announce({"ImageId": "ami-1"})
    with os.fdopen(reader, "rb") as pipe:
        assert json.loads(pipe.read()) == {"ImageId": "ami-1"}
    assert environment == {}


def test_a_worker_whose_parent_is_gone_goes_on() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    detaching.announcer(Silent(), {detaching.SECURED_FD: str(writer)})({"ImageId": "ami-1"})


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="not a file descriptor"):
        detaching.announcer(Silent(), {detaching.SECURED_FD: "x"})


@pytest.mark.parametrize(
    ("result", "note"),
    [
        (
            {"ImageId": "ami-1"},
            "the moment of ami-1 is secured; the machine may go on",
        ),
        (
            {"SnapshotId": "snap-1", "Amictl": {"FreezeMethod": "lease"}},
            "the moment of snap-1 is secured (lease); the machine may go on",
        ),
    ],
)
def test_without_a_parent_it_is_a_note(result: dict[str, object], note: str) -> None:
    notebook = Notebook()
    detaching.announcer(notebook, {})(result)
    assert notebook.notes == [note]


def test_a_worker_that_ends_early_is_a_failure_with_its_words_and_status() -> None:
    with pytest.raises(FailedWorkerError, match="no such command: bogus") as caught:
        detaching.run_detached(["bogus"], os.environ)
    assert caught.value.exit_code == 2


def test_a_worker_that_is_killed_is_a_failure(amictl: Home) -> None:
    disk = make_disk(amictl.folder / "disk.raw")
    words = ["create-snapshot", disk, "--no-wait", "--pre-freeze", "kill -9 $PPID"]
    finished = amictl(*words)
    assert (finished.status, finished.out) == (16, "")
    assert "the worker was killed by signal 9" in finished.err


def test_a_signal_to_the_waiting_parent_stops_the_worker(amictl: Home) -> None:
    disk = make_disk(amictl.folder / "disk.raw")
    process = subprocess.Popen(
        [PROGRAM, "create-snapshot", disk, "--no-wait", "--pre-freeze", "sleep 20"],
        env=amictl.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=15)
    assert (process.returncode, out) == (130, "")
    assert "stopped by signal 2" in err
    assert "hint: run the command again; it goes on from what is stored" in err
    assert list((amictl.local_region / "pending").iterdir()) == []


def test_the_worker_has_a_session_of_its_own_and_no_stream_of_ours(amictl: Home) -> None:
    disk = make_disk(amictl.folder / "disk.raw")
    look = "ls -l /proc/$PPID/fd > fds; ps -o sid= -p $PPID > sid"
    finished = amictl("create-snapshot", disk, "--no-wait", "--quiet", "--pre-freeze", look)
    assert finished.status == 0
    streams = re.findall(r" ([012]) -> (\S+)", (amictl.folder / "fds").read_text())
    places = dict(streams)
    assert places["0"] == places["1"] == "/dev/null"
    assert "/dev/pts" not in places["2"]
    assert int((amictl.folder / "sid").read_text()) != os.getsid(0)
