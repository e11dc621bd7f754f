"""Tasks that are killed or stopped: nothing is half visible, and describe-* says what happened."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from amictl.store.opening import open_store
from tests.conftest import Finished
from tests.faults.real_program import (
    KILLED,
    STATE_CHANGING,
    Place,
    calls_made,
    faults_of,
    sampled,
    staged_in,
)
from tests.faults.worlds import SEGMENT, content_of, memory_folder

pytestmark = pytest.mark.needs("strace")

POINTS = 8
DIED = "the process that did it ended before it was done"


@dataclass(frozen=True, slots=True)
class Task:
    """A command that runs as a task, in the region of the folder `home` of a place.

    `state` is the path of what `describe` says about it, and `ended` what it says when it ended
    well or badly; `files` are objects that it makes; `kill_at` is a sync when it is half done.
    """

    words: Callable[[Place], list[str]]
    describe: str
    state: str
    reason: str
    ended: tuple[str, str]
    files: str | None = None
    kill_at: int = 3
    home: str = ""
    again: tuple[int, ...] = (0,)

    def region(self, place: Place) -> Place:
        return Place(place.folder / self.home) if self.home else place

    def run(self, place: Place, *words: str, **options: Any) -> Finished:
        region = self.region(place)
        region.folder.mkdir(exist_ok=True)
        return region.run(*self.words(place), *words, **options)


TASKS = {
    "store": Task(
        lambda place: [
            "create-store-image-task",
            "--image-id",
            read(place, "image-id"),
            "--bucket",
            str(place.folder / "new"),
        ],
        "describe-store-image-tasks",
        "StoreTaskState",
        "StoreTaskFailureReason",
        ("Completed", "Failed"),
        files="new",
        again=(0, 14),
    ),
    "restore": Task(
        lambda place: [
            "create-restore-image-task",
            "--bucket",
            str(place.folder / "bucket"),
            "--object-key",
            f"{read(place, 'image-id')}.bin",
        ],
        "describe-restore-image-tasks",
        "RestoreTaskState",
        "RestoreTaskFailureReason",
        ("Completed", "Failed"),
        kill_at=28,
        home="far",
        again=(0, 14),
    ),
    "import-snapshot": Task(
        lambda place: ["import-snapshot", str(place.folder / "b.raw")],
        "describe-import-snapshot-tasks",
        "SnapshotTaskDetail.Status",
        "SnapshotTaskDetail.StatusMessage",
        ("completed", "error"),
        kill_at=6,
    ),
    "import-image": Task(
        lambda place: ["import-image", str(place.folder / "b.raw")],
        "describe-import-image-tasks",
        "Status",
        "StatusMessage",
        ("completed", "deleted"),
        kill_at=12,
    ),
    "export-image": Task(
        lambda place: [
            "export-image",
            "--image-id",
            read(place, "one-disk-id"),
            "--disk-image-format",
            "RAW",
            "--s3-export-location",
            f"S3Bucket={place.folder / 'new'}",
        ],
        "describe-export-image-tasks",
        "Status",
        "StatusMessage",
        ("completed", "deleted"),
        files="new",
    ),
}


def read(place: Place, name: str) -> str:
    return (place.folder / name).read_text()


@pytest.fixture
def stocked(empty: Place) -> Place:
    """A store with an image of two disks and one of one, a bucket with the first, and a new one."""
    stock(empty)
    return empty


@pytest.fixture
def wide(empty: Place) -> Place:
    """The same with disks that take many steps to read."""
    for name in ("a.raw", "b.raw"):
        with (empty.folder / name).open("wb") as file:
            for number in range(40):
                file.seek(number * SEGMENT)
                file.write(f"{name} {number}".encode())
            file.truncate(40 * SEGMENT)
    stock(empty)
    return empty


def stock(place: Place) -> None:
    for name, disks in (("image-id", ["a.raw", "b.raw"]), ("one-disk-id", ["a.raw"])):
        done = place.run("create-image", "--name", name, *disks, "--quiet")
        assert (done.status, done.err) == (0, "")
        (place.folder / name).write_text(done.out.strip())
    for name in ("bucket", "new"):
        (place.folder / name).mkdir()
    words = ["--image-id", read(place, "image-id"), "--bucket", "./bucket"]
    assert place.run("create-store-image-task", *words).status == 0


@dataclass(slots=True)
class Sweep:
    """What was found by ending a task at some of its calls."""

    statuses: list[int] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    found: list[str] = field(default_factory=list)


def sweep(base: Place, task: Task, number: signal.Signals) -> Sweep:
    """Send a signal before some of its calls, each time from the same beginning."""
    result = Sweep()
    with memory_folder() as name:
        trial = base.copy_to(Path(name))
        tracer = task.region(trial).strace(",".join(STATE_CHANGING))
        done = task.run(trial, before=tracer)
        assert done.status == 0, done.err
        calls = calls_made(task.region(trial).trace)
    for call, at in sampled(calls, POINTS):
        with memory_folder() as name:
            place = base.copy_to(Path(name))
            region = task.region(place)
            injected = f"inject={call}:signal={number.name[3:]}:when={at}"
            done = task.run(place, before=region.strace(call, injected))
            result.statuses.append(done.status)
            problems = [*problems_after(place, task, done), *problems_again(place, task)]
            result.found += [f"{number.name} at {call} {at}: {problem}" for problem in problems]
            result.reasons += [reason for _, reason in described(task, place) if reason]
    return result


def described(task: Task, place: Place) -> list[tuple[str, str | None]]:
    """State and reason of each task in the region."""
    done = task.region(place).run(task.describe)
    assert done.status == 0, done.err
    (shapes,) = json.loads(done.out).values()
    return [(member(shape, task.state), member(shape, task.reason)) for shape in shapes]


def member(shape: Any, path: str) -> Any:
    for name in path.split("."):
        shape = shape.get(name)
    return shape


def problems_after(place: Place, task: Task, done: Finished) -> Iterator[str]:
    region = task.region(place)
    if "Traceback" in done.err or "bug" in done.err:
        yield done.err
    if not (region.store / "store.json").exists():
        return
    yield from faults_of(region)
    if done.status != KILLED and staged_in(region):
        yield f"in staging: {staged_in(region)}"
    for state, reason in described(task, place)[:1]:
        if state not in task.ended or (state == task.ended[1]) == (reason is None):
            yield f"it shows as {state} because of {reason}"
    yield from wrong_contents(place, region)
    yield from wrong_files(place, task)


def problems_again(place: Place, task: Task) -> Iterator[str]:
    again = task.run(place)
    if again.status not in task.again:
        yield f"the second run ended with {again.status}: {again.err}"
    if again.status == 0 and task.ended[0] not in [state for state, _ in described(task, place)]:
        yield "the second run is not completed"
    yield from faults_of(task.region(place))
    yield from wrong_contents(place, task.region(place))
    yield from wrong_files(place, task)


def wrong_contents(place: Place, region: Place) -> Iterator[str]:
    allowed = [(place.folder / name).read_bytes() for name in ("a.raw", "b.raw")]
    with open_store(region.store) as store:
        for path in sorted((region.store / "snapshots").glob("*.json")):
            if ".attributes." not in path.name and content_of(store, path.stem) not in allowed:
                yield f"{path.stem} has other bytes"


def wrong_files(place: Place, task: Task) -> Iterator[str]:
    """What can be seen in the new bucket is whole."""
    if task.files is None:
        return
    for path in sorted((place.folder / task.files).iterdir()):
        if path.suffix == ".bin":
            verified = place.run("verify-archive", path)
            if verified.status != 0:
                yield f"{path.name} is visible and not whole: {verified.err}"
        elif path.suffix == ".raw":
            if path.read_bytes() != (place.folder / "a.raw").read_bytes():
                yield f"{path.name} is visible and not whole"
        elif not path.name.startswith(".amictl-writing-"):
            yield f"{path.name} is not ours"


@pytest.mark.parametrize("name", TASKS)
def test_a_killed_task_leaves_nothing_half_visible(name: str, stocked: Place) -> None:
    result = sweep(stocked, TASKS[name], signal.SIGKILL)
    assert result.found == []
    assert result.statuses.count(KILLED) >= POINTS // 2
    assert set(result.reasons) == {DIED}


@pytest.mark.parametrize(
    ("name", "number", "status"),
    [
        *((name, signal.SIGTERM, 143) for name in TASKS),
        ("store", signal.SIGINT, 130),
    ],
)
def test_a_stopped_task_says_why(
    name: str, number: signal.Signals, status: int, stocked: Place
) -> None:
    result = sweep(stocked, TASKS[name], number)
    assert result.found == []
    assert set(result.statuses) <= {status, 0}
    assert result.statuses.count(status) >= POINTS // 2
    assert set(result.reasons) == {f"stopped by signal {number.value}"}


@pytest.mark.parametrize("name", TASKS)
def test_a_worker_in_the_background_that_is_killed_shows_as_failed_at_once(
    name: str, stocked: Place
) -> None:
    task = TASKS[name]
    task.region(stocked).folder.mkdir(exist_ok=True)
    injected = f"inject=fsync:signal=KILL:when={task.kill_at}"
    tracer = task.region(stocked).strace("fsync", injected)
    done = task.run(stocked, "--no-wait", before=tracer)
    assert (done.status, done.err) == (0, "")
    await_no_worker(stocked)
    assert described(task, stocked)[0] == (task.ended[1], DIED)
    assert faults_of(task.region(stocked)) == []


def await_no_worker(place: Place) -> None:
    """Wait for the end of every process that works in the folder."""
    deadline = time.monotonic() + 60
    while workers(place):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def workers(place: Place) -> list[Path]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if Path(entry, "cwd").readlink().is_relative_to(place.folder):
                found.append(entry)
        except OSError:
            continue
    return found


SAVE_EVERY_STEP = """
import amictl.store.tasks
amictl.store.tasks._SAVE_SECONDS = -1.0
from amictl.cli.main import main
main()
"""


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_cancelled_from_another_terminal(name: str, wide: Place) -> None:
    task = TASKS[name]
    region = task.region(wide)
    region.folder.mkdir(exist_ok=True)
    # Every write waits, so that there is time to cancel it.
    slowly = region.strace("pwrite64,write", "inject=pwrite64,write:delay_enter=50ms")
    command = [*slowly, sys.executable, "-c", SAVE_EVERY_STEP, *task.words(wide)]
    with subprocess.Popen(
        command,
        cwd=region.folder,
        env=region.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as worker:
        task_id = await_task(region, worker)
        words = ["--import-task-id", task_id, "--cancel-reason", "too late"]
        cancelled = region.run("cancel-import-task", *words)
        out, err = worker.communicate(timeout=120)
    assert cancelled.status == 0, cancelled.err
    assert json.loads(cancelled.out)["State"] == "deleting"
    assert (worker.returncode, out) == (14, "")
    assert "the task was cancelled: too late" in err
    state, reason = described(task, wide)[0]
    assert state in ("Failed", "deleted")
    assert reason == "the task was cancelled: too late"
    assert faults_of(region) == []
    assert list((wide.folder / "new").iterdir()) == []


def await_task(region: Place, worker: "subprocess.Popen[str]") -> str:
    """The id of the task, as soon as there is one."""
    while worker.poll() is None:
        for path in (region.store / "pending").glob("*-*-*.json"):
            return path.stem
        for path in (region.store / "pending").glob("store-*.json"):
            return path.stem
        time.sleep(0.005)
    raise AssertionError("it ended before there was a task")
