"""Snapshots restored to LUKS disks: whole or not at all, and never in plain."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

from amictl.actions.restoring import CreateVolumeRequest, create_volume
from amictl.errors import (
    ConflictError,
    CorruptStoreError,
    DryRunError,
    KeyUnavailableError,
    StorageError,
    UnsupportedError,
    UsageError,
)
from amictl.model.keys import LABEL
from tests.workshop import MIB, SEGMENT, Workshop, flip

pytestmark = pytest.mark.needs("qemu-img")
PASSPHRASE = "correct horse"
SNAPSHOT_SIZE = 2 * SEGMENT + 1000


class Made:
    """An encrypted snapshot, and the answer when it was restored to `disk.luks`."""

    def __init__(self, folder: Path) -> None:
        self.workshop = Workshop(folder)
        self.key = self.workshop.keys.new()
        self.workshop.encrypt_by_default(self.key)
        noise = self.workshop.noise(MIB)
        source = self.workshop.file("disk", {0: noise, SEGMENT + MIB: noise}, SNAPSHOT_SIZE)
        self.content = source.read_bytes()
        self.snapshot_id = self.workshop.snapshot_id(source)
        self.path = folder / "disk.luks"


def luks(made: Made, target: Path, passphrase: str = PASSPHRASE, **words: object) -> dict:
    request = CreateVolumeRequest(
        made.snapshot_id, None, None, target, luks_passphrase=lambda: passphrase, **words
    )
    with made.workshop.open() as store:
        return create_volume(store, request, made.workshop.surroundings)


@pytest.fixture
def fresh(tmp_path: Path) -> Made:
    """Not restored yet."""
    return Made(tmp_path)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Made, dict]:
    """Restored, in place of a file that others could read: its header takes seconds."""
    one = Made(tmp_path_factory.mktemp("luks"))
    one.path.write_bytes(b"before")
    one.path.chmod(0o644)
    return one, luks(one, one.path, size_gib=None, force=True)


def test_it_holds_the_snapshot_and_zeros_up_to_a_whole_sector(made: tuple[Made, dict]) -> None:
    one, _ = made
    raw = one.path.with_name("raw")
    secret = f"secret,id=s,data={PASSPHRASE}"
    opened = f"driver=luks,key-secret=s,file.filename={one.path}"
    words = ["--object", secret, "--image-opts", opened, "-O", "raw", raw]
    subprocess.run(["qemu-img", "convert", *words], check=True)
    assert raw.read_bytes() == one.content.ljust(2 * SEGMENT + 1024, b"\0")


def test_it_is_private_and_shows_nothing_of_its_content(made: tuple[Made, dict]) -> None:
    one, _ = made
    assert stat.S_IMODE(one.path.stat().st_mode) == 0o600
    file = one.path.read_bytes()
    assert file.startswith(b"LUKS\xba\xbe")
    assert not any(one.content[at : at + 16] in file for at in range(0, MIB, 4096))


def test_its_sizes_are_told(made: tuple[Made, dict]) -> None:
    one, shape = made
    file_size = one.path.stat().st_size
    told = shape["Amictl"]
    assert (told["SizeBytes"], told["WrittenBytes"]) == (file_size, file_size)
    assert told["LuksContentBytes"] == 2 * SEGMENT + 1024


def test_it_is_a_volume_of_the_key_and_what_is_taken_from_it_is_encrypted(
    made: tuple[Made, dict],
) -> None:
    one, shape = made
    assert (shape["Encrypted"], shape["KmsKeyId"]) == (True, one.key)
    assert os.getxattr(one.path, LABEL).decode() == one.key
    one.workshop.plain_by_default()
    taken = one.workshop.snapshot(one.path)
    assert (taken["KmsKeyId"], taken["VolumeId"]) == (one.key, shape["VolumeId"])
    assert one.workshop.core(taken["SnapshotId"]).parent is None
    assert one.workshop.restored(taken["SnapshotId"]) == one.path.read_bytes()


def test_damage_ends_it_and_leaves_nothing(fresh: Made) -> None:
    flip(fresh.workshop.packs(0)[0], 5000)
    before = set(fresh.path.parent.iterdir())
    with pytest.raises(CorruptStoreError, match=f"{fresh.snapshot_id} is damaged at bytes"):
        luks(fresh, fresh.path)
    assert set(fresh.path.parent.iterdir()) == before


def test_without_the_key_nothing_is_asked_or_written(fresh: Made) -> None:
    fresh.workshop.keys.mislay()
    with pytest.raises(KeyUnavailableError):
        luks(fresh, fresh.path, passphrase="\0")
    assert not fresh.path.exists()


def test_a_file_that_exists_is_left_alone(fresh: Made) -> None:
    fresh.path.write_bytes(b"precious")
    with pytest.raises(ConflictError):
        luks(fresh, fresh.path)
    assert fresh.path.read_bytes() == b"precious"


def test_it_is_not_written_in_place(fresh: Made) -> None:
    with pytest.raises(UsageError, match="--in-place"):
        luks(fresh, fresh.path, in_place=True)


def test_a_dry_run_checks_the_passphrase_and_writes_nothing(fresh: Made) -> None:
    with pytest.raises(UsageError, match="zero byte"):
        luks(fresh, fresh.path, passphrase="", dry_run=True)
    with pytest.raises(DryRunError):
        luks(fresh, fresh.path, dry_run=True)
    assert not fresh.path.exists()


def test_without_qemu_nothing_is_begun(fresh: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UnsupportedError, match="qemu-img"):
        luks(fresh, fresh.path)
    assert not fresh.path.exists()


@pytest.mark.needs("root", "losetup")
def test_a_block_device_is_refused_with_the_way_to_do_it(fresh: Made) -> None:
    image = fresh.workshop.file("device.raw", b"", 16 * MIB)
    words = ["losetup", "--find", "--show", str(image)]
    device = subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
    try:
        with pytest.raises(UnsupportedError) as caught:
            luks(fresh, Path(device), force=True)
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)
    assert "cryptsetup luksFormat" in str(caught.value.hint)


@pytest.mark.needs("root")
def test_a_full_file_system_is_told_and_nothing_is_left(fresh: Made) -> None:
    folder = fresh.path.parent / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder], check=True)
    try:
        with pytest.raises(StorageError, match="No space left on device") as caught:
            luks(fresh, folder / "disk.luks")
        assert "free some space" in str(caught.value.hint)
        assert list(folder.iterdir()) == []
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
