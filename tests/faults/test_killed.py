"""The real program, killed or stopped before its system calls: nothing valid is lost."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from amictl.formats import current as current_format
from amictl.store.opening import open_store
from amictl.volumes.targets import MARK_SUFFIX
from tests.faults.real_program import (
    KILLED,
    STATE_CHANGING,
    Place,
    calls_made,
    faults_of,
    first_id,
    reasons_of,
    sampled,
    staged_in,
    states_of,
)
from tests.faults.worlds import content_of, memory_folder

pytestmark = pytest.mark.needs("strace")

POINTS = 16
MEBIBYTE = 1024 * 1024
SMALL_PACKS = """
import amictl.store.packing, amictl.store.writing
amictl.store.packing.PACK_SIZE = 4 * 1024 * 1024
amictl.store.writing.CHECKPOINT_PACKS = 2
from amictl.cli.main import main
main()
"""


@dataclass(frozen=True, slots=True)
class Command:
    """A command line; `target` is what it writes, other than the store."""

    words: Callable[[Place], list[str]]
    target: str | None = None
    statuses: tuple[int, ...] = (0,)


def volume(target: str, *options: str, statuses: tuple[int, ...] = (0,)) -> Command:
    return Command(
        lambda place: ["create-volume", "--snapshot-id", first_id(place), target, *options],
        target,
        statuses,
    )


# What was finished before the kill is in the way of a second run: a name, a file.
COMMANDS = {
    "create-snapshot": Command(lambda _: ["create-snapshot", "a.raw"]),
    "create-image": Command(
        lambda _: ["create-image", "--name", "web", "a.raw", "b.raw"], statuses=(0, 14)
    ),
    "create-volume": volume("new.raw", statuses=(0, 14)),
    "create-volume --force": volume("old.raw", "--force"),
    "create-volume --in-place": volume("place.raw", "--in-place"),
    "copy-image": Command(
        lambda place: [
            "copy-image",
            "--source-region",
            "source",
            "--name",
            "web",
            "--client-token",
            "t",
            "--source-image-id",
            (place.folder / "source-id").read_text(),
        ]
    ),
    "rebuild-index": Command(lambda _: ["rebuild-index"]),
}


@dataclass(slots=True)
class Sweep:
    """What was found by killing a command at some of its calls."""

    killed: int = 0
    errors: int = 0
    found: list[str] = field(default_factory=list)


def sweep(base: Place, command: Command, points: int) -> Sweep:
    """Kill a command before some of its calls, each time from the same beginning."""
    result = Sweep()
    with memory_folder() as name:
        trial = base.copy_to(Path(name))
        tracer = trial.strace(",".join(STATE_CHANGING))
        done = trial.run(*command.words(trial), before=tracer)
        assert done.status == 0, done.err
        calls = calls_made(trial.trace)
    for call, at in sampled(calls, points):
        with memory_folder() as name:
            place = base.copy_to(Path(name))
            tracer = place.strace(call, f"inject={call}:signal=KILL:when={at}")
            done = place.run(*command.words(place), before=tracer)
            result.killed += done.status == KILLED
            result.found += [
                f"killed at {call} {at}: {fault}" for fault in _faults_after(place, command)
            ]
            if place.store.exists():
                result.errors += states_of(place)["error"]
    return result


def _faults_after(place: Place, command: Command) -> Iterator[str]:
    """What is wrong after a kill, and after running the command again."""
    if (place.store / "store.json").exists():
        yield from faults_of(place)
        yield from _wrong_contents(place)
    yield from _wrong_target(place, command, finished=False)
    again = place.run(*command.words(place))
    if again.status not in command.statuses:
        yield f"the second run ended with {again.status}: {again.err}"
    yield from faults_of(place)
    yield from _wrong_contents(place)
    yield from _wrong_target(place, command, finished=True)


def _wrong_contents(place: Place) -> Iterator[str]:
    allowed = [(place.folder / name).read_bytes() for name in ("a.raw", "b.raw")]
    first = place.folder / "first"
    with open_store(place.store) as store:
        for path in sorted((place.store / "snapshots").glob("*.json")):
            if ".attributes." in path.name:
                continue
            content = content_of(store, path.stem)
            expected = (
                [first.read_bytes()] if first.exists() and path.stem == first_id(place) else allowed
            )
            if content not in expected:
                yield f"{path.stem} has other bytes"
        if first.exists() and not (place.store / "snapshots" / f"{first_id(place)}.json").exists():
            yield "an acknowledged snapshot is gone"


def _wrong_target(place: Place, command: Command, *, finished: bool) -> Iterator[str]:
    if command.target is None:
        return
    target = place.folder / command.target
    mark = target.with_name(target.name + MARK_SUFFIX)
    content = target.read_bytes() if target.exists() else None
    whole = content == (place.folder / "first").read_bytes()
    if finished and (mark.exists() or not whole):
        yield f"{command.target} is not finished"
    if not finished and not whole and not mark.exists() and not _is_untouched(target, content):
        yield f"{command.target} is neither as before, nor whole, nor marked"


def _is_untouched(target: Path, content: bytes | None) -> bool:
    before = {"new.raw": None, "old.raw": b"old"}
    if target.name in before:
        return content == before[target.name]
    return content is not None and content.endswith(b"longer")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_killed_command_leaves_a_valid_store(
    name: str, used: Place, record_property: Callable[[str, int], None]
) -> None:
    result = sweep(used, COMMANDS[name], POINTS)
    record_property("killed", result.killed)
    assert result.found == []
    assert result.killed >= POINTS // 2


def test_a_killed_first_snapshot_leaves_a_store_or_what_can_become_one(empty: Place) -> None:
    result = sweep(empty, COMMANDS["create-snapshot"], 2 * POINTS)
    assert result.found == []
    assert result.killed >= 2 * POINTS - 1
    assert result.errors > 0


def packs_of(place: Place) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in (place.store / "packs").iterdir()}


def test_a_killed_first_snapshot_repeats_only_what_came_after_the_checkpoint(
    tmp_path: Path, record_property: Callable[[str, int], None]
) -> None:
    place = Place(tmp_path)
    size = 96 * MEBIBYTE
    disk = place.folder / "big.raw"
    disk.write_bytes(os.urandom(size))
    words = ["-c", SMALL_PACKS, "create-snapshot", "big.raw"]
    # One rename for the pending file, four for each checkpoint: two packs, a run, CURRENT.
    tracer = place.strace("rename", "inject=rename:signal=KILL:when=24")
    assert place.run_python(*words, before=tracer).status == KILLED
    current = current_format.decode((place.store / "index" / "CURRENT").read_bytes())
    named = sum(row.length for row in current.packs)
    before = packs_of(place)
    assert place.run_python(*words).status == 0
    repeated = sum(packs_of(place).values()) - sum(before.values())
    record_property("named", named)
    record_property("repeated", repeated)
    assert named >= 32 * MEBIBYTE
    assert repeated <= size - named + MEBIBYTE
    assert faults_of(place) == []
    with open_store(place.store) as store:
        (path,) = (place.store / "snapshots").glob("*[0-9a-f].json")
        assert content_of(store, path.stem) == disk.read_bytes()


@pytest.mark.parametrize(
    ("call", "at"), [("rename", 2), ("rename", 4), ("fsync", 5), ("linkat", 1)]
)
def test_a_worker_that_is_killed_leaves_an_error(used: Place, call: str, at: int) -> None:
    tracer = used.strace(call, f"inject={call}:signal=KILL:when={at}")
    done = used.run("create-snapshot", "--no-wait", "--parent", "none", "a.raw", before=tracer)
    assert done.status == 0
    snapshot_id = json.loads(done.out)["SnapshotId"]
    described = used.run("describe-snapshots", "--snapshot-ids", snapshot_id)
    (shape,) = json.loads(described.out)["Snapshots"]
    waited = used.run("wait", "snapshot-completed", "--snapshot-ids", snapshot_id)
    assert (shape["State"], waited.status) == ("error", 14)
    assert shape["StateMessage"] == "the process that made it ended before it was done"
    assert faults_of(used) == []


@dataclass(frozen=True, slots=True)
class Stopped:
    """How a command ended that was asked to stop, and what it left."""

    point: tuple[str, int]
    status: int
    traceback: bool
    staged: tuple[str, ...]
    reasons: frozenset[str]
    faults: tuple[str, ...]


def stop(base: Place, number: signal.Signals, points: int) -> list[Stopped]:
    words = ["create-image", "--name", "web", "a.raw", "b.raw"]
    with memory_folder() as name:
        trial = base.copy_to(Path(name))
        trial.run(*words, before=trial.strace(",".join(STATE_CHANGING)))
        calls = calls_made(trial.trace)
    results = []
    for call, at in sampled(calls, points):
        with memory_folder() as name:
            place = base.copy_to(Path(name))
            tracer = place.strace(call, f"inject={call}:signal={number.name[3:]}:when={at}")
            done = place.run(*words, before=tracer)
            results.append(
                Stopped(
                    (call, at),
                    done.status,
                    "Traceback" in done.err or "bug" in done.err,
                    tuple(staged_in(place)),
                    frozenset(reasons_of(place)),
                    tuple(faults_of(place)),
                )
            )
    return results


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_command_says_why_and_cleans_up(
    used: Place, number: signal.Signals, status: int
) -> None:
    results = stop(used, number, POINTS)
    assert {result.status for result in results} <= {status, 0}
    assert [result for result in results if result.traceback] == []
    assert [result for result in results if result.faults] == []
    assert [result for result in results if result.staged] == []
    reasons = frozenset().union(*(result.reasons for result in results))
    assert reasons == {f"stopped by signal {number.value}"}
    assert len([result for result in results if result.status == status]) >= POINTS // 2
