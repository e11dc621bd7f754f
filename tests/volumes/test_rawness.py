"""Images in other formats, as qemu-img makes them, are refused with the way on."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amictl.errors import UnsupportedError
from amictl.volumes.rawness import require_raw

FORMATS = [
    ("qcow", (), "qcow", "qcow"),
    ("qcow2", (), "qcow2", "qcow2"),
    ("qcow2", ("-o", "compat=0.10"), "qcow2", "qcow2"),
    ("qed", (), "qed", "qed"),
    ("vmdk", (), "vmdk", "vmdk"),
    ("vmdk", ("-o", "subformat=streamOptimized"), "vmdk", "vmdk"),
    ("vmdk", ("-o", "subformat=monolithicFlat"), "vmdk", "vmdk"),
    ("vpc", ("-o", "subformat=dynamic"), "vhd", "vpc"),
    ("vpc", ("-o", "subformat=fixed"), "vhd", "vpc"),
    ("vhdx", (), "vhdx", "vhdx"),
    ("vdi", (), "vdi", "vdi"),
    ("parallels", (), "parallels", "parallels"),
]


def require(path: Path) -> None:
    with path.open("rb") as file:
        require_raw(file.fileno(), path)


@pytest.mark.needs_tool("qemu-img")
@pytest.mark.parametrize(("made_as", "options", "name", "driver"), FORMATS)
def test_format_is_recognised(tmp_path, tool, made_as, options, name, driver):
    path = tmp_path / "disk.img"
    tool("qemu-img", "create", "-f", made_as, *options, path, "8M")
    with pytest.raises(UnsupportedError, match=f"is a {name} image"):
        require(path)


NOT_IMPORTED = [one for one in FORMATS if one[2] in ("qcow", "qed", "parallels")]
IMPORTED = [one for one in FORMATS if one not in NOT_IMPORTED]


@pytest.mark.needs_tool("qemu-img")
@pytest.mark.parametrize(("made_as", "options", "name", "driver"), IMPORTED)
def test_hint_imports_it(tmp_path, tool, made_as, options, name, driver):
    path = tmp_path / "disk.img"
    tool("qemu-img", "create", "-f", made_as, *options, path, "8M")
    with pytest.raises(UnsupportedError) as raised:
        require(path)
    assert raised.value.hint == f"import it: amictl import-snapshot {path}"


@pytest.mark.needs_tool("qemu-img")
@pytest.mark.parametrize(("made_as", "options", "name", "driver"), NOT_IMPORTED)
def test_hint_converts_it(tmp_path, tool, made_as, options, name, driver):
    raw, path = tmp_path / "content", tmp_path / "disk.img"
    raw.write_bytes(b"c" * (8 << 20))
    tool("qemu-img", "convert", "-f", "raw", "-O", made_as, *options, raw, path)
    with pytest.raises(UnsupportedError) as raised:
        require(path)
    command = str(raised.value.hint).removeprefix("convert it: ").split()
    tool(*command)
    assert (tmp_path / "disk.raw").read_bytes().startswith(raw.read_bytes())


@pytest.mark.parametrize("size", [1, 511, 512, 513, 1 << 20])
def test_raw_file_of_any_size_passes(tmp_path, size):
    path = tmp_path / "disk.raw"
    path.write_bytes(b"\x55" * size)
    require(path)


def test_last_sector_that_only_begins_like_a_vhd_passes(tmp_path):
    path = tmp_path / "disk.raw"
    path.write_bytes(bytes(4096) + b"conectix" + bytes(504))
    require(path)


def test_converted_file_has_another_name_than_the_source(tmp_path):
    path = tmp_path / "disk.raw"
    path.write_bytes(b"QED\0" + bytes(4096))
    with pytest.raises(UnsupportedError) as raised:
        require(path)
    assert str(raised.value.hint).split()[-1] != str(path)


def test_names_are_quoted_for_the_shell(tmp_path):
    path = tmp_path / "my disk.qcow2"
    path.write_bytes(b"QED\0" + bytes(4096))
    with pytest.raises(UnsupportedError) as raised:
        require(path)
    assert f"'{path}'" in str(raised.value.hint)


@given(st.binary(max_size=2048))
def test_any_bytes_are_raw_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("raw") / "disk"
    path.write_bytes(data)
    with suppress(UnsupportedError):
        require(path)
