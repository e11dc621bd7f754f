"""What tests of all rooms share: the real program in a home of its own, and what CI must have."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("amictl", deadline=None)
settings.load_profile("amictl")

PROGRAM = Path(sys.executable).with_name("amictl")


@dataclass(frozen=True, slots=True)
class Finished:
    """How a run of the program ended."""

    status: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Home:
    """A user with an empty home, who calls the program."""

    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        return self.folder / "config" / "amictl" / "config.toml"

    @property
    def local_region(self) -> Path:
        return self.folder / "data" / "amictl" / "local"

    def environment(self, **variables: str) -> dict[str, str]:
        """The environment of the program: ours, with the home and `variables` in it."""
        foreign = ("AMICTL_", "XDG_", "NO_COLOR", "FORCE_COLOR", "_AMICTL_COMPLETE")
        ours = {name: text for name, text in os.environ.items() if not name.startswith(foreign)}
        places = {
            "HOME": str(self.folder),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "XDG_DATA_HOME": str(self.folder / "data"),
        }
        return {**ours, **places, **self.variables, **variables}

    def __call__(self, *words: str | Path, **variables: str) -> Finished:
        """Run the program with these words; upper-case keywords are environment variables."""
        finished = subprocess.run(
            [PROGRAM, *map(str, words)],
            env=self.environment(**variables),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Finished(finished.returncode, finished.stdout, finished.stderr)


def is_running(process: int) -> bool:
    """Whether there is such a process, and more of it than its exit status."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def await_end(process: int, seconds: float = 60) -> None:
    """Wait for the end of a process that is not ours; the time is over when it hangs."""
    deadline = time.monotonic() + seconds
    while is_running(process):
        assert time.monotonic() < deadline, f"process {process} still runs"
        time.sleep(0.01)


@pytest.fixture
def amictl(tmp_path: Path) -> Home:
    """The installed program, in a home that no other test has."""
    folder = tmp_path / "home"
    folder.mkdir()
    return Home(folder)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out what cannot run here, unless CI, which must have everything."""
    for marker in item.iter_markers("needs"):
        missing = [tool for tool in marker.args if not _is_here(tool)]
        if missing and os.environ.get("CI") == "true":
            pytest.fail(f"CI lacks {', '.join(missing)}", pytrace=False)
        if missing:
            pytest.skip(f"needs {', '.join(missing)}")


def _is_here(tool: str) -> bool:
    if tool == "root":
        return os.geteuid() == 0
    if tool == "atheris":  # a module, which there is not for every machine
        return find_spec(tool) is not None
    return shutil.which(tool, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is not None
