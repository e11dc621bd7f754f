"""Progress: lines of JSON for programs, a bar on a terminal, and nothing into files."""

import json
import subprocess
from pathlib import Path

import pexpect
import pytest

from amictl.cli.global_options import GlobalOptions
from amictl.cli.progress_display import Bars, JsonLines, Notes, display_for, size_text
from amictl.progress import Step
from tests.cli.test_images import make_disk
from tests.conftest import PROGRAM, Home

HALF = Step("disk.raw", done=512, total=1024, new=256, known=128, zero=128)
WHOLE = Step("disk.raw", done=1024, total=1024, new=768, known=128, zero=128)


@pytest.fixture
def disk(amictl: Home) -> Path:
    return make_disk(amictl.folder / "disk.raw")


def test_into_files_only_the_result_is_written(amictl: Home, disk: Path) -> None:
    finished = amictl("create-snapshot", disk)
    assert finished.err == ""
    assert json.loads(finished.out)["State"] == "completed"


def test_progress_as_json_lines(amictl: Home, disk: Path) -> None:
    finished = amictl("create-snapshot", disk, "--progress", "json")
    messages = [json.loads(line) for line in finished.err.splitlines()]
    status = [message for message in messages if message["message_type"] == "status"]
    notes = [message["text"] for message in messages if message["message_type"] == "note"]
    last = status[-1]
    assert last["bytes_done"] == last["bytes_total"] == disk.stat().st_size
    assert sum(last[f"bytes_{fate}"] for fate in ("new", "known", "zero")) == last["bytes_done"]
    assert any("the machine may go on" in note for note in notes)


def on_terminal(amictl: Home, *words: str) -> tuple[int, str]:
    environment = amictl.environment(TERM="xterm", COLUMNS="100")
    child = pexpect.spawn(
        str(PROGRAM), list(words), env=environment, cwd=str(amictl.folder), dimensions=(40, 100)
    )
    text = child.read().decode()
    child.close()
    return child.exitstatus, text


def test_a_terminal_gets_a_note_and_a_table(amictl: Home, disk: Path) -> None:
    status, text = on_terminal(amictl, "create-image", "--name", "x" * 3, str(disk))
    assert status == 0
    assert "the machine may go on" in text
    assert "ImageId" in text
    assert "\u2502" in text


def test_quiet_on_a_terminal_prints_the_id_alone(amictl: Home, disk: Path) -> None:
    status, text = on_terminal(amictl, "create-image", "--name", "xxx", "--quiet", str(disk))
    assert status == 0
    assert text.strip().startswith("ami-")
    assert len(text.split()) == 1


def test_ids_are_never_cut_off_in_a_table(amictl: Home, disk: Path) -> None:
    snapshot_id = amictl("create-snapshot", disk, "--quiet").out.strip()
    amictl("create-snapshot", disk)
    environment = amictl.environment(TERM="xterm", COLUMNS="60")
    child = pexpect.spawn(
        str(PROGRAM), ["describe-snapshots"], env=environment, dimensions=(40, 60)
    )
    assert snapshot_id in child.read().decode()
    child.close()


def test_json_lines_are_paced_and_the_last_is_always_there(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = JsonLines()
    for _ in range(100):
        lines.update(HALF)
    lines.update(WHOLE)
    done = [json.loads(line)["bytes_done"] for line in capsys.readouterr().err.splitlines()]
    assert done == [512, 1024]


def test_a_bar_shows_what_became_of_the_bytes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    bars = Bars(color=True)
    bars.update(WHOLE)
    bars.note("secured")
    bars.close()
    bars.close()
    shown = capsys.readouterr().err
    assert "768 B new 128 B known 128 B zero" in shown
    assert "secured" in shown


@pytest.mark.parametrize(
    ("options", "terminal", "kind"),
    [
        (GlobalOptions(), True, Bars),
        (GlobalOptions(no_progress=True), True, Notes),
        (GlobalOptions(progress="none"), True, Notes),
        (GlobalOptions(quiet=True), True, Notes),
        (GlobalOptions(), False, Notes),
        (GlobalOptions(progress="json", quiet=True), False, JsonLines),
    ],
)
def test_what_fits_the_options(
    options: GlobalOptions, terminal: bool, kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(display_for(options, terminal), kind)


def test_a_dumb_terminal_gets_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(display_for(GlobalOptions(), True), Notes)


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0 B"), (999, "999 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (1 << 40, "1 TiB")],
)
def test_sizes_for_people(size_bytes: int, text: str) -> None:
    assert size_text(size_bytes) == text


def test_a_closed_standard_error_does_not_matter(amictl: Home, disk: Path) -> None:
    line = f"exec {PROGRAM} create-snapshot {disk} --progress json 2>&-"
    finished = subprocess.run(
        ["bash", "-c", line], env=amictl.environment(), capture_output=True, check=False
    )
    assert finished.returncode == 0
