"""Disks become snapshots and come back bit for bit, whatever they hold and however they change."""

import os
import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amictl.errors import (
    CorruptStoreError,
    DryRunError,
    MalformedIdError,
    NotFoundError,
    SnapshotNotFoundError,
    UnsupportedError,
    UsageError,
)
from amictl.model.records import Cut, SnapshotCore
from amictl.store import layout
from amictl.volumes.freezing import FreezeRequest
from tests.workshop import MIB, SEGMENT, Workshop, same

ODD_SIZES = [1, 511, 512, 513, 4095, 4096, 4097, SEGMENT - 1, SEGMENT, SEGMENT + 1, 3 * SEGMENT - 5]
KINDS = ["noise", "text", "zeros"]


@st.composite
def disks(draw: st.DrawFn) -> tuple[int, dict[int, bytes]]:
    """Size, and pieces of data, some of them zeros, at offsets; the rest is holes."""
    size = draw(st.sampled_from(ODD_SIZES) | st.integers(1, 2 * SEGMENT))
    pieces = {}
    for _ in range(draw(st.integers(0, 4))):
        offset = draw(st.integers(0, size - 1))
        length = min(size - offset, draw(st.sampled_from([1, 512, 4096, 70_000, MIB])))
        kind = draw(st.sampled_from(KINDS))
        seed = draw(st.integers(0, 3))
        content = {"noise": b"", "text": b"line %d\n" % seed * (length // 7 + 1), "zeros": b""}[
            kind
        ]
        if kind == "noise":
            content = random.Random(seed).randbytes(length)
        pieces[offset] = content[:length].ljust(length, b"\0")
    return size, pieces


@settings(max_examples=40)
@given(disk=disks())
def test_any_disk_comes_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, disk: tuple[int, dict[int, bytes]]
) -> None:
    workshop = Workshop(tmp_path_factory.mktemp("round"))
    path = workshop.file("disk", disk[1], disk[0])
    assert workshop.restored(workshop.snapshot_id(path)) == path.read_bytes()


@settings(max_examples=15)
@given(versions=st.lists(disks(), min_size=2, max_size=4))
def test_any_series_of_a_disk_comes_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, versions: list[tuple[int, dict[int, bytes]]]
) -> None:
    workshop = Workshop(tmp_path_factory.mktemp("series"))
    taken = []
    for size, pieces in versions:
        path = workshop.file("disk", pieces, size)
        taken.append((workshop.snapshot_id(path), path.read_bytes()))
    assert all(workshop.restored(snapshot_id) == content for snapshot_id, content in taken)
    assert workshop.check(read_data=True)["Faults"] == []


@pytest.mark.parametrize("size", ODD_SIZES)
@pytest.mark.parametrize("content", ["zeros", "holes", "noise"])
def test_a_disk_of_an_odd_size_comes_back(workshop: Workshop, size: int, content: str) -> None:
    contents: dict[str, bytes | dict[int, bytes]] = {
        "zeros": bytes(size),
        "holes": {},
        "noise": workshop.noise(size),
    }
    data = contents[content]
    path = workshop.file("disk", data, size)
    assert workshop.restored(workshop.snapshot_id(path)) == path.read_bytes()


@pytest.mark.parametrize("average", [16_384, 32_768, 65_536])
def test_a_disk_comes_back_from_a_store_of_each_chunk_size(tmp_path: Path, average: int) -> None:
    workshop = Workshop(tmp_path, chunk_size_bytes=average)
    path = workshop.file("disk", workshop.noise(2 * MIB))
    snapshot_id = workshop.snapshot_id(path)
    assert workshop.core(snapshot_id).cut.average == average
    assert workshop.restored(snapshot_id) == path.read_bytes()


def test_one_tebibyte_of_holes_with_three_pieces_comes_back(workshop: Workshop) -> None:
    pieces = {0: b"first", 1 << 39: b"middle" * 1000, (1 << 40) - 4: b"last"}
    path = workshop.file("disk", pieces, 1 << 40)
    target = workshop.folder / "target"
    workshop.volume(workshop.snapshot_id(path), target)
    with target.open("rb") as file:
        found = {
            offset: os.pread(file.fileno(), len(data), offset) for offset, data in pieces.items()
        }
    assert found == pieces
    assert target.stat().st_size == 1 << 40


def test_a_tebibyte_of_holes_takes_little_space_when_it_is_back(workshop: Workshop) -> None:
    path = workshop.file("disk", {1 << 39: b"middle"}, 1 << 40)
    target = workshop.folder / "target"
    workshop.volume(workshop.snapshot_id(path), target)
    assert target.stat().st_blocks * 512 <= SEGMENT


def test_zeros_come_back_as_holes(workshop: Workshop) -> None:
    path = workshop.file("disk", bytes(2 * SEGMENT))
    target = workshop.folder / "target"
    workshop.volume(workshop.snapshot_id(path), target)
    assert target.stat().st_blocks == 0


# --- increments --------------------------------------------------------------------------------


def changed_once(workshop: Workshop) -> tuple[SnapshotCore, SnapshotCore]:
    """Cores of a disk and of the same disk with one page changed."""
    path = workshop.file("disk", workshop.noise(3 * SEGMENT))
    first = workshop.core(workshop.snapshot_id(path))
    with path.open("r+b") as file:
        file.seek(SEGMENT + 8192)
        file.write(bytes([1]) * 4096)
    return first, workshop.core(workshop.snapshot_id(path))


def test_a_snapshot_has_the_one_before_as_its_parent(workshop: Workshop) -> None:
    first, second = changed_once(workshop)
    assert (first.parent, second.parent) == (None, first.snapshot_id)


def test_a_child_has_the_lineage_of_its_parent(workshop: Workshop) -> None:
    first, second = changed_once(workshop)
    assert (second.cut, second.fingerprint_key) == (first.cut, first.fingerprint_key)


def test_one_changed_page_stores_little(workshop: Workshop) -> None:
    _, second = changed_once(workshop)
    assert 0 < second.new_bytes < 128 * 1024


def test_both_versions_come_back(workshop: Workshop) -> None:
    first, second = changed_once(workshop)
    old, new = workshop.noise(3 * SEGMENT), (workshop.folder / "disk").read_bytes()
    assert workshop.restored(first.snapshot_id) == old
    assert workshop.restored(second.snapshot_id) == new


def test_a_disk_that_did_not_change_stores_nothing(workshop: Workshop) -> None:
    path = workshop.file("disk", workshop.noise(SEGMENT + 99))
    first = workshop.core(workshop.snapshot_id(path))
    second = workshop.core(workshop.snapshot_id(path, full_read=True))
    assert (second.root, second.new_bytes) == (first.root, 0)


def test_a_snapshot_without_parent_has_a_lineage_of_its_own(workshop: Workshop) -> None:
    path = workshop.file("disk", workshop.noise(MIB))
    first = workshop.core(workshop.snapshot_id(path))
    second = workshop.core(workshop.snapshot_id(path, parent="none"))
    assert second.parent is None
    assert second.fingerprint_key != first.fingerprint_key


def test_a_snapshot_without_parent_shares_all_chunks(workshop: Workshop) -> None:
    path = workshop.file("disk", workshop.noise(MIB))
    workshop.snapshot(path)
    packs = workshop.packs(0)
    workshop.snapshot(path, parent="none")
    assert workshop.packs(0) == packs


def test_a_parent_that_is_named_counts(workshop: Workshop) -> None:
    base = workshop.snapshot_id(workshop.file("base", workshop.noise(2 * SEGMENT)))
    copy = workshop.file("copy", workshop.noise(2 * SEGMENT) + b"more")
    core = workshop.core(workshop.snapshot_id(copy, parent=base))
    assert core.parent == base
    assert core.new_bytes < 16 * 1024


def test_a_parent_that_is_unknown_is_refused(workshop: Workshop) -> None:
    path = workshop.file("disk", b"content")
    with pytest.raises(SnapshotNotFoundError):
        workshop.snapshot(path, parent="snap-00000000000000000")


def test_a_parent_that_is_no_id_is_refused(workshop: Workshop) -> None:
    with pytest.raises(MalformedIdError):
        workshop.snapshot(workshop.file("disk", b"content"), parent="yesterday")


def test_a_volume_id_that_is_given_finds_the_parent(workshop: Workshop) -> None:
    first = workshop.snapshot(workshop.file("a", workshop.noise(MIB)))
    moved = workshop.file("b", workshop.noise(MIB) + b"more")
    second = workshop.core(workshop.snapshot_id(moved, volume_id=first["VolumeId"]))
    assert (second.volume_id, second.parent) == (first["VolumeId"], first["SnapshotId"])


@pytest.mark.parametrize("before", [1, SEGMENT, 3 * SEGMENT + 5, 128 * SEGMENT])
@pytest.mark.parametrize("after", [2, SEGMENT + 1, 129 * SEGMENT + 7])
def test_a_disk_that_grows_or_shrinks_comes_back(
    workshop: Workshop, before: int, after: int
) -> None:
    pieces = {0: b"a", min(before, after) - 1: b"b"}
    path = workshop.file("disk", pieces, before)
    first = workshop.snapshot_id(path)
    old = path.rename(workshop.folder / "old")
    new = workshop.file("disk", pieces, after)
    second = workshop.snapshot_id(new)
    for snapshot_id, expected in ((first, old), (second, new)):
        target = workshop.folder / snapshot_id
        workshop.volume(snapshot_id, target)
        assert same(target, expected)


def test_a_parent_that_is_damaged_is_done_without(workshop: Workshop) -> None:
    path = workshop.file("disk", workshop.noise(MIB))
    first = workshop.snapshot_id(path)
    (workshop.root / layout.core(first)).write_bytes(b"")
    second = workshop.snapshot_id(path)
    assert workshop.core(second).parent is None
    assert workshop.restored(second) == path.read_bytes()


def test_a_parent_whose_nodes_are_damaged_does_not_stop_its_child(workshop: Workshop) -> None:
    path = workshop.file("disk", workshop.noise(2 * SEGMENT))
    workshop.snapshot(path)
    for pack in workshop.packs(1):
        data = bytearray(pack.read_bytes())
        data[60:-200] = bytes(len(data) - 260)
        pack.write_bytes(data)
    path.write_bytes(workshop.noise(2 * SEGMENT)[:-1] + b"!")
    assert workshop.restored(workshop.snapshot_id(path)) == path.read_bytes()


def test_a_record_of_a_volume_that_is_torn_costs_only_the_parent(workshop: Workshop) -> None:
    path = workshop.file("disk", workshop.noise(MIB))
    workshop.snapshot(path)
    for record in (workshop.root / "volumes").iterdir():
        record.write_bytes(record.read_bytes()[:20])
    second = workshop.snapshot_id(path)
    assert workshop.core(second).parent is None
    assert workshop.restored(second) == path.read_bytes()


def test_a_record_of_another_volume_gives_no_parent(workshop: Workshop) -> None:
    paths = [workshop.file(name, workshop.noise(MIB, ord(name))) for name in "ab"]
    for path in paths:
        workshop.snapshot(path)
    first, second = (workshop.root / "volumes").iterdir()
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    assert [workshop.core(workshop.snapshot_id(path)).parent for path in paths] == [None, None]


# --- the hint of the times ---------------------------------------------------------------------


@pytest.fixture
def twice(workshop: Workshop) -> tuple[Workshop, Path, SnapshotCore]:
    """A disk of which there is a snapshot, and that has not changed since."""
    path = workshop.file("disk", workshop.noise(3 * SEGMENT))
    return workshop, path, workshop.core(workshop.snapshot_id(path))


Twice = tuple[Workshop, Path, SnapshotCore]


def test_a_file_with_the_times_of_its_parent_is_taken_as_unchanged(twice: Twice) -> None:
    workshop, path, first = twice
    second = workshop.core(workshop.snapshot_id(path))
    assert second.unchanged
    assert (second.root, second.data_bytes) == (first.root, first.data_bytes)


def test_a_full_read_takes_no_hint(twice: Twice) -> None:
    workshop, path, _ = twice
    assert not workshop.core(workshop.snapshot_id(path, full_read=True)).unchanged


def test_a_file_that_was_written_is_read(twice: Twice) -> None:
    workshop, path, _ = twice
    path.write_bytes(workshop.noise(3 * SEGMENT, 8))
    second = workshop.snapshot_id(path)
    assert not workshop.core(second).unchanged
    assert workshop.restored(second) == path.read_bytes()


def test_a_file_whose_samples_differ_is_read(twice: Twice) -> None:
    workshop, path, first = twice
    path.write_bytes(workshop.noise(3 * SEGMENT, 8))
    status = path.stat()
    mtime, ctime = str(status.st_mtime_ns), str(status.st_ctime_ns)
    source = replace(first.source, mtime_ns=mtime, ctime_ns=ctime)
    workshop.put_core(replace(first, source=source))
    second = workshop.snapshot_id(path)
    assert not workshop.core(second).unchanged
    assert workshop.restored(second) == path.read_bytes()


def test_a_parent_of_a_disk_in_use_gives_no_hint(twice: Twice) -> None:
    workshop, path, first = twice
    workshop.put_core(replace(first, freeze=replace(first.freeze, consistency="crash")))
    assert not workshop.core(workshop.snapshot_id(path)).unchanged


def test_a_file_that_changed_right_before_its_parents_moment_is_read(twice: Twice) -> None:
    workshop, path, first = twice
    early = replace(first.freeze, moment="2020-01-01T00:00:00.000Z")
    workshop.put_core(replace(first, freeze=early))
    assert not workshop.core(workshop.snapshot_id(path)).unchanged


def test_another_file_in_the_place_of_the_first_is_read(twice: Twice) -> None:
    workshop, path, _ = twice
    other = workshop.file("other", workshop.noise(3 * SEGMENT))
    other.rename(path)
    assert not workshop.core(workshop.snapshot_id(path)).unchanged


def test_a_store_with_damage_takes_no_hint(twice: Twice) -> None:
    workshop, path, _ = twice
    pack = workshop.packs(0)[0]
    pack.write_bytes(pack.read_bytes()[:-1])
    workshop.check()
    assert not workshop.core(workshop.snapshot_id(path)).unchanged


# --- what is said and recorded -----------------------------------------------------------------


def test_the_one_who_waits_is_told_once_while_it_is_pending(workshop: Workshop) -> None:
    told: list[dict[str, object]] = []
    shape = workshop.snapshot(workshop.file("disk", b"content"), told.append)
    assert [(one["SnapshotId"], one["State"]) for one in told] == [(shape["SnapshotId"], "pending")]


def test_description_and_tags_are_recorded(workshop: Workshop) -> None:
    path = workshop.file("disk", b"content")
    shape = workshop.snapshot(path, description="before the upgrade", tags={"b": "2", "a": "1"})
    assert shape["Description"] == "before the upgrade"
    assert shape["Tags"] == [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]


def test_nothing_is_pending_or_staged_when_it_is_done(workshop: Workshop) -> None:
    workshop.snapshot(workshop.file("disk", b"content"))
    left = [*(workshop.root / "pending").iterdir(), *(workshop.root / "staging").iterdir()]
    assert left == []


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_dry_run_changes_nothing(workshop: Workshop) -> None:
    path = workshop.file("disk", b"content")
    before = tree(workshop.root)
    with pytest.raises(DryRunError):
        workshop.snapshot(path, dry_run=True)
    assert tree(workshop.root) == before


def test_a_missing_disk_changes_nothing(workshop: Workshop) -> None:
    before = tree(workshop.root)
    with pytest.raises(NotFoundError):
        workshop.snapshot(workshop.folder / "absent")
    assert tree(workshop.root) == before


def test_a_disk_that_is_not_raw_is_refused(workshop: Workshop) -> None:
    with pytest.raises(UnsupportedError, match="qcow2"):
        workshop.snapshot(workshop.file("disk", b"QFI\xfb\0\0\0\3" + bytes(1000)))


def test_files_and_folders_of_the_store_are_for_their_owner_only(workshop: Workshop) -> None:
    workshop.image("image", workshop.file("disk", workshop.noise(MIB)))
    modes = {
        (path.is_dir(), path.stat().st_mode & 0o777)
        for path in [workshop.root, *workshop.root.rglob("*")]
    }
    assert modes == {(True, 0o700), (False, 0o600)}


def test_file_names_hold_no_text_of_the_user(workshop: Workshop) -> None:
    workshop.image("secretname", workshop.file("secretdisk", b"content"))
    assert not any(
        "secret" in str(path.relative_to(workshop.root)) for path in workshop.root.rglob("*")
    )


def test_a_dry_run_runs_no_freeze_commands(workshop: Workshop) -> None:
    path = workshop.file("disk", b"content")
    trace = workshop.folder / "trace"
    freeze = FreezeRequest(pre_freeze=f"touch {trace}", post_freeze=f"touch {trace}")
    with pytest.raises(DryRunError):
        workshop.snapshot(path, freeze=freeze, dry_run=True)
    with pytest.raises(DryRunError):
        workshop.image("web", path, freeze=freeze, dry_run=True)
    assert not trace.exists()


@pytest.mark.parametrize("cut", [Cut(2, 16_384), Cut(1, 4096)])
def test_a_lineage_that_is_cut_in_an_unknown_way_is_not_continued(
    workshop: Workshop, cut: Cut
) -> None:
    path = workshop.file("disk", b"content" * 10_000)
    first = workshop.snapshot_id(path)
    workshop.put_core(replace(workshop.core(first), cut=cut))
    with pytest.raises(UnsupportedError, match="is cut in a way"):
        workshop.snapshot(path, parent=first)
    assert workshop.core(workshop.snapshot_id(path)).parent is None


@pytest.mark.parametrize("words", [{"description": "\udcff"}, {"description": "x" * 256}])
def test_a_description_that_cannot_be_kept_is_refused(
    workshop: Workshop, words: dict[str, str]
) -> None:
    path = workshop.file("disk", b"content")
    with pytest.raises(UsageError, match="the description"):
        workshop.snapshot(path, **words)
    with pytest.raises(UsageError, match="the description"):
        workshop.image("web", path, **words)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"chunk_size": 1000}, CorruptStoreError),
        ({"compression_level": 100}, CorruptStoreError),
        ({"hash": "md5"}, UnsupportedError),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_store_that_is_made_in_an_unknown_way_is_not_opened(
    workshop: Workshop, fields: dict[str, object], error: type[Exception]
) -> None:
    workshop.change_config(**fields)
    with pytest.raises(error):
        workshop.open()
