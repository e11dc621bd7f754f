"""Encrypted snapshots: what is made, restored and verified with a key, and refused without it."""

from typing import Any

import pytest

from amictl.errors import ConflictError, DryRunError, KeyUnavailableError
from amictl.store import layout
from amictl.store.lineages import is_encrypted
from tests.workshop import MIB, Workshop, flip


@pytest.fixture
def key(workshop: Workshop) -> str:
    key_id = workshop.keys.new()
    workshop.encrypt_by_default(key_id)
    return key_id


def content(workshop: Workshop) -> bytes:
    return workshop.noise(3 * MIB) + bytes(3 * MIB) + b"a line of text\n" * 200_000


def test_an_encrypted_snapshot_restores_bit_for_bit(workshop: Workshop, key: str) -> None:
    data = content(workshop)
    snapshot_id = workshop.snapshot_id(workshop.file("disk", data))
    assert workshop.restored(snapshot_id) == data


def test_a_wide_sparse_disk_restores_bit_for_bit(workshop: Workshop, key: str) -> None:
    noise = workshop.noise(MIB)
    disk = workshop.file("disk", {5 * MIB: noise, 1300 * MIB: noise[::-1]}, 1301 * MIB + 77)
    snapshot_id = workshop.snapshot_id(disk)
    target = workshop.folder / "target"
    workshop.volume(snapshot_id, target)
    with target.open("rb") as file:
        file.seek(5 * MIB)
        assert file.read(MIB) == noise
        file.seek(1300 * MIB)
        assert file.read(MIB) == noise[::-1]


def test_its_core_shows_no_fingerprint_key_and_carries_a_mac(workshop: Workshop, key: str) -> None:
    core = workshop.core(workshop.snapshot_id(workshop.file("disk", content(workshop))))
    assert is_encrypted(core)
    assert core.fingerprint_key == "0" * 64
    assert core.cut.id == 2
    assert len(core.signatures) == 1


def test_nothing_is_restored_without_the_key(workshop: Workshop, key: str) -> None:
    snapshot_id = workshop.snapshot_id(workshop.file("disk", content(workshop)))
    workshop.keys.mislay()
    target = workshop.folder / "target"
    with pytest.raises(KeyUnavailableError, match=key):
        workshop.volume(snapshot_id, target)
    assert not target.exists()


def test_an_increment_of_an_unchanged_disk_stores_nothing(workshop: Workshop, key: str) -> None:
    disk = workshop.file("disk", content(workshop))
    workshop.snapshot_id(disk)
    again = workshop.snapshot(disk, full_read=True)
    assert again["Amictl"]["NewBytes"] < 16_384


def test_a_child_of_an_encrypted_parent_is_encrypted_unasked(workshop: Workshop, key: str) -> None:
    disk = workshop.file("disk", content(workshop))
    parent = workshop.core(workshop.snapshot_id(disk))
    workshop.plain_by_default()
    disk.write_bytes(content(workshop)[:-MIB] + workshop.noise(MIB, 9))
    child = workshop.core(workshop.snapshot_id(disk))
    assert (child.domain, child.parent, child.cut) == (
        parent.domain,
        parent.snapshot_id,
        parent.cut,
    )
    assert workshop.restored(child.snapshot_id) == disk.read_bytes()


def test_an_encrypted_volume_stays_encrypted_when_it_begins_anew(
    workshop: Workshop, key: str
) -> None:
    disk = workshop.file("disk", content(workshop))
    parent = workshop.core(workshop.snapshot_id(disk))
    workshop.plain_by_default()
    fresh = workshop.core(workshop.snapshot_id(disk, parent="none"))
    assert (fresh.domain, fresh.parent) == (parent.domain, None)


def test_a_plain_parent_is_not_continued_under_encryption(workshop: Workshop) -> None:
    disk = workshop.file("disk", content(workshop))
    workshop.snapshot_id(disk)
    workshop.encrypt_by_default(workshop.keys.new())
    child = workshop.core(workshop.snapshot_id(disk))
    assert is_encrypted(child)
    assert child.parent is None
    assert workshop.restored(child.snapshot_id) == disk.read_bytes()


def test_a_named_plain_parent_is_refused_under_encryption(workshop: Workshop) -> None:
    disk = workshop.file("disk", content(workshop))
    plain = workshop.snapshot_id(disk)
    workshop.encrypt_by_default(workshop.keys.new())
    with pytest.raises(ConflictError, match="not encrypted") as caught:
        workshop.snapshot(disk, parent=plain)
    assert caught.value.code == "ValidationException"


def test_without_a_default_key_nothing_is_begun(workshop: Workshop) -> None:
    workshop.encrypt_by_default(None)
    with pytest.raises(KeyUnavailableError, match="no default key"):
        workshop.snapshot(workshop.file("disk", b"x"))


def test_one_key_has_one_domain_in_a_region(workshop: Workshop, key: str) -> None:
    noise = workshop.noise(3 * MIB)
    first = workshop.core(workshop.snapshot_id(workshop.file("one", noise)))
    second = workshop.core(workshop.snapshot_id(workshop.file("two", noise + b"more")))
    assert first.domain == second.domain


def test_an_image_of_encrypted_disks_is_made(workshop: Workshop, key: str) -> None:
    disk = workshop.file("disk", content(workshop))
    assert workshop.image("web", disk).startswith("ami-")


def test_no_sixteen_bytes_of_the_disk_are_in_the_store(workshop: Workshop, key: str) -> None:
    canary = workshop.noise(MIB // 4, 5)
    text = b"".join(b"line %06d of the canary\n" % number for number in range(8000))
    workshop.snapshot_id(workshop.file("disk", canary + text))
    stored = b"".join(
        path.read_bytes() for path in sorted(workshop.root.rglob("*")) if path.is_file()
    )
    windows = {stored[at : at + 16] for at in range(len(stored) - 15)}
    assert not any(canary[at : at + 16] in windows for at in range(0, len(canary) - 15, 16))
    assert not any(text[at : at + 16] in windows for at in range(0, len(text) - 15, 7))


def test_a_sealed_pack_with_a_changed_bit_is_damage(workshop: Workshop, key: str) -> None:
    snapshot_id = workshop.snapshot_id(workshop.file("disk", content(workshop)))
    flip(workshop.packs(0)[0], 5000)
    with pytest.raises(Exception, match="damaged"):
        workshop.restored(snapshot_id)


def test_a_damaged_header_of_another_domain_stops_nothing(workshop: Workshop, key: str) -> None:
    (workshop.root / layout.domain("00" * 15 + "ab")).write_bytes(b"torn")
    disk = workshop.file("disk", b"x" * 5000)
    assert workshop.restored(workshop.snapshot_id(disk)) == b"x" * 5000


def test_a_dry_run_makes_no_domain(workshop: Workshop, key: str) -> None:
    with pytest.raises(DryRunError):
        workshop.snapshot(workshop.file("disk", b"x" * 5000), dry_run=True)
    assert list((workshop.root / "domains").iterdir()) == []


def test_a_dry_run_wants_the_key(workshop: Workshop, key: str) -> None:
    workshop.keys.mislay()
    with pytest.raises(KeyUnavailableError):
        workshop.snapshot(workshop.file("disk", b"x" * 5000), dry_run=True)


def test_an_encrypted_snapshot_says_so_when_it_is_secured(workshop: Workshop, key: str) -> None:
    secured: list[dict[str, Any]] = []
    done = workshop.snapshot(workshop.file("disk", b"x" * 5000), secured.append)
    shown = [(shape["Encrypted"], shape["KmsKeyId"]) for shape in (*secured, done)]
    assert shown == [(True, key)] * 2
