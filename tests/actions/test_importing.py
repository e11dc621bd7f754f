"""Disks in the formats of others become snapshots and images, byte for byte, or leave nothing."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from amictl.actions.importing import (
    ImportImageRequest,
    ImportSnapshotRequest,
    import_image,
    import_snapshot,
)
from amictl.errors import (
    ConflictError,
    CorruptStoreError,
    DryRunError,
    SourceInUseError,
    TaskCancelledError,
    UnsupportedError,
    UsageError,
)
from amictl.model.encryption import EncryptionRequest
from amictl.storage.object_files import DirectoryBucket
from amictl.store import catalog, tasks
from amictl.store.lineages import is_encrypted
from amictl.volumes.freezing import FreezeRequest
from amictl.volumes.imports import DiskContainer
from tests.oracle import require_ec2_shape
from tests.workshop import MIB, SEGMENT, Workshop, ignore

SIZE = 3 * SEGMENT + 5 * 512
FORMATS = {
    "qcow2": ("qcow2", ()),
    "qcow2 of version 2": ("qcow2", ("-o", "compat=0.10")),
    "qcow2 of small clusters": ("qcow2", ("-o", "cluster_size=512")),
    "qcow2 of large clusters": ("qcow2", ("-o", "cluster_size=2M,extended_l2=on")),
    "qcow2 compressed": ("qcow2", ("-c",)),
    "qcow2 compressed with zstd": ("qcow2", ("-c", "-o", "compression_type=zstd")),
    "qcow2 with its tables made before": ("qcow2", ("-o", "preallocation=metadata")),
    "vmdk": ("vmdk", ()),
    "vmdk for streams": ("vmdk", ("-o", "subformat=streamOptimized")),
    "vhd that grows": ("vpc", ("-o", "subformat=dynamic,force_size=on")),
    "vhd of fixed size": ("vpc", ("-o", "subformat=fixed,force_size=on")),
    "vhdx": ("vhdx", ()),
    "vdi": ("vdi", ()),
    "vdi of fixed size": ("vdi", ("-o", "static=on")),
}


def convert(source: Path, target: Path, driver: str, *options: str) -> Path:
    words = ["qemu-img", "convert", "-f", "raw", "-O", driver, *options, str(source), str(target)]
    subprocess.run(words, check=True, capture_output=True)
    return target


def raw_disk(workshop: Workshop, seed: int = 7, size: int = SIZE) -> Path:
    """Data at both ends and across a border of segments, zeros and holes between."""
    pieces = {
        0: workshop.noise(70_000, seed),
        SEGMENT - 3000: b"text " * 2000,
        2 * SEGMENT: bytes(MIB),
        size - 512: workshop.noise(512, seed + 1),
    }
    return workshop.file(f"raw-{seed}", pieces, size)


def imported(workshop: Workshop, container: DiskContainer, **words: Any) -> dict[str, Any]:
    with workshop.open() as store:
        request = ImportSnapshotRequest(container, **words)
        shape = import_snapshot(store, request, workshop.surroundings, ignore)
    require_ec2_shape("ImportSnapshot", shape)
    return shape


def snapshot_of(shape: Mapping[str, Any]) -> str:
    return str(shape["SnapshotTaskDetail"]["SnapshotId"])


def image_of(workshop: Workshop, *containers: DiskContainer, **words: Any) -> dict[str, Any]:
    with workshop.open() as store:
        request = ImportImageRequest(containers, **words)
        shape = import_image(store, request, workshop.surroundings, ignore)
    require_ec2_shape("ImportImage", shape)
    return shape


def left_behind(workshop: Workshop) -> list[str]:
    """What there is of snapshots, images, work and staging."""
    folders = ("snapshots", "images", "pending", "staging", "names")
    return [
        str(path)
        for name in folders
        if (workshop.root / name).exists()
        for path in (workshop.root / name).iterdir()
    ]


# --- content -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_disk_comes_out_of_its_format_byte_for_byte(workshop: Workshop, name: str) -> None:
    driver, options = FORMATS[name]
    raw = raw_disk(workshop)
    path = convert(raw, workshop.folder / "disk", driver, *options)
    shape = imported(workshop, DiskContainer(path))
    assert workshop.restored(snapshot_of(shape)) == raw.read_bytes()
    assert workshop.check(read_data=True)["Faults"] == []


def test_raw_disk_of_any_size_is_imported_as_it_is(workshop: Workshop) -> None:
    path = workshop.file("raw", workshop.noise(SEGMENT + 777))
    shape = imported(workshop, DiskContainer(path))
    assert shape["SnapshotTaskDetail"]["Format"] == "RAW"
    assert workshop.restored(snapshot_of(shape)) == path.read_bytes()


def test_what_the_user_calls_raw_is_taken_for_nothing_else(workshop: Workshop) -> None:
    path = convert(raw_disk(workshop), workshop.folder / "disk", "qcow2")
    shape = imported(workshop, DiskContainer(path, format="RAW"))
    assert workshop.restored(snapshot_of(shape)) == path.read_bytes()


def test_disk_without_any_data_is_imported(workshop: Workshop) -> None:
    path = workshop.folder / "disk"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "9M"], check=True)
    shape = imported(workshop, DiskContainer(path))
    assert workshop.restored(snapshot_of(shape)) == bytes(9 * MIB)


def test_terabyte_of_holes_costs_what_its_data_does(workshop: Workshop) -> None:
    path = workshop.folder / "disk"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "1T"], check=True)
    write = ["qemu-io", "-f", "qcow2", "-c", "write -P 7 500G 64k", path]
    subprocess.run(write, check=True, capture_output=True)
    core = workshop.core(snapshot_of(imported(workshop, DiskContainer(path))))
    assert (core.size_bytes, core.data_bytes) == (1 << 40, 65_536)


def test_vhd_has_the_size_in_its_footer(workshop: Workshop) -> None:
    raw = raw_disk(workshop)
    path = convert(raw, workshop.folder / "disk", "vpc")
    size = int.from_bytes(path.read_bytes()[48:56], "big")
    content = workshop.restored(snapshot_of(imported(workshop, DiskContainer(path))))
    assert content == raw.read_bytes().ljust(size, b"\0")


def test_second_import_stores_what_changed(workshop: Workshop) -> None:
    raw = raw_disk(workshop)
    path = convert(raw, workshop.folder / "disk", "qcow2")
    first = imported(workshop, DiskContainer(path))
    with raw.open("r+b") as file:
        file.seek(SEGMENT)
        file.write(b"changed" * 100)
    convert(raw, path, "qcow2")
    core = workshop.core(snapshot_of(imported(workshop, DiskContainer(path))))
    assert core.parent == snapshot_of(first)
    assert 0 < core.new_bytes < 20_000
    assert workshop.restored(core.snapshot_id) == raw.read_bytes()


# --- objects -----------------------------------------------------------------------------------


def container(workshop: Workshop, key: str, **words: Any) -> DiskContainer:
    bucket = DirectoryBucket(workshop.folder)
    return DiskContainer(source=bucket.open(key), url=f"s3://bucket/{key}", **words)


@pytest.mark.parametrize("driver", ["qcow2", "raw", "vpc"])
def test_object_is_imported_like_a_file(workshop: Workshop, driver: str) -> None:
    raw = raw_disk(workshop)
    convert(raw, workshop.folder / "disk", driver)
    shape = imported(workshop, container(workshop, "disk"))
    content = workshop.restored(snapshot_of(shape))
    assert content[:SIZE] == raw.read_bytes()
    core = workshop.core(snapshot_of(shape))
    assert (core.source.path, core.freeze.method) == ("s3://bucket/disk", "object")


def test_object_is_no_volume_of_the_region(workshop: Workshop) -> None:
    convert(raw_disk(workshop), workshop.folder / "disk", "qcow2")
    shape = imported(workshop, container(workshop, "disk"))
    with workshop.open() as store:
        core = catalog.read_snapshot(store, snapshot_of(shape))
        assert catalog.read_volume(store, core.volume_id) is None
    assert workshop.check()["Faults"] == []


# --- images ------------------------------------------------------------------------------------


def test_image_has_all_disks_and_the_name_of_its_task(workshop: Workshop) -> None:
    raw = raw_disk(workshop)
    root = convert(raw, workshop.folder / "root", "vmdk")
    data = convert(raw, workshop.folder / "data", "qcow2")
    known = workshop.snapshot_id(raw)
    shape = image_of(
        workshop,
        DiskContainer(root),
        DiskContainer(snapshot_id=known, device_name="/dev/sdf"),
        DiskContainer(data, device_name="xvdc"),
        image_tags={"stage": "test"},
        tags={"by": "me"},
    )
    with workshop.open() as store:
        core = catalog.read_image_core(store, shape["ImageId"])
        attributes = catalog.read_attributes(store, shape["ImageId"])
    details = [one["SnapshotId"] for one in shape["SnapshotDetails"]]
    assert core.name == shape["ImportTaskId"]
    assert [(one.device_name, one.snapshot_id) for one in core.mappings] == [
        ("/dev/sda1", details[0]),
        ("/dev/sdf", known),
        ("xvdc", details[1]),
    ]
    assert [(tag.key, tag.value) for tag in attributes.tags] == [("stage", "test")]
    assert shape["Tags"] == [{"Key": "by", "Value": "me"}]
    assert [workshop.restored(one) for one in details] == [raw.read_bytes()] * 2


def test_root_disk_says_what_the_image_is(workshop: Workshop) -> None:
    sector = bytearray(512)
    sector[0] = 0xEB
    sector[446:462] = bytes.fromhex("80000000830000000008000000f80f00")
    sector[510:] = b"\x55\xaa"
    raw = workshop.file("raw", bytes(sector), 16 * MIB)
    path = convert(raw, workshop.folder / "disk", "vdi")
    with workshop.open() as store:
        shape = import_image(
            store, ImportImageRequest((DiskContainer(path),)), workshop.surroundings, ignore
        )
        core = catalog.read_image_core(store, shape["ImageId"])
    assert (core.architecture, core.boot_mode, core.platform) == ("x86_64", "legacy-bios", None)


def test_what_is_said_of_an_image_counts_more(workshop: Workshop) -> None:
    path = convert(raw_disk(workshop), workshop.folder / "disk", "qcow2")
    words = {"architecture": "arm64", "boot_mode": "uefi", "platform": "windows"}
    shape = image_of(workshop, DiskContainer(path), **words)
    with workshop.open() as store:
        core = catalog.read_image_core(store, shape["ImageId"])
    assert (core.architecture, core.boot_mode, core.platform) == ("arm64", "uefi", "windows")


def test_image_without_disks_is_refused(workshop: Workshop) -> None:
    with pytest.raises(UsageError, match="no disk was named"):
        image_of(workshop)


def test_boot_mode_that_ec2_does_not_import_is_refused(workshop: Workshop) -> None:
    with pytest.raises(UnsupportedError, match="uefi-preferred"):
        image_of(workshop, DiskContainer(raw_disk(workshop)), boot_mode="uefi-preferred")


def test_snapshot_is_not_imported_as_a_snapshot(workshop: Workshop) -> None:
    with pytest.raises(UsageError, match="is a snapshot already"):
        imported(workshop, DiskContainer(snapshot_id="snap-0123456789abcdef0"))


# --- encryption --------------------------------------------------------------------------------


def test_import_is_encrypted_with_the_key_that_is_asked_for(workshop: Workshop) -> None:
    key = workshop.keys.new()
    raw = raw_disk(workshop)
    path = convert(raw, workshop.folder / "disk", "qcow2")
    shape = imported(workshop, DiskContainer(path), encryption=EncryptionRequest(True, key))
    assert shape["SnapshotTaskDetail"]["KmsKeyId"] == key
    assert is_encrypted(workshop.core(snapshot_of(shape)))
    assert workshop.restored(snapshot_of(shape)) == raw.read_bytes()


def test_what_was_imported_encrypted_stays_so(workshop: Workshop) -> None:
    key = workshop.keys.new()
    path = convert(raw_disk(workshop), workshop.folder / "disk", "qcow2")
    imported(workshop, DiskContainer(path), encryption=EncryptionRequest(True, key))
    again = imported(workshop, DiskContainer(path))
    assert again["SnapshotTaskDetail"]["KmsKeyId"] == key


def test_another_key_for_the_same_file_is_refused(workshop: Workshop) -> None:
    key, other = workshop.keys.new(), workshop.keys.new()
    path = convert(raw_disk(workshop), workshop.folder / "disk", "qcow2")
    imported(workshop, DiskContainer(path), encryption=EncryptionRequest(True, key))
    with pytest.raises(ConflictError, match=f"encrypted with {key}"):
        imported(workshop, DiskContainer(path), encryption=EncryptionRequest(True, other))


def test_region_that_encrypts_by_default_encrypts_imports(workshop: Workshop) -> None:
    key = workshop.keys.new()
    workshop.encrypt_by_default(key)
    path = convert(raw_disk(workshop), workshop.folder / "disk", "qcow2")
    shape = image_of(workshop, DiskContainer(path), description="of a secret")
    assert (shape["Encrypted"], shape["KmsKeyId"]) == (True, key)
    assert "of a secret" not in next((workshop.root / "tasks").glob("*.json")).read_text()


# --- refusals ----------------------------------------------------------------------------------


def test_refused_disk_leaves_nothing(workshop: Workshop) -> None:
    path = workshop.folder / "disk"
    base = raw_disk(workshop)
    words = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(base), "-F", "raw", str(path)]
    subprocess.run(words, check=True)
    with pytest.raises(UnsupportedError, match="needs another file"):
        imported(workshop, DiskContainer(path))
    assert left_behind(workshop) == []
    assert list((workshop.root / "tasks").iterdir()) == []


def test_damage_that_is_found_late_leaves_a_task_that_says_so(workshop: Workshop) -> None:
    whole = convert(raw_disk(workshop), workshop.folder / "whole", "qcow2").read_bytes()
    path = workshop.file("disk", whole[:-65_536])
    with pytest.raises(CorruptStoreError, match="truncated") as raised:
        imported(workshop, DiskContainer(path))
    assert raised.value.code == "InvalidFormat"
    assert left_behind(workshop) == []
    with workshop.open() as store:
        (task,) = tasks.all_seen(store, "import-snapshot")
    assert (task.state, task.message) == ("failed", raised.value.message)


@pytest.mark.parametrize("wanted", ["VMDK", "VHDX"])
def test_file_in_another_format_than_is_said_is_refused(workshop: Workshop, wanted: str) -> None:
    path = convert(raw_disk(workshop), workshop.folder / "disk", "qcow2")
    with pytest.raises(UsageError, match=f"is a QCOW2 image, not {wanted}") as raised:
        imported(workshop, DiskContainer(path, format=wanted))
    assert raised.value.code == "InvalidFormat"


def test_raw_file_in_no_format_is_not_taken_for_one(workshop: Workshop) -> None:
    with pytest.raises(UsageError, match="does not begin as one, not VDI"):
        imported(workshop, DiskContainer(raw_disk(workshop), format="VDI"))


def test_file_that_is_written_to_is_refused(workshop: Workshop) -> None:
    path = convert(raw_disk(workshop), workshop.folder / "disk", "qcow2")
    with path.open("r+b"), pytest.raises(SourceInUseError):
        imported(workshop, DiskContainer(path))


def test_file_is_copied_first_where_that_is_asked_for(
    workshop: Workshop,
) -> None:
    raw = raw_disk(workshop)
    shape = imported(workshop, DiskContainer(raw), freeze=FreezeRequest(method="copy"))
    core = workshop.core(snapshot_of(shape))
    assert core.freeze.method == "copy"
    assert workshop.restored(core.snapshot_id) == raw.read_bytes()


def test_dry_run_looks_at_the_disk_and_does_nothing(workshop: Workshop) -> None:
    path = convert(raw_disk(workshop), workshop.folder / "disk", "qcow2")
    with pytest.raises(DryRunError):
        imported(workshop, DiskContainer(path), dry_run=True)
    with pytest.raises(DryRunError):
        image_of(workshop, DiskContainer(path), dry_run=True)
    path.write_bytes(b"QFI\xfb\0\0\0\3" + bytes(1000))
    with pytest.raises(CorruptStoreError):
        imported(workshop, DiskContainer(path), dry_run=True)
    assert left_behind(workshop) == []


def test_without_qemu_img_only_raw_is_imported(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = raw_disk(workshop)
    path = convert(raw, workshop.folder / "disk", "qcow2")
    monkeypatch.setenv("PATH", str(workshop.folder / "empty"))
    with pytest.raises(UnsupportedError, match="not installed") as raised:
        imported(workshop, DiskContainer(path))
    assert "apt install qemu-utils" in str(raised.value.hint)
    assert imported(workshop, DiskContainer(raw))


def test_cancelled_import_ends_and_leaves_nothing(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "_SAVE_SECONDS", 0.0)
    path = convert(raw_disk(workshop), workshop.folder / "disk", "qcow2")
    with workshop.open() as store:

        def cancel(shape: Mapping[str, Any]) -> None:
            tasks.cancel(store, shape["ImportTaskId"], "the wrong one", workshop.surroundings)

        request = ImportImageRequest((DiskContainer(path),))
        with pytest.raises(TaskCancelledError, match="the wrong one"):
            import_image(store, request, workshop.surroundings, cancel)
        (task,) = tasks.all_seen(store, "import-image")
    assert task.state == "cancelled"
    assert [one for one in left_behind(workshop) if "/names/" not in one] == []
    assert "qemu-img" not in _children()


def _children() -> list[str]:
    """Names of the processes that are ours and still run."""
    own = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [Path(f"/proc/{child}/comm").read_text().strip() for child in own]


def test_reader_that_fails_names_the_object(workshop: Workshop) -> None:
    path = convert(raw_disk(workshop), workshop.folder / "disk", "qcow2")
    one = container(workshop, "disk")
    assert one.source is not None
    os.truncate(path, path.stat().st_size - 65_536)
    with pytest.raises(CorruptStoreError, match="disk"):
        imported(workshop, replace(one))
