"""LUKS disks: encrypted on the disk, and opened by the virtual machine with a passphrase.

LUKS version 1 as QEMU's driver makes it: AES-256 in XTS mode. Source: LUKS on-disk format 1.2.3.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from amictl.errors import StorageError, UnsupportedError, UsageError
from amictl.volumes import nbd
from amictl.volumes.converting import SECTOR_SIZE, convert, require_converter
from amictl.volumes.targets import is_device

_NOT_MEASURED = "Unable to get accurate CPU usage"
_MEASURING_TRIES = 10


def luks_content_size(size_bytes: int) -> int:
    """Bytes of the disk inside, which has whole sectors."""
    return -(-size_bytes // SECTOR_SIZE) * SECTOR_SIZE


def require_luks_target(path: Path, *, in_place: bool) -> None:
    """Raises UsageError, UnsupportedError unless it can become a LUKS disk."""
    if in_place:
        raise UsageError(
            "--luks and --in-place exclude each other: a LUKS disk is written whole",
            hint="write a new file, or replace one with --force",
            code="InvalidParameterCombination",
        )
    if is_device(path):
        raise UnsupportedError(
            f"{str(path)!r} is a block device; --luks writes files",
            hint="make it a LUKS device with cryptsetup luksFormat and luksOpen, and write to what"
            " that opens, without --luks",
        )
    require_converter()


def require_luks_passphrase(passphrase: str) -> None:
    """Raises UsageError for one that qemu-img would take to end before its end."""
    if not passphrase or "\0" in passphrase:
        raise UsageError("the passphrase of a LUKS disk is empty, or has a zero byte in it")


def write_luks(disk: nbd.ServedDisk, target: int, path: Path, passphrase: str) -> None:
    """Make the open file `target` a LUKS disk with this content; see `convert`.

    The passphrase is handed over in memory: it is in no file, and in no process's arguments.
    """
    require_luks_passphrase(passphrase)
    secret = os.memfd_create("passphrase")
    try:
        with os.fdopen(secret, "wb", closefd=False) as file:
            file.write(passphrase.encode())
        options = ["--object", f"secret,id=passphrase,file=/proc/self/fd/{secret}"]
        options += ["-O", "luks", "-o", "key-secret=passphrase"]
        _convert_at_last(disk, target, path, options, secret)
    finally:
        os.close(secret)


def _convert_at_last(
    disk: nbd.ServedDisk, target: int, path: Path, options: Sequence[str], secret: int
) -> None:
    """Convert; again where qemu-img could not measure the processor, before it read anything.

    It does that to choose how often the passphrase is hashed, and on a busy machine it may see no
    time go by: one time in eight was seen.
    """
    for _ in range(_MEASURING_TRIES - 1):
        try:
            return convert(disk, target, path, options, inherited=(secret,))
        except StorageError as error:
            if _NOT_MEASURED not in error.message:
                raise
    return convert(disk, target, path, options, inherited=(secret,))
