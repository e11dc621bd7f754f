"""Recognise disk images of virtual machine monitors that are not raw, and say how to convert them.

Sources: the formats' headers as QEMU's block drivers probe them.
"""

import os
import struct
from pathlib import Path

from amictl.errors import UnsupportedError

_HEAD_BYTES = 512
_FOOTER_BYTES = 512
_VDI_SIGNATURE_OFFSET = 0x40
_VHD_CHECKSUM = slice(64, 68)

# First bytes, name, name for `qemu-img convert -f`. The longer of two with one beginning is first.
_BEGINNINGS = (
    (b"QFI\xfb\0\0\0\x01", "qcow", "qcow"),
    (b"QFI\xfb", "qcow2", "qcow2"),
    (b"QED\0", "qed", "qed"),
    (b"KDMV", "vmdk", "vmdk"),
    (b"COWD", "vmdk", "vmdk"),
    (b"# Disk DescriptorFile", "vmdk", "vmdk"),
    (b"conectix", "vhd", "vpc"),
    (b"vhdxfile", "vhdx", "vhdx"),
    (b"WithoutFreeSpace", "parallels", "parallels"),
    (b"WithouFreSpacExt", "parallels", "parallels"),
)


def require_raw(descriptor: int, path: Path) -> None:
    """Raises UnsupportedError when the file is in an image format that is not raw, else OSError."""
    size = os.lseek(descriptor, 0, os.SEEK_END)
    head = os.pread(descriptor, _HEAD_BYTES, 0)
    for beginning, name, driver in _BEGINNINGS:
        if head.startswith(beginning):
            raise _not_raw(path, name, driver)
    if head[_VDI_SIGNATURE_OFFSET : _VDI_SIGNATURE_OFFSET + 4] == b"\x7f\x10\xda\xbe":
        raise _not_raw(path, "vdi", "vdi")
    if _is_vhd_footer(os.pread(descriptor, _FOOTER_BYTES, max(0, size - _FOOTER_BYTES))):
        raise _not_raw(path, "vhd", "vpc")


def _is_vhd_footer(footer: bytes) -> bool:
    """A vhd of fixed size is raw but for its last sector, which must add up to be one."""
    if len(footer) < _FOOTER_BYTES or not footer.startswith(b"conectix"):
        return False
    (checksum,) = struct.unpack(">I", footer[_VHD_CHECKSUM])
    total = sum(footer) - sum(footer[_VHD_CHECKSUM])
    return bool(checksum == ~total & 0xFFFFFFFF)


def _not_raw(path: Path, name: str, driver: str) -> UnsupportedError:
    from shlex import quote  # loads the regular expressions, for this error only

    target = path.with_suffix(".converted.raw" if path.suffix == ".raw" else ".raw")
    names = f"{quote(str(path))} {quote(str(target))}"
    return UnsupportedError(
        f"{str(path)!r} is a {name} image; amictl reads raw disks",
        hint=f"convert it: qemu-img convert -f {driver} -O raw {names}",
    )
