"""The commands before and after a freeze: their order, their failures, their time."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from amictl.errors import BusyError, ConflictError, SourceInUseError

FREEZE_AND_WAIT = """
import signal, sys
from datetime import UTC, datetime
from pathlib import Path
from amictl.volumes.freezing import FreezeRequest, frozen
path, log = Path(sys.argv[1]), Path(sys.argv[2])
request = FreezeRequest(
    pre_freeze=f"echo pre >> {log}", post_freeze=f"echo post >> {log}",
    timeout_seconds=float(sys.argv[3]),
)
with frozen([path], request, staging=path.parent, now=lambda: datetime.now(UTC)):
    print("frozen", flush=True)
    signal.pause()
"""


@pytest.fixture
def disk(tmpfs: Path) -> Path:
    path = tmpfs / "disk.raw"
    path.write_bytes(b"content")
    return path


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def pre(log: Path) -> str:
    return f"echo pre >> {log}"


@pytest.fixture
def post(log: Path) -> str:
    return f"echo post >> {log}"


def said(log: Path) -> list[str]:
    return log.read_text().split()


def await_said(log: Path, words: list[str]) -> None:
    end = time.monotonic() + 20
    while not log.exists() or said(log) != words:
        assert time.monotonic() < end, said(log)
        time.sleep(0.01)


# --- order -------------------------------------------------------------------------------------


def test_disk_is_asked_after_the_first_command(disk, freeze, open_for_writing):
    writer = open_for_writing(disk)
    writer.await_line()
    stop_the_machine = f"kill -9 {writer.process.pid}; sleep 0.2"
    with freeze(disk, pre_freeze=stop_the_machine) as (frozen_disk,):
        assert frozen_disk.freeze.consistency == "at-rest"


def test_second_command_waits_for_the_last_byte_under_a_lease(disk, freeze, pre, post, log):
    with freeze(disk, pre_freeze=pre, post_freeze=post):
        assert said(log) == ["pre"]


def test_second_command_runs_when_the_last_byte_was_read(disk, freeze, pre, post, log):
    with freeze(disk, pre_freeze=pre, post_freeze=post) as (frozen_disk,):
        frozen_disk.finish_reading()
        assert said(log) == ["pre", "post"]


def test_second_command_waits_for_the_last_disk(disk, tmpfs, freeze, pre, post, log):
    (tmpfs / "other.raw").write_bytes(b"other")
    with freeze(disk, tmpfs / "other.raw", pre_freeze=pre, post_freeze=post) as (first, _):
        first.finish_reading()
        assert said(log) == ["pre"]


def test_second_command_runs_as_soon_as_all_is_copied(disk, tmpfs, freeze, pre, post, log):
    with freeze(disk, staging=tmpfs, method="copy", pre_freeze=pre, post_freeze=post):
        assert said(log) == ["pre", "post"]


def test_second_command_runs_once(disk, freeze, pre, post, log):
    with freeze(disk, pre_freeze=pre, post_freeze=post) as (frozen_disk,):
        frozen_disk.finish_reading()
    assert said(log) == ["pre", "post"]


def test_lease_is_let_go_before_the_second_command(disk, freeze):
    # The command would wait for the lease for 45 seconds.
    with freeze(disk, post_freeze=f"exec 3<>{disk}", timeout_seconds=5) as (frozen_disk,):
        frozen_disk.finish_reading()
        assert frozen_disk.secured


def test_second_command_may_come_without_a_first(disk, freeze, post, log):
    with freeze(disk, post_freeze=post):
        pass
    assert said(log) == ["post"]


def test_first_command_may_come_without_a_second(disk, freeze, pre, log):
    with freeze(disk, pre_freeze=pre) as (frozen_disk,):
        frozen_disk.finish_reading()
    assert said(log) == ["pre"]


def test_commands_know_the_disks(disk, tmpfs, freeze, log):
    second = tmpfs / "with space.raw"
    second.write_bytes(b"other")
    tell = f'echo "$AMICTL_DISKS" >> {log}'
    with freeze(disk, second, pre_freeze=tell, post_freeze=tell):
        pass
    assert log.read_text() == f"{disk}\n{second}\n" * 2


def test_what_commands_print_does_not_reach_the_output(disk, freeze, capfd):
    with freeze(disk, pre_freeze="echo noise; echo noise >&2", post_freeze="echo noise"):
        pass
    assert capfd.readouterr() == ("", "")


def test_commands_have_no_input(disk, freeze):
    with freeze(disk, pre_freeze="! read word", post_freeze="! read word") as (frozen_disk,):
        frozen_disk.finish_reading()
        assert frozen_disk.secured


# --- failures ----------------------------------------------------------------------------------


def test_failing_first_command_is_named_with_its_status_and_words(disk, freeze):
    with pytest.raises(ConflictError, match="pre-freeze command ended with exit status 3: oh no"):
        freeze(disk, pre_freeze="echo oh no >&2; exit 3").__enter__()


def test_second_command_runs_when_the_first_fails(disk, freeze, post, log):
    with pytest.raises(ConflictError):
        freeze(disk, pre_freeze="false", post_freeze=post).__enter__()
    assert said(log) == ["post"]


def test_failing_second_command_is_named_with_its_status_and_words(disk, freeze):
    with (
        pytest.raises(ConflictError, match="post-freeze command ended with exit status 4: ouch"),
        freeze(disk, post_freeze="echo ouch; exit 4") as (frozen_disk,),
    ):
        frozen_disk.finish_reading()


def test_command_killed_by_a_signal_is_named_with_it(disk, freeze):
    with pytest.raises(ConflictError, match="pre-freeze command ended with signal 9"):
        freeze(disk, pre_freeze="kill -9 $$").__enter__()


def test_only_the_end_of_what_a_command_says_is_reported(disk, freeze):
    with pytest.raises(ConflictError) as raised:
        freeze(disk, pre_freeze="seq 100000; exit 1").__enter__()
    assert raised.value.message.endswith("99999\n100000")
    assert len(raised.value.message) < 3000


def test_second_command_runs_when_the_disk_is_refused(
    disk, freeze, pre, post, log, open_for_writing
):
    open_for_writing(disk).await_line()
    with pytest.raises(SourceInUseError):
        freeze(disk, pre_freeze=pre, post_freeze=post).__enter__()
    assert said(log) == ["pre", "post"]


def test_second_command_runs_when_the_reader_fails(disk, freeze, pre, post, log):
    with pytest.raises(KeyError), freeze(disk, pre_freeze=pre, post_freeze=post):
        raise KeyError
    assert said(log) == ["pre", "post"]


def test_failure_of_the_second_command_is_reported_with_the_first_error(
    disk, freeze, open_for_writing
):
    open_for_writing(disk).await_line()
    with pytest.raises(SourceInUseError) as raised:
        freeze(disk, post_freeze="echo still frozen; exit 1").__enter__()
    assert "still frozen" in str(raised.value.hint)


def test_failure_of_the_second_command_is_noted_with_a_foreign_error(disk, freeze):
    with pytest.raises(KeyError) as raised, freeze(disk, post_freeze="echo stuck; exit 1"):
        raise KeyError
    assert "stuck" in raised.value.__notes__[0]


# --- time --------------------------------------------------------------------------------------


def test_first_command_that_takes_too_long_is_ended(disk, freeze):
    with pytest.raises(BusyError, match=r"longer than 0\.2 s") as raised:
        freeze(disk, pre_freeze="sleep 60", timeout_seconds=0.2).__enter__()
    assert raised.value.code == "FreezeTimeout"


def test_second_command_runs_when_the_first_takes_too_long(disk, freeze, post, log):
    with pytest.raises(BusyError):
        freeze(disk, pre_freeze="sleep 60", post_freeze=post, timeout_seconds=0.3).__enter__()
    assert said(log) == ["post"]


def test_first_command_is_dead_when_the_second_runs(disk, freeze, pre, post, log):
    with pytest.raises(BusyError):
        freeze(
            disk,
            pre_freeze=f"while sleep 0.01; do {pre}; done",
            post_freeze=post,
            timeout_seconds=0.5,
        ).__enter__()
    assert said(log)[-1] == "post"


def test_second_command_runs_when_the_time_is_up_whatever_we_do(disk, freeze, pre, post, log):
    with (
        pytest.raises(BusyError),
        freeze(disk, pre_freeze=pre, post_freeze=post, timeout_seconds=0.2),
    ):
        await_said(log, ["pre", "post"])


def fail_to_read_on_after(seconds: float, frozen_disk) -> None:
    time.sleep(seconds)
    with pytest.raises(BusyError, match="longer than"):
        frozen_disk.require_held(1, 1e9)


def finish_after(seconds: float, frozen_disk) -> None:
    time.sleep(seconds)
    frozen_disk.finish_reading()


def test_reading_on_after_the_time_is_an_error(disk, freeze, pre, post):
    with (
        pytest.raises(BusyError, match="longer than"),
        freeze(disk, pre_freeze=pre, post_freeze=post, timeout_seconds=0.2) as (frozen_disk,),
    ):
        fail_to_read_on_after(0.25, frozen_disk)


def test_finishing_after_the_time_is_an_error(disk, freeze, post):
    with (
        pytest.raises(BusyError, match="longer than"),
        freeze(disk, post_freeze=post, timeout_seconds=0.2) as (frozen_disk,),
    ):
        finish_after(0.3, frozen_disk)


def test_finishing_while_the_second_command_runs_already_is_an_error(disk, freeze, post):
    with (
        pytest.raises(BusyError, match="longer than"),
        freeze(disk, post_freeze=f"{post}; sleep 0.3", timeout_seconds=0.5) as (frozen_disk,),
    ):
        finish_after(0.6, frozen_disk)


def test_time_counts_without_a_second_command(disk, freeze):
    with (
        pytest.raises(BusyError, match="longer than"),
        freeze(disk, pre_freeze="true", timeout_seconds=0.1) as (frozen_disk,),
    ):
        finish_after(0.15, frozen_disk)


def test_time_does_not_count_once_all_is_secured(disk, tmpfs, freeze, pre, post):
    with freeze(
        disk, staging=tmpfs, method="copy", pre_freeze=pre, post_freeze=post, timeout_seconds=0.5
    ) as (frozen_disk,):
        time.sleep(0.6)
        frozen_disk.require_held(1, 1e9)


def test_second_command_that_hangs_is_named_with_its_process(disk, freeze, tmp_path):
    pid_file = tmp_path / "pid"
    hang = f"echo $$ > {pid_file}; exec sleep 60"
    with (
        pytest.raises(BusyError, match=r"still runs after 0\.3 s \(process"),
        freeze(disk, post_freeze=hang, timeout_seconds=0.3) as (frozen_disk,),
    ):
        frozen_disk.finish_reading()
    os.kill(int(pid_file.read_text()), signal.SIGKILL)


# --- when we die -------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_second_command_runs_when_we_are_killed(disk, log, start, number):
    program = start(sys.executable, "-c", FREEZE_AND_WAIT, disk, log, "600")
    assert program.await_line() == b"frozen\n"
    program.process.send_signal(number)
    await_said(log, ["pre", "post"])


def test_second_command_runs_when_all_our_processes_are_killed(disk, log, start):
    program = start("setsid", sys.executable, "-c", FREEZE_AND_WAIT, disk, log, "600")
    assert program.await_line() == b"frozen\n"
    os.killpg(program.process.pid, signal.SIGKILL)
    await_said(log, ["pre", "post"])


def test_first_command_is_ended_with_all_that_it_started(disk, freeze, tmp_path):
    late = tmp_path / "late"
    with pytest.raises(BusyError):
        freeze(disk, pre_freeze=f"sleep 1; touch {late}", timeout_seconds=0.2).__enter__()
    time.sleep(1)
    assert not late.exists()


def test_second_command_runs_in_time_when_we_are_stopped(disk, log, start):
    program = start(sys.executable, "-c", FREEZE_AND_WAIT, disk, log, "1")
    assert program.await_line() == b"frozen\n"
    program.process.send_signal(signal.SIGSTOP)
    await_said(log, ["pre", "post"])
    program.process.kill()
