"""The real program in a folder of its own, alone or under strace, which kills, stops or lies."""

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from amictl.actions.checking import check_store
from amictl.actions.describing import describe_snapshots
from amictl.actions.describing_images import describe_images
from amictl.store.opening import open_store
from tests.conftest import Finished, Home
from tests.faults.worlds import SURROUNDINGS

STATE_CHANGING = (
    "write",
    "pwrite64",
    "ftruncate",
    "fallocate",
    "fsync",
    "mkdir",
    "rename",
    "linkat",
    "unlink",
)
KILLED = -9
_CALL = re.compile(r"^(\d+) +(\w+)\(")


@dataclass(frozen=True, slots=True)
class Place:
    """A folder with disks, a store, targets, and the program's environment."""

    folder: Path

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def trace(self) -> Path:
        return self.folder / "trace"

    def environment(self) -> dict[str, str]:
        """Nothing that measures coverage: what it writes at the end is not the program's."""
        own = Home(self.folder).environment(AMICTL_STORE=str(self.store))
        return {name: text for name, text in own.items() if not name.startswith("COV")}

    def run(
        self, *words: str | Path, before: Sequence[str | Path] = (), **variables: str
    ) -> Finished:
        """Run the program; `before` are words before the interpreter, of a tool that starts it."""
        return self.run_python("-m", "amictl", *words, before=before, **variables)

    def run_python(
        self, *words: str | Path, before: Sequence[str | Path] = (), **variables: str
    ) -> Finished:
        command = [*before, sys.executable, *words]
        return execute(command, self.folder, {**self.environment(), **variables})

    def strace(self, calls: str, *options: str) -> list[str]:
        """The words that make strace follow some calls, and write them to `trace`."""
        injected = [word for option in options for word in ("-e", option)]
        output = ["-y", "-s", "0", "-o", str(self.trace)]
        return ["strace", "-f", "-qq", *output, "-e", f"trace={calls}", *injected]

    def copy_to(self, folder: Path) -> "Place":
        """The same in another folder; holes stay holes."""
        subprocess.run(
            ["cp", "-a", "--sparse=always", f"{self.folder}/.", folder], check=True, timeout=60
        )
        return Place(folder)


def first_id(place: Place) -> str:
    """The snapshot that a used store has from the start."""
    return (place.folder / "id").read_text()


def execute(
    command: Sequence[str | Path], folder: Path, environment: Mapping[str, str]
) -> Finished:
    finished = subprocess.run(
        [str(word) for word in command],
        env=dict(environment),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Finished(finished.returncode, finished.stdout, finished.stderr)


def calls_made(trace: Path) -> dict[str, int]:
    """How often the thread that made a call most often made it."""
    counts = Counter(
        (match[2], match[1])
        for line in trace.read_text().splitlines()
        if (match := _CALL.match(line))
    )
    most: dict[str, int] = {}
    for (name, _), count in counts.items():
        most[name] = max(most.get(name, 0), count)
    return most


def sampled(calls: Mapping[str, int], count: int) -> list[tuple[str, int]]:
    """Some of all calls, evenly: name and number."""
    points = [(name, at) for name in STATE_CHANGING for at in range(1, calls.get(name, 0) + 1)]
    return [points[at * len(points) // count] for at in range(min(count, len(points)))]


def faults_of(place: Place) -> list[str]:
    """What a check finds; and that whatever is not completed shows as failed."""
    with open_store(place.store) as store:
        found = check_store(store, read_data=True, surroundings=SURROUNDINGS)
        faults = [str(fault) for fault in (*found["Faults"], *found["Damaged"])]
        shapes = [*describe_snapshots(store)["Snapshots"], *describe_images(store)["Images"]]
    return faults + [str(shape) for shape in shapes if shape["State"] == "pending"]


def states_of(place: Place) -> Counter[str]:
    """How many snapshots and images are in which state."""
    with open_store(place.store) as store:
        shapes = [*describe_snapshots(store)["Snapshots"], *describe_images(store)["Images"]]
    return Counter(shape["State"] for shape in shapes)


def reasons_of(place: Place) -> set[str]:
    """Why snapshots and images failed."""
    with open_store(place.store) as store:
        snapshots = describe_snapshots(store)["Snapshots"]
        images = describe_images(store)["Images"]
    return {shape["StateMessage"] for shape in snapshots if "StateMessage" in shape} | {
        shape["StateReason"]["Message"] for shape in images if "StateReason" in shape
    }


def staged_in(place: Place) -> list[str]:
    """Files in staging."""
    return os.listdir(place.store / "staging") if place.store.exists() else []  # noqa: PTH208
