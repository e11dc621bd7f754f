"""What keys open in regions."""

import base64
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyrage
import pytest

from amictl.actions import key_use
from amictl.errors import (
    ConflictError,
    KeyNotFoundError,
    KeyUnavailableError,
    UsageError,
)
from amictl.formats import records
from amictl.model.records import DomainHeader, ImageCore
from amictl.store import key_use as store_key_use
from amictl.store import layout
from amictl.store.opening import open_store
from amictl.store.store import Store
from tests.keys.chest import SECRET, Chest
from tests.workshop import MIB, Workshop, flip


@pytest.fixture
def chest(tmp_path: Path, workshop: Workshop) -> Chest:
    """Its keys open what the workshop makes."""
    chest = Chest(tmp_path / "keys")
    workshop.keys = chest.keyring()
    return chest


def snapshot(workshop: Workshop, key_id: str, name: str = "disk") -> str:
    """A snapshot that is encrypted with a key."""
    workshop.encrypt_by_default(key_id)
    return workshop.snapshot_id(workshop.file(name, workshop.noise(MIB)))


def domain(workshop: Workshop, key_id: str) -> DomainHeader:
    """The header of the one domain of a key."""
    with workshop.open() as store:
        (header,) = store_key_use.domains_of_key(store, key_id)
    return header


def secret(header: DomainHeader, identity: pyrage.x25519.Identity) -> bytes:
    return bytes(pyrage.decrypt(base64.b64decode(header.wrapped), [identity]))


def spoil(workshop: Workshop, header: DomainHeader, wrapped: str) -> None:
    """Let a header hold something else."""
    path = workshop.root / layout.domain(header.domain_id)
    path.write_bytes(records.encode(replace(header, wrapped=wrapped)))


def missing() -> Store:
    return open_store(Path("/nonexistent"))


def regions(workshop: Workshop) -> dict[str, Callable[[], Store]]:
    return {"local": workshop.open, "lost": missing}


def test_further_recipients_open_every_domain(workshop: Workshop, chest: Chest) -> None:
    key_id = chest.create("web")
    snapshot_id = snapshot(workshop, key_id)
    before = domain(workshop, key_id)
    recovery = pyrage.x25519.Identity.generate()
    recipients = (f"{recovery.to_public()} ", chest.recipient(key_id))
    places = {"local": workshop.open}
    result = key_use.rewrap_key(chest.folder, chest.keyring(), "alias/web", recipients, places)
    assert result == {
        "KeyId": key_id,
        "Recipients": [chest.recipient(key_id), str(recovery.to_public())],
        "Domains": [{"RegionName": "local", "DomainId": before.domain_id}],
    }
    after = domain(workshop, key_id)
    assert after.generation == before.generation + 1
    assert secret(after, recovery) == chest.keyring().unwrap(before)
    assert len(workshop.restored(snapshot_id)) == MIB


@pytest.mark.needs("age", "ssh-keygen")
def test_an_ssh_key_can_be_a_recovery_key(workshop: Workshop, chest: Chest, tmp_path: Path) -> None:
    key_id = chest.create()
    snapshot(workshop, key_id)
    path = tmp_path / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    public = path.with_suffix(".pub").read_text()
    places = {"local": workshop.open}
    key_use.rewrap_key(chest.folder, chest.keyring(), key_id, (public,), places)
    header = domain(workshop, key_id)
    opened = subprocess.run(
        ["age", "-d", "-i", path],
        input=base64.b64decode(header.wrapped),
        capture_output=True,
        check=True,
    )
    assert opened.stdout == chest.keyring().unwrap(header)


def test_what_is_wrapped_later_has_the_further_recipients_too(chest: Chest) -> None:
    key_id = chest.create()
    recovery = pyrage.x25519.Identity.generate()
    recipients = (str(recovery.to_public()),)
    key_use.rewrap_key(chest.folder, chest.keyring(), key_id, recipients, {})
    wrapped = base64.b64decode(chest.keyring().wrap(key_id, SECRET))
    assert pyrage.decrypt(wrapped, [recovery]) == SECRET


def test_a_recipient_is_taken_away_and_a_region_that_is_not_there_is_named(
    workshop: Workshop, chest: Chest
) -> None:
    key_id = chest.create()
    recovery = pyrage.x25519.Identity.generate()
    recipients = (str(recovery.to_public()),)
    key_use.rewrap_key(chest.folder, chest.keyring(), key_id, recipients, {})
    snapshot(workshop, key_id)
    assert len(secret(domain(workshop, key_id), recovery)) == 32
    result = key_use.rewrap_key(chest.folder, chest.keyring(), key_id, (), regions(workshop))
    assert [fault["RegionName"] for fault in result["Faults"]] == ["lost"]
    with pytest.raises(pyrage.DecryptError):
        secret(domain(workshop, key_id), recovery)


def test_without_recipients_everything_is_wrapped_to_those_there_are(
    workshop: Workshop, chest: Chest
) -> None:
    key_id = chest.create()
    snapshot(workshop, key_id)
    recovery = pyrage.x25519.Identity.generate()
    recipients = (str(recovery.to_public()),)
    key_use.rewrap_key(chest.folder, chest.keyring(), key_id, recipients, {"lost": missing})
    key_use.rewrap_key(chest.folder, chest.keyring(), key_id, None, {"local": workshop.open})
    assert len(secret(domain(workshop, key_id), recovery)) == 32


def test_domains_of_other_keys_stay_as_they_are(workshop: Workshop, chest: Chest) -> None:
    mine, other = chest.create(), chest.create()
    snapshot(workshop, other)
    before = domain(workshop, other)
    key_use.rewrap_key(chest.folder, chest.keyring(), mine, (), {"local": workshop.open})
    assert domain(workshop, other) == before


def test_what_is_no_recipient_changes_nothing(chest: Chest) -> None:
    key_id = chest.create()
    before = chest.folder.find(key_id)
    with pytest.raises(UsageError):
        key_use.rewrap_key(chest.folder, chest.keyring(), key_id, ("age1x",), {})
    assert chest.folder.find(key_id) == before


def test_deletion_names_what_would_be_lost(workshop: Workshop, chest: Chest) -> None:
    key_id, other = chest.create("web"), chest.create()
    lost, _ = snapshot(workshop, key_id), snapshot(workshop, other, "another")
    result = key_use.schedule_key_deletion(
        chest.folder, "alias/web", 30, regions(workshop), chest.surroundings
    )
    ours = result.pop("Amictl")
    assert result == {
        "KeyId": key_id,
        "DeletionDate": "2026-12-22T12:00:00.000Z",
        "KeyState": "PendingDeletion",
        "PendingWindowInDays": 30,
    }
    assert ours["Snapshots"] == [{"RegionName": "local", "SnapshotId": lost}]
    assert [problem["RegionName"] for problem in ours["Problems"]] == ["lost"]


def schedule(chest: Chest, key_id: str, days: int = 7) -> None:
    key_use.schedule_key_deletion(chest.folder, key_id, days, {}, chest.surroundings)


@pytest.mark.parametrize("days", [0, 6, 31])
def test_the_time_is_between_7_and_30_days(chest: Chest, days: int) -> None:
    with pytest.raises(UsageError) as caught:
        schedule(chest, chest.create(), days)
    assert caught.value.code == "ValidationException"


def test_deletion_is_scheduled_once_and_cancelled_once(chest: Chest) -> None:
    key_id = chest.create()
    before = chest.folder.find(key_id)
    schedule(chest, key_id)
    with pytest.raises(ConflictError, match="PendingDeletion until 2026-11-29") as caught:
        schedule(chest, key_id)
    assert caught.value.code == "KMSInvalidStateException"
    key_use.cancel_key_deletion(chest.folder, key_id, chest.surroundings)
    assert chest.folder.find(key_id) == before
    with pytest.raises(ConflictError, match="is Enabled"):
        key_use.cancel_key_deletion(chest.folder, key_id, chest.surroundings)


def test_the_key_is_gone_after_its_time_and_not_before(chest: Chest) -> None:
    key_id = chest.create()
    schedule(chest, key_id, 8)
    chest.pass_days(7)
    other = chest.create()
    assert chest.file(key_id).exists()
    chest.pass_days(1)
    with pytest.raises(KeyNotFoundError):
        key_use.cancel_key_deletion(chest.folder, key_id, chest.surroundings)
    assert [record.key_id for record in chest.folder.records()] == [other]
    assert not chest.file(key_id).exists()


def test_a_record_that_cannot_be_read_may_be_lost_too(workshop: Workshop, chest: Chest) -> None:
    key_id = chest.create()
    lost, unreadable = snapshot(workshop, key_id), snapshot(workshop, key_id, "another")
    (workshop.root / layout.core(unreadable)).write_bytes(b"no record")
    places = {"local": workshop.open}
    result = key_use.schedule_key_deletion(chest.folder, key_id, 7, places, chest.surroundings)
    ours = result["Amictl"]
    assert [item["SnapshotId"] for item in ours["Snapshots"]] == [lost]
    assert [item["SnapshotId"] for item in ours["Problems"]] == [unreadable]


def check(workshop: Workshop, name: str) -> dict[str, Any]:
    with workshop.open() as store:
        return key_use.check_key(store, name)


def test_a_key_that_opens_what_is_its_own_is_the_right_one(
    workshop: Workshop, chest: Chest
) -> None:
    key_id, other = chest.create("web"), chest.create()
    workshop.encrypt_by_default(key_id)
    image_id = workshop.image("one", workshop.file("disk", workshop.noise(MIB)))
    snapshot(workshop, other, "another")
    result = check(workshop, "alias/web")
    (snapshot_id,) = (item["SnapshotId"] for item in result["Snapshots"])
    assert result == {
        "KeyId": key_id,
        "Domains": [domain(workshop, key_id).domain_id],
        "Snapshots": [{"SnapshotId": snapshot_id, "Authenticity": "authentic"}],
        "Images": [{"ImageId": image_id, "Authenticity": "authentic"}],
        "Faults": [],
    }


def test_an_empty_disk_has_no_frame_to_open(workshop: Workshop, chest: Chest) -> None:
    workshop.encrypt_by_default(chest.create("web"))
    workshop.snapshot_id(workshop.file("disk", {}, MIB))
    assert check(workshop, "alias/web")["Faults"] == []


def test_a_record_that_was_not_made_with_the_key_is_forged(
    workshop: Workshop, chest: Chest
) -> None:
    snapshot_id = snapshot(workshop, chest.create("web"))
    core = workshop.core(snapshot_id)
    workshop.put_core(replace(core, size_bytes=core.size_bytes - 512))
    (fault,) = check(workshop, "alias/web")["Faults"]
    assert (fault["SnapshotId"], fault["Authenticity"]) == (snapshot_id, "forged")


def test_an_image_that_lost_its_mac_is_not_authentic(workshop: Workshop, chest: Chest) -> None:
    workshop.encrypt_by_default(chest.create("web"))
    image_id = workshop.image("one", workshop.file("disk", workshop.noise(MIB)))
    path = workshop.root / layout.core(image_id)
    core = records.decode(path.read_bytes(), ImageCore, "")
    path.write_bytes(records.encode(replace(core, signatures=())))
    (fault,) = check(workshop, "alias/web")["Faults"]
    assert (fault["ImageId"], fault["Authenticity"]) == (image_id, "forged")
    path.write_bytes(records.encode(replace(core, signatures=(), further=())))
    (image,) = check(workshop, "alias/web")["Images"]
    assert image["Authenticity"] == "forged"


def test_a_frame_that_is_damaged_is_a_fault(workshop: Workshop, chest: Chest) -> None:
    snapshot_id = snapshot(workshop, chest.create("web"))
    (pack,) = workshop.packs(0)
    flip(pack, 300)
    (fault,) = check(workshop, "alias/web")["Faults"]
    assert (fault["SnapshotId"], fault["Authenticity"]) == (snapshot_id, "authentic")
    assert "segment 0" in fault["Problem"]


def test_a_record_that_cannot_be_read_is_a_fault(workshop: Workshop, chest: Chest) -> None:
    snapshot_id = snapshot(workshop, chest.create("web"))
    (workshop.root / layout.core(snapshot_id)).write_bytes(b"no record")
    (fault,) = check(workshop, "alias/web")["Faults"]
    assert fault["Id"] == snapshot_id


def test_a_domain_that_its_key_does_not_open_is_a_fault(workshop: Workshop, chest: Chest) -> None:
    key_id, other = chest.create("web"), chest.create()
    snapshot(workshop, key_id)
    header = domain(workshop, key_id)
    spoil(workshop, header, chest.keyring().wrap(other, SECRET))
    (fault,) = check(workshop, "alias/web")["Faults"]
    assert fault["DomainId"] == header.domain_id


@pytest.mark.parametrize("holder", ["other", "web"])
def test_a_secret_that_does_not_belong_there_is_not_wrapped_anew(
    workshop: Workshop, chest: Chest, holder: str
) -> None:
    key_id = chest.create("web")
    chest.create("other")
    snapshot(workshop, key_id)
    header = domain(workshop, key_id)
    wrapped = chest.keyring().wrap(chest.keyring().resolve(f"alias/{holder}"), SECRET)
    spoil(workshop, header, wrapped)
    places = {"local": workshop.open}
    result = key_use.rewrap_key(chest.folder, chest.keyring(), key_id, None, places)
    assert [fault["RegionName"] for fault in result["Faults"]] == ["local"]
    assert domain(workshop, key_id).wrapped == wrapped


def test_without_keys_nothing_is_checked(workshop: Workshop) -> None:
    with workshop.open() as store:
        store.keyring = None
        with pytest.raises(KeyUnavailableError):
            key_use.check_key(store, "alias/web")


def test_a_passphrase_that_is_not_there_is_missed_before_any_work(
    workshop: Workshop, chest: Chest
) -> None:
    key_id = chest.create(passphrase="correct")
    with pytest.raises(KeyUnavailableError, match="nobody knows the passphrase"):
        snapshot(workshop, key_id)
    for folder in ("domains", "pending", "snapshots"):
        assert list((workshop.root / folder).iterdir()) == []


def rewrapped_to_a_recovery_key(workshop: Workshop, chest: Chest) -> tuple[str, str, str]:
    """A key that was lost, one to which it was rewrapped, and a snapshot of the first."""
    lost, recovery = chest.create("lost"), chest.create("recovery")
    snapshot_id = snapshot(workshop, lost)
    recipients = (chest.recipient(recovery),)
    places = {"local": workshop.open}
    key_use.rewrap_key(chest.folder, chest.keyring(), lost, recipients, places)
    chest.folder.remove(lost)
    workshop.keys = chest.keyring()
    return lost, recovery, snapshot_id


def test_a_recovery_key_restores_what_a_lost_key_encrypted(
    workshop: Workshop, chest: Chest
) -> None:
    _, _, snapshot_id = rewrapped_to_a_recovery_key(workshop, chest)
    assert workshop.restored(snapshot_id) == workshop.noise(MIB)


def test_a_recovery_key_is_checked_by_what_it_opens(workshop: Workshop, chest: Chest) -> None:
    lost, recovery, snapshot_id = rewrapped_to_a_recovery_key(workshop, chest)
    assert check(workshop, "alias/recovery") == {
        "KeyId": recovery,
        "Domains": [domain(workshop, lost).domain_id],
        "Snapshots": [{"SnapshotId": snapshot_id, "Authenticity": "authentic"}],
        "Images": [],
        "Faults": [],
    }
    chest.create("other")
    assert check(workshop, "alias/other")["Domains"] == []


def test_with_a_recovery_key_nothing_new_is_encrypted(workshop: Workshop, chest: Chest) -> None:
    lost, _, _ = rewrapped_to_a_recovery_key(workshop, chest)
    with pytest.raises(KeyUnavailableError, match=f"nothing new .* the key {lost}") as caught:
        workshop.snapshot_id(workshop.file("disk", workshop.noise(MIB, 8)))
    assert "amictl import-key FILE" in str(caught.value.hint)


def test_snapshots_whose_domain_has_no_header_are_faults(workshop: Workshop, chest: Chest) -> None:
    key_id = chest.create("web")
    workshop.encrypt_by_default(key_id)
    image_id = workshop.image("one", workshop.file("disk", workshop.noise(MIB)))
    (workshop.root / layout.domain(domain(workshop, key_id).domain_id)).unlink()
    faults = check(workshop, "alias/web")["Faults"]
    assert [fault.get("ImageId") for fault in faults] == [None, image_id]
    assert faults[0]["SnapshotId"].startswith("snap-")


def test_an_image_that_maps_a_plain_snapshot_under_the_id_of_its_own_is_forged(
    workshop: Workshop, chest: Chest
) -> None:
    workshop.encrypt_by_default(chest.create("web"))
    image_id = workshop.image("one", workshop.file("disk", workshop.noise(MIB)))
    with workshop.open() as store:
        (own,) = store_key_use.snapshots_in(store, lambda _: True)[0]
    workshop.plain_by_default()
    plain = workshop.core(workshop.snapshot_id(workshop.file("plain", workshop.noise(MIB, 8))))
    workshop.put_core(replace(plain, snapshot_id=own.snapshot_id))
    (fault,) = check(workshop, "alias/web")["Faults"]
    assert (fault["ImageId"], fault["Authenticity"]) == (image_id, "forged")


def test_a_key_that_cannot_be_opened_is_not_said_to_be_right(
    workshop: Workshop, chest: Chest
) -> None:
    key_id = chest.create("web", passphrase="correct")
    with pytest.raises(KeyUnavailableError, match="nobody knows"):
        check(workshop, key_id)


def test_where_keys_are_lost_the_hint_says_to_import_the_one_of_the_region(
    workshop: Workshop, chest: Chest
) -> None:
    key_id = chest.create()
    snapshot(workshop, key_id)
    chest.folder.remove(key_id)
    workshop.keys = chest.keyring()
    workshop.encrypt_by_default(None)
    with pytest.raises(KeyUnavailableError, match="no default key") as caught:
        workshop.snapshot_id(workshop.file("new", workshop.noise(MIB, 8)))
    assert str(caught.value.hint).startswith("first import")
    assert key_id in str(caught.value.hint)


def test_a_further_recipient_wraps_nothing_anew(workshop: Workshop, chest: Chest) -> None:
    lost, recovery = chest.create("lost"), chest.create("recovery")
    snapshot(workshop, lost)
    recipients = (chest.recipient(recovery),)
    places = {"local": workshop.open}
    key_use.rewrap_key(chest.folder, chest.keyring(), lost, recipients, places)
    before = domain(workshop, lost)
    chest.file(lost).unlink()
    result = key_use.rewrap_key(chest.folder, chest.keyring(), lost, (), places)
    assert [fault["RegionName"] for fault in result["Faults"]] == ["local"]
    assert domain(workshop, lost) == before
