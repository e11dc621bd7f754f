"""Records of encrypted snapshots and images that somebody swapped, spliced, cut or put back.

Whoever can write to the store knows the format, and can make every digest right; only the key is
missing. What is sealed in frames and nodes is in tests/store/test_sealed_matrix.py, each field of a
core in tests/actions/test_authenticity.py.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from amictl.actions.blocks import block_token, get_snapshot_block, list_snapshot_blocks
from amictl.actions.checking import verify_snapshot
from amictl.actions.key_use import check_key
from amictl.actions.launching import LaunchRequest, launch_image
from amictl.actions.registering import RegisterImageRequest, register_image
from amictl.errors import CorruptStoreError
from amictl.formats import records
from amictl.model import facts
from amictl.model.records import Attributes, DomainHeader, ImageCore, SnapshotCore, tags_from
from amictl.store import layout
from amictl.store.domains import read_header
from amictl.store.store import Store
from tests.workshop import MIB, Workshop, flip


@dataclass(frozen=True)
class Scene:
    """A region with an encrypted image of two disks, and a second image; and another region whose
    key is another one. `ours` is the first disk of the first image, `second` its second disk.
    """

    workshop: Workshop
    elsewhere: Workshop
    image: str
    other_image: str
    ours: str
    second: str
    other: str
    theirs: str
    plain: str

    def path(self, record_id: str) -> Path:
        return self.workshop.root / layout.core(record_id)

    def snapshot(self, snapshot_id: str) -> SnapshotCore:
        return self.workshop.core(snapshot_id)

    def image_core(self) -> ImageCore:
        place = layout.core(self.image)
        return records.decode(self.path(self.image).read_bytes(), ImageCore, place)

    def put(self, core: SnapshotCore | ImageCore) -> None:
        record_id = core.snapshot_id if isinstance(core, SnapshotCore) else core.image_id
        self.path(record_id).write_bytes(records.encode(core))

    @contextmanager
    def open(self) -> Iterator[Store]:
        with self.workshop.open() as store:
            yield store


@pytest.fixture
def scene(made: Scene, tmp_path: Path) -> Scene:
    shutil.copytree(made.workshop.folder, tmp_path, dirs_exist_ok=True)
    shops = copy(made.workshop), copy(made.elsewhere)
    shops[0].folder, shops[1].folder = tmp_path, tmp_path / "elsewhere"
    return replace(made, workshop=shops[0], elsewhere=shops[1])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Made once, and copied for each test."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "elsewhere").mkdir()
    workshop, elsewhere = Workshop(folder), Workshop(folder / "elsewhere", seed=2)
    plain = workshop.snapshot_id(workshop.file("plain", workshop.noise(MIB, 1)))
    for shop in (workshop, elsewhere):
        shop.encrypt_by_default(shop.keys.new())
    disks = [workshop.file(f"disk-{seed}", workshop.noise(MIB, seed)) for seed in (2, 3)]
    image = workshop.image("web", *disks)
    other_image = workshop.image("database", workshop.file("disk-4", workshop.noise(MIB, 4)))
    theirs = elsewhere.snapshot_id(elsewhere.file("disk", elsewhere.noise(MIB, 5)))
    ids = []
    for one in (image, other_image):
        data = (workshop.root / layout.core(one)).read_bytes()
        core = records.decode(data, ImageCore, "here")
        ids += [str(mapping.snapshot_id) for mapping in core.mappings]
    return Scene(workshop, elsewhere, image, other_image, *ids, theirs, plain)


Attack = Callable[[Scene], None]
Use = Callable[[Scene], object]


def with_facts(core: SnapshotCore, **changed: str | None) -> SnapshotCore:
    pairs = {tag.key: tag.value for tag in core.further} | changed
    return replace(core, further=tags_from({key: text for key, text in pairs.items() if text}))


def another_of_the_domain(scene: Scene) -> None:
    scene.put(replace(scene.snapshot(scene.other), snapshot_id=scene.ours))


def another_in_its_file(scene: Scene) -> None:
    scene.path(scene.ours).write_bytes(scene.path(scene.other).read_bytes())


def signature_of_another(scene: Scene) -> None:
    core = scene.snapshot(scene.ours)
    scene.put(replace(core, signatures=scene.snapshot(scene.other).signatures))


def signature_removed(scene: Scene) -> None:
    scene.put(replace(scene.snapshot(scene.ours), signatures=()))


def another_region_s_core(scene: Scene) -> None:
    """With the header of its domain, which is of another key."""
    core = scene.elsewhere.core(scene.theirs)
    place = layout.domain(core.domain)
    (scene.workshop.root / place).write_bytes((scene.elsewhere.root / place).read_bytes())
    scene.put(replace(core, snapshot_id=scene.ours))


def another_region_s_core_in_our_domain(scene: Scene) -> None:
    core = scene.elsewhere.core(scene.theirs)
    domain = scene.snapshot(scene.ours).domain
    scene.put(replace(core, snapshot_id=scene.ours, domain=domain))


def another_s_sealed_part(scene: Scene) -> None:
    sealed = scene.snapshot(scene.other).fact(facts.SEALED)
    scene.put(with_facts(scene.snapshot(scene.ours), **{facts.SEALED: sealed}))


def a_copy_of_another(scene: Scene) -> None:
    """As who copies without the key could make one, with the id of ours."""
    other = scene.snapshot(scene.other)
    text = records.encode(other).decode()
    unsigned = replace(scene.snapshot(scene.ours), signatures=())
    scene.put(with_facts(unsigned, **{facts.COPIED_CORE: text}))


def cut(scene: Scene) -> None:
    data = scene.path(scene.ours).read_bytes()
    scene.path(scene.ours).write_bytes(data[:-20])


def bit_flipped(scene: Scene) -> None:
    flip(scene.path(scene.ours), 200)


ATTACKS_ON_A_SNAPSHOT: list[Attack] = [
    another_of_the_domain,
    another_in_its_file,
    signature_of_another,
    signature_removed,
    another_region_s_core_in_our_domain,
    another_s_sealed_part,
    a_copy_of_another,
    cut,
    bit_flipped,
]


def restore(scene: Scene) -> None:
    scene.workshop.volume(scene.ours, scene.workshop.folder / "target")


def restore_in_place(scene: Scene) -> None:
    target = scene.workshop.file("present", bytes(MIB))
    scene.workshop.volume(scene.ours, target, in_place=True)


def launch(scene: Scene) -> None:
    with scene.open() as store:
        request = LaunchRequest(scene.image, scene.workshop.folder / "machine")
        launch_image(store, request, scene.workshop.surroundings)


def verify(scene: Scene) -> None:
    with scene.open() as store:
        verify_snapshot(store, scene.ours, surroundings=scene.workshop.surroundings)


def list_blocks(scene: Scene) -> None:
    with scene.open() as store:
        list_snapshot_blocks(store, scene.ours)


def get_block(scene: Scene) -> None:
    with scene.open() as store:
        core = replace(scene.snapshot(scene.other), snapshot_id=scene.ours)
        target = scene.workshop.folder / "block"
        get_snapshot_block(store, scene.ours, 0, block_token(store, core, 0), target)


def continue_it(scene: Scene) -> None:
    path = scene.workshop.folder / "disk-2"
    scene.workshop.snapshot(path, parent=scene.ours)


def register(scene: Scene) -> None:
    ebs: dict[str, Any] = {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": scene.ours}}
    with scene.open() as store:
        request = RegisterImageRequest("new", (ebs,), "/dev/sda1")
        register_image(store, request, scene.workshop.surroundings)


USES: list[Use] = [
    restore,
    restore_in_place,
    launch,
    verify,
    list_blocks,
    get_block,
    continue_it,
    register,
]


def name_of(function: Callable[..., object]) -> str:
    return function.__name__


@pytest.mark.parametrize("use", USES, ids=name_of)
def test_what_nobody_touched_can_be_used(scene: Scene, use: Use) -> None:
    use(scene)


@pytest.mark.parametrize("attack", ATTACKS_ON_A_SNAPSHOT, ids=name_of)
@pytest.mark.parametrize("use", USES, ids=name_of)
def test_a_snapshot_that_was_tampered_with_is_refused(
    scene: Scene, attack: Attack, use: Use
) -> None:
    present = scene.workshop.file("present", bytes(MIB))
    before = set(scene.workshop.folder.iterdir())
    attack(scene)
    with pytest.raises(CorruptStoreError) as caught:
        use(scene)
    assert scene.ours in caught.value.message or scene.image in caught.value.message
    assert set(scene.workshop.folder.iterdir()) == before
    assert present.read_bytes() == bytes(MIB)


@pytest.mark.parametrize("attack", ATTACKS_ON_A_SNAPSHOT, ids=name_of)
def test_a_check_with_the_key_names_a_snapshot_that_was_tampered_with(
    scene: Scene, attack: Attack
) -> None:
    attack(scene)
    places = [fault["Place"] for fault in scene.workshop.check()["Faults"]]
    assert layout.core(scene.ours) in places


@pytest.mark.parametrize("use", USES, ids=name_of)
def test_a_snapshot_of_another_key_is_not_taken_for_ours(scene: Scene, use: Use) -> None:
    another_region_s_core(scene)
    with pytest.raises(Exception, match=r"key .* is not here|other content than was recorded"):
        use(scene)


# --- images ------------------------------------------------------------------------------------


def disks_swapped(scene: Scene) -> None:
    first, second = (scene.snapshot(one) for one in (scene.ours, scene.second))
    core = scene.image_core()
    ids = {first.snapshot_id: second.snapshot_id, second.snapshot_id: first.snapshot_id}
    mappings = (replace(one, snapshot_id=ids[str(one.snapshot_id)]) for one in core.mappings)
    scene.put(replace(core, mappings=tuple(mappings)))


def disks_swapped_in_a_copy(scene: Scene) -> None:
    """A copy that was made without the key, whose disks were swapped after that."""
    text = records.encode(scene.image_core()).decode()
    disks_swapped(scene)
    core = scene.image_core()
    pairs = {tag.key: tag.value for tag in core.further} | {facts.COPIED_CORE: text}
    scene.put(replace(core, signatures=(), further=tags_from(pairs)))


def mac_removed(scene: Scene) -> None:
    scene.put(replace(scene.image_core(), signatures=()))


def all_signs_of_a_mac_removed(scene: Scene) -> None:
    scene.put(replace(scene.image_core(), signatures=(), further=()))


def a_plain_disk_instead(scene: Scene) -> None:
    plain = scene.snapshot(scene.plain)
    scene.put(replace(plain, snapshot_id=scene.ours))


def a_plain_disk_mapped(scene: Scene) -> None:
    core = scene.image_core()
    first, *rest = core.mappings
    scene.put(replace(core, mappings=(replace(first, snapshot_id=scene.plain), *rest)))


def another_image_s_core(scene: Scene) -> None:
    data = scene.path(scene.other_image).read_bytes()
    core = records.decode(data, ImageCore, "here")
    scene.put(replace(core, image_id=scene.image))


def another_image_in_its_file(scene: Scene) -> None:
    scene.path(scene.image).write_bytes(scene.path(scene.other_image).read_bytes())


def image_cut(scene: Scene) -> None:
    data = scene.path(scene.image).read_bytes()
    scene.path(scene.image).write_bytes(data[: len(data) // 2])


def image_bit_flipped(scene: Scene) -> None:
    flip(scene.path(scene.image), 100)


ATTACKS_ON_AN_IMAGE: list[Attack] = [
    disks_swapped,
    disks_swapped_in_a_copy,
    mac_removed,
    all_signs_of_a_mac_removed,
    a_plain_disk_instead,
    a_plain_disk_mapped,
    another_image_s_core,
    another_image_in_its_file,
    image_cut,
    image_bit_flipped,
]


@pytest.mark.parametrize("attack", ATTACKS_ON_AN_IMAGE, ids=name_of)
def test_an_image_that_was_tampered_with_is_not_launched(scene: Scene, attack: Attack) -> None:
    attack(scene)
    with pytest.raises(CorruptStoreError) as caught:
        launch(scene)
    assert scene.image in caught.value.message
    assert not (scene.workshop.folder / "machine").exists()


@pytest.mark.parametrize("attack", ATTACKS_ON_AN_IMAGE, ids=name_of)
def test_a_check_with_the_key_names_an_image_that_was_tampered_with(
    scene: Scene, attack: Attack
) -> None:
    attack(scene)
    places = [fault["Place"] for fault in scene.workshop.check()["Faults"]]
    assert layout.core(scene.image) in places


@pytest.mark.parametrize("attack", ATTACKS_ON_AN_IMAGE[:4], ids=name_of)
def test_a_check_of_the_key_calls_such_an_image_forged(scene: Scene, attack: Attack) -> None:
    attack(scene)
    with scene.open() as store:
        header = read_header(store, scene.snapshot(scene.ours).domain)
        images = check_key(store, header.key_id)["Images"]
    states = {image["ImageId"]: image["Authenticity"] for image in images}
    assert states == {scene.image: "forged", scene.other_image: "authentic"}


# --- attributes and headers --------------------------------------------------------------------


def test_a_confirmation_of_another_is_none(scene: Scene) -> None:
    """What confirms one copy confirms no other, whatever stands in its attributes."""
    signature_removed(scene)
    place = scene.workshop.root / layout.attributes(scene.ours)
    attributes = records.decode(place.read_bytes(), Attributes, "here")
    place.write_bytes(records.encode(attributes.with_facts({facts.CONFIRMATION: "0" * 64})))
    with pytest.raises(CorruptStoreError, match="not recorded with the key"):
        restore(scene)


def test_headers_of_two_domains_cannot_be_swapped(scene: Scene) -> None:
    second = scene.workshop.keys.new()
    scene.workshop.encrypt_by_default(second)
    disk = scene.workshop.file("disk-5", scene.workshop.noise(MIB, 6))
    other = scene.workshop.core(scene.workshop.snapshot_id(disk))
    ours = scene.snapshot(scene.ours).domain
    paths = [scene.workshop.root / layout.domain(one) for one in (ours, other.domain)]
    headers = [records.decode(path.read_bytes(), DomainHeader, "here") for path in paths]
    swapped = [replace(headers[1], domain_id=ours), replace(headers[0], domain_id=other.domain)]
    for path, header in zip(paths, swapped, strict=True):
        path.write_bytes(records.encode(header))
    with pytest.raises(CorruptStoreError, match="holds another secret"):
        restore(scene)
