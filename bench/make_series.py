#!/usr/bin/env python3
"""Make the series of disk images that the benchmark reads: nine versions of one 4 GiB disk.

Run it as root, with Debian's mmdebstrap, e2fsprogs, fdisk and sqlite3's Python module: it builds
real file systems by mounting them through loop devices. Images that exist are kept, so a run that
was interrupted goes on where it stopped; an image has its name only when it is complete and at
rest. Identifiers, hash seeds, orders and rows come from fixed seeds; what stays different from one
day to the next is what Debian's archive serves and the times that installing writes.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

SECTOR_BYTES = 512
MEBIBYTE = 1 << 20
DISK_BYTES = 4096 * MEBIBYTE
PARTITION_BYTES = 4094 * MEBIBYTE
ALIGNED_START = MEBIBYTE
LBA_63_START = 63 * SECTOR_BYTES

SUITE = "bookworm"
EPOCH = "1735689600"  # 2025-01-01: the time of what mmdebstrap writes
ADDED_PACKAGES = ["python3", "git", "vim", "build-essential", "sqlite3", "rsync", "curl"]
REMOVED_PACKAGES = ["vim", "vim-runtime", "build-essential", "g++", "g++-12", "cpp"]
DATABASE = "srv/app/rows.db"
ROW_BYTES = 480
ROW_COUNT = 470_000  # 8 rows in a page of 4 KiB: 240 MB
UPDATE_COUNT = 1_500

CHROOT_SCRIPT = """
set -e
root=$1; shift
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
exec chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
    DEBIAN_FRONTEND=noninteractive "$@"
"""


def run(*command: str | Path, **options: object) -> None:
    """Run a command; raises CalledProcessError when it fails."""
    subprocess.run([str(word) for word in command], check=True, **options)  # type: ignore[call-overload]  # keywords are passed on


# --- disks, file systems, mounts ---------------------------------------------------------------


def new_disk(image: Path, *, label: str, start: int) -> None:
    """A sparse disk with one partition of PARTITION_BYTES at byte `start`."""
    with image.open("wb") as file:
        file.truncate(DISK_BYTES)
    script = f"label: {label}\nlabel-id: {fixed_uuid(0) if label == 'gpt' else '0x41434d49'}\n"
    kind = "0FC63DAF-8483-4772-8E79-3D69D8477DE4" if label == "gpt" else "83"
    script += f"start={start // SECTOR_BYTES}, size={PARTITION_BYTES // SECTOR_BYTES}, type={kind}"
    script += f", uuid={fixed_uuid(1)}\n" if label == "gpt" else ", bootable\n"
    run("sfdisk", "--quiet", "--no-reread", image, input=script.encode())


def fixed_uuid(seed: int) -> str:
    """The same identifier on every run."""
    return str(uuid.UUID(bytes=random.Random(f"uuid {seed}").randbytes(16), version=4))


@contextlib.contextmanager
def loop_device(image: Path, start: int, *options: str) -> Iterator[str]:
    """The partition at byte `start` as a block device; detached again whatever happens."""
    command = ["losetup", "--find", "--show", *options]
    command += ["--offset", str(start), "--sizelimit", str(PARTITION_BYTES), str(image)]
    device = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    try:
        yield device
    finally:
        run("losetup", "--detach", device)


@contextlib.contextmanager
def mounted(image: Path, *, read_only: bool = False) -> Iterator[Path]:
    """The root of the file system in `image` (partition at 1 MiB); unmounted whatever happens."""
    point = Path(tempfile.mkdtemp(prefix="series-"))
    try:
        with loop_device(image, ALIGNED_START, *(["--read-only"] if read_only else [])) as device:
            run("mount", "-o", "ro,noload" if read_only else "rw", device, point)
            try:
                yield point
            finally:
                run("umount", point)
    finally:
        point.rmdir()  # never a recursive removal: it may still be mounted


def new_file_system(image: Path, *, block_bytes: int, seed: int) -> None:
    """A disk with an empty ext4; every table is written now, not by the kernel later."""
    new_disk(image, label="gpt", start=ALIGNED_START)
    extended = f"hash_seed={fixed_uuid(seed + 1)},lazy_itable_init=0,lazy_journal_init=0"
    with loop_device(image, ALIGNED_START) as device:
        command = ["mke2fs", "-q", "-t", "ext4", "-b", str(block_bytes), "-U", fixed_uuid(seed)]
        run(*command, "-E", extended, device)


def copy_disk(source: Path, target: Path) -> None:
    """A sparse copy."""
    run("cp", "--sparse=auto", source, target)


def copy_tree(source: Path, target: Path, *, seed: int) -> None:
    """Copy a root file system, folders first, then everything else in an order drawn by `seed`."""
    folders: list[str] = []
    others: list[str] = []
    for folder, names, files in os.walk(source):
        relative = Path(folder).relative_to(source)
        folders.append(str(relative))
        links = [name for name in names if Path(folder, name).is_symlink()]
        others += [str(relative / name) for name in files + links]
    folders.sort()
    others.sort()
    random.Random(seed).shuffle(others)
    options = ["--xattrs", "--xattrs-include=*", "--acls", "--numeric-owner"]
    with tempfile.NamedTemporaryFile() as names_file:
        names_file.write(b"\0".join(os.fsencode(name) for name in folders + others) + b"\0")
        names_file.flush()
        pack = ["tar", "-C", str(source), *options, "--no-recursion", "--null"]
        pack += ["--verbatim-files-from", "-T", names_file.name, "-cf", "-"]
        with subprocess.Popen(pack, stdout=subprocess.PIPE) as writer:
            unpack = ["tar", "-C", str(target), *options, "--delay-directory-restore", "-xpf", "-"]
            run(*unpack, stdin=writer.stdout)
        if writer.returncode:
            raise subprocess.CalledProcessError(writer.returncode, pack)


def in_chroot(root: Path, *command: str) -> None:
    """Run a command in the root file system; its mounts are of its own and end with it."""
    unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
    run(*unshare, "sh", "-c", CHROOT_SCRIPT, "sh", root, *command, stdout=sys.stderr)


@contextlib.contextmanager
def installing(root: Path) -> Iterator[None]:
    """Let apt-get work in `root`: names resolve, and no service is started."""
    resolver, policy = root / "etc/resolv.conf", root / "usr/sbin/policy-rc.d"
    before = resolver.read_bytes() if resolver.is_file() and not resolver.is_symlink() else None
    resolver.unlink(missing_ok=True)
    shutil.copyfile("/etc/resolv.conf", resolver)
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink()
        resolver.unlink()
        if before is not None:
            resolver.write_bytes(before)


# --- the images --------------------------------------------------------------------------------


def make_base(target: Path, _earlier: Path) -> None:
    """A Debian root file system."""
    new_file_system(target, block_bytes=4096, seed=10)
    environment = os.environ | {"SOURCE_DATE_EPOCH": EPOCH, "TAR_OPTIONS": ""}
    with mounted(target) as root:
        build = ["mmdebstrap", "--quiet", "--variant=important", "--mode=root", "--format=tar"]
        build += [SUITE, "-"]
        with subprocess.Popen(build, stdout=subprocess.PIPE, env=environment) as writer:
            unpack = ["tar", "-C", str(root), "--numeric-owner", "--xattrs-include=*", "-xpf", "-"]
            run(*unpack, stdin=writer.stdout)
        if writer.returncode:
            raise subprocess.CalledProcessError(writer.returncode, build)


def make_packages(target: Path, earlier: Path) -> None:
    """Packages installed into the running disk, with what apt leaves behind."""
    copy_disk(earlier, target)
    with mounted(target) as root, installing(root):
        in_chroot(root, "apt-get", "-q", "update")
        install = ["apt-get", "-q", "-y", "-o", "APT::Keep-Downloaded-Packages=true", "install"]
        in_chroot(root, *install, "--no-install-recommends", *ADDED_PACKAGES)


def payload(generator: random.Random, number: int) -> bytes:
    """A row's content: half random, half text as programs write it."""
    text = f"customer {number:09d}; state active; balance {generator.randrange(10**6):08d}; "
    half = ROW_BYTES // 2
    return generator.randbytes(half) + (text * 4).encode()[:half]


def make_table(target: Path, earlier: Path) -> None:
    """A database with one table of fixed-size rows."""
    copy_disk(earlier, target)
    generator = random.Random("table")
    with mounted(target) as root:
        path = root / DATABASE
        path.parent.mkdir(parents=True)
        with contextlib.closing(sqlite3.connect(path)) as database, database:
            database.execute("CREATE TABLE rows (number INTEGER PRIMARY KEY, payload BLOB)")
            rows = ((number, payload(generator, number)) for number in range(ROW_COUNT))
            database.executemany("INSERT INTO rows VALUES (?, ?)", rows)


def make_updates(target: Path, earlier: Path) -> None:
    """Single rows rewritten in place, each in a page drawn at random."""
    copy_disk(earlier, target)
    generator = random.Random("updates")
    numbers = generator.sample(range(ROW_COUNT), UPDATE_COUNT)
    rows = [(payload(generator, number), number) for number in numbers]
    with (
        mounted(target) as root,
        contextlib.closing(sqlite3.connect(root / DATABASE)) as database,
        database,
    ):
        database.executemany("UPDATE rows SET payload = ? WHERE number = ?", rows)


def make_cleanup(target: Path, earlier: Path) -> None:
    """Packages, caches, logs and documents removed; what is free becomes holes (fstrim)."""
    copy_disk(earlier, target)
    with mounted(target) as root:
        with installing(root):
            in_chroot(root, "apt-get", "-q", "-y", "purge", *REMOVED_PACKAGES)
            in_chroot(root, "apt-get", "-q", "-y", "autoremove", "--purge")
            in_chroot(root, "apt-get", "-q", "clean")
        for folder in ("var/lib/apt/lists", "usr/share/doc", "usr/share/man"):
            shutil.rmtree(root / folder)
            (root / folder).mkdir()
        run("sync", "--file-system", root)
        run("fstrim", root)


def make_rebuild(target: Path, earlier: Path) -> None:
    """The files of the base disk on an independent file system, in another order."""
    new_file_system(target, block_bytes=4096, seed=20)
    with mounted(earlier, read_only=True) as source, mounted(target) as root:
        copy_tree(source, root, seed=1)


def make_small_blocks(target: Path, earlier: Path) -> None:
    """The files of the base disk on a file system with blocks of 1 KiB."""
    new_file_system(target, block_bytes=1024, seed=30)
    with mounted(earlier, read_only=True) as source, mounted(target) as root:
        copy_tree(source, root, seed=2)


def make_small_blocks_rebuild(target: Path, earlier: Path) -> None:
    """The same again, independently."""
    new_file_system(target, block_bytes=1024, seed=40)
    with mounted(earlier, read_only=True) as source, mounted(target) as root:
        copy_tree(source, root, seed=3)


def make_lba_63(target: Path, earlier: Path) -> None:
    """The base disk's partition, byte for byte, at the sector where old partition tables put it."""
    new_disk(target, label="dos", start=LBA_63_START)
    with earlier.open("rb") as source, target.open("r+b") as image:
        for offset in range(0, PARTITION_BYTES, MEBIBYTE):
            source.seek(ALIGNED_START + offset)
            data = source.read(MEBIBYTE)
            if data.count(0) != len(data):
                image.seek(LBA_63_START + offset)
                image.write(data)


@dataclass(frozen=True)
class Recipe:
    """How an image is made: `make(target, earlier)` with the path of the image `after`."""

    name: str
    make: Callable[[Path, Path], None]
    after: str = ""


SERIES = (
    Recipe("a-base", make_base),
    Recipe("b-packages", make_packages, "a-base"),
    Recipe("c-table", make_table, "b-packages"),
    Recipe("d-updates", make_updates, "c-table"),
    Recipe("e-cleanup", make_cleanup, "d-updates"),
    Recipe("f-rebuild", make_rebuild, "a-base"),
    Recipe("g-1k", make_small_blocks, "a-base"),
    Recipe("h-1k-rebuild", make_small_blocks_rebuild, "a-base"),
    Recipe("i-lba63", make_lba_63, "a-base"),
)


def make_series(directory: Path) -> None:
    """Make what is missing, in order."""
    directory.mkdir(parents=True, exist_ok=True)
    for recipe in SERIES:
        image = directory / f"{recipe.name}.raw"
        if not image.exists():
            partial = directory / f"{recipe.name}.partial"
            recipe.make(partial, directory / f"{recipe.after}.raw")
            run("sync", partial)
            partial.rename(image)
        allocated = image.stat().st_blocks * SECTOR_BYTES / 1e6
        print(f"{image.name}: {allocated:.0f} MB of {DISK_BYTES >> 30} GiB", flush=True)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("directory", type=Path, metavar="DIR")
    if os.geteuid() != 0:
        parser.error("run it as root: it mounts file systems")
    make_series(parser.parse_args().directory)


if __name__ == "__main__":
    main()
