"""The tools that are compared, each driven through its command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import measure
from measure import Command, Sample

HINTED = "unchanged"
ALL_READ = "unchanged, all read"
BESIDE_NEWER = "unchanged, borg with a newer file beside"


class Tool(Protocol):
    """A store of disk images that takes snapshots of one disk and restores them.

    `place` makes an image the present content of that disk, `prepare` makes an empty store; both
    stay outside of the measured time. `unchanged` says how an unchanged image is taken again: the
    name of each way and its arguments. `restore` returns the file that it wrote into an empty
    folder.
    """

    name: str
    folder: Path
    unchanged: dict[str, tuple[str, ...]]

    def version(self) -> str: ...
    def prepare(self) -> None: ...
    def place(self, image: Path) -> None: ...
    def snapshot(self, label: str, *options: str) -> Sample: ...
    def restore(self, label: str, folder: Path) -> tuple[Sample, Path]: ...


def link_disk(image: Path, disk: Path) -> None:
    """Give an image the constant path under which a peer knows the disk."""
    disk.parent.mkdir(parents=True, exist_ok=True)
    disk.unlink(missing_ok=True)
    try:
        os.link(image, disk)
    except OSError as error:
        sys.exit(f"the series and the work folder must be on one file system: {error}")


class Amictl:
    """amictl reads the image where it is; the volume id of the first says that all are one disk."""

    def __init__(self, command: str, folder: Path) -> None:
        self.name = "amictl"
        self.unchanged = {HINTED: (), ALL_READ: ("--full-read",)}
        self.command = command
        self.folder = folder
        self.store = folder / "store"
        self.environment = measure.clean_environment(folder / "home")
        self.snapshot_ids: dict[str, str] = {}
        self.volume: tuple[str, ...] = ()
        self.image = Path()

    def version(self) -> str:
        return measure.output_of([self.command, "--version"], self.environment)

    def prepare(self) -> None:
        self.version()  # compiles the modules once
        self.snapshot_ids.clear()
        self.volume = ()

    def place(self, image: Path) -> None:
        self.image = image

    def snapshot(self, label: str, *options: str) -> Sample:
        command: Command = [self.command, "create-snapshot", "--store", self.store]
        sample, output = measure.timed(
            [*command, *self.volume, *options, self.image], self.environment
        )
        snapshot = json.loads(output)
        self.snapshot_ids[label] = snapshot["SnapshotId"]
        self.volume = ("--volume-id", snapshot["VolumeId"])
        return sample

    def restore(self, label: str, folder: Path) -> tuple[Sample, Path]:
        target = folder / "disk.raw"
        command: Command = [self.command, "create-volume", "--store", self.store, "--quiet"]
        command += ["--snapshot-id", self.snapshot_ids[label], target]
        return measure.timed(command, self.environment)[0], target


class Borg:
    """borg with EBS's block size as fixed chunks, zstd 3, no encryption.

    borg never trusts the newest file of an archive to be unchanged, so it reads a disk that is
    archived alone. With a small file that is newer beside it, as borg's FAQ advises, it does not.
    Both are measured.
    """

    def __init__(self, command: str, folder: Path) -> None:
        self.name = "borg"
        self.unchanged = {
            HINTED: (),
            ALL_READ: ("--files-cache", "disabled"),
            BESIDE_NEWER: ("newer",),
        }
        self.command = command
        self.folder = folder
        self.store = folder / "store"
        self.disk = folder / "source" / "disk.raw"
        self.newer = self.disk.parent / "newer"
        self.environment = measure.clean_environment(folder / "home") | {
            "BORG_BASE_DIR": str(folder / "home"),
            "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
        }

    def version(self) -> str:
        return measure.output_of([self.command, "--version"], self.environment)

    def prepare(self) -> None:
        command: Command = [self.command, "init", "--encryption", "none", self.store]
        measure.output_of(command, self.environment)

    def place(self, image: Path) -> None:
        link_disk(image, self.disk)
        time.sleep(0.05)  # a later tick of the clock that file times are taken from
        self.newer.write_text("newer than the disk\n")

    def snapshot(self, label: str, *options: str) -> Sample:
        command: Command = [self.command, "create", "--chunker-params", "fixed,524288"]
        command += ["--compression", "zstd,3", "--sparse"]
        command += [f"{self.store}::{label}", self.disk.name, *options]
        return measure.timed(command, self.environment, self.disk.parent)[0]

    def restore(self, label: str, folder: Path) -> tuple[Sample, Path]:
        command: Command = [
            self.command,
            "extract",
            "--sparse",
            f"{self.store}::{label}",
            self.disk.name,
        ]
        return measure.timed(command, self.environment, folder)[0], folder / self.disk.name


class Restic:
    """restic with repository version 2 and its default compression (auto)."""

    def __init__(self, command: str, folder: Path) -> None:
        self.name = "restic"
        self.unchanged = {HINTED: (), ALL_READ: ("--force",)}
        self.command = command
        self.folder = folder
        self.store = folder / "store"
        self.disk = folder / "source" / "disk.raw"
        self.environment = measure.clean_environment(folder / "home") | {
            "RESTIC_REPOSITORY": str(self.store),
            "RESTIC_PASSWORD": "benchmark",
            "RESTIC_CACHE_DIR": str(folder / "home" / "cache"),
        }

    def version(self) -> str:
        return measure.output_of([self.command, "version"], self.environment)

    def prepare(self) -> None:
        command: Command = [self.command, "init", "--quiet", "--repository-version", "2"]
        measure.output_of(command, self.environment)

    def place(self, image: Path) -> None:
        link_disk(image, self.disk)

    def snapshot(self, label: str, *options: str) -> Sample:
        command: Command = [self.command, "backup", "--quiet", "--host", "bench", "--tag", label]
        return measure.timed([*command, *options, self.disk], self.environment)[0]

    def restore(self, label: str, folder: Path) -> tuple[Sample, Path]:
        listing: Command = [self.command, "snapshots", "--json", "--tag", label]
        snapshot_id = json.loads(measure.output_of(listing, self.environment))[0]["id"]
        command: Command = [self.command, "restore", "--quiet", *self.sparse(), "--target", folder]
        sample, _ = measure.timed([*command, snapshot_id], self.environment)
        return sample, folder / self.disk.relative_to("/")

    def sparse(self) -> list[str]:
        """`--sparse` where this restic knows it (0.15 and later)."""
        text = measure.output_of([self.command, "restore", "--help"], self.environment)
        return ["--sparse"] if "--sparse" in text else []


def made_borg(folder: Path) -> str:
    """A borg 1.4 from PyPI in a virtual environment that is made once and kept.

    Building it needs a C compiler, pkg-config and the headers of acl, lz4, zstd, xxhash and ssl.
    """
    command = folder / "bin" / "borg"
    if not command.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        install = [str(folder / "bin" / "pip"), "install", "--quiet", "--no-binary", "borgbackup"]
        subprocess.run([*install, "borgbackup==1.4.*"], check=True)
    return str(command)


def found(command: str) -> str:
    """The path of a command; ends the script when there is none."""
    path = shutil.which(command)
    if path is None:
        sys.exit(f"{command} was not found: name its path")
    return str(Path(path).absolute())


def make_tool(name: str, command: str, work: Path) -> Tool:
    """The tool of this name with its store, caches and link under WORK/NAME."""
    kinds: dict[str, Callable[[str, Path], Tool]] = {
        "amictl": Amictl,
        "borg": Borg,
        "restic": Restic,
    }
    return kinds[name](command, work / name)
