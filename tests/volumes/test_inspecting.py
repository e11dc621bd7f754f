"""What is found out of disks: built with the tools that build real ones, and of hostile bytes."""

import os
import struct
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from amictl.volumes.inspecting import DiskFacts, inspect_disk
from amictl.volumes.machine_code import count_efi_programs, count_programs

MIB = 1 << 20
X86_64, ARM64, I386 = (0x8664, 62), (0xAA64, 183), (0x14C, 3)  # in PE, in ELF
SIZE = 64 * MIB
ESP = "start=2048, size=16384, type=U"
ROOT = "start=18432, size=81920, type=L"

needs_disk_tools = pytest.mark.needs_tool("sfdisk", "mkfs.ext4", "mkfs.vfat", "mcopy")


def inspect(path: Path) -> DiskFacts:
    with path.open("rb") as file:
        return inspect_disk(file.fileno(), path.stat().st_size)


def elf(machine: int, kind: int = 3) -> bytes:
    """A program for a processor: its head, and some length."""
    head = struct.pack("<4sBBB9xHHI", b"\x7fELF", 2, 1, 1, kind, machine, 1)
    return head.ljust(5000, b"\x90")


def pe(machine: int, subsystem: int = 10) -> bytes:
    """A program for firmware (10) or Windows (3)."""
    dos = struct.pack("<2s58xI", b"MZ", 128).ljust(128, b"\0")
    head = struct.pack("<4sH18xH66xH", b"PE\0\0", machine, 0x20B, subsystem)
    return (dos + head).ljust(5000, b"\x90")


class Maker:
    """Builds one disk."""

    def __init__(self, folder: Path, tool: Callable[..., str]) -> None:
        self.path = folder / "disk.raw"
        self._folder = folder
        self._tool = tool
        with self.path.open("wb") as file:
            file.truncate(SIZE)

    def write(self, offset: int, data: bytes) -> None:
        with self.path.open("r+b") as file:
            file.seek(offset)
            file.write(data)

    def partition(self, label: str, *lines: str) -> None:
        self._tool("sfdisk", self.path, text="\n".join([f"label: {label}", *lines, ""]))

    def root(self, *programs: bytes, at: int = 18432 * 512, block_size: int = 4096) -> None:
        """An ext4 file system that holds the programs, 40 MiB at a byte of the disk."""
        tree = self._folder / "tree"
        tree.mkdir()
        for index, program in enumerate(programs):
            (tree / f"program{index}").write_bytes(program)
        options = f"offset={at}"
        blocks = f"{40 * MIB // block_size}"
        self._tool(
            "mkfs.ext4", "-q", "-F", "-b", str(block_size), "-d", tree, "-E", options,
            self.path, blocks,
        )  # fmt: skip

    def esp(self, *programs: bytes) -> None:
        """A FAT file system at 1 MiB that holds the programs."""
        image = self._folder / "esp"
        with image.open("wb") as file:
            file.truncate(8 * MIB)
        self._tool("mkfs.vfat", image)
        for index, program in enumerate(programs):
            (self._folder / "program").write_bytes(program)
            self._tool("mcopy", "-i", image, self._folder / "program", f"::BOOT{index}.EFI")
        self.write(MIB, image.read_bytes())


@pytest.fixture
def disk(tmp_path: Path, tool: Callable[..., str]) -> Maker:
    return Maker(tmp_path, tool)


# --- architecture ------------------------------------------------------------------------------


@needs_disk_tools
@pytest.mark.parametrize(
    ("machine", "name"), [(X86_64, "x86_64"), (ARM64, "arm64"), (I386, "i386")]
)
def test_architecture_is_that_of_the_programs(disk, machine, name):
    disk.partition("gpt", ROOT)
    disk.root(elf(machine[1]))
    assert inspect(disk.path).architecture == name


@needs_disk_tools
def test_programs_of_this_machine_are_recognised(disk):
    disk.partition("gpt", ROOT)
    disk.root(Path(os.path.realpath(sys.executable)).read_bytes(), Path("/bin/ls").read_bytes())
    assert inspect(disk.path).architecture == {"aarch64": "arm64"}.get(
        os.uname().machine, os.uname().machine
    )


@needs_disk_tools
def test_architecture_is_that_of_most_programs(disk):
    disk.partition("gpt", ROOT)
    disk.root(elf(ARM64[1]), elf(ARM64[1]), elf(I386[1]))
    assert inspect(disk.path).architecture == "arm64"


@needs_disk_tools
def test_blocks_of_1024_bytes_are_found(disk):
    disk.partition("gpt", ROOT)
    disk.root(elf(ARM64[1]), block_size=1024)
    assert inspect(disk.path).architecture == "arm64"


@needs_disk_tools
def test_partition_off_the_grid_is_found(disk):
    disk.partition("dos", "start=63, size=81920, type=83")
    disk.root(elf(ARM64[1]), at=63 * 512)
    assert inspect(disk.path).architecture == "arm64"


@needs_disk_tools
def test_bare_file_system_is_found(disk):
    disk.root(elf(ARM64[1]), at=0)
    assert inspect(disk.path) == DiskFacts("arm64", None, None)


@needs_disk_tools
def test_what_firmware_starts_decides_where_programs_cannot_be_seen(disk):
    disk.partition("gpt", ESP, ROOT)
    disk.esp(pe(ARM64[0]))
    assert inspect(disk.path).architecture == "arm64"


@needs_disk_tools
def test_programs_decide_where_firmware_starts_several(disk):
    disk.partition("gpt", ESP, ROOT)
    disk.esp(pe(ARM64[0]), pe(X86_64[0]))
    disk.root(elf(X86_64[1]))
    assert inspect(disk.path).architecture == "x86_64"


@needs_disk_tools
def test_firmware_of_32_bits_does_not_make_the_machine_so(disk):
    disk.partition("gpt", ESP, ROOT)
    disk.esp(pe(I386[0]))
    disk.root(elf(X86_64[1]))
    assert inspect(disk.path).architecture == "x86_64"


def test_data_far_inside_a_sparse_disk_is_found(tmp_path):
    path = tmp_path / "sparse.raw"
    with path.open("wb") as file:
        file.truncate(1 << 40)
        file.seek(777 << 30)
        file.write(elf(ARM64[1]))
    assert inspect(path).architecture == "arm64"


def test_disk_without_programs_has_no_architecture(disk):
    assert inspect(disk.path) == DiskFacts(None, None, None)


# --- boot mode ---------------------------------------------------------------------------------


@needs_disk_tools
def test_disk_that_only_efi_starts_is_uefi(disk):
    disk.partition("gpt", ESP, ROOT)
    disk.esp(pe(X86_64[0]))
    assert inspect(disk.path).boot_mode == "uefi"


@needs_disk_tools
def test_disk_with_efi_and_a_bios_boot_partition_is_uefi_preferred(disk):
    disk.partition("gpt", ESP, "size=2048, type=21686148-6449-6E6F-744E-656564454649")
    disk.esp(pe(X86_64[0]))
    assert inspect(disk.path).boot_mode == "uefi-preferred"


@needs_disk_tools
def test_disk_with_efi_and_boot_code_is_uefi_preferred(disk):
    disk.partition("gpt", ESP)
    disk.esp(pe(X86_64[0]))
    disk.write(0, b"\xeb\x63\x90")
    assert inspect(disk.path).boot_mode == "uefi-preferred"


@needs_disk_tools
def test_efi_partition_of_an_mbr_counts(disk):
    disk.partition("dos", "start=2048, size=16384, type=ef")
    disk.esp(pe(X86_64[0]))
    assert inspect(disk.path) == DiskFacts("x86_64", "uefi", None)


@needs_disk_tools
def test_efi_partition_without_a_program_starts_nothing(disk):
    disk.partition("gpt", ESP)
    disk.esp(b"README")
    assert inspect(disk.path).boot_mode is None


@needs_disk_tools
def test_program_for_windows_does_not_start_a_machine(disk):
    disk.partition("gpt", ESP)
    disk.esp(pe(X86_64[0], subsystem=3))
    assert inspect(disk.path).boot_mode is None


@needs_disk_tools
def test_active_partition_is_legacy_bios(disk):
    disk.partition("dos", "start=2048, type=83, bootable")
    assert inspect(disk.path).boot_mode == "legacy-bios"


@needs_disk_tools
def test_boot_code_is_legacy_bios(disk):
    disk.partition("dos", "start=2048, type=83")
    disk.write(0, b"\xeb\x63\x90")
    assert inspect(disk.path).boot_mode == "legacy-bios"


@needs_disk_tools
def test_data_disk_has_no_boot_mode(disk):
    disk.partition("gpt", ROOT)
    disk.root(b"data")
    assert inspect(disk.path).boot_mode is None


# --- Windows -----------------------------------------------------------------------------------

WINDOWS_LOADER = b"\xebR\x90NTFS    ".ljust(600, b"\0") + "BOOTMGR".encode("utf-16-le")
LINUX_MADE_NTFS = b"\xebR\x90NTFS    ".ljust(600, b"\0") + b"This is not a bootable disk."


@needs_disk_tools
def test_active_ntfs_partition_that_loads_windows_is_windows(disk):
    disk.partition("dos", "start=2048, type=7, bootable")
    disk.write(MIB, WINDOWS_LOADER)
    assert inspect(disk.path).platform == "windows"


@needs_disk_tools
def test_ntfs_partition_that_is_not_active_is_data(disk):
    disk.partition("dos", "start=2048, type=7")
    disk.write(MIB, WINDOWS_LOADER)
    assert inspect(disk.path).platform is None


@needs_disk_tools
def test_ntfs_partition_that_linux_made_is_data(disk):
    disk.partition("dos", "start=2048, type=7, bootable")
    disk.write(MIB, LINUX_MADE_NTFS)
    assert inspect(disk.path).platform is None


@needs_disk_tools
def test_reserved_partition_beside_an_efi_partition_is_windows(disk):
    disk.partition("gpt", ESP, "size=2048, type=E3C9E316-0B5C-4DB8-817D-F92DF00215AE")
    disk.esp(pe(X86_64[0]))
    assert inspect(disk.path).platform == "windows"


@needs_disk_tools
def test_windows_on_gpt_is_uefi_although_it_writes_boot_code(disk):
    disk.partition("gpt", ESP, "size=2048, type=E3C9E316-0B5C-4DB8-817D-F92DF00215AE")
    disk.esp(pe(X86_64[0]))
    disk.write(0, b"\x33\xc0\x8e\xd0")
    assert inspect(disk.path).boot_mode == "uefi"


@needs_disk_tools
def test_reserved_partition_on_a_linux_disk_is_not_windows(disk):
    disk.partition("gpt", ESP, ROOT, "size=2048, type=E3C9E316-0B5C-4DB8-817D-F92DF00215AE")
    disk.esp(pe(X86_64[0]))
    assert inspect(disk.path).platform is None


@needs_disk_tools
def test_windows_programs_tell_the_architecture(disk):
    disk.partition("dos", "start=2048, type=7, bootable")
    disk.write(MIB, WINDOWS_LOADER)
    disk.write(3 * MIB, pe(X86_64[0], subsystem=3))
    assert inspect(disk.path).architecture == "x86_64"


# --- heads of programs -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "damaged",
    [
        elf(62)[:4] + b"\2\2\1" + elf(62)[7:],  # big-endian
        elf(62, kind=1),  # an object file
        elf(62, kind=4),  # a core dump
        elf(0xFFFF),
        b"\x7fELF".ljust(600, b"\xff"),
        b"\x7fELG" + elf(62)[4:],
    ],
)
def test_what_is_no_program_for_a_machine_is_not_counted(damaged):
    assert count_programs(damaged) == Counter()


@pytest.mark.parametrize("distance", [0, 63, 4097, 5000, 0xFFFFFFFF])
def test_pe_head_at_a_strange_place_is_not_counted(distance):
    assert count_efi_programs(pe(0x8664)[:60] + struct.pack("<I", distance) + pe(0x8664)[64:]) == {}


def test_programs_are_found_at_sectors_only():
    assert count_programs(b"\0" + elf(62)) == Counter()


def test_rest_of_a_sector_at_the_end_is_ignored():
    assert count_programs(elf(62)[:511]) == Counter()


# --- hostile disks -----------------------------------------------------------------------------

HEAD = st.sampled_from(
    [elf(62)[:512], pe(0x8664)[:512], b"MZ".ljust(512, b"\xff"), b"\x7fELF".ljust(512, b"\xff")]
)
SECTOR = st.binary(min_size=512, max_size=512) | HEAD


@settings(max_examples=300)
@given(st.lists(SECTOR, max_size=20).map(b"".join) | st.binary(max_size=600))
@example(b"")
def test_any_bytes_give_facts(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("hostile") / "disk.raw"
    path.write_bytes(data)
    assert isinstance(inspect(path), DiskFacts)


@needs_disk_tools
@settings(max_examples=200)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, 34 * 512), st.binary(min_size=1, max_size=16)), max_size=8
    )
)
def test_any_damage_to_a_table_gives_facts(tmp_path_factory, tool, changes):
    disk = Maker(tmp_path_factory.mktemp("damaged"), tool)
    disk.write(0, TABLE_HEAD)
    for offset, data in changes:
        disk.write(offset, data)
    assert isinstance(inspect(disk.path), DiskFacts)


def table_head() -> bytes:
    entry = struct.pack("<16s16xQQ80x", bytes.fromhex("28732ac11ff8d211ba4b00a0c93ec93b"), 40, 900)
    header = struct.pack("<8s64xQII", b"EFI PART", 2, 128, 128)
    record = bytes(446) + struct.pack("<B3xB3xII", 0, 0xEE, 1, 99).ljust(64, b"\0") + b"\x55\xaa"
    return record + header.ljust(512, b"\0") + entry * 128


TABLE_HEAD = table_head()
