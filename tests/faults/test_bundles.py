"""Bundles and the real program, killed before its system calls: nothing half is ever there."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.bundles.shell import new_signer
from tests.faults.real_program import KILLED, STATE_CHANGING, Place, calls_made, sampled
from tests.faults.worlds import memory_folder

pytestmark = pytest.mark.needs("strace", "openssl")

POINTS = 12
KEYS = ["--certificate", "user-cert.pem", "--private-key", "user-key.pem"]
MANIFEST = "bundled/disk.img.manifest.xml"
UNBUNDLE = ["unbundle-image", "--manifest", MANIFEST, "--private-key", "user-key.pem"]


@dataclass(frozen=True, slots=True)
class Command:
    """A command; which of its files stands for all, and which others it may leave before that."""

    words: list[str]
    last: str
    before: Callable[[Place], list[str]] = lambda _: []
    again: tuple[int, ...] = (0, 14)


def _parts(folder: str) -> Callable[[Place], list[str]]:
    return lambda place: [f"{folder}/disk.img.part.00", f"{folder}/disk.img.part.01"]


COMMANDS = {
    "bundle-image": Command(
        ["bundle-image", "--image", "disk.img", *KEYS, "--user", "1" * 12, "--destination", "new"],
        "new/disk.img.manifest.xml",
        _parts("new"),
    ),
    "unbundle-image": Command([*UNBUNDLE, "--destination", "new"], "new/disk.img"),
    "upload-bundle": Command(
        ["upload-bundle", "--bucket", "./new", "--manifest", MANIFEST],
        "new/disk.img.manifest.xml",
        _parts("new"),
        (0,),
    ),
}


@pytest.fixture
def base(tmp_path: Path) -> Place:
    """A disk of eleven mebibytes of noise, its bundle, and an empty folder."""
    place = Place(tmp_path)
    for name in ("bundled", "new"):
        (tmp_path / name).mkdir()
    new_signer(tmp_path)
    subprocess.run(
        ["dd", "if=/dev/urandom", "of=disk.img", "bs=1M", "count=11", "status=none"],
        cwd=tmp_path,
        check=True,
    )
    words = ["bundle-image", "--image", "disk.img", *KEYS, "--user", "1" * 12]
    assert place.run(*words, "--destination", "bundled").status == 0
    return place


@pytest.mark.parametrize("name", COMMANDS)
def test_a_kill_leaves_no_half_file(base: Place, name: str) -> None:
    command = COMMANDS[name]
    with memory_folder() as folder:
        trial = base.copy_to(Path(folder))
        done = trial.run(*command.words, before=trial.strace(",".join(STATE_CHANGING)))
        assert done.status == 0, done.err
        calls = calls_made(trial.trace)
    killed = 0
    for call, at in sampled(calls, POINTS):
        with memory_folder() as folder:
            place = base.copy_to(Path(folder))
            tracer = place.strace(call, f"inject={call}:signal=KILL:when={at}")
            killed += place.run(*command.words, before=tracer).status == KILLED
            require_nothing_half(place, command)
            assert place.run(*command.words).status in command.again
            require_nothing_half(place, command)
    assert killed >= POINTS // 2


def require_nothing_half(place: Place, command: Command) -> None:
    """What has a name is whole; where the last file is, everything is."""
    visible = {
        str(path.relative_to(place.folder))
        for path in (place.folder / "new").iterdir()
        if not path.name.startswith(".")
    }
    others = set(command.before(place))
    assert visible <= {command.last, *others}
    if command.last not in visible:
        return
    assert others <= visible
    if command.last.endswith(".xml"):
        words = ["unbundle-image", "--manifest", command.last, "--private-key", "user-key.pem"]
        (place.folder / "back").mkdir(exist_ok=True)
        assert place.run(*words, "--destination", "back").status in (0, 14)
        same = place.folder / "back/disk.img"
    else:
        same = place.folder / command.last
    assert same.read_bytes() == (place.folder / "disk.img").read_bytes()
