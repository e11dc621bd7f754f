"""What a check writes down, and what it must not take for damage."""

from dataclasses import replace
from pathlib import Path

import pytest

from amictl.errors import InterruptedBySignalError
from amictl.formats import records
from amictl.formats.framing import checksum
from amictl.formats.pack import HEADER_SIZE
from amictl.model.blockmap import Name, Node
from amictl.model.records import DamagedFrame, DamageList
from amictl.store import layout
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
