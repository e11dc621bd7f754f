"""Blocks of 512 KiB: which hold data, which differ, what is in them, against the files' bytes."""

import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amictl.actions.blocks import get_snapshot_block, list_changed_blocks, list_snapshot_blocks
from amictl.errors import (
    CorruptStoreError,
    NotFoundError,
    SnapshotNotFoundError,
    UsageError,
)
from tests.workshop import MIB, SEGMENT, Workshop

BLOCK = 524_288


def blocks_of(content: bytes) -> list[bytes]:
    """Blocks, the last padded with zeros."""
    return [content[at : at + BLOCK].ljust(BLOCK, b"\0") for at in range(0, len(content), BLOCK)]


def data_blocks(workshop: Workshop, snapshot_id: str, **words: Any) -> list[int]:
    with workshop.open() as store:
        found = list_snapshot_blocks(store, snapshot_id, **words)["Blocks"]
    return [block["BlockIndex"] for block in found]


def changed(workshop: Workshop, first: str, second: str, **words: Any) -> list[dict[str, Any]]:
    with workshop.open() as store:
        found: list[dict[str, Any]] = list_changed_blocks(store, first, second, **words)[
            "ChangedBlocks"
        ]
    return found


def expected_changes(first: bytes, second: bytes) -> list[tuple[int, bool, bool]]:
    """Index of each block that differs, and whether either has data there."""
    a, b = blocks_of(first), blocks_of(second)
    empty = bytes(BLOCK)
    a += [empty] * (len(b) - len(a))
    b += [empty] * (len(a) - len(b))
    return [(at, any(x), any(y)) for at, (x, y) in enumerate(zip(a, b, strict=True)) if x != y]


def found_changes(workshop: Workshop, first: str, second: str) -> list[tuple[int, bool, bool]]:
    return [
        (block["BlockIndex"], "FirstBlockToken" in block, "SecondBlockToken" in block)
        for block in changed(workshop, first, second)
    ]


@st.composite
def edits(draw: st.DrawFn) -> list[tuple[int, int, bytes]]:
    """Offset, length and the byte of each edit; zeros are data that became zero."""
    return draw(
        st.lists(
            st.tuples(
                st.integers(0, 2 * SEGMENT),
                st.sampled_from([1, 512, 4096, BLOCK, MIB]),
                st.sampled_from([b"\0", b"x"]),
            ),
            max_size=4,
        )
    )


@settings(max_examples=25)
@given(
    edited=edits(),
    size=st.sampled_from([SEGMENT + 700_000, 2 * SEGMENT, 2 * SEGMENT + MIB + 1]),
    parent=st.sampled_from(["auto", "none"]),
)
def test_changed_blocks_are_those_whose_bytes_differ(
    tmp_path_factory: pytest.TempPathFactory,
    edited: list[tuple[int, int, bytes]],
    size: int,
    parent: str,
) -> None:
    workshop = Workshop(tmp_path_factory.mktemp("blocks"))
    before = bytes(BLOCK) + workshop.noise(2 * SEGMENT - BLOCK)
    after = bytearray(before[:size].ljust(size, b"\0"))
    for offset, length, byte in edited:
        stop = min(offset + length, size)
        after[offset:stop] = byte * max(0, stop - offset)
    first = workshop.snapshot_id(workshop.file("disk", before))
    second = workshop.snapshot_id(workshop.file("disk", bytes(after)), parent=parent)
    assert found_changes(workshop, first, second) == expected_changes(before, bytes(after))
    assert found_changes(workshop, second, first) == expected_changes(bytes(after), before)


def test_blocks_that_were_cut_differently_are_not_changed(tmp_path: Path) -> None:
    """One lineage has another average than the other, and the store chunks of both."""
    workshop = Workshop(tmp_path, chunk_size_bytes=16_384)
    path = workshop.file("disk", workshop.noise(SEGMENT + BLOCK))
    first = workshop.snapshot_id(path)
    workshop.change_config(chunk_size=65_536)
    second = workshop.snapshot_id(path, parent="none")
    assert workshop.core(second).cut.average == 65_536
    assert workshop.core(second).root != workshop.core(first).root
    assert changed(workshop, first, second) == []


def test_data_that_became_zero_is_reported_with_one_token(workshop: Workshop) -> None:
    first = workshop.snapshot_id(workshop.file("disk", workshop.noise(2 * BLOCK)))
    second = workshop.snapshot_id(workshop.file("disk", workshop.noise(BLOCK) + bytes(BLOCK)))
    assert found_changes(workshop, first, second) == [(1, True, False)]


def test_holes_and_zeros_do_not_differ(workshop: Workshop) -> None:
    holes = workshop.snapshot_id(workshop.file("holes", {}, 2 * SEGMENT))
    zeros = workshop.snapshot_id(workshop.file("zeros", bytes(2 * SEGMENT)))
    assert changed(workshop, holes, zeros) == []


def test_maps_of_different_heights_are_compared(workshop: Workshop) -> None:
    small = workshop.snapshot_id(workshop.file("disk", b"a" * BLOCK))
    large = workshop.snapshot_id(
        workshop.file("disk", {0: b"a" * BLOCK, 600 * MIB: b"b"}, 601 * MIB)
    )
    assert found_changes(workshop, small, large) == [(1200, False, True)]


@settings(max_examples=20)
@given(
    pieces=st.dictionaries(
        st.integers(0, 2 * SEGMENT),
        st.sampled_from([b"x", bytes(BLOCK), b"y" * 5000]),
        max_size=5,
    )
)
def test_blocks_of_a_snapshot_are_those_that_are_not_all_zero(
    tmp_path_factory: pytest.TempPathFactory, pieces: dict[int, bytes]
) -> None:
    workshop = Workshop(tmp_path_factory.mktemp("blocks"))
    path = workshop.file("disk", pieces, 2 * SEGMENT + 5)
    expected = [at for at, block in enumerate(blocks_of(path.read_bytes())) if any(block)]
    assert data_blocks(workshop, workshop.snapshot_id(path)) == expected


# --- pages of a list ---------------------------------------------------------------------------


@pytest.fixture
def snapshot(workshop: Workshop) -> tuple[Workshop, str]:
    """A snapshot of ten blocks with data, in two segments, the last one short."""
    path = workshop.file("disk", workshop.noise(9 * BLOCK + 1000))
    return workshop, workshop.snapshot_id(path)


Snapshot = tuple[Workshop, str]


def test_pages_together_are_the_whole_list(snapshot: Snapshot) -> None:
    workshop, snapshot_id = snapshot
    found, token = [], None
    with workshop.open() as store:
        for _ in range(4):
            page = list_snapshot_blocks(store, snapshot_id, max_results=3, next_token=token)
            found += [block["BlockIndex"] for block in page["Blocks"]]
            token = page.get("NextToken")
    assert (found, token) == (list(range(10)), None)


def test_the_last_page_has_no_token(snapshot: Snapshot) -> None:
    workshop, snapshot_id = snapshot
    with workshop.open() as store:
        assert "NextToken" not in list_snapshot_blocks(store, snapshot_id, max_results=10)


@pytest.mark.parametrize("start", [0, 5, 8, 9, 10, 1000])
def test_a_list_begins_where_it_is_told_to(snapshot: Snapshot, start: int) -> None:
    workshop, snapshot_id = snapshot
    assert data_blocks(workshop, snapshot_id, starting_block_index=start) == list(range(start, 10))


def test_changed_blocks_begin_where_they_are_told_to(snapshot: Snapshot) -> None:
    workshop, snapshot_id = snapshot
    empty = workshop.snapshot_id(workshop.file("empty", {}, 9 * BLOCK + 1000))
    found = changed(workshop, empty, snapshot_id, starting_block_index=7)
    assert [block["BlockIndex"] for block in found] == [7, 8, 9]


def test_a_list_says_the_size_of_blocks_and_volume(snapshot: Snapshot) -> None:
    workshop, snapshot_id = snapshot
    with workshop.open() as store:
        listed = list_snapshot_blocks(store, snapshot_id)
    assert (listed["BlockSize"], listed["VolumeSize"]) == (BLOCK, 1)


@pytest.mark.parametrize("token", ["", "!", "bm90IGEgbnVtYmVy", "MTIz\n!"])
def test_a_page_token_that_amictl_did_not_give_is_refused(snapshot: Snapshot, token: str) -> None:
    workshop, snapshot_id = snapshot
    with pytest.raises(UsageError, match="token"):
        data_blocks(workshop, snapshot_id, next_token=token)


def test_blocks_of_an_unknown_snapshot_are_refused(workshop: Workshop) -> None:
    with pytest.raises(SnapshotNotFoundError):
        data_blocks(workshop, "snap-00000000000000000")


# --- one block ---------------------------------------------------------------------------------


def token_of(workshop: Workshop, snapshot_id: str, index: int) -> str:
    with workshop.open() as store:
        blocks = list_snapshot_blocks(store, snapshot_id)["Blocks"]
    return str(next(block["BlockToken"] for block in blocks if block["BlockIndex"] == index))


def get(snapshot: Snapshot, index: int, token: str, name: str = "block") -> dict[str, Any]:
    workshop, snapshot_id = snapshot
    with workshop.open() as store:
        return get_snapshot_block(store, snapshot_id, index, token, workshop.folder / name)


@pytest.mark.parametrize("index", [0, 7, 8, 9])
def test_a_block_has_the_bytes_of_the_disk(snapshot: Snapshot, index: int) -> None:
    workshop, snapshot_id = snapshot
    get(snapshot, index, token_of(workshop, snapshot_id, index))
    expected = blocks_of((workshop.folder / "disk").read_bytes())[index]
    assert (workshop.folder / "block").read_bytes() == expected


def test_a_block_comes_with_its_sha256(snapshot: Snapshot) -> None:
    workshop, snapshot_id = snapshot
    shape = get(snapshot, 9, token_of(workshop, snapshot_id, 9))
    digest = hashlib.sha256((workshop.folder / "block").read_bytes()).digest()
    assert shape == {
        "DataLength": BLOCK,
        "Checksum": base64.b64encode(digest).decode(),
        "ChecksumAlgorithm": "SHA256",
    }


def test_the_token_of_another_block_is_refused(snapshot: Snapshot) -> None:
    workshop, snapshot_id = snapshot
    with pytest.raises(UsageError, match="token"):
        get(snapshot, 1, token_of(workshop, snapshot_id, 2))


def test_the_tokens_of_two_snapshots_differ(snapshot: Snapshot) -> None:
    workshop, snapshot_id = snapshot
    second = workshop.snapshot_id(workshop.folder / "disk")
    assert token_of(workshop, snapshot_id, 1) != token_of(workshop, second, 1)


def test_a_block_beyond_the_end_is_not_there(snapshot: Snapshot) -> None:
    with pytest.raises(NotFoundError) as caught:
        get(snapshot, 10, "token")
    assert caught.value.code == "ResourceNotFoundException"


def test_a_block_replaces_the_file_of_the_one_before(snapshot: Snapshot) -> None:
    workshop, snapshot_id = snapshot
    workshop.file("block", b"the block before")
    get(snapshot, 1, token_of(workshop, snapshot_id, 1))
    assert (workshop.folder / "block").stat().st_size == BLOCK


def test_a_block_that_is_damaged_leaves_no_file(snapshot: Snapshot) -> None:
    workshop, snapshot_id = snapshot
    token = token_of(workshop, snapshot_id, 1)
    pack = workshop.packs(0)[0]
    data = pack.read_bytes()
    pack.write_bytes(data[:1000] + bytes(len(data) - 2000) + data[-1000:])
    with pytest.raises(CorruptStoreError, match="damaged"):
        get(snapshot, 1, token)
    assert not (workshop.folder / "block").exists()
