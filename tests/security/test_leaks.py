"""What can be learnt without a key: what the page says, and nothing else."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from amictl.model.records import Attributes, SnapshotCore
from amictl.model.tasks import STORE_IMAGE, new_task
from amictl.store import authenticity, catalog, tasks
from tests.security.canary import Canary
from tests.security.keyless_reader import Facts, facts_of, pieces_of, sealed_pieces
from tests.workshop import MIB, SEGMENT, Workshop

PAGE = Path(__file__).resolve().parents[2] / "man" / "amictl-security.7"
SECTION = "WHAT CAN BE LEARNT WITHOUT A KEY"
FRAME, NODE = (b"AMIFRAM1", 48), (b"AMINODE1", 40)


def leak_list() -> Facts:
    """The entries of the page: a format, and in the line below it the members in parentheses."""
    text = PAGE.read_text().replace("\\-", "-")
    section = text.partition(f'.SH "{SECTION}"\n')[2].partition("\n.SH ")[0]
    entries = re.findall(r"^\.TP\n\.B (.+)\n\(([^)]+)\)\.$", section, re.MULTILINE)
    return {name: set(members.split(", ")) for name, members in entries}


def content(workshop: Workshop) -> bytes:
    return workshop.noise(2 * MIB) + b"text that compresses\n" * 50_000 + bytes(MIB)


class StoppedError(Exception):
    """The work is given up."""


def stop(_: object) -> None:
    raise StoppedError


@pytest.fixture
def store(workshop: Workshop) -> Path:
    """A region in which all is encrypted, with all that comes with it."""
    workshop.encrypt_by_default(workshop.keys.new())
    disk = workshop.file("disk", {0: content(workshop), 5 * SEGMENT: b"end"})
    words = {"description": "all disks", "tags": {"Role": "web"}}
    workshop.image("web server", disk, image_tags={"a": "b"}, description="of today")
    disk.write_bytes(content(workshop)[:-1] + b"x")
    snapshot_id = workshop.snapshot_id(disk, **words)
    workshop.volume(snapshot_id, workshop.folder / "target")
    copy_without_the_key(workshop, workshop.core(snapshot_id))
    with pytest.raises(StoppedError):
        workshop.snapshot(disk, on_secured=stop, **words)
    store_in_a_bucket(workshop)
    workshop.check(read_data=True)
    return workshop.root


def store_in_a_bucket(workshop: Workshop) -> None:
    """The task alone, as far as it is about the image."""
    begun = new_task(STORE_IMAGE, workshop.surroundings)
    task = replace(begun, image_id="ami-" + "1" * 17, bucket="mine", object_key="a.bin")
    with workshop.open() as store, tasks.running(store, task, workshop.surroundings) as running:
        running.progress(1, 2)
        running.result(snapshot_ids=("snap-" + "1" * 17,), message="signed")


def copy_without_the_key(workshop: Workshop, core: SnapshotCore) -> None:
    copy_id = "snap-00000000000000001"
    workshop.keys.mislay()
    with workshop.open() as store:
        copy = authenticity.of_copy(store, replace(core, snapshot_id=copy_id), core)
        catalog.put_snapshot(store, copy, Attributes(copy_id, 0, "completed", "", ()))
    workshop.keys.find()
    workshop.restored(copy_id)


def test_a_stranger_learns_what_the_page_says_and_no_more(store: Path) -> None:
    assert facts_of(store) == leak_list()


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Workshop, Workshop]:
    """Two regions with the same disk, each encrypted with a key of its own."""
    shops = []
    for number in (1, 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        shop = Workshop(folder, seed=number)
        shop.encrypt_by_default(shop.keys.new())
        shop.snapshot_id(shop.file("disk", content(shop)))
        shops.append(shop)
    return shops[0], shops[1]


@pytest.mark.parametrize("kind", [FRAME, NODE], ids=["frames", "nodes"])
def test_the_same_disk_under_two_keys_shares_nothing(
    pair: tuple[Workshop, Workshop], kind: tuple[bytes, int]
) -> None:
    first, second = (b"".join(sealed_pieces(shop.root, *kind)) for shop in pair)
    assert min(len(first), len(second)) > 1000
    assert not Canary(first).is_in(second)


def test_the_same_disk_under_two_keys_is_cut_elsewhere(pair: tuple[Workshop, Workshop]) -> None:
    """So that lengths of frames do not tell that it is the same; small ones are alike by chance."""
    first, second = (
        {len(one) for one in sealed_pieces(shop.root, *FRAME) if len(one) > 10_000} for shop in pair
    )
    assert min(len(first), len(second)) > 4
    assert first.isdisjoint(second)


def test_the_same_disk_under_one_key_is_recognised(workshop: Workshop) -> None:
    """As the page says: chunks of one domain have one name, whichever disk they are on."""
    workshop.encrypt_by_default(workshop.keys.new())
    first = workshop.core(workshop.snapshot_id(workshop.file("one", content(workshop))))
    disk = workshop.file("two", content(workshop))
    second = workshop.core(workshop.snapshot_id(disk, parent=first.snapshot_id))
    assert first.root == second.root


def test_without_the_naming_key_a_known_chunk_is_not_found(
    pair: tuple[Workshop, Workshop],
) -> None:
    """Who has the disk, and names its chunks as the plain domain does, finds none of the names."""
    folder = pair[0].folder / "plain"
    folder.mkdir()
    plain = Workshop(folder, seed=3)
    plain.snapshot_id(plain.file("disk", content(plain)))
    names = b"".join(_plain_names(plain.root))
    stored = b"".join(path.read_bytes() for path in sorted(pair[0].root.glob("*/*")))
    assert len(names) > 1000
    assert not Canary(names).is_in(stored)


def _plain_names(store: Path) -> Iterator[bytes]:
    for path in sorted(store.glob("packs/*.pack")):
        for frame in pieces_of(path.read_bytes()):
            if frame.startswith(FRAME[0]):
                count = int.from_bytes(frame[16:18], "little")
                yield frame[48 : 48 + 32 * count]
