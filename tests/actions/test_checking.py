"""Checks find whatever was done to a store, and say whom it hurts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amictl.actions.checking import verify_snapshot
from amictl.errors import CorruptStoreError, NotFoundError, UsageError
from amictl.store import catalog, layout
from tests.workshop import MIB, SEGMENT, Workshop, flip

Damage = Callable[[Path], object]


def fill(workshop: Workshop) -> Workshop:
    """A store with an image of two disks; the second disk changed once before."""
    root = workshop.file("root", workshop.noise(SEGMENT + 1000))
    data = workshop.file("data", {0: b"text\n" * 20_000, SEGMENT: workshop.noise(MIB, 2)}, 9 * MIB)
    workshop.snapshot(data)
    workshop.file("data", {0: b"text\n" * 20_000, SEGMENT: workshop.noise(MIB, 3)}, 9 * MIB)
    workshop.image("machine", root, data)
    workshop.image("other machine", workshop.file("third", b"third"))
    return workshop


@pytest.fixture
def filled(workshop: Workshop) -> Workshop:
    return fill(workshop)


def only(paths: list[Path]) -> Path:
    assert len(paths) == 1
    return paths[0]


def one(workshop: Workshop, pattern: str) -> Path:
    """The first file in the store that matches."""
    return sorted(workshop.root.glob(pattern))[0]


def faults(workshop: Workshop, **words: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = workshop.check(**words)["Faults"]
    return found


def test_a_sound_store_has_no_faults(filled: Workshop) -> None:
    checked = filled.check(read_data=True)
    assert (checked["Faults"], checked["Damaged"]) == ([], [])


def test_a_check_counts_what_it_looked_at(filled: Workshop) -> None:
    checked = filled.check(read_data=True)
    packs = list((filled.root / "packs").iterdir())
    assert checked["PackCount"] == checked["PacksRead"] == len(packs)
    assert checked["BytesRead"] == sum(pack.stat().st_size for pack in packs)
    assert (checked["SnapshotCount"], checked["ImageCount"]) == (4, 2)


def test_an_empty_store_has_no_faults(workshop: Workshop) -> None:
    assert faults(workshop, read_data=True) == []


# --- every kind of file ------------------------------------------------------------------------

FILES = {
    "frames": "packs/*.pack",
    "run": "index/*.run",
    "current": "index/CURRENT",
    "epoch": "gc-epoch",
    "snapshot": "snapshots/snap-?????????????????.json",
    "snapshot-attributes": "snapshots/*.attributes.json",
    "image": "images/ami-?????????????????.json",
    "image-attributes": "images/*.attributes.json",
    "name": "names/*.json",
    "volume": "volumes/*.json",
    "damage": "damage.json",
    "checks": "checks.json",
}
DAMAGES: dict[str, Damage] = {
    "zero-length": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "torn": lambda path: path.write_bytes(
        path.read_bytes()[: path.stat().st_size // 2].ljust(path.stat().st_size, b"\0")
    ),
    "flipped": lambda path: flip(path, 3),
    "appended": lambda path: path.write_bytes(path.read_bytes() + b"\n"),
    "foreign": lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" * 20),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("pattern", FILES.values(), ids=FILES)
def test_damage_of_every_kind_of_file_is_found(
    filled: Workshop, pattern: str, damage: Damage
) -> None:
    flip(filled.packs(0)[-1], 200)
    filled.check(read_data=True)  # now there are damage.json and checks.json
    flip(filled.packs(0)[-1], 200)
    place = one(filled, pattern)
    damage(place)
    found = faults(filled, read_data=True)
    name = str(place.relative_to(filled.root))
    assert any(name in f"{fault['Place']} {fault['Message']}" for fault in found)


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_configuration_is_not_opened(filled: Workshop, damage: Damage) -> None:
    damage(filled.root / "store.json")
    with pytest.raises(CorruptStoreError, match=r"store\.json"):
        filled.check()


MISSING = [
    "packs/*.pack",
    "index/*.run",
    "index/CURRENT",
    "gc-epoch",
    "snapshots/*.attributes.json",
]


@pytest.mark.parametrize("pattern", [*MISSING, "images/*.attributes.json"])
def test_a_missing_file_is_found(filled: Workshop, pattern: str) -> None:
    one(filled, pattern).unlink()
    assert faults(filled) != []


def test_a_missing_snapshot_of_an_image_is_found(filled: Workshop) -> None:
    image = one(filled, "images/ami-?????????????????.json").stem
    with filled.open() as store:
        snapshot_id = catalog.read_image(store, image).mappings[0].snapshot_id
    assert snapshot_id is not None
    (filled.root / layout.core(snapshot_id)).unlink()
    found = only_fault(faults(filled))
    assert image in found["Place"]
    assert snapshot_id in found["Message"]


def only_fault(found: list[dict[str, Any]]) -> dict[str, Any]:
    assert len(found) == 1
    return found[0]


SWAPPED = [
    "packs/*.pack",
    "index/*.run",
    "snapshots/snap-?????????????????.json",
    "snapshots/*.attributes.json",
    "images/ami-?????????????????.json",
    "images/*.attributes.json",
    "names/*.json",
    "volumes/*.json",
]


@pytest.mark.parametrize("pattern", SWAPPED)
def test_two_files_swapped_by_name_are_found(filled: Workshop, pattern: str) -> None:
    if pattern.startswith("index"):
        (filled.root / "index" / f"{'ab' * 16}.run").write_bytes(
            one(filled, "index/CURRENT").read_bytes()
        )
    first, second = sorted(filled.root.glob(pattern))[:2]
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    assert faults(filled) != []


FOREIGN = ["", "packs", "index", "snapshots", "images", "names", "volumes", "pending", "marks"]


@pytest.mark.parametrize("folder", [*FOREIGN, "domains", "quarantine", "locks"])
@pytest.mark.parametrize("name", ["readme.txt", "0.json", "x.pack", ".hidden"])
def test_a_foreign_file_is_found_and_left_alone(filled: Workshop, folder: str, name: str) -> None:
    path = filled.root / folder / name
    path.write_bytes(b"mine")
    found = only_fault(faults(filled))
    assert (found["Kind"], found["Place"]) == ("foreign", str(path.relative_to(filled.root)))
    assert path.read_bytes() == b"mine"


def test_packs_and_runs_that_current_does_not_name_are_garbage(filled: Workshop) -> None:
    (filled.root / "packs" / f"{'ab' * 16}.pack").write_bytes(bytes(100))
    (filled.root / "index" / f"{'cd' * 16}.run").write_bytes(bytes(23))
    checked = filled.check()
    assert (checked["Faults"], checked["GarbageBytes"]) == ([], 123)


def test_what_a_killed_writer_left_in_staging_is_no_fault(filled: Workshop) -> None:
    (filled.root / "staging" / "0123456789abcdef01234567").write_bytes(b"half a pack")
    assert faults(filled) == []


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A store that each example damages and mends again."""
    return fill(Workshop(tmp_path_factory.mktemp("sound")))


@settings(max_examples=150)
@given(draw=st.data())
def test_any_flipped_bit_of_packs_and_index_is_found(sound: Workshop, draw: st.DataObject) -> None:
    paths = [*sorted(sound.root.glob("packs/*")), *sorted(sound.root.glob("index/*"))]
    path = draw.draw(st.sampled_from(paths))
    original = path.read_bytes()
    flip(path, draw.draw(st.integers(0, len(original) - 1)), draw.draw(st.integers(0, 7)))
    try:
        assert faults(sound, read_data=True) != []
    finally:
        path.write_bytes(original)
        (sound.root / layout.DAMAGE).unlink(missing_ok=True)


# --- whom it hurts -----------------------------------------------------------------------------


def damaged_chunk(filled: Workshop) -> Workshop:
    """With damage in the first frame of the second disk's newest content."""
    path = next(
        pack for pack in filled.packs(0) if filled.noise(MIB, 3)[:5000] in pack.read_bytes()
    )
    flip(path, path.read_bytes().index(filled.noise(MIB, 3)[:5000]))
    return filled


def test_damage_names_image_device_and_bytes(filled: Workshop) -> None:
    (hurt,) = damaged_chunk(filled).check(read_data=True)["Damaged"]
    assert [(image["Name"], image["DeviceName"]) for image in hurt["Images"]] == [
        ("machine", "/dev/sdb")
    ]
    assert hurt["Ranges"][0]["Start"] == SEGMENT


def test_damaged_bytes_are_those_that_a_restore_names(filled: Workshop) -> None:
    (hurt,) = damaged_chunk(filled).check(read_data=True)["Damaged"]
    with pytest.raises(CorruptStoreError, match=f"bytes {hurt['Ranges'][0]['Start']} to"):
        filled.volume(hurt["SnapshotId"], filled.folder / "target")


def test_a_check_without_data_finds_no_damage_in_frames(filled: Workshop) -> None:
    assert damaged_chunk(filled).check()["Faults"] == []


def test_damage_that_was_found_is_found_again_without_data(filled: Workshop) -> None:
    first = damaged_chunk(filled).check(read_data=True)["Damaged"]
    assert filled.check()["Damaged"] == first


def test_a_pack_that_is_whole_but_for_its_end_is_still_restored(filled: Workshop) -> None:
    DAMAGES["truncated"](filled.packs(0)[0])
    (hurt,) = [one for one in filled.check()["Damaged"] if one["Images"] == []]
    filled.volume(hurt["SnapshotId"], filled.folder / "target")


def test_damage_that_was_mended_is_forgotten_when_all_is_read(filled: Workshop) -> None:
    packs = {path: path.read_bytes() for path in filled.packs(0)}
    damaged_chunk(filled).check(read_data=True)
    for path, content in packs.items():
        path.write_bytes(content)
    filled.check(read_data=True)
    assert filled.check()["Damaged"] == []


def test_damage_is_not_forgotten_by_a_check_that_cannot_read_the_index(filled: Workshop) -> None:
    damaged_chunk(filled).check(read_data=True)
    remembered = (filled.root / layout.DAMAGE).read_bytes()
    flip(filled.root / layout.CURRENT, 30)
    filled.check(read_data=True)
    assert (filled.root / layout.DAMAGE).read_bytes() == remembered


@pytest.mark.parametrize("kind", [0, 1], ids=["frames", "nodes"])
@pytest.mark.parametrize("damage", ["missing", "half", "zero-length"])
def test_a_pack_that_is_not_whole_names_whom_it_hurts(
    filled: Workshop, kind: int, damage: str
) -> None:
    pack = filled.packs(kind)[1]
    if damage == "missing":
        pack.unlink()
    else:
        DAMAGES[damage](pack)
    checked = filled.check()
    assert checked["Damaged"][0]["Ranges"] != []
    assert pack.name in str(checked["Faults"])


def test_a_damaged_inner_node_names_all_that_it_covers(workshop: Workshop) -> None:
    path = workshop.file("disk", workshop.noise(3 * SEGMENT))
    workshop.snapshot(path)
    pack = only(workshop.packs(1))
    root = bytes.fromhex(workshop.core(workshop.snapshot_id(path)).root or "")
    with workshop.open() as store:
        place = store.index.find(root)
    assert place is not None
    flip(pack, place.offset + 50)
    (first, second) = workshop.check()["Damaged"]
    assert first["Ranges"] == second["Ranges"] == [{"Start": 0, "End": 3 * SEGMENT}]


# --- healing -----------------------------------------------------------------------------------


def test_a_new_snapshot_of_the_source_heals_the_old_one(filled: Workshop) -> None:
    (hurt,) = damaged_chunk(filled).check(read_data=True)["Damaged"]
    filled.snapshot(filled.folder / "data")
    assert filled.restored(hurt["SnapshotId"]) == (filled.folder / "data").read_bytes()


def test_a_healed_store_damages_nobody(filled: Workshop) -> None:
    damaged_chunk(filled).check(read_data=True)
    filled.snapshot(filled.folder / "data")
    assert filled.check()["Damaged"] == []


@pytest.mark.parametrize("kind", [0, 1], ids=["frames", "nodes"])
def test_a_new_snapshot_heals_what_a_lost_pack_held(workshop: Workshop, kind: int) -> None:
    path = workshop.file("disk", workshop.noise(3 * SEGMENT))
    first = workshop.snapshot_id(path)
    workshop.packs(kind)[0].unlink()
    workshop.check()
    second = workshop.snapshot_id(path)
    assert workshop.restored(second) == workshop.restored(first) == path.read_bytes()


# --- which packs are read ----------------------------------------------------------------------


def test_a_sample_of_all_reads_all(filled: Workshop) -> None:
    checked = filled.check(read_data=True, sample_percent=100.0)
    assert checked["PacksRead"] == checked["PackCount"]


def test_a_sample_of_none_reads_none(filled: Workshop) -> None:
    assert filled.check(read_data=True, sample_percent=0.0)["PacksRead"] == 0


def test_packs_that_were_read_lately_are_left_out(filled: Workshop) -> None:
    filled.check(read_data=True)
    filled.snapshot(filled.file("new", filled.noise(MIB, 9)))
    assert filled.check(read_data=True, max_age_seconds=3600)["PacksRead"] == 2


@pytest.mark.parametrize(
    "words",
    [
        {"sample_percent": 5.0},
        {"max_age_seconds": 5.0},
        {"read_data": True, "sample_percent": 5.0, "max_age_seconds": 5.0},
    ],
    ids=["sample-alone", "age-alone", "both"],
)
def test_words_that_do_not_go_together_are_refused(
    workshop: Workshop, words: dict[str, Any]
) -> None:
    with pytest.raises(UsageError):
        workshop.check(**words)


# --- verify-snapshot ---------------------------------------------------------------------------


def verify(workshop: Workshop, snapshot_id: str, against: Path | None = None) -> dict[str, Any]:
    with workshop.open() as store:
        return verify_snapshot(
            store, snapshot_id, against=against, surroundings=workshop.surroundings
        )


@pytest.fixture
def disk(workshop: Workshop) -> tuple[Workshop, str]:
    """A snapshot of `disk`: a segment of noise, a hole, and a piece."""
    pieces = {0: workshop.noise(SEGMENT), 2 * SEGMENT: workshop.noise(5000, 2)}
    return workshop, workshop.snapshot_id(workshop.file("disk", pieces, 3 * SEGMENT + 7))


Disk = tuple[Workshop, str]


def test_a_sound_snapshot_is_verified(disk: Disk) -> None:
    workshop, snapshot_id = disk
    assert (
        verify(*disk)
        == {
            "SnapshotId": snapshot_id,
            "SizeBytes": 3 * SEGMENT + 7,
            "DataBytesRead": SEGMENT + 5000,
            "Faults": [],
        }
        or verify(*disk)["DataBytesRead"] == SEGMENT + 8192
    )
    assert workshop.core(snapshot_id).data_bytes == verify(*disk)["DataBytesRead"]


def test_a_snapshot_is_verified_against_its_source(disk: Disk) -> None:
    workshop, snapshot_id = disk
    assert verify(workshop, snapshot_id, workshop.folder / "disk")["Faults"] == []


@pytest.mark.parametrize("offset", [0, SEGMENT - 1, SEGMENT + 3, 2 * SEGMENT, 3 * SEGMENT + 6])
def test_a_byte_that_differs_is_found_to_the_sector(disk: Disk, offset: int) -> None:
    workshop, snapshot_id = disk
    flip(workshop.folder / "disk", offset)
    (fault,) = verify(workshop, snapshot_id, workshop.folder / "disk")["Faults"]
    start = offset // 512 * 512
    assert (fault["Start"], fault["End"]) == (start, min(start + 512, 3 * SEGMENT + 7))
    assert fault["Kind"] == "difference"


@pytest.mark.parametrize("size", [1, SEGMENT, 3 * SEGMENT + 6, 3 * SEGMENT + 8, 4 * SEGMENT])
def test_a_file_of_another_length_is_told(disk: Disk, size: int) -> None:
    workshop, snapshot_id = disk
    path = workshop.folder / "disk"
    with path.open("r+b") as file:
        file.truncate(size)
    (fault,) = verify(workshop, snapshot_id, path)["Faults"]
    assert f"{size} bytes" in fault["Reason"]


def test_a_damaged_snapshot_is_not_verified(disk: Disk) -> None:
    workshop, snapshot_id = disk
    flip(workshop.packs(0)[0], 5000)
    found = verify(workshop, snapshot_id)["Faults"]
    assert "checksum" in found[0]["Reason"]
    assert {fault["Kind"] for fault in found} == {"damage"}


def test_a_snapshot_with_a_damaged_root_is_not_verified(disk: Disk) -> None:
    workshop, snapshot_id = disk
    flip(workshop.packs(1)[0], -150)
    assert verify(workshop, snapshot_id)["Faults"] != []


def test_a_missing_file_to_compare_with_is_told(disk: Disk) -> None:
    workshop, snapshot_id = disk
    with pytest.raises(NotFoundError):
        verify(workshop, snapshot_id, workshop.folder / "absent")
