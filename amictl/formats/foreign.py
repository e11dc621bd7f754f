"""Disks in the formats of virtual machine monitors: recognised, and looked at before they are read.

A header can lead a reader to any other file of the machine: as a backing file, a parent, an
extent, a file with the data. So each is read here first, and what does not stand alone is refused
by its name. Sources: the formats' own descriptions, and the headers as QEMU's drivers probe them.
"""

from collections.abc import Callable

from amictl.errors import UsageError
from amictl.formats import foreign_vhd
from amictl.formats.foreign_header import ForeignDisk, ForeignFile, other_format

HEAD_SIZE = 512
RAW = "RAW"
READ = ("RAW", "QCOW2", "VMDK", "VHD", "VHDX", "VDI")
"""The formats that are read, by EC2's words where it has one."""

# First bytes and our word. The longer of two with one beginning is first.
_BEGINNINGS = (
    (b"QFI\xfb\0\0\0\x01", "QCOW"),
    (b"QFI\xfb", "QCOW2"),
    (b"QED\0", "QED"),
    (b"KDMV", "VMDK"),
    (b"COWD", "VMDK"),
    (b"# Disk DescriptorFile", "VMDK"),
    (foreign_vhd.COOKIE, "VHD"),
    (b"vhdxfile", "VHDX"),
    (b"WithoutFreeSpace", "PARALLELS"),
    (b"WithouFreSpacExt", "PARALLELS"),
)
_PACKED = (
    (b"\x1f\x8b\x08", "gzip", "gunzip"),
    (b"\xfd7zXZ\0", "xz", "unxz"),
    (b"\x28\xb5\x2f\xfd", "zstd", "unzstd"),
    (b"BZh", "bzip2", "bunzip2"),
    (b"PK\x03\x04", "zip", "unzip"),
)
_DRIVERS = {"VHD": "vpc"}
_ENDINGS = (*(f".{name.lower()}" for name in READ if name != RAW), ".ova")
_VDI_AT, _VDI = 0x40, b"\x7f\x10\xda\xbe"


def recognised(head: bytes, tail: bytes) -> str | None:
    """The format of a file by its first and its last 512 bytes; None where nothing says one.

    Such a file is raw, as far as anybody can tell.
    """
    for beginning, name in _BEGINNINGS:
        if head.startswith(beginning):
            return name
    if head[_VDI_AT : _VDI_AT + 4] == _VDI:
        return "VDI"
    # A vhd of fixed size is raw but for its last sector, which must add up to be one.
    return "VHD" if foreign_vhd.is_footer(tail) else None


def driver(name: str) -> str:
    """The word of `qemu-img convert -f` for a format."""
    return _DRIVERS.get(name, name.lower())


def looked_at(file: ForeignFile, wanted: str | None) -> ForeignDisk | None:
    """What is in a file that is to be read as `wanted`, or as what it is; None if that is raw.

    Raw is never guessed against what the file says, and what the user calls raw is not taken for
    anything else: a machine can write any header into its own disk. Raises UnsupportedError,
    CorruptStoreError; UsageError (InvalidFormat) for a file that is not what it is called.
    """
    if wanted == RAW:
        return None
    head = file.take(0, min(HEAD_SIZE, file.size_bytes), "header")
    tail_at = max(0, file.size_bytes - HEAD_SIZE)
    found = recognised(head, file.take(tail_at, file.size_bytes - tail_at, "end"))
    if wanted is None and found is None:
        _require_unpacked(file, head)
        return None
    if wanted is not None and found != wanted:
        raise other_format(file.where, found, wanted)
    assert found is not None
    if found not in READ:
        raise file.refused(
            f"is a {found} image, which is not read here",
            f"convert it first: qemu-img convert -f {driver(found)} -O qcow2 FILE NEWFILE",
        )
    return _reader(found)(file)


def require_raw_name(where: str, name: str) -> None:
    """Raises UsageError (InvalidFormat) for a file that says nothing, if its name says a format.

    It is rather one that lost its beginning, or a page that says why there is no file.
    """
    ending = next((one for one in _ENDINGS if name.lower().endswith(one)), None)
    if ending is not None:
        raise UsageError(
            f"{where} is called {ending}, and holds nothing of that format",
            hint="look at it with: file PATH; if it is a raw disk after all, give Format=RAW"
            " in its disk container",
            code="InvalidFormat",
        )


def _reader(name: str) -> Callable[[ForeignFile], ForeignDisk]:
    """Loaded when it is needed: most disks are raw."""
    from amictl.formats import foreign_qcow2, foreign_vdi, foreign_vhdx, foreign_vmdk

    readers = {
        "QCOW2": foreign_qcow2.look_at,
        "VMDK": foreign_vmdk.look_at,
        "VHD": foreign_vhd.look_at,
        "VHDX": foreign_vhdx.look_at,
        "VDI": foreign_vdi.look_at,
    }
    return readers[name]


def _require_unpacked(file: ForeignFile, head: bytes) -> None:
    """Raises UnsupportedError for a file that surely is no disk, but holds one."""
    for beginning, name, program in _PACKED:
        if head.startswith(beginning):
            raise file.refused(
                f"is packed with {name}",
                f"unpack it first, with {program}; if it is a raw disk after all, give Format=RAW",
            )
    if head[257:262] == b"ustar":
        raise file.refused(
            "is a tar archive, perhaps an OVA",
            "unpack it with tar -xf, and give each disk in it as a container of its own",
        )
