"""Copies that are encrypted, keep their key, or get another one: by EC2's rules, and small."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from amictl.actions.describing_images import describe_images
from amictl.actions.key_use import check_key
from amictl.content import domains as kinds
from amictl.content.compressing import Decompressor
from amictl.content.naming import chunk_name
from amictl.errors import (
    AmictlError,
    CorruptStoreError,
    DryRunError,
    KeyNotFoundError,
    KeyUnavailableError,
    UsageError,
)
from amictl.formats import frame as frame_format
from amictl.formats import records
from amictl.model import facts
from amictl.model.blockmap import Leaf, Name
from amictl.model.records import DomainHeader, SnapshotCore
from amictl.store import authenticity, catalog, domains, layout, pending
from amictl.store.walking import leaves, map_of
from amictl.store.writing import Writer
from tests.actions.test_copying import (
    Regions,
    disk_of,
    frame_that_needs,
    regions,
    stored_bytes,
)
from tests.workshop import SEGMENT, Workshop, flip

__all__ = ["regions"]

OTHER_OWNER = "210987654321"


@pytest.fixture
def here(regions: Regions) -> Regions:
    """Both regions of one user, who has the same keys for both."""
    regions.west.keys = regions.east.keys
    return regions


@pytest.fixture
def a(here: Regions) -> str:
    return here.east.keys.new()


@pytest.fixture
def b(here: Regions) -> str:
    return here.east.keys.new()


def encrypted(shop: Workshop, key: str, disk: Path, **words: Any) -> str:
    """A snapshot of a disk with a key."""
    shop.encrypt_by_default(key)
    snapshot_id = shop.snapshot_id(disk, **words)
    shop.plain_by_default()
    return snapshot_id


def key_of(shop: Workshop, snapshot_id: str) -> str | None:
    with shop.open() as store:
        return store.key_id(catalog.read_snapshot(store, snapshot_id).domain)


def names_of(shop: Workshop, snapshot_id: str) -> set[Name]:
    """Stored names of all chunks of a snapshot."""
    with shop.open() as store:
        block_map = map_of(catalog.read_snapshot(store, snapshot_id))
        found = [store.read_leaf(name).names for _, name in leaves(store, block_map)]
    return {name for names in found for name in names if name}


def frames(shop: Workshop) -> set[bytes]:
    """The stored bytes of everything that the packs hold."""
    with shop.open() as store:
        rows = [run.rows() for run in store.index.runs]
        names = [
            key.tobytes() + rest.tobytes()
            for columns in rows
            for key, rest in zip(columns.keys, columns.names, strict=True)
        ]
        return {
            bytes(store.read_bytes(place)) for name in names for place in store.index.places(name)
        }


def contents(shop: Workshop) -> bytes:
    """The plain bytes of all frames of a store, with the keys that are at hand."""
    found = []
    for data in sorted(frames(shop)):
        if not data.startswith(frame_format.MAGIC):
            continue
        with shop.open() as store:
            clear = frame_format.clear_part(data)
            frame = store.domain(clear.domain.hex()).decode_frame(clear)
            plain = memoryview(bytearray(frame.plain_length))
            Decompressor().decode_into(frame.codec, frame.payload, plain)
            found.append(bytes(plain))
    return b"".join(found)


def state(shop: Workshop, snapshot_id: str) -> str:
    with shop.open() as store:
        core = catalog.read_snapshot(store, snapshot_id)
        return authenticity.state_of(store, core, catalog.read_attributes(store, snapshot_id))


def is_unconfirmed(shop: Workshop, record_id: str) -> bool:
    """As everybody can see, who has no key."""
    with shop.open() as store:
        read = catalog.read_image if record_id.startswith("ami-") else catalog.read_snapshot
        core = read(store, record_id)
        return authenticity.is_unconfirmed(core, catalog.read_attributes(store, record_id))


# The outcomes that EC2 gives.

PLAIN, A, B, DEFAULT, ERROR = "plain", "A", "B", "default", "error"
OUTCOMES = [
    # source, --encrypted, --kms-key-id, encryption by default, outcome
    (PLAIN, None, None, False, PLAIN),
    (PLAIN, None, None, True, DEFAULT),
    (PLAIN, False, None, False, PLAIN),
    (PLAIN, False, None, True, DEFAULT),
    (PLAIN, True, None, False, DEFAULT),
    (PLAIN, True, None, True, DEFAULT),
    (PLAIN, True, B, False, B),
    (PLAIN, True, B, True, B),
    (A, None, None, False, A),
    (A, None, None, True, A),
    (A, True, None, False, A),
    (A, True, None, True, A),
    (A, True, A, False, A),
    (A, True, B, False, B),
    (A, True, B, True, B),
    (PLAIN, None, B, False, ERROR),
    (PLAIN, None, B, True, ERROR),
    (A, None, B, True, ERROR),
    (A, False, None, False, ERROR),
    (A, False, None, True, ERROR),
    (A, False, B, False, ERROR),
]


@pytest.mark.parametrize(("source", "asked", "named", "by_default", "outcome"), OUTCOMES)
def test_what_becomes_of_a_copy_is_what_ec2_makes_of_it(
    here: Regions,
    a: str,
    b: str,
    source: str,
    asked: bool | None,
    named: str | None,
    by_default: bool,
    outcome: str,
) -> None:
    keys = {A: a, B: b, DEFAULT: here.east.keys.new(), PLAIN: None}
    disk = disk_of(here.east)
    east = here.east
    snapshot_id = encrypted(east, a, disk) if source == A else east.snapshot_id(disk)
    here.west.encrypt_by_default(keys[DEFAULT])
    if not by_default:
        here.west.plain_by_default()
    words = {"encrypted": asked, "kms_key_id": keys[named] if named else None}
    if outcome == ERROR:
        with pytest.raises(UsageError):
            here.copy_snapshot(snapshot_id, **words)
        with here.west.open() as store:
            assert catalog.snapshot_ids(store) == pending.ids(store, "snap-") == []
        return
    copied = here.copy_snapshot(snapshot_id, **words)["SnapshotId"]
    assert key_of(here.west, copied) == keys[outcome]
    assert here.west.restored(copied) == disk.read_bytes()
    found = here.west.check(read_data=True)
    assert (found["Faults"], found["Damaged"]) == ([], [])


def test_each_disk_of_an_image_has_its_own_outcome(here: Regions, a: str) -> None:
    east = here.east
    plain = east.snapshot_id(disk_of(east, 8, "data.raw"))
    mapping = ({"DeviceName": "/dev/sdb", "Ebs": {"SnapshotId": plain}},)
    east.encrypt_by_default(a)
    image_id = east.image("web", disk_of(east), block_device_mappings=mapping)
    same = here.image_in_west(here.copy_image(image_id, name="same")["ImageId"])
    both = here.image_in_west(here.copy_image(image_id, name="both", encrypted=True,
                                              kms_key_id=a)["ImageId"])  # fmt: skip
    shapes = [[one["Ebs"] for one in image["BlockDeviceMappings"]] for image in (same, both)]
    assert [[one.get("KmsKeyId") for one in disks] for disks in shapes] == [[a, None], [a, a]]
    east.keys.mislay()
    with pytest.raises(KeyUnavailableError):
        here.copy_image(image_id, name="again", encrypted=True, kms_key_id=a)


@pytest.mark.parametrize("missing", ["a", "b"])
@pytest.mark.parametrize("dry_run", [True, False])
def test_a_missing_key_is_found_before_any_work(
    here: Regions, a: str, b: str, missing: str, dry_run: bool
) -> None:
    snapshot_id = encrypted(here.east, a, disk_of(here.east))
    here.east.keys.mislay(a if missing == "a" else b)
    begun: list[dict[str, Any]] = []
    words = {"encrypted": True, "kms_key_id": b, "dry_run": dry_run}
    with pytest.raises(KeyUnavailableError):
        here.copy_snapshot(snapshot_id, begun.append, **words)
    with here.west.open() as store:
        assert list(domains.headers(store)) == pending.ids(store, "snap-") == begun == []


def test_a_key_that_nobody_knows_is_not_found(here: Regions, a: str) -> None:
    snapshot_id = here.east.snapshot_id(disk_of(here.east))
    with pytest.raises(KeyNotFoundError):
        here.copy_snapshot(snapshot_id, encrypted=True, kms_key_id="alias/nothing")


def test_a_dry_run_writes_no_header(here: Regions, a: str) -> None:
    for snapshot_id in (
        here.east.snapshot_id(disk_of(here.east)),
        encrypted(here.east, a, disk_of(here.east, 8, "b.raw")),
    ):
        with pytest.raises(DryRunError):
            here.copy_snapshot(snapshot_id, encrypted=True, kms_key_id=a, dry_run=True)
    with here.west.open() as store:
        assert list(domains.headers(store)) == []


# The same key.


def test_with_the_same_key_everything_goes_byte_for_byte_without_any_key(
    here: Regions, a: str
) -> None:
    disk = disk_of(here.east)
    snapshot_id = encrypted(here.east, a, disk)
    here.east.keys.mislay()
    copied = here.copy_snapshot(snapshot_id)["SnapshotId"]
    assert frames(here.west) == frames(here.east)
    first, second = here.east.core(snapshot_id), here.west.core(copied)
    assert (first.root, first.domain) == (second.root, second.domain)
    header = layout.domain(first.domain)
    assert (here.west.root / header).read_bytes() == (here.east.root / header).read_bytes()
    assert is_unconfirmed(here.west, copied)
    here.east.keys.find()
    assert state(here.west, copied) == authenticity.UNCONFIRMED
    assert here.west.restored(copied) == disk.read_bytes()
    assert state(here.west, copied) == authenticity.AUTHENTIC


def test_with_the_key_at_hand_such_a_copy_is_the_same_and_authentic_at_once(
    here: Regions, a: str
) -> None:
    snapshot_id = encrypted(here.east, a, disk_of(here.east))
    copied = here.copy_snapshot(snapshot_id)["SnapshotId"]
    assert frames(here.west) == frames(here.east)
    assert not is_unconfirmed(here.west, copied)
    assert state(here.west, copied) == authenticity.AUTHENTIC


def test_a_copy_of_an_unconfirmed_copy_can_be_confirmed(here: Regions, a: str) -> None:
    disk = disk_of(here.east)
    snapshot_id = encrypted(here.east, a, disk)
    here.east.keys.mislay()
    first = here.copy_snapshot(snapshot_id)["SnapshotId"]
    second = Regions(here.west, here.west).copy_snapshot(first)["SnapshotId"]
    here.east.keys.find()
    third = Regions(here.west, here.east).copy_snapshot(second)["SnapshotId"]
    assert state(here.west, second) == authenticity.UNCONFIRMED
    assert here.west.restored(second) == disk.read_bytes()
    assert state(here.east, third) == authenticity.AUTHENTIC
    assert here.east.core(third).fact(facts.COPIED_CORE) is None


@pytest.mark.parametrize("with_key", [True, False])
def test_inside_a_region_no_data_moves(here: Regions, a: str, with_key: bool) -> None:
    snapshot_id = encrypted(here.east, a, disk_of(here.east))
    before = stored_bytes(here.east)
    if not with_key:
        here.east.keys.mislay()
    here.east.change_config(owner_id=OTHER_OWNER)
    copied = Regions(here.east, here.east).copy_snapshot(snapshot_id)
    assert copied["Amictl"] == {"NewBytes": 0, "GarbageBytes": 0}
    assert stored_bytes(here.east) == before


def test_a_second_copy_without_the_key_moves_only_what_changed(here: Regions, a: str) -> None:
    disk = disk_of(here.east)
    ids = [encrypted(here.east, a, disk)]
    with disk.open("r+b") as file:
        file.write(here.east.noise(20_000, 9))
    ids.append(encrypted(here.east, a, disk))
    here.east.keys.mislay()
    copies = [here.copy_snapshot(one) for one in ids]
    assert 20_000 < copies[1]["Amictl"]["NewBytes"] < 120_000
    here.east.keys.find()
    assert here.west.restored(copies[1]["SnapshotId"]) == disk.read_bytes()
    child = here.west.snapshot(disk, full_read=True)["Amictl"]
    assert child["Parent"] == copies[1]["SnapshotId"]
    assert child["NewBytes"] < 16 * 1024


def test_an_image_is_unconfirmed_without_the_key_and_carries_its_mac_with_it(
    here: Regions, a: str
) -> None:
    here.east.encrypt_by_default(a)
    image_id = here.east.image("web", disk_of(here.east), disk_of(here.east, 8, "b.raw"))
    with_key = here.copy_image(image_id, name="with")["ImageId"]
    here.east.keys.mislay()
    without = here.copy_image(image_id, name="without")["ImageId"]
    assert [is_unconfirmed(here.west, one) for one in (with_key, without)] == [False, True]
    here.east.keys.find()
    with here.west.open() as store:
        found = check_key(store, a)
    assert found["Faults"] == []
    told = {one["ImageId"]: one["Authenticity"] for one in found["Images"]}
    assert told == {with_key: "authentic", without: "unconfirmed"}


def test_the_image_of_a_plain_image_that_is_encrypted_carries_a_mac(here: Regions, b: str) -> None:
    image_id = here.east.image("web", disk_of(here.east))
    copied = here.copy_image(image_id, encrypted=True, kms_key_id=b)["ImageId"]
    with here.west.open() as store:
        (found,) = check_key(store, b)["Images"]
        (image,) = describe_images(store)["Images"]
    assert found == {"ImageId": copied, "Authenticity": "authentic"}
    assert image["BlockDeviceMappings"][0]["Ebs"]["KmsKeyId"] == b


@pytest.mark.parametrize("words", [{}, {"encrypted": True}], ids=["same", "other"])
def test_an_image_whose_mac_was_taken_away_is_refused(
    here: Regions, a: str, b: str, words: dict[str, Any]
) -> None:
    east = here.east
    east.encrypt_by_default(a)
    image_id = east.image("web", disk_of(east))
    with east.open() as store:
        core = catalog.read_image(store, image_id)
    stripped = replace(core, signatures=(), further=(), boot_mode="uefi")
    (east.root / layout.core(image_id)).write_bytes(records.encode(stripped))
    with pytest.raises(CorruptStoreError, match="maps other content than was recorded"):
        here.copy_image(image_id, **words | ({"kms_key_id": b} if words else {}))


def test_an_image_that_was_changed_is_refused_with_the_key_and_forged_without(
    here: Regions, a: str
) -> None:
    east = here.east
    east.encrypt_by_default(a)
    image_id = east.image("web", disk_of(east))
    with east.open() as store:
        core = replace(catalog.read_image(store, image_id), boot_mode="uefi")
    (east.root / layout.core(image_id)).write_bytes(records.encode(core))
    with pytest.raises(CorruptStoreError, match="not recorded with the key"):
        here.copy_image(image_id)
    east.keys.mislay()
    copied = here.copy_image(image_id)["ImageId"]
    east.keys.find()
    with here.west.open() as store:
        assert check_key(store, a)["Images"][0]["Authenticity"] == "forged"
        image = catalog.read_image(store, copied)
        with pytest.raises(CorruptStoreError, match="not recorded with the key"):
            authenticity.require_authentic(store, image)


def test_an_image_is_not_recorded_anew_without_the_key_of_its_record(
    here: Regions, a: str, b: str
) -> None:
    """A plain disk is encrypted by default; what the other one is encrypted with is not here."""
    east = here.east
    plain = east.snapshot_id(disk_of(east, 8, "data.raw"))
    mapping = ({"DeviceName": "/dev/sdb", "Ebs": {"SnapshotId": plain}},)
    east.encrypt_by_default(a)
    image_id = east.image("web", disk_of(east), block_device_mappings=mapping)
    here.west.encrypt_by_default(b)
    east.keys.mislay(a)
    with pytest.raises(KeyUnavailableError, match=a):
        here.copy_image(image_id)
    east.keys.find()
    copied = here.copy_image(image_id)["ImageId"]
    with here.west.open() as store:
        authenticity.require_authentic(store, catalog.read_image(store, copied))
        assert check_key(store, a)["Faults"] == check_key(store, b)["Faults"] == []


# Another key.


def test_another_key_shares_no_chunk_with_the_source(here: Regions, a: str, b: str) -> None:
    disk = disk_of(here.east)
    plain = here.east.snapshot_id(disk)
    inside = Regions(here.east, here.east)
    first = inside.copy_snapshot(plain, encrypted=True, kms_key_id=a)["SnapshotId"]
    second = inside.copy_snapshot(first, encrypted=True, kms_key_id=b)["SnapshotId"]
    sets = [names_of(here.east, one) for one in (plain, first, second)]
    assert len({len(names) for names in sets}) == 1
    assert len(set().union(*sets)) == 3 * len(sets[0])
    here.east.keys.mislay(a)
    assert here.east.restored(second) == disk.read_bytes()
    here.east.keys.find()
    here.east.keys.mislay(b)
    with pytest.raises(KeyUnavailableError, match=b):
        here.east.restored(second)
    with pytest.raises(UsageError, match="cannot become plain"):
        inside.copy_snapshot(second, encrypted=False)


@pytest.mark.parametrize("from_key", [True, False])
def test_what_is_used_whole_is_sealed_as_it_is(
    here: Regions, a: str, b: str, from_key: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = disk_of(here.east)
    east = here.east
    snapshot_id = encrypted(east, a, disk) if from_key else east.snapshot_id(disk)
    with monkeypatch.context() as patch:
        patch.setattr("amictl.store.carrying.chunk_name", None)
        patch.setattr("amictl.content.compressing.Compressor.encode", None)
        patch.setattr("amictl.content.compressing.Decompressor.decode_into", None)
        copied = here.copy_snapshot(snapshot_id, encrypted=True, kms_key_id=b)
    assert here.west.restored(copied["SnapshotId"]) == disk.read_bytes()
    source, copy = east.core(snapshot_id), here.west.core(copied["SnapshotId"])
    assert (copy.cut, copy.height, copy.freeze) == (source.cut, source.height, source.freeze)
    assert copy.fingerprint_key == "0" * 64
    assert state(here.west, copied["SnapshotId"]) == authenticity.AUTHENTIC


@pytest.mark.parametrize("from_key", [True, False])
def test_the_next_copy_with_another_key_is_an_increment(
    here: Regions, a: str, b: str, from_key: bool
) -> None:
    east = here.east
    disk = disk_of(east)

    def snapshot() -> str:
        return encrypted(east, a, disk) if from_key else east.snapshot_id(disk)

    words = {"encrypted": True, "kms_key_id": b}
    first = here.copy_snapshot(snapshot(), **words)
    with disk.open("r+b") as file:
        file.write(east.noise(20_000, 9))
    second = here.copy_snapshot(snapshot(), **words)
    assert first["Amictl"]["NewBytes"] > 1_200_000
    assert 20_000 < second["Amictl"]["NewBytes"] < 120_000
    assert here.west.restored(second["SnapshotId"]) == disk.read_bytes()
    assert here.west.core(second["SnapshotId"]).domain == here.west.core(first["SnapshotId"]).domain


def test_a_volume_goes_on_in_its_domain_where_its_key_has_several(here: Regions, a: str) -> None:
    """Domains of one key come to a region from others, and may come first by their ids."""
    words = {"encrypted": True, "kms_key_id": a}
    disk = disk_of(here.east)
    first = here.copy_snapshot(here.east.snapshot_id(disk), **words)["SnapshotId"]
    other = here.east.file("other.raw", here.east.noise(5000, 3))
    for _ in range(4):
        encrypted(here.east, a, other)
        header = layout.domain(here.east.core(encrypted(here.east, a, other)).domain)
        here.copy_snapshot(encrypted(here.east, a, other))
        assert (here.west.root / header).exists()
    second = here.copy_snapshot(here.east.snapshot_id(disk, full_read=True), **words)
    assert here.west.core(second["SnapshotId"]).domain == here.west.core(first).domain
    assert second["Amictl"]["NewBytes"] < 16 * 1024


KINDS: list[dict[str, Any]] = [
    {"from_key": False, "to": "A", "inside": False},
    {"from_key": False, "to": "A", "inside": True},
    {"from_key": True, "to": "A", "inside": False},
    {"from_key": True, "to": "A", "inside": True},
    {"from_key": True, "to": "B", "inside": False},
    {"from_key": True, "to": "B", "inside": True},
    {"from_key": True, "to": "B", "inside": False, "recut": True},
    {"from_key": False, "to": "A", "inside": False, "recut": True},
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_an_increment_right_after_any_copy_is_small(
    here: Regions, a: str, b: str, kind: dict[str, Any]
) -> None:
    where = Regions(here.east, here.east) if kind["inside"] else here
    disk = disk_of(here.east)
    source = encrypted(here.east, a, disk) if kind["from_key"] else here.east.snapshot_id(disk)
    words = {"encrypted": True, "kms_key_id": {"A": a, "B": b}[kind["to"]]}
    copied = where.copy_snapshot(source, recut=kind.get("recut", False), **words)["SnapshotId"]
    added = where.west.snapshot(disk, parent=copied, full_read=True)
    assert added["Amictl"]["NewBytes"] < 16 * 1024
    target = where.west.folder / "back.raw"
    where.west.volume(copied, target)
    again = where.west.snapshot(target, full_read=True)
    assert again["Amictl"]["NewBytes"] < 16 * 1024
    for made in (added, again):
        assert key_of(where.west, made["SnapshotId"]) == words["kms_key_id"]


def test_a_disk_goes_on_with_its_plain_snapshot_beside_an_encrypted_copy(
    here: Regions, a: str
) -> None:
    disk = disk_of(here.east)
    plain = here.east.snapshot_id(disk)
    inside = Regions(here.east, here.east)
    inside.copy_snapshot(plain, encrypted=True, kms_key_id=a)
    assert here.east.snapshot(disk)["Amictl"]["Parent"] == plain


# Nothing of others goes along.


def two_in_one_frame(shop: Workshop, key: str | None) -> tuple[str, bytes]:
    """A snapshot that uses a part of a frame of another one; and a marker that only that has."""
    marker = b"a secret of the first disk " * 8
    first = bytearray(shop.noise(200_000, 5))
    first[90_000 : 90_000 + len(marker)] = marker
    disk = shop.file("one.raw", bytes(first))
    if key:
        encrypted(shop, key, disk)
    else:
        shop.snapshot_id(disk)
    first[80_000:110_000] = shop.noise(30_000, 6)
    disk.write_bytes(bytes(first))
    return encrypted(shop, key, disk) if key else shop.snapshot_id(disk), marker


def test_with_the_same_key_and_owner_whole_frames_go(here: Regions, a: str) -> None:
    two, marker = two_in_one_frame(here.east, a)
    copied = here.copy_snapshot(two)
    assert marker in contents(here.west)
    assert copied["Amictl"]["GarbageBytes"] > 0


@pytest.mark.parametrize("from_key", [True, False])
def test_under_another_key_nothing_goes_that_the_snapshot_does_not_hold(
    here: Regions, a: str, b: str, from_key: bool
) -> None:
    two, marker = two_in_one_frame(here.east, a if from_key else None)
    copied = here.copy_snapshot(two, encrypted=True, kms_key_id=b)
    assert marker not in contents(here.west)
    assert copied["Amictl"]["GarbageBytes"] == 0
    assert here.west.restored(copied["SnapshotId"]) == (here.east.folder / "one.raw").read_bytes()


def test_to_another_owner_with_the_same_key_nothing_goes_either(here: Regions, a: str) -> None:
    here.west.change_config(owner_id=OTHER_OWNER)
    two, marker = two_in_one_frame(here.east, a)
    copied = here.copy_snapshot(two)["SnapshotId"]
    assert marker not in contents(here.west)
    assert here.west.restored(copied) == (here.east.folder / "one.raw").read_bytes()
    assert here.west.core(copied).domain == here.east.core(two).domain


def test_to_another_owner_without_the_key_nothing_goes_at_all(here: Regions, a: str) -> None:
    here.west.change_config(owner_id=OTHER_OWNER)
    snapshot_id = encrypted(here.east, a, disk_of(here.east))
    here.east.keys.mislay()
    with pytest.raises(KeyUnavailableError):
        here.copy_snapshot(snapshot_id)
    with here.west.open() as store:
        assert pending.ids(store, "snap-") == []


# Recutting.


def test_recut_cuts_by_a_secret_pattern(here: Regions, a: str) -> None:
    disk = disk_of(here.east)
    source = here.east.snapshot_id(disk)
    words = {"encrypted": True, "kms_key_id": a}
    kept = here.copy_snapshot(source, **words)["SnapshotId"]
    anew = here.copy_snapshot(source, recut=True, **words)["SnapshotId"]
    assert [here.west.core(one).cut.id for one in (kept, anew)] == [1, 2]
    assert here.west.restored(anew) == disk.read_bytes()
    assert state(here.west, anew) == authenticity.AUTHENTIC
    with disk.open("r+b") as file:
        file.write(here.east.noise(20_000, 9))
    later = here.copy_snapshot(here.east.snapshot_id(disk), recut=True, **words)
    assert 20_000 < later["Amictl"]["NewBytes"] < 120_000


def test_only_an_encrypted_copy_is_cut_anew(here: Regions) -> None:
    with pytest.raises(UsageError, match="only an encrypted copy"):
        here.copy_snapshot(here.east.snapshot_id(disk_of(here.east)), recut=True)


def test_with_the_same_key_recutting_needs_it(here: Regions, a: str) -> None:
    disk = disk_of(here.east)
    snapshot_id = encrypted(here.east, a, disk)
    here.east.keys.mislay()
    with pytest.raises(KeyUnavailableError):
        here.copy_snapshot(snapshot_id, recut=True)
    here.east.keys.find()
    copied = here.copy_snapshot(snapshot_id, recut=True)["SnapshotId"]
    assert here.west.restored(copied) == disk.read_bytes()
    assert names_of(here.west, copied) != names_of(here.east, snapshot_id)


# What was tampered with.


def forged(core: SnapshotCore) -> SnapshotCore:
    return replace(core, size_bytes=core.size_bytes - 512)


@pytest.mark.parametrize("words", [{}, {"encrypted": True}], ids=["same", "other"])
def test_a_forged_source_is_refused_with_the_key(
    here: Regions, a: str, b: str, words: dict[str, Any]
) -> None:
    core = here.east.core(encrypted(here.east, a, disk_of(here.east)))
    here.east.put_core(forged(core))
    if words:
        words = words | {"kms_key_id": b}
    with pytest.raises(CorruptStoreError, match="not recorded with the key"):
        here.copy_snapshot(core.snapshot_id, **words)
    with here.west.open() as store:
        assert pending.ids(store, "snap-") == []


def test_a_forged_source_stays_forged_in_a_copy_without_the_key(here: Regions, a: str) -> None:
    core = here.east.core(encrypted(here.east, a, disk_of(here.east)))
    here.east.put_core(replace(core, root=here.east.core(core.snapshot_id).root, height=1,
                               data_bytes=1))  # fmt: skip
    here.east.keys.mislay()
    copied = here.copy_snapshot(core.snapshot_id)["SnapshotId"]
    here.east.keys.find()
    assert state(here.west, copied) == authenticity.FORGED
    with pytest.raises(CorruptStoreError, match="not recorded with the key"):
        here.west.restored(copied)
    with pytest.raises(CorruptStoreError, match="not recorded with the key"):
        Regions(here.west, here.east).copy_snapshot(copied)


def test_a_frame_of_the_plain_domain_under_names_of_another_is_refused(
    here: Regions, a: str
) -> None:
    """Somebody who can write to the source puts plain frames where sealed ones were."""
    disk = here.east.file("small.raw", here.east.noise(5000))
    snapshot_id = encrypted(here.east, a, disk)
    (name,) = names_of(here.east, snapshot_id)
    fake = frame_format.encode([name], [5000], 0, here.east.noise(5000, 2))
    with here.east.open() as store, Writer(store, here.east.surroundings.random_bytes) as writer:
        writer.add_frames([(fake, (name,))])
        writer.publish()
    here.east.packs(0)[0].unlink()
    for mislaid in (False, True):
        if mislaid:
            here.east.keys.mislay()
        with pytest.raises(CorruptStoreError, match="another domain"):
            here.copy_snapshot(snapshot_id)


def test_a_plain_frame_under_a_wrong_name_is_found_when_it_is_used_in_part(
    here: Regions, a: str
) -> None:
    east = here.east
    core = east.core(east.snapshot_id(east.file("small.raw", east.noise(5000))))
    names = [chunk_name(east.noise(5000, seed)) for seed in (1, 2)]
    lie = frame_format.encode(names, [5000, 5000], 0, east.noise(10_000, 3))
    with east.open() as store, Writer(store, east.surroundings.random_bytes) as writer:
        writer.add_frames([(lie, tuple(names))])
        root = writer.add_node(Leaf((5000,), (names[0],), bytes(16)), kinds.PLAIN).stored
        writer.publish()
    east.put_core(replace(core, root=root.hex()))
    with pytest.raises(CorruptStoreError, match="has other content"):
        here.copy_snapshot(core.snapshot_id, encrypted=True, kms_key_id=a)


@pytest.mark.parametrize("kind", [0, 1], ids=["frames", "nodes"])
@pytest.mark.parametrize("with_key", [True, False])
def test_damage_of_the_source_fails_the_copy(
    here: Regions, a: str, kind: int, with_key: bool
) -> None:
    snapshot_id = encrypted(here.east, a, disk_of(here.east))
    pack = here.east.packs(kind)[0]
    for offset in range(
        1000 if kind == 0 else 40, pack.stat().st_size - 200, 40_000 - 39_000 * kind
    ):
        flip(pack, offset)
    if not with_key:
        here.east.keys.mislay()
    with pytest.raises(CorruptStoreError, match=f"{snapshot_id} is damaged at") as caught:
        here.copy_snapshot(snapshot_id)
    assert ("bytes 0 to" in caught.value.message) == with_key
    with here.west.open() as store:
        assert catalog.snapshot_ids(store) == []


def changed_header(shop: Workshop, core: SnapshotCore, **members: Any) -> None:
    path = shop.root / layout.domain(core.domain)
    header = records.decode(path.read_bytes(), DomainHeader, "here")
    path.write_bytes(records.encode(replace(header, **members)))


def test_a_header_with_another_secret_is_refused(here: Regions, a: str) -> None:
    core = here.east.core(encrypted(here.east, a, disk_of(here.east)))
    here.copy_snapshot(core.snapshot_id)
    changed_header(here.east, core, commitment="ab" * 32, generation=7)
    here.east.keys.mislay()
    before = (here.west.root / layout.domain(core.domain)).read_bytes()
    with pytest.raises(CorruptStoreError, match="another secret"):
        here.copy_snapshot(core.snapshot_id)
    assert (here.west.root / layout.domain(core.domain)).read_bytes() == before


def test_a_newer_header_comes_only_with_the_key_that_opens_it(here: Regions, a: str) -> None:
    core = here.east.core(encrypted(here.east, a, disk_of(here.east)))
    here.copy_snapshot(core.snapshot_id)
    place = layout.domain(core.domain)
    before = (here.west.root / place).read_bytes()
    with here.east.open() as store:
        header = domains.read_header(store, core.domain)
        secret = here.east.keys.unwrap(header)
    good = here.east.keys.wrap(a, secret)
    changed_header(here.east, core, wrapped=good, generation=1)
    here.east.keys.mislay()
    here.copy_snapshot(core.snapshot_id)
    assert (here.west.root / place).read_bytes() == before
    here.east.keys.find()
    here.copy_snapshot(core.snapshot_id)
    assert (here.west.root / place).read_bytes() == (here.east.root / place).read_bytes()
    changed_header(here.east, core, wrapped=here.east.keys.wrap(a, bytes(32)), generation=2)
    with pytest.raises(AmictlError):
        here.copy_snapshot(core.snapshot_id)
    assert b'"Generation":1' in (here.west.root / place).read_bytes()


def test_what_a_frame_needs_is_resolved_under_another_key(here: Regions, a: str) -> None:
    east = here.east
    core = east.core(east.snapshot_id(east.file("small.raw", east.noise(5000))))
    used, needed = east.noise(5000, 21), east.noise(6000, 22)
    with east.open() as store, Writer(store, east.surroundings.random_bytes) as writer:
        frame = frame_format.encode([chunk_name(needed)], [6000], 0, needed)
        writer.add_frames([(frame, (chunk_name(needed),))])
        writer.add_frames([(frame_that_needs(chunk_name(needed), used), (chunk_name(used),))])
        root = writer.add_node(Leaf((5000,), (chunk_name(used),), bytes(16)), kinds.PLAIN).stored
        writer.publish()
    east.put_core(replace(core, root=root.hex()))
    copied = here.copy_snapshot(core.snapshot_id, encrypted=True, kms_key_id=a)["SnapshotId"]
    assert here.west.restored(copied) == used
    assert needed not in contents(here.west)


@pytest.mark.parametrize("seed", range(4))
def test_a_disk_that_changes_is_copied_every_night(
    here: Regions, a: str, b: str, seed: int
) -> None:
    """Plain or with a key, to another key, to the same, with it and without, and on."""
    chance = random.Random(seed)
    disk = disk_of(here.east, seed)
    made: list[tuple[Workshop, str, bytes]] = []
    for night in range(6):
        with disk.open("r+b") as file:
            for _ in range(3):
                file.seek(chance.randrange(3 * SEGMENT - 70_000))
                file.write(chance.choice([bytes(70_000), chance.randbytes(9000)]))
        snapshot_id = encrypted(here.east, a, disk) if night > 2 else here.east.snapshot_id(disk)
        words = chance.choice([{}, {"encrypted": True, "kms_key_id": chance.choice([a, b])}])
        if not words and chance.random() < 0.5:
            here.east.keys.mislay()
        copied = here.copy_snapshot(snapshot_id, **words)["SnapshotId"]
        here.east.keys.find()
        back = Regions(here.west, here.east)
        again = back.copy_snapshot(copied, encrypted=True, kms_key_id=b)["SnapshotId"]
        made += [(here.west, copied, disk.read_bytes()), (here.east, again, disk.read_bytes())]
    for shop, snapshot_id, content in made:
        assert shop.restored(snapshot_id) == content
    for shop in (here.east, here.west):
        found = shop.check(read_data=True)
        assert (found["Faults"], found["Damaged"]) == ([], [])
