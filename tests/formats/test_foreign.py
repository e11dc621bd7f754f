"""Foreign disks are recognised by their first and last bytes, and never guessed to be raw."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amictl.errors import CorruptStoreError, UnsupportedError, UsageError
from amictl.formats import foreign
from amictl.formats.foreign_header import DISK_SIZE_MAX, ForeignDisk, ForeignFile

MAGICS = (
    b"QFI\xfb\0\0\0\x02",
    b"QFI\xfb\0\0\0\x03",
    b"KDMV\x01\0\0\0",
    b"# Disk DescriptorFile\n",
    b"conectix",
    b"vhdxfile",
)


def file_of(data: bytes) -> ForeignFile:
    def read(offset: int, length: int) -> bytes:
        assert 0 <= offset <= offset + length <= len(data)
        return data[offset : offset + length]

    return ForeignFile("it", len(data), read)


def vdi(data: bytes) -> bytes:
    return data[:0x40].ljust(0x40, b"\0") + struct.pack("<II", 0xBEDA107F, 0x10001) + data[0x40:]


def vhd_footer(data: bytes) -> bytes:
    """A footer with these bytes in it, and the right checksum."""
    footer = bytearray(b"conectix" + data[:504].ljust(504, b"\0"))
    footer[64:68] = bytes(4)
    struct.pack_into(">I", footer, 64, ~sum(footer) & 0xFFFFFFFF)
    return bytes(footer)


@given(
    st.one_of(
        st.binary(max_size=3000),
        st.builds(bytes.__add__, st.sampled_from(MAGICS), st.binary(max_size=3000)),
        st.binary(max_size=3000).map(vdi),
        st.builds(
            lambda body, footer: body + vhd_footer(footer),
            st.binary(max_size=2000),
            st.binary(max_size=504),
        ),
    ),
    st.sampled_from((None, *foreign.READ)),
)
def test_any_bytes_are_a_disk_or_an_error_and_nothing_behind_the_end_is_read(
    data: bytes, wanted: str | None
) -> None:
    try:
        found = foreign.looked_at(file_of(data), wanted)
    except (CorruptStoreError, UnsupportedError, UsageError):
        return
    assert found is None or 0 < found.size_bytes <= DISK_SIZE_MAX


@given(st.binary(max_size=1000))
def test_what_is_called_raw_is_not_looked_at(data: bytes) -> None:
    assert foreign.looked_at(file_of(b"QFI\xfb" + data), "RAW") is None


def test_vhd_of_fixed_size_is_known_by_its_end() -> None:
    footer = vhd_footer(b"\0" * 40 + (1024).to_bytes(8, "big") + b"\0" * 4 + b"\0\0\0\x02")
    found = foreign.looked_at(file_of(bytes(1024) + footer), None)
    assert found == ForeignDisk("VHD", "vpc", 1024, (("force_size_calc", "current_size"),))


def test_end_that_does_not_add_up_is_the_end_of_a_raw_disk() -> None:
    assert foreign.looked_at(file_of(bytes(1024) + b"conectix".ljust(512, b"\1")), None) is None


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x1f\x8b\x08", "packed with gzip"),
        (b"PK\x03\x04", "packed with zip"),
        (bytes(257) + b"ustar", "perhaps an OVA"),
    ],
)
def test_packed_disk_is_not_taken_for_a_raw_one(data: bytes, reason: str) -> None:
    with pytest.raises(UnsupportedError, match=reason):
        foreign.looked_at(file_of(data.ljust(512, b"\0")), None)


def test_text_out_of_a_file_cannot_move_the_cursor() -> None:
    data = b'# Disk DescriptorFile\nRW 1 FLAT "\x1b[2J\r" 0\n'
    with pytest.raises(UnsupportedError) as raised:
        foreign.looked_at(file_of(data), None)
    assert raised.value.message.isprintable()
