"""What needs a key, and whether the key still opens it."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import accumulate
from typing import Any

import pytest

from amictl.actions.key_use import check_key
from amictl.errors import KeyUnavailableError
from amictl.formats import node as node_format
from amictl.formats import records
from amictl.model.blockmap import Leaf
from amictl.model.records import ImageCore
from amictl.store import catalog, key_use, layout
from amictl.store.inspection import pack_entries, read_piece
from amictl.store.lineages import lineage_of
from amictl.store.store import Store
from amictl.store.walking import leaves, map_of
from tests.workshop import MIB, Workshop, flip


@pytest.fixture
def key(workshop: Workshop) -> str:
    key_id = workshop.keys.new()
    workshop.encrypt_by_default(key_id)
    return key_id


def found(workshop: Workshop, key: str) -> dict[str, dict[str, Any]]:
    """What is found of each snapshot and image, by its id."""
    with workshop.open() as store:
        result = check_key(store, key)
    items = [*result["Snapshots"], *result["Images"]]
    return {item.get("SnapshotId") or item["ImageId"]: item for item in items}


def test_every_snapshot_and_image_of_a_key_is_authentic(workshop: Workshop, key: str) -> None:
    snapshot_id = workshop.snapshot_id(workshop.file("disk", workshop.noise(MIB)))
    zeros = workshop.snapshot_id(workshop.file("zeros", bytes(MIB)))
    image_id = workshop.image("web", workshop.folder / "disk")
    items = found(workshop, key)
    assert {snapshot_id, zeros, image_id} < items.keys()
    assert {item["Authenticity"] for item in items.values()} == {"authentic"}


def test_what_another_key_opens_is_left_out(workshop: Workshop, key: str) -> None:
    workshop.image("web", workshop.file("disk", workshop.noise(MIB)))
    assert found(workshop, workshop.keys.new()) == {}


def test_a_forged_core_is_told_from_damage(workshop: Workshop, key: str) -> None:
    forged = workshop.core(workshop.snapshot_id(workshop.file("one", workshop.noise(MIB))))
    workshop.put_core(replace(forged, owner_id="000000000000"))
    ((record_id, item),) = found(workshop, key).items()
    assert (record_id, item["Authenticity"]) == (forged.snapshot_id, "forged")


def test_a_frame_that_does_not_open_is_damage(workshop: Workshop, key: str) -> None:
    workshop.snapshot_id(workshop.file("disk", workshop.noise(MIB)))
    flip(workshop.packs(0)[0], 400)
    (item,) = found(workshop, key).values()
    assert "checksum" in item["Problem"]


def test_without_the_key_nothing_is_said_of_it(workshop: Workshop, key: str) -> None:
    workshop.snapshot_id(workshop.file("disk", workshop.noise(MIB)))
    workshop.keys.mislay()
    with pytest.raises(KeyUnavailableError):
        found(workshop, key)


def test_what_would_be_lost_is_known_without_the_key(workshop: Workshop, key: str) -> None:
    snapshot_id = workshop.snapshot_id(workshop.file("disk", workshop.noise(MIB)))
    image_id = workshop.image("web", workshop.folder / "disk")
    workshop.plain_by_default()
    workshop.image("plain", workshop.file("plain", workshop.noise(MIB, 2)))
    workshop.keys.mislay()
    with workshop.open() as store:
        own = [header.domain_id for header in key_use.domains_of_key(store, key)]
        snapshots, _ = key_use.snapshots_in(store, own.__contains__)
        images, _ = key_use.images_in(store, own.__contains__, ())
    assert snapshot_id in {core.snapshot_id for core in snapshots}
    assert len(snapshots) == 2
    assert [core.image_id for core in images] == [image_id]


def test_an_image_of_a_key_that_maps_something_plain_instead_is_forged(
    workshop: Workshop, key: str
) -> None:
    image_id = workshop.image("web", workshop.file("disk", workshop.noise(MIB)))
    workshop.plain_by_default()
    plain = workshop.snapshot_id(workshop.file("plain", workshop.noise(MIB, 2)))
    path = workshop.root / layout.core(image_id)
    core = records.decode(path.read_bytes(), ImageCore, "here")
    (mapping,) = core.mappings
    changed = replace(core, mappings=(replace(mapping, snapshot_id=plain),))
    path.write_bytes(records.encode(changed))
    assert found(workshop, key)[image_id]["Authenticity"] == "forged"


def test_an_image_of_a_key_whose_snapshot_is_gone_is_a_problem(
    workshop: Workshop, key: str
) -> None:
    image_id = workshop.image("web", workshop.file("disk", workshop.noise(MIB)))
    (snapshot_id,) = found(workshop, key).keys() - {image_id}
    (workshop.root / layout.core(snapshot_id)).unlink()
    assert snapshot_id in found(workshop, key)[image_id]["Problem"]


# --- what is not to be found without a key -----------------------------------------------------


def stored(workshop: Workshop) -> bytes:
    """All bytes of the store."""
    paths = sorted(path for path in workshop.root.rglob("*") if path.is_file())
    return b"".join(path.read_bytes() for path in paths)


def all_leaves(store: Store, snapshot_id: str) -> Iterator[Leaf]:
    for _, name in leaves(store, map_of(catalog.read_snapshot(store, snapshot_id))):
        yield store.read_leaf(name)


def test_no_plain_name_fingerprint_or_secret_is_in_the_store(workshop: Workshop, key: str) -> None:
    snapshot_id = workshop.snapshot_id(workshop.file("disk", workshop.noise(MIB)))
    with workshop.open() as store:
        (leaf,) = all_leaves(store, snapshot_id)
        lineage = lineage_of(store, catalog.read_snapshot(store, snapshot_id))
    assert lineage.cut_secret is not None
    secrets = [leaf.plain_name, leaf.fingerprint, lineage.fingerprint_key, lineage.cut_secret]
    secrets += [name for name in leaf.plain_names if name]
    content = stored(workshop)
    assert not any(secret in content or secret.hex().encode() in content for secret in secrets)


def test_a_node_shows_its_childrens_stored_names_alone(workshop: Workshop, key: str) -> None:
    disk = workshop.file("disk", workshop.noise(MIB))
    snapshot_id = workshop.snapshot_id(disk)
    with workshop.open() as store:
        (leaf,) = all_leaves(store, snapshot_id)
        (row,) = [row for row in store.index.current.packs if row.kind == 1]
        (entry,) = pack_entries(store, row)
        clear = node_format.clear_part(read_piece(store, f"packs/{row.pack_id.hex()}.pack", entry))
        sealed = len(clear.body) - 40
    assert clear.children == tuple(dict.fromkeys(leaf.names))
    assert sealed == 32 * len(clear.children) + 22 + 6 * len(leaf.lengths)


def test_the_same_content_under_two_keys_shares_no_name(workshop: Workshop, key: str) -> None:
    noise = workshop.noise(MIB)
    first = workshop.snapshot_id(workshop.file("one", noise))
    workshop.encrypt_by_default(workshop.keys.new())
    second = workshop.snapshot_id(workshop.file("two", noise))
    with workshop.open() as store:
        (one,), (two,) = all_leaves(store, first), all_leaves(store, second)
    assert not {*one.names} & {*two.names}
    assert one.lengths != two.lengths


def test_known_content_is_not_recognised_by_the_lengths_of_its_chunks(
    workshop: Workshop, key: str
) -> None:
    noise = workshop.noise(MIB)
    sealed_id = workshop.snapshot_id(workshop.file("disk", noise))
    workshop.plain_by_default()
    plain_id = workshop.snapshot_id(workshop.file("known", noise))
    with workshop.open() as store:
        (sealed,), (plain,) = all_leaves(store, sealed_id), all_leaves(store, plain_id)
    common = {*accumulate(sealed.lengths[:-1])} & {*accumulate(plain.lengths[:-1])}
    assert 4 * len(common) < len(plain.lengths)  # some sectors are candidates of both by chance
