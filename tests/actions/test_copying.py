"""Copies of images and snapshots: independent, complete, small, and refused where EC2 refuses."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from amictl.actions.changing_images import disable_image
from amictl.actions.copying import (
    CopyImageRequest,
    CopySnapshotRequest,
    copy_image,
    copy_snapshot,
)
from amictl.actions.deregistering import deregister_image
from amictl.actions.describing import describe_snapshots
from amictl.actions.describing_images import describe_images
from amictl.actions.recycling import list_snapshots_in_recycle_bin
from amictl.actions.retention import CreateRuleRequest, create_rule
from amictl.actions.snapshots import delete_snapshot
from amictl.content.domains import PLAIN
from amictl.content.naming import chunk_name, fingerprint
from amictl.errors import (
    BusyError,
    ConflictError,
    CorruptStoreError,
    DryRunError,
    ImageNameDuplicateError,
    ImageNotFoundError,
    KeyUnavailableError,
    SnapshotNotFoundError,
    UsageError,
)
from amictl.formats import frame as frame_format
from amictl.formats.framing import checksum
from amictl.model.blockmap import Leaf
from amictl.model.records import RegionSettings
from amictl.store import catalog, ingesting, layout, pending, settings, tokens
from amictl.store.walking import map_of
from amictl.store.writing import Writer
from tests.workshop import MIB, SEGMENT, Workshop, flip, ignore, same

OWNER = "123456789012"


@dataclass
class Regions:
    """Two regions of one owner."""

    east: Workshop
    west: Workshop

    def copy_snapshot(
        self, snapshot_id: str, on_begun: Callable[[dict[str, Any]], None] = ignore, **words: Any
    ) -> dict[str, Any]:
        request = CopySnapshotRequest("east", snapshot_id, **words)
        with self.east.open() as source, self.west.open() as target:
            return copy_snapshot(source, target, request, self.west.surroundings, on_begun)

    def copy_image(
        self, image_id: str, on_begun: Callable[[dict[str, Any]], None] = ignore, **words: Any
    ) -> dict[str, Any]:
        request = CopyImageRequest(words.pop("name", "copy"), "east", image_id, **words)
        with self.east.open() as source, self.west.open() as target:
            return copy_image(source, target, request, self.west.surroundings, on_begun)

    def image_in_west(self, image_id: str) -> dict[str, Any]:
        with self.west.open() as store:
            (image,) = describe_images(store, (image_id,))["Images"]
        return dict(image)

    def snapshot_in_west(self, snapshot_id: str) -> dict[str, Any]:
        with self.west.open() as store:
            (snapshot,) = describe_snapshots(store, (snapshot_id,))["Snapshots"]
        return dict(snapshot)


@pytest.fixture
def regions(tmp_path: Path) -> Regions:
    shops = []
    for seed, name in enumerate(("east", "west"), start=1):
        (tmp_path / name).mkdir()
        shop = Workshop(tmp_path / name, seed=seed)
        shop.change_config(owner_id=OWNER)
        shops.append(shop)
    return Regions(*shops)


def disk_of(shop: Workshop, seed: int = 7, name: str = "disk.raw") -> Path:
    """Two segments with data and a hole between them."""
    noise = shop.noise(600_000, seed)
    return shop.file(name, {0: noise, 2 * SEGMENT + 4096: noise[::-1]}, 3 * SEGMENT)


def stored_bytes(shop: Workshop) -> int:
    return sum(path.stat().st_size for path in (shop.root / "packs").iterdir())


def test_a_copy_restores_to_the_same_bytes_when_its_source_is_gone(regions: Regions) -> None:
    disk = disk_of(regions.east)
    first = regions.east.snapshot_id(disk)
    copied = regions.copy_snapshot(first)["SnapshotId"]
    regions.east.root.rename(regions.east.folder / "away")
    target = regions.west.folder / "back.raw"
    regions.west.volume(copied, target)
    assert same(disk, target)
    assert copied != first
    assert regions.west.check(read_data=True)["Faults"] == []


def test_an_image_is_copied_with_all_its_disks(regions: Regions) -> None:
    disks = [disk_of(regions.east), disk_of(regions.east, 8, "data.raw")]
    image_id = regions.east.image("web", *disks, description="the web")
    result = regions.copy_image(image_id, name="web")
    image = regions.image_in_west(result["ImageId"])
    assert (image["State"], image["Name"], image["OwnerId"]) == ("available", "web", OWNER)
    assert (image["SourceImageId"], image["SourceImageRegion"]) == (image_id, "east")
    assert "Description" not in image
    assert [one["DeviceName"] for one in image["BlockDeviceMappings"]] == ["/dev/sda1", "/dev/sdb"]
    for mapping, disk in zip(image["BlockDeviceMappings"], disks, strict=True):
        snapshot_id = mapping["Ebs"]["SnapshotId"]
        assert regions.west.restored(snapshot_id) == disk.read_bytes()
        snapshot = regions.snapshot_in_west(snapshot_id)
        source = snapshot["Amictl"]["SourceSnapshotId"]
        assert snapshot["Description"].startswith(
            f"Copied for DestinationAmi {result['ImageId']} from SourceAmi {image_id}"
            f" for SourceSnapshot {source}. Task created on 1,"
        )
        assert snapshot["Description"].endswith(".")


def test_a_disk_that_is_mapped_twice_is_copied_once(regions: Regions) -> None:
    disk = disk_of(regions.east)
    snapshot_id = regions.east.snapshot_id(disk)
    mapping = ({"DeviceName": "/dev/sdb", "Ebs": {"SnapshotId": snapshot_id}},
               {"DeviceName": "/dev/sdc", "Ebs": {"SnapshotId": snapshot_id}},
               {"DeviceName": "/dev/sdd", "VirtualName": "ephemeral0"})  # fmt: skip
    image_id = regions.east.image("web", disk, block_device_mappings=mapping)
    image = regions.image_in_west(regions.copy_image(image_id)["ImageId"])
    with regions.west.open() as store:
        assert len(catalog.snapshot_ids(store)) == 2
    assert [one.get("VirtualName") for one in image["BlockDeviceMappings"]][-1] == "ephemeral0"


def test_inside_a_region_no_data_moves(regions: Regions) -> None:
    disk = disk_of(regions.east)
    snapshot_id = regions.east.snapshot_id(disk)
    before = stored_bytes(regions.east)
    inside = Regions(regions.east, regions.east)
    copied = inside.copy_snapshot(snapshot_id)
    assert copied["Amictl"] == {"NewBytes": 0, "GarbageBytes": 0}
    assert stored_bytes(regions.east) == before
    first, second = regions.east.core(snapshot_id), regions.east.core(copied["SnapshotId"])
    assert (first.root, first.volume_id) == (second.root, second.volume_id)


def test_inside_a_region_a_terabyte_is_copied_without_reading_it(
    regions: Regions, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = regions.east.file(
        "big.raw", {0: b"x" * 5000, 900_000 * MIB: b"y" * 5000}, 1_000_000 * MIB
    )
    snapshot_id = regions.east.snapshot_id(disk)
    monkeypatch.setattr("amictl.store.store.Store.read_bytes", None)
    inside = Regions(regions.east, regions.east)
    assert inside.copy_snapshot(snapshot_id)["Amictl"]["NewBytes"] == 0


def test_a_second_copy_moves_only_what_changed(regions: Regions) -> None:
    disk = disk_of(regions.east)
    regions.copy_snapshot(regions.east.snapshot_id(disk))
    with disk.open("r+b") as file:
        file.write(regions.east.noise(20_000, 9))
    moved = regions.copy_snapshot(regions.east.snapshot_id(disk))["Amictl"]["NewBytes"]
    assert 20_000 < moved < 120_000


@pytest.mark.parametrize("inside", [True, False])
def test_an_increment_right_after_a_copy_is_small(regions: Regions, inside: bool) -> None:
    disk = disk_of(regions.east)
    here = Regions(regions.east, regions.east) if inside else regions
    copied = here.copy_snapshot(regions.east.snapshot_id(disk))["SnapshotId"]
    for words in ({}, {"full_read": True}):
        added = here.west.snapshot(disk, **words)
        assert added["Amictl"]["NewBytes"] < 16 * 1024
        assert added["VolumeId"] == here.west.core(copied).volume_id


def test_the_volume_goes_on_from_the_newest_copy_of_its_lineage(regions: Regions) -> None:
    disk = disk_of(regions.east)
    ids = [regions.east.snapshot_id(disk, full_read=True) for _ in range(2)]
    copies = [regions.copy_snapshot(one)["SnapshotId"] for one in (*ids, ids[0])]
    assert regions.west.snapshot(disk)["Amictl"]["Parent"] == copies[1]


def test_a_copy_does_not_displace_a_snapshot_of_another_lineage(regions: Regions) -> None:
    disk = disk_of(regions.east)
    own = regions.west.snapshot_id(disk)
    regions.copy_snapshot(regions.east.snapshot_id(disk))
    assert regions.west.snapshot(disk)["Amictl"]["Parent"] == own


def test_the_newest_snapshot_of_a_volume_is_the_one_with_the_newest_content(
    regions: Regions,
) -> None:
    disk = disk_of(regions.east)
    old = regions.east.snapshot_id(disk)
    disk_of(regions.east, 11)
    new = regions.east.snapshot_id(disk)
    Regions(regions.east, regions.east).copy_snapshot(old)
    target = regions.east.folder / "newest.raw"
    regions.east.volume(None, target, volume_id=regions.east.core(new).volume_id)
    assert same(disk, target)


def test_tags_go_along_only_when_asked(regions: Regions) -> None:
    image_id = regions.east.image(
        "web", disk_of(regions.east), image_tags={"a": "1", "b": "2"}, snapshot_tags={"s": "1"}
    )
    plain = regions.image_in_west(regions.copy_image(image_id, name="one")["ImageId"])
    words = {"copy_image_tags": True, "image_tags": {"b": "3"}, "snapshot_tags": {"t": "4"}}
    tagged = regions.image_in_west(regions.copy_image(image_id, name="two", **words)["ImageId"])
    assert "Tags" not in plain
    assert tagged["Tags"] == [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "3"}]
    mapped = tagged["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    assert regions.snapshot_in_west(mapped)["Tags"] == [{"Key": "t", "Value": "4"}]


def test_a_copied_snapshot_has_the_description_and_tags_that_were_given(regions: Regions) -> None:
    snapshot_id = regions.east.snapshot_id(
        disk_of(regions.east), description="mine", tags={"a": "1"}
    )
    bare = regions.copy_snapshot(snapshot_id)
    told = regions.copy_snapshot(snapshot_id, description="copy", tags={"b": "2"})
    assert "Tags" not in bare
    assert told["Tags"] == [{"Key": "b", "Value": "2"}]
    assert regions.snapshot_in_west(bare["SnapshotId"])["Description"] == ""
    assert regions.snapshot_in_west(told["SnapshotId"])["Description"] == "copy"


def test_what_may_not_be_copied_is_refused(regions: Regions) -> None:
    east = regions.east
    image_id = east.image("web", disk_of(east))
    with east.open() as store:
        disable_image(store, image_id, east.surroundings, dry_run=False)
    with pytest.raises(ConflictError, match="no longer available") as disabled:
        regions.copy_image(image_id)
    assert disabled.value.code == "InvalidAMIID.Unavailable"
    with pytest.raises(ImageNotFoundError):
        regions.copy_image("ami-01234567890123456")
    with pytest.raises(SnapshotNotFoundError):
        regions.copy_snapshot("snap-01234567890123456")


def test_a_name_that_is_taken_is_refused_before_anything_moves(regions: Regions) -> None:
    image_id = regions.east.image("web", disk_of(regions.east))
    regions.copy_image(image_id)
    before = stored_bytes(regions.west)
    with pytest.raises(ImageNameDuplicateError):
        regions.copy_image(image_id)
    assert stored_bytes(regions.west) == before


def test_a_dry_run_checks_and_does_nothing(regions: Regions) -> None:
    image_id = regions.east.image("web", disk_of(regions.east))
    with pytest.raises(DryRunError):
        regions.copy_image(image_id, dry_run=True, client_token="t")
    with pytest.raises(ImageNotFoundError):
        regions.copy_image("ami-01234567890123456", dry_run=True)
    with regions.west.open() as store:
        assert catalog.image_ids(store) == pending.ids(store, "ami-") == []


@pytest.mark.parametrize("words", [{}, {"encrypted": False}, {"encrypted": None}])
def test_a_key_without_encryption_is_refused(regions: Regions, words: dict[str, Any]) -> None:
    image_id = regions.east.image("web", disk_of(regions.east))
    with pytest.raises(UsageError, match="requires the parameter Encrypted") as refused:
        regions.copy_image(image_id, kms_key_id="alias/a", **words)
    assert refused.value.code == "InvalidParameterDependency"


def test_encryption_by_default_is_not_bypassed(regions: Regions) -> None:
    snapshot_id = regions.east.snapshot_id(disk_of(regions.east))
    with regions.west.open() as store:
        settings.change(store, lambda before: replace(before, encryption_by_default=True))
    with pytest.raises(KeyUnavailableError):
        regions.copy_snapshot(snapshot_id)


def test_the_same_token_gives_the_same_image(regions: Regions) -> None:
    image_id = regions.east.image("web", disk_of(regions.east))
    first = regions.copy_image(image_id, client_token="t")
    begun: list[dict[str, Any]] = []
    again = regions.copy_image(image_id, begun.append, client_token="t")
    assert again == begun[0] == {"ImageId": first["ImageId"]}
    with pytest.raises(ConflictError) as refused:
        regions.copy_image(image_id, client_token="t", name="other")
    assert (refused.value.code, refused.value.exit_code) == ("IdempotentParameterMismatch", 14)
    other = regions.copy_image(image_id, client_token="u", name="other")
    assert other["ImageId"] != first["ImageId"]


def test_a_token_is_seen_by_a_run_that_began_at_the_same_time(regions: Regions) -> None:
    image_id = regions.east.image("web", disk_of(regions.east))
    inner: list[dict[str, Any]] = []

    def meanwhile(_: dict[str, Any]) -> None:
        inner.append(regions.copy_image(image_id, client_token="t"))

    outer = regions.copy_image(image_id, meanwhile, client_token="t")
    assert inner == [{"ImageId": outer["ImageId"]}]
    with regions.west.open() as store:
        assert catalog.image_ids(store) == [outer["ImageId"]]


def test_a_token_of_an_image_that_is_gone_may_be_used_again(regions: Regions) -> None:
    image_id = regions.east.image("web", disk_of(regions.east))
    first = regions.copy_image(image_id, client_token="t")["ImageId"]
    with regions.west.open() as store:
        deregister_image(store, first, regions.west.surroundings)
    second = regions.copy_image(image_id, client_token="t", name="other")["ImageId"]
    assert second != first


@pytest.mark.parametrize("token", ["", "x" * 129, "\udcff"])
def test_a_token_that_is_no_short_text_is_refused(regions: Regions, token: str) -> None:
    with pytest.raises(UsageError):
        regions.copy_image("ami-01234567890123456", client_token=token)


def test_a_damaged_token_is_found_by_a_check(regions: Regions) -> None:
    image_id = regions.east.image("web", disk_of(regions.east))
    regions.copy_image(image_id, client_token="t")
    assert regions.west.check()["Faults"] == []
    place = regions.west.root / layout.token("t")
    place.rename(regions.west.root / layout.token("u"))
    (fault,) = regions.west.check()["Faults"]
    assert "is about another token" in fault["Message"]
    with regions.west.open() as store, pytest.raises(CorruptStoreError):
        tokens.image_of(store, "u", "")


def test_a_store_without_a_folder_for_tokens_gets_one(regions: Regions) -> None:
    (regions.west.root / "tokens").rmdir()
    image_id = regions.east.image("web", disk_of(regions.east))
    assert regions.west.check()["Faults"] == []
    first = regions.copy_image(image_id, client_token="t")["ImageId"]
    assert regions.copy_image(image_id, client_token="t")["ImageId"] == first


def test_only_so_many_copies_are_at_work_at_once(regions: Regions) -> None:
    image_id = regions.east.image("web", disk_of(regions.east), disk_of(regions.east, 8, "b.raw"))
    snapshot_id = regions.east.snapshot_id(disk_of(regions.east))
    with regions.west.open() as store:
        settings.change(store, lambda _: RegionSettings(max_concurrent_copies=1))
    refused: list[BusyError] = []

    def meanwhile(_: dict[str, Any]) -> None:
        with pytest.raises(BusyError) as caught:
            regions.copy_snapshot(snapshot_id)
        refused.append(caught.value)
        with pytest.raises(BusyError):
            regions.copy_image(image_id, name="other")
        regions.west.snapshot(disk_of(regions.west))  # is no copy

    regions.copy_image(image_id, meanwhile)
    regions.copy_snapshot(snapshot_id, meanwhile)
    regions.copy_snapshot(snapshot_id)
    assert {(error.code, error.exit_code) for error in refused} == {("ResourceLimitExceeded", 11)}


def test_a_copy_shows_as_pending_while_it_is_made(regions: Regions) -> None:
    image_id = regions.east.image("web", disk_of(regions.east))
    seen: list[dict[str, Any]] = []

    def meanwhile(result: dict[str, Any]) -> None:
        seen.append(regions.image_in_west(result["ImageId"]))
        mapped = seen[0]["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
        seen.append(regions.snapshot_in_west(mapped))

    regions.copy_image(image_id, meanwhile)
    assert [shape["State"] for shape in seen] == ["pending", "pending"]
    assert seen[0]["SourceImageId"] == image_id


def test_a_source_that_vanishes_fails_the_copy_and_leaves_it_failed(regions: Regions) -> None:
    east = regions.east
    snapshot_id = east.snapshot_id(disk_of(east))
    begun: list[str] = []

    def meanwhile(result: dict[str, Any]) -> None:
        begun.append(result["SnapshotId"])
        with east.open() as store:
            delete_snapshot(store, snapshot_id, east.surroundings)
        for pack in east.packs(0):
            pack.unlink()

    with pytest.raises(SnapshotNotFoundError, match="was deleted while it was copied"):
        regions.copy_snapshot(snapshot_id, meanwhile)
    shape = regions.snapshot_in_west(begun[0])
    assert shape["State"] == "error"
    assert "was deleted" in shape["StateMessage"]


def test_a_damaged_source_fails_the_copy_and_names_the_bytes(regions: Regions) -> None:
    east = regions.east
    disk = disk_of(east)
    snapshot_id = east.snapshot_id(disk)
    for offset in range(1000, 1_200_000, 50_000):
        flip(east.packs(0)[0], offset)
    with pytest.raises(CorruptStoreError, match="is damaged at") as caught:
        regions.copy_snapshot(snapshot_id)
    assert f"{snapshot_id} is damaged at bytes 0 to 4194304: " in caught.value.message
    assert "; bytes 8388608 to 12582912: " in caught.value.message
    with regions.west.open() as store:
        assert catalog.snapshot_ids(store) == []
        (shape,) = describe_snapshots(store)["Snapshots"]
    assert shape["State"] == "error"
    assert regions.west.check(read_data=True)["Faults"] == []


def test_a_damaged_map_fails_the_copy(regions: Regions) -> None:
    snapshot_id = regions.east.snapshot_id(disk_of(regions.east))
    pack = regions.east.packs(1)[0]
    for offset in range(32, pack.stat().st_size - 200, 64):
        flip(pack, offset)
    with pytest.raises(CorruptStoreError, match="is damaged at bytes 0 to"):
        regions.copy_snapshot(snapshot_id)


def test_what_the_target_lost_is_brought_again(regions: Regions) -> None:
    disk = disk_of(regions.east)
    snapshot_id = regions.east.snapshot_id(disk)
    regions.copy_snapshot(snapshot_id)
    for pack in regions.west.packs(0):
        pack.unlink()
    copied = regions.copy_snapshot(snapshot_id)["SnapshotId"]
    assert regions.west.restored(copied) == disk.read_bytes()


def two_in_one_frame(shop: Workshop) -> tuple[str, str, bytes]:
    """Two snapshots of which the second uses only a part of a frame of the first; and a marker
    that only the first has."""
    marker = b"a secret of the first disk " * 8
    first = bytearray(shop.noise(200_000, 5))
    first[90_000 : 90_000 + len(marker)] = marker
    one = shop.snapshot_id(shop.file("one.raw", bytes(first)))
    first[80_000:110_000] = shop.noise(30_000, 6)
    two = shop.snapshot_id(shop.file("two.raw", bytes(first)), parent="none")
    return one, two, marker


def chunks_of(shop: Workshop, snapshot_id: str) -> Counter[bytes]:
    """Lengths of the chunks of a snapshot of one segment."""
    with shop.open() as store:
        leaf = store.read_leaf(bytes.fromhex(str(shop.core(snapshot_id).root)))
    return Counter(
        {name: size for name, size in zip(leaf.names, leaf.lengths, strict=True) if name}
    )


def test_between_regions_of_one_owner_frames_go_whole(regions: Regions) -> None:
    one, two, marker = two_in_one_frame(regions.east)
    copied = regions.copy_snapshot(two)
    unused = copied["Amictl"]["GarbageBytes"]
    assert unused == sum((chunks_of(regions.east, one) - chunks_of(regions.east, two)).values()) > 0
    assert regions.snapshot_in_west(copied["SnapshotId"])["Amictl"]["GarbageBytes"] == unused
    assert any(marker in pack.read_bytes() for pack in regions.west.packs(0))
    expected = (regions.east.folder / "two.raw").read_bytes()
    assert regions.west.restored(copied["SnapshotId"]) == expected


def test_to_another_owner_nothing_goes_that_the_snapshot_does_not_hold(regions: Regions) -> None:
    regions.west.change_config(owner_id="210987654321")
    one, two, marker = two_in_one_frame(regions.east)
    copied = regions.copy_snapshot(two)
    assert copied["Amictl"]["GarbageBytes"] == 0
    assert not any(marker in pack.read_bytes() for pack in regions.west.packs(0))
    expected = (regions.east.folder / "two.raw").read_bytes()
    assert regions.west.restored(copied["SnapshotId"]) == expected
    assert regions.west.core(copied["SnapshotId"]).owner_id == "210987654321"
    whole = regions.copy_snapshot(one)["SnapshotId"]
    assert regions.west.restored(whole) == (regions.east.folder / "one.raw").read_bytes()
    assert regions.west.check(read_data=True)["Faults"] == []


def test_a_copy_keeps_moment_lineage_and_size(regions: Regions) -> None:
    source = regions.east.core(regions.east.snapshot_id(disk_of(regions.east)))
    copy = regions.west.core(regions.copy_snapshot(source.snapshot_id)["SnapshotId"])
    for member in (
        "root",
        "height",
        "cut",
        "fingerprint_key",
        "freeze",
        "size_bytes",
        "data_bytes",
    ):
        assert getattr(copy, member) == getattr(source, member)
    assert (copy.parent, copy.unchanged) == (None, False)
    assert copy.start_time > source.start_time
    assert map_of(copy) == map_of(source)


def test_a_snapshot_of_nothing_is_copied(regions: Regions) -> None:
    snapshot_id = regions.east.snapshot_id(regions.east.file("empty.raw", b"", 5 * SEGMENT))
    copied = regions.copy_snapshot(snapshot_id)
    assert copied["Amictl"]["NewBytes"] == 0
    assert regions.west.restored(copied["SnapshotId"]) == bytes(5 * SEGMENT)


def test_a_snapshot_in_the_bin_is_not_found(regions: Regions) -> None:
    east = regions.east
    snapshot_id = east.snapshot_id(disk_of(east))
    with east.open() as store:
        days = {"RetentionPeriodValue": 3, "RetentionPeriodUnit": "DAYS"}
        create_rule(store, CreateRuleRequest("EBS_SNAPSHOT", days), east.surroundings)
        delete_snapshot(store, snapshot_id, east.surroundings)
        assert list_snapshots_in_recycle_bin(store, (), east.surroundings)["Snapshots"]
    with pytest.raises(SnapshotNotFoundError):
        regions.copy_snapshot(snapshot_id)


def frame_that_needs(needed: bytes, content: bytes) -> bytes:
    """A frame of one chunk that is stored as it is, with a name in its list of needed ones."""
    plain = frame_format.encode([chunk_name(content)], [len(content)], 0, content)
    head, rest = bytearray(plain[: frame_format.HEADER_SIZE]), plain[frame_format.HEADER_SIZE : -8]
    head[8:12] = (len(plain) + 32).to_bytes(4, "little")
    head[18:20] = (1).to_bytes(2, "little")
    data = bytes(head) + rest[:32] + needed + rest[32:]
    return data + checksum(data)


def test_what_a_frame_needs_goes_along(regions: Regions) -> None:
    east = regions.east
    core = east.core(east.snapshot_id(east.file("small.raw", east.noise(5000))))
    used, needed = east.noise(5000, 21), east.noise(6000, 22)
    leaf = Leaf((5000,), (chunk_name(used),), bytes(16))
    with east.open() as store, Writer(store, east.surroundings.random_bytes) as writer:
        frame = frame_format.encode([chunk_name(needed)], [6000], 0, needed)
        writer.add_frames([(frame, (chunk_name(needed),))])
        writer.add_frames([(frame_that_needs(chunk_name(needed), used), (chunk_name(used),))])
        root = writer.add_node(leaf, PLAIN).stored
        writer.publish()
    east.put_core(replace(core, root=root.hex()))
    copied = regions.copy_snapshot(core.snapshot_id)
    assert regions.west.restored(copied["SnapshotId"]) == used
    with regions.west.open() as store:
        assert store.index.find(chunk_name(needed)) is not None


@pytest.mark.parametrize("owner", [OWNER, "210987654321"])
@pytest.mark.parametrize("seed", range(4))
def test_a_disk_that_changes_is_copied_every_night(regions: Regions, seed: int, owner: str) -> None:
    """Random changes, copies of every second snapshot, and all of them whole at the end."""
    regions.west.change_config(owner_id=owner)
    chance = random.Random(seed)
    disk = disk_of(regions.east, seed)
    contents = {}
    for night in range(5):
        with disk.open("r+b") as file:
            for _ in range(3):
                file.seek(chance.randrange(3 * SEGMENT - 70_000))
                file.write(chance.choice([bytes(70_000), chance.randbytes(9000)]))
        snapshot_id = regions.east.snapshot_id(disk)
        if night % 2 == 0:
            contents[regions.copy_snapshot(snapshot_id)["SnapshotId"]] = disk.read_bytes()
    for snapshot_id, content in contents.items():
        assert regions.west.restored(snapshot_id) == content
    found = regions.west.check(read_data=True)
    assert (found["Faults"], found["Damaged"]) == ([], [])


def test_what_a_copy_says_of_a_segment_is_not_taken_for_what_is_in_it(
    regions: Regions, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, other = random.Random(1).randbytes(SEGMENT), random.Random(2).randbytes(SEGMENT)
    disk = regions.east.file("disk", other)
    with monkeypatch.context() as forging:
        forging.setattr(ingesting, "fingerprint", lambda _, key: fingerprint(good, key))
        forged = regions.east.snapshot_id(disk)
    copied = regions.copy_snapshot(forged)["SnapshotId"]
    disk.write_bytes(good)

    following = regions.west.snapshot(disk)

    assert following["Amictl"]["Parent"] == copied
    assert regions.west.restored(following["SnapshotId"]) == good
