"""What keys open in regions."""

import base64
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyrage
import pytest

from amictl.actions import key_use
from amictl.errors import (
    ConflictError,
    CorruptStoreError,
    KeyNotFoundError,
    KeyUnavailableError,
    UsageError,
)
from amictl.formats import records
from amictl.model.records import DomainHeader, Tag
from amictl.store import key_use as store_key_use
from amictl.store import layout
from amictl.store.opening import open_store
from amictl.store.store import Store
from tests.keys.chest import SECRET, Chest, header
from tests.workshop import Workshop

DOMAIN = "d0" * 16


@pytest.fixture
def chest(tmp_path: Path) -> Chest:
    return Chest(tmp_path / "keys")


def give_domain(workshop: Workshop, chest: Chest, key_id: str, domain_id: str = DOMAIN) -> None:
    """Let a store have a domain of a key."""
    made = header(key_id, chest.keyring().wrap(key_id, SECRET), domain_id)
    with workshop.open() as store:
        store.storage.write(layout.domain(domain_id), records.encode(made))


def give_snapshot(workshop: Workshop, domain_id: str = DOMAIN) -> str:
    """Let a store have a snapshot in a domain, as far as its record says."""
    disk = workshop.file("disk.raw", workshop.noise(4096))
    snapshot_id = str(workshop.snapshot(disk)["SnapshotId"])
    core = workshop.core(snapshot_id)
    sealed = Tag("sealed", base64.b64encode(bytes(60)).decode())
    workshop.put_core(
        replace(
            core,
            domain=domain_id,
            fingerprint_key="0" * 64,
            signatures=(f"mac:{'0' * 64}",),
            further=(sealed,),
        )
    )
    return snapshot_id


def domain(workshop: Workshop) -> DomainHeader:
    data = (workshop.root / layout.domain(DOMAIN)).read_bytes()
    return records.decode(data, DomainHeader, "")


def missing() -> Store:
    return open_store(Path("/nonexistent"))


def regions(workshop: Workshop) -> dict[str, Callable[[], Store]]:
    return {"local": workshop.open, "lost": missing}


def test_further_recipients_open_every_domain(workshop: Workshop, chest: Chest) -> None:
    key_id = chest.create("web")
    give_domain(workshop, chest, key_id)
    recovery = pyrage.x25519.Identity.generate()
    result = key_use.rewrap_key(
        chest.folder,
        chest.keyring(),
        "alias/web",
        (f"{recovery.to_public()} ", chest.recipient(key_id)),
        {"local": workshop.open},
    )
    assert result == {
        "KeyId": key_id,
        "Recipients": [chest.recipient(key_id), str(recovery.to_public())],
        "Domains": [{"RegionName": "local", "DomainId": DOMAIN}],
    }
    wrapped = domain(workshop)
    assert wrapped.generation == 1
    assert pyrage.decrypt(base64.b64decode(wrapped.wrapped), [recovery]) == SECRET
    assert chest.keyring().unwrap(wrapped) == SECRET


@pytest.mark.needs("age", "ssh-keygen")
def test_an_ssh_key_can_be_a_recovery_key(workshop: Workshop, chest: Chest, tmp_path: Path) -> None:
    key_id = chest.create()
    give_domain(workshop, chest, key_id)
    path = tmp_path / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    public = path.with_suffix(".pub").read_text()
    places = {"local": workshop.open}
    key_use.rewrap_key(chest.folder, chest.keyring(), key_id, (public,), places)
    wrapped = base64.b64decode(domain(workshop).wrapped)
    opened = subprocess.run(
        ["age", "-d", "-i", path], input=wrapped, capture_output=True, check=True
    )
    assert opened.stdout == SECRET


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
    give_domain(workshop, chest, key_id)
    result = key_use.rewrap_key(chest.folder, chest.keyring(), key_id, (), regions(workshop))
    assert [fault["RegionName"] for fault in result["Faults"]] == ["lost"]
    with pytest.raises(pyrage.DecryptError):
        pyrage.decrypt(base64.b64decode(domain(workshop).wrapped), [recovery])


def test_without_recipients_everything_is_wrapped_to_those_there_are(
    workshop: Workshop, chest: Chest
) -> None:
    key_id = chest.create()
    give_domain(workshop, chest, key_id)
    recovery = pyrage.x25519.Identity.generate()
    recipients = (str(recovery.to_public()),)
    key_use.rewrap_key(chest.folder, chest.keyring(), key_id, recipients, {"lost": missing})
    key_use.rewrap_key(chest.folder, chest.keyring(), key_id, None, {"local": workshop.open})
    assert pyrage.decrypt(base64.b64decode(domain(workshop).wrapped), [recovery]) == SECRET


def test_domains_of_other_keys_stay_as_they_are(workshop: Workshop, chest: Chest) -> None:
    mine, other = chest.create(), chest.create()
    give_domain(workshop, chest, other)
    before = domain(workshop)
    key_use.rewrap_key(chest.folder, chest.keyring(), mine, (), {"local": workshop.open})
    assert domain(workshop) == before


def test_what_is_no_recipient_changes_nothing(chest: Chest) -> None:
    key_id = chest.create()
    before = chest.folder.find(key_id)
    with pytest.raises(UsageError):
        key_use.rewrap_key(chest.folder, chest.keyring(), key_id, ("age1x",), {})
    assert chest.folder.find(key_id) == before


def test_deletion_names_what_would_be_lost(workshop: Workshop, chest: Chest) -> None:
    key_id, other = chest.create("web"), chest.create()
    give_domain(workshop, chest, key_id)
    give_domain(workshop, chest, other, "d1" * 16)
    lost, _ = give_snapshot(workshop), give_snapshot(workshop, "d1" * 16)
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


def test_a_key_that_opens_its_domains_is_the_right_one(workshop: Workshop, chest: Chest) -> None:
    key_id = chest.create("web")
    give_domain(workshop, chest, key_id)
    snapshot_id = give_snapshot(workshop)
    with workshop.open() as store:
        result = key_use.check_key(store, chest.keyring(), "alias/web")
    assert result == {
        "KeyId": key_id,
        "Domains": [DOMAIN],
        "Snapshots": [{"SnapshotId": snapshot_id, "DomainId": DOMAIN}],
        "Faults": [],
    }


def test_a_domain_that_its_key_does_not_open_is_a_fault(workshop: Workshop, chest: Chest) -> None:
    key_id, other = chest.create(), chest.create()
    wrapped = header(key_id, chest.keyring().wrap(other, SECRET))
    with workshop.open() as store:
        store.storage.write(layout.domain(DOMAIN), records.encode(wrapped))
        result = key_use.check_key(store, chest.keyring(), key_id)
    assert [fault["DomainId"] for fault in result["Faults"]] == [DOMAIN]


def test_a_domain_that_its_key_does_not_open_is_not_wrapped_anew(
    workshop: Workshop, chest: Chest
) -> None:
    key_id, other = chest.create(), chest.create()
    wrapped = header(key_id, chest.keyring().wrap(other, SECRET))
    with workshop.open() as store:
        store.storage.write(layout.domain(DOMAIN), records.encode(wrapped))
        with pytest.raises(KeyUnavailableError):
            store_key_use.rewrap(store, chest.keyring(), DOMAIN)
    assert domain(workshop) == wrapped


def test_a_header_under_the_id_of_another_domain_is_refused(
    workshop: Workshop, chest: Chest
) -> None:
    key_id = chest.create()
    give_domain(workshop, chest, key_id)
    folder = workshop.root / "domains"
    (folder / f"{DOMAIN}.json").rename(folder / f"{'d1' * 16}.json")
    with workshop.open() as store, pytest.raises(CorruptStoreError, match=f"is about {DOMAIN}"):
        store_key_use.domains_of_key(store, key_id)
