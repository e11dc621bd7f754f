"""The program itself with a region in a bucket: by name, killed, and with copies in and out."""

import json
import random
import re
import signal
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.buckets.proxy import Proxy, proxied
from tests.buckets.servers import Region, Servers, free_port
from tests.conftest import PROGRAM, Finished, Home
from tests.workshop import SEGMENT


@pytest.fixture
def region(servers: Servers, tmp_path: Path) -> Region:
    """The faster server is enough here: what differs between them is below the program."""
    server = servers.get("ministack")
    return Region(server, server.new_bucket(), tmp_path / "cache")


@dataclass(frozen=True, slots=True)
class User:
    """Somebody with a disk, a directory region `local` and a bucket region `away`."""

    home: Home
    disk: Path
    url: str

    def __call__(self, *words: str | Path) -> Any:
        """The answer of a command that succeeds."""
        finished = self.home(*words)
        assert (finished.status, finished.err) == (0, "")
        return json.loads(finished.out or "null")

    def restored(self, snapshot_id: str, region: str) -> bytes:
        target = self.home.folder / f"restored-{random.randbytes(4).hex()}"
        self("create-volume", "--region", region, "--snapshot-id", snapshot_id, target)
        return target.read_bytes()


def create_region(home: Home, region: Region, url: str, *words: str) -> Finished:
    bucket = f"s3://{region.bucket}/deep/down"
    return home("create-region", "away", "--bucket-url", bucket, "--endpoint-url", url, *words)


@pytest.fixture
def user(amictl: Home, region: Region) -> User:
    """With a region in a bucket that is new."""
    disk = amictl.folder / "disk"
    disk.write_bytes(random.Random(5).randbytes(SEGMENT + 12345))
    assert create_region(amictl, region, region.server.url).status == 0
    return User(amictl, disk, region.server.url)


def test_a_region_in_a_bucket_has_a_name_and_says_what_its_server_can_do(
    user: User, region: Region
) -> None:
    (facts,) = [
        one["Amictl"] for one in user("describe-regions")["Regions"] if one["RegionName"] == "away"
    ]
    assert facts["BucketUrl"] == f"s3://{region.bucket}/deep/down"
    assert facts["ConditionalWrites"] is True


def test_a_region_on_a_server_without_conditions_is_made_with_a_warning(
    amictl: Home, region: Region
) -> None:
    with proxied(region.server.port, "503") as proxy:
        proxy.forgets_conditions = True
        finished = create_region(amictl, region, proxy.url, "--progress", "json")
    assert finished.status == 0
    assert "let only one command at a time write" in finished.err
    assert json.loads(finished.out)["Amictl"]["ConditionalWrites"] is False


def test_an_image_goes_to_the_bucket_and_comes_back(user: User) -> None:
    created = user("create-image", "--name", "web", user.disk)
    away = user(
        "copy-image", "--source-region", "local", "--source-image-id", created["ImageId"],
        "--name", "web", "--region", "away",
    )  # fmt: skip
    back = user(
        "copy-image", "--source-region", "away", "--source-image-id", away["ImageId"],
        "--name", "again", "--region", "local",
    )  # fmt: skip
    (image,) = user("describe-images", "--image-ids", back["ImageId"])["Images"]
    snapshot_id = image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    assert user.restored(snapshot_id, "local") == user.disk.read_bytes()
    (image,) = user("describe-images", "--region", "away")["Images"]
    snapshot_id = image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    assert user.restored(snapshot_id, "away") == user.disk.read_bytes()
    assert user("check-store", "--region", "away", "--read-data")["Faults"] == []


def objects(region: Region) -> list[bytes]:
    """The bytes of every object of the bucket."""
    _, listed = region.server.request("GET", f"/{region.bucket}?list-type=2")
    keys = re.findall(r"<Key>([^<]+)</Key>", listed.decode())
    return [region.server.request("GET", f"/{region.bucket}/{key}")[1] for key in keys]


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
def test_what_is_encrypted_by_default_does_not_stand_in_the_bucket(
    user: User, region: Region, encrypted: bool
) -> None:
    user("create-key", "--alias", "alias/a")
    if encrypted:
        user("enable-ebs-encryption-by-default", "--region", "away")
    created = user("create-snapshot", "--region", "away", user.disk)
    content = user.disk.read_bytes()
    assert created["Encrypted"] is encrypted
    assert user.restored(created["SnapshotId"], "away") == content
    assert any(content[5000:5016] in data for data in objects(region)) is not encrypted


def test_a_region_that_is_empty_again_is_removed_to_the_last_object(
    user: User, region: Region
) -> None:
    created = user("create-snapshot", "--region", "away", user.disk)
    user("delete-snapshot", "--region", "away", "--snapshot-id", created["SnapshotId"])
    user("delete-region", "away")
    status, listed = region.server.request("GET", f"/{region.bucket}?list-type=2")
    assert (status, b"<Contents>" in listed) == (200, False)


def test_a_region_that_holds_something_is_not_removed(user: User) -> None:
    created = user("create-snapshot", "--region", "away", user.disk)
    finished = user.home("delete-region", "away")
    assert (finished.status, created["SnapshotId"] in finished.err) == (14, True)
    assert user.restored(created["SnapshotId"], "away") == user.disk.read_bytes()


def test_a_store_with_two_names_is_removed_under_neither(user: User, region: Region) -> None:
    bucket = f"s3://{region.bucket}/deep/down/"
    made = user("create-region", "again", "--bucket-url", bucket, "--endpoint-url", f"{user.url}/")
    first, second = [one["Amictl"]["StoreId"] for one in user("describe-regions")["Regions"][-2:]]
    assert first == second == made["Amictl"]["StoreId"]
    assert [user.home("delete-region", name).status for name in ("away", "again")] == [14, 14]
    user("delete-region", "again", "--forget")
    user("create-snapshot", "--region", "away", user.disk)


def test_a_region_over_foreign_objects_is_not_made(amictl: Home, region: Region) -> None:
    region.server.request("PUT", f"/{region.bucket}/deep/down/letters/one.txt", b"dear reader")
    finished = create_region(amictl, region, region.server.url)
    assert (finished.status, "it holds 'letters'" in finished.err) == (14, True)
    assert amictl("delete-region", "away").status == 10


def test_a_region_in_a_bucket_is_changed(user: User) -> None:
    changed = user("modify-region", "away", "--max-concurrent-copies", "3", "--default")
    assert (changed["Amictl"]["MaxConcurrentCopies"], changed["Amictl"]["Default"]) == (3, True)
    assert user("describe-regions", "--region-names", "away")["Regions"] == [changed]


def test_a_server_that_is_gone_hides_no_other_region(user: User) -> None:
    user("create-snapshot", "--region", "local", user.disk)
    text = user.home.config.read_text()
    user.home.config.write_text(text.replace(user.url, f"http://127.0.0.1:{free_port()}"))
    shown = {one["RegionName"]: one["Amictl"] for one in user("describe-regions")["Regions"]}
    assert "StoreId" in shown["local"]
    assert "cannot get s3://" in shown["away"]["Problem"]
    finished = user.home("delete-region", "away")
    assert (finished.status, "delete-region away --forget" in finished.err) == (16, True)
    user("delete-region", "away", "--forget")
    assert "away" not in user.home.config.read_text()


def test_a_bucket_is_no_directory_of_a_store(amictl: Home) -> None:
    finished = amictl("describe-images", "--store", "s3://bucket/prefix")
    assert (finished.status, "create-region NAME --bucket-url" in finished.err) == (2, True)
    assert not (amictl.folder / "s3:").exists()


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_who_is_killed_leaves_nothing_half_visible(
    user: User, region: Region, share: float
) -> None:
    total = 34
    with proxied(region.server.port, "stall", int(total * share), 1_000_000) as proxy:
        _point_to(user, proxy)
        words = [PROGRAM, "create-snapshot", "--region", "away", str(user.disk)]
        with subprocess.Popen(
            words, env=user.home.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            while proxy.count <= int(total * share):
                threading.Event().wait(0.01)
            process.send_signal(signal.SIGKILL)
        proxy.first = proxy.last = -1
        proxy.stalled.set()
        shown = user("describe-snapshots", "--region", "away")["Snapshots"]
        for snapshot in shown:
            if snapshot["State"] == "completed":
                assert user.restored(snapshot["SnapshotId"], "away") == user.disk.read_bytes()
        again = user("create-snapshot", "--region", "away", user.disk)
        assert user.restored(again["SnapshotId"], "away") == user.disk.read_bytes()
        assert user("check-store", "--region", "away", "--read-data")["Faults"] == []


def _point_to(user: User, proxy: Proxy) -> None:
    text = user.home.config.read_text()
    assert user.url in text
    user.home.config.write_text(text.replace(user.url, proxy.url))


@pytest.mark.parametrize("command", ["create-volume", "describe-snapshots"])
def test_threads_that_wait_for_answers_that_never_come_are_given_up(
    user: User, region: Region, command: str
) -> None:
    snapshot_id = user("create-snapshot", "--region", "away", user.disk)["SnapshotId"]
    target = str(user.home.folder / "target")
    stalled_from, words = {
        "create-volume": (11, ["--snapshot-id", snapshot_id, target]),
        "describe-snapshots": (4, []),
    }[command]
    with proxied(region.server.port, "stall", stalled_from, 1_000_000) as proxy:
        _point_to(user, proxy)
        environment = user.home.environment() | {"AMICTL_CACHE_SIZE": "0"}
        with subprocess.Popen(
            [PROGRAM, command, "--region", "away", *words],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            while proxy.count <= stalled_from:
                threading.Event().wait(0.01)
            threading.Event().wait(0.2)
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=15) == 130


def test_who_waits_for_an_answer_can_be_interrupted(user: User, region: Region) -> None:
    with proxied(region.server.port, "stall", 5, 1_000_000) as proxy:
        _point_to(user, proxy)
        words = [PROGRAM, "create-snapshot", "--region", "away", str(user.disk)]
        with subprocess.Popen(
            words, env=user.home.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            while proxy.count <= 5:
                threading.Event().wait(0.01)
            process.send_signal(signal.SIGINT)
            threading.Event().wait(0.5)
            proxy.stalled.set()  # what is tidied up afterwards is answered
            proxy.first = proxy.last = -1
            assert process.wait(timeout=60) == 130
