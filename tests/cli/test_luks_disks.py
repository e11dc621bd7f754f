"""LUKS disks through the command line: where passphrases come from, and what is refused."""

import signal
import subprocess
import time
from pathlib import Path
from shutil import which

import pexpect
import pytest

from tests.cli.test_images import make_disk, result_of, snapshot_of
from tests.conftest import PROGRAM, Finished, Home, await_end
from tests.oracle import require_ec2_shape

pytestmark = pytest.mark.needs("qemu-img")
PASSPHRASE = "correct horse"


@pytest.fixture
def snapshot_id(amictl: Home) -> str:
    return snapshot_of(amictl, make_disk(amictl.folder / "disk.raw"))


@pytest.fixture
def passphrase_file(amictl: Home) -> Path:
    path = amictl.folder / "passphrase"
    path.write_text(f"{PASSPHRASE}\nanother line\n")
    path.chmod(0o600)
    return path


def luks(amictl: Home, snapshot_id: str, *words: str | Path) -> Finished:
    return amictl("create-volume", "--snapshot-id", snapshot_id, *words, "disk.luks")


def content(path: Path) -> bytes:
    """What is in a LUKS disk."""
    opened = f"driver=luks,key-secret=s,file.filename={path}"
    words = ["--object", f"secret,id=s,data={PASSPHRASE}", "--image-opts", opened]
    raw = path.with_suffix(".raw")
    subprocess.run(["qemu-img", "convert", *words, "-O", "raw", raw], check=True)
    return raw.read_bytes()


def test_a_luks_disk_is_made_with_the_passphrase_of_a_file(
    amictl: Home, snapshot_id: str, passphrase_file: Path
) -> None:
    words = ["--luks", "--luks-passphrase-file", passphrase_file]
    volume = result_of(luks(amictl, snapshot_id, *words))
    require_ec2_shape("CreateVolume", volume)
    assert content(amictl.folder / "disk.luks") == (amictl.folder / "disk.raw").read_bytes()


def at_a_terminal(amictl: Home, snapshot_id: str) -> pexpect.spawn:
    words = ["create-volume", "--snapshot-id", snapshot_id, "--luks", "disk.luks", "--dry-run"]
    return pexpect.spawn(
        str(PROGRAM),
        words,
        env=amictl.environment(),
        cwd=str(amictl.folder),
        encoding="utf-8",
        timeout=60,
    )


@pytest.mark.parametrize(("second", "status"), [(PASSPHRASE, 17), ("another", 2)])
def test_a_passphrase_is_typed_twice(
    amictl: Home, snapshot_id: str, second: str, status: int
) -> None:
    talk = at_a_terminal(amictl, snapshot_id)
    talk.expect_exact("New passphrase for the LUKS disk: ")
    talk.sendline(PASSPHRASE)
    talk.expect_exact("The same once more: ")
    talk.sendline(second)
    talk.expect(pexpect.EOF)
    talk.close()
    assert (talk.exitstatus, PASSPHRASE in talk.before) == (status, False)


def test_without_a_terminal_a_passphrase_is_not_waited_for(amictl: Home, snapshot_id: str) -> None:
    finished = luks(amictl, snapshot_id, "--luks")
    assert (finished.status, finished.out) == (12, "")
    assert "use --luks-passphrase-file, --luks-passphrase-command" in finished.err


def test_a_passphrase_file_that_others_can_read_is_refused(
    amictl: Home, snapshot_id: str, passphrase_file: Path
) -> None:
    passphrase_file.chmod(0o644)
    finished = luks(amictl, snapshot_id, "--luks", "--luks-passphrase-file", passphrase_file)
    assert (finished.status, finished.out) == (12, "")
    assert not (amictl.folder / "disk.luks").exists()


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--luks-passphrase-command", "echo x"], 2, "needs --luks"),
        (["--luks", "--in-place"], 2, "--luks and --in-place exclude each other"),
        (["--luks", "--luks-passphrase-command", "false"], 12, "ended with status 1"),
        (
            ["--luks", "--luks-passphrase-command", "echo x", "--luks-passphrase-fd", "0"],
            2,
            "from one place only",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(
    amictl: Home, snapshot_id: str, words: list[str], status: int, said: str
) -> None:
    finished = luks(amictl, snapshot_id, *words)
    assert (finished.status, finished.out) == (status, "")
    assert said in finished.err
    assert not (amictl.folder / "disk.luks").exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_that_is_killed_leaves_no_file_and_no_qemu(
    amictl: Home, snapshot_id: str, number: signal.Signals
) -> None:
    words = ["--luks", "--luks-passphrase-command", f"echo {PASSPHRASE}", "disk.luks"]
    with subprocess.Popen(
        [PROGRAM, "create-volume", "--snapshot-id", snapshot_id, *words],
        env=amictl.environment(),
        cwd=amictl.folder,
        stderr=subprocess.DEVNULL,
    ) as process:
        qemu = converter_of(process)
        arguments = Path(f"/proc/{qemu}/cmdline").read_text()
        process.send_signal(number)
    assert process.returncode in (-signal.SIGKILL, 128 + signal.SIGTERM)
    await_end(qemu)
    assert PASSPHRASE not in arguments
    assert "key-secret=" in arguments
    # .local has what was seen of the region.
    known = {"data", "config", ".local", "disk.raw"}
    assert {path.name for path in amictl.folder.iterdir()} <= known


def converter_of(process: "subprocess.Popen[bytes]") -> int:
    """The process that is qemu-img, once it is; it is busy for a second at least."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while process.poll() is None:
        for child in children.read_text().split():
            if Path(f"/proc/{child}/cmdline").read_text().startswith(str(which("qemu-img"))):
                return int(child)
        time.sleep(0.01)
    raise AssertionError("it ended without qemu-img")
