"""What a check writes down, and what it must not take for damage."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from amictl.errors import InterruptedBySignalError
from amictl.formats import records
from amictl.formats.framing import checksum
from amictl.formats.pack import HEADER_SIZE
from amictl.model.blockmap import Name, Node
from amictl.model.records import Attributes, DamagedFrame, DamageList
from amictl.store import catalog, layout
from amictl.store.checking import StoreCheck
from amictl.store.store import Store
from tests.workshop import MIB, SEGMENT, Workshop, flip


class InterruptedStore(Store):
    """A store while whose nodes are read somebody presses Ctrl-C."""

    def read_node(self, name: Name) -> Node:
        raise InterruptedBySignalError(2)


def remembered(workshop: Workshop) -> tuple[DamagedFrame, ...]:
    data = (workshop.root / layout.DAMAGE).read_bytes()
    return records.decode(data, DamageList, layout.DAMAGE).frames


def test_an_interruption_ends_a_check_and_is_no_damage(workshop: Workshop) -> None:
    workshop.snapshot(workshop.file("disk", workshop.noise(MIB)))
    with workshop.open() as whole:
        check = StoreCheck(InterruptedStore(whole.storage, whole.config), workshop.surroundings)
        check.outside()
        with pytest.raises(InterruptedBySignalError):
            check.records()
        assert check.faults == []


def test_damage_keeps_its_length_when_more_is_found(workshop: Workshop) -> None:
    first = workshop.snapshot_id(workshop.file("disk", workshop.noise(MIB)))
    flip(workshop.packs(0)[0], 5000)
    workshop.check(read_data=True)
    (before,) = remembered(workshop)
    workshop.snapshot(workshop.file("other", workshop.noise(MIB, 2)), parent=first)
    flip(workshop.packs(1)[1], 100)
    workshop.check()
    assert before in remembered(workshop)
    assert len(remembered(workshop)) == 2


def test_a_frame_of_a_codec_to_come_is_a_fault_and_no_damage(workshop: Workshop) -> None:
    workshop.snapshot(workshop.file("disk", b"x" * 4096))
    (pack,) = workshop.packs(0)
    set_codec(pack, 2)
    assert "codec 2" in str(workshop.check(read_data=True)["Faults"])
    assert not (workshop.root / layout.DAMAGE).exists()


def set_codec(pack: Path, codec: int) -> None:
    """Give the first frame another codec, with a right checksum."""
    data = bytearray(pack.read_bytes())
    length = int.from_bytes(data[HEADER_SIZE + 8 : HEADER_SIZE + 12], "little")
    end = HEADER_SIZE + length - 8
    data[HEADER_SIZE + 20] = codec
    data[end : end + 8] = checksum(data[HEADER_SIZE:end])
    pack.write_bytes(data)


def test_a_leaf_that_is_too_long_for_one_of_its_places_is_found(workshop: Workshop) -> None:
    long = workshop.snapshot_id(workshop.file("disk", workshop.noise(SEGMENT)))
    short = workshop.snapshot_id(workshop.file("other", workshop.noise(SEGMENT - 512, 2)))
    stolen = workshop.core(long).root
    workshop.put_core(replace(workshop.core(short), root=stolen))
    (fault,) = workshop.check()["Faults"]
    assert fault["Place"] == stolen
    assert "another level or length" in fault["Message"]


def test_what_is_deleted_while_a_check_runs_is_no_fault(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_id = workshop.image("web", workshop.file("disk", b"disk"))
    snapshot_id = workshop.snapshot_id(workshop.file("other", b"other"))
    listed_images, listed_snapshots = catalog.image_ids, catalog.snapshot_ids

    def removed(listed: Callable[[Store], list[str]], record_id: str) -> Callable[..., list[str]]:
        def ids(store: Store) -> list[str]:
            found = listed(store)
            catalog.remove(store, record_id)
            return found

        return ids

    monkeypatch.setattr(catalog, "image_ids", removed(listed_images, image_id))
    monkeypatch.setattr(catalog, "snapshot_ids", removed(listed_snapshots, snapshot_id))
    assert workshop.check()["Faults"] == []


def test_attributes_that_are_removed_while_a_check_reads_them_are_no_fault(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop.snapshot(workshop.file("disk", b"disk"))
    read = catalog.read_attributes

    def removed_before(store: Store, record_id: str) -> Attributes:
        catalog.remove(store, record_id)
        return read(store, record_id)

    monkeypatch.setattr(catalog, "read_attributes", removed_before)
    assert workshop.check()["Faults"] == []
