"""Restoring from an object store, killed or cut off: nothing half visible, and again it works."""

import json
import signal
import subprocess
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.archives.raw_archives import Disk, plain_archive
from tests.buckets.proxy import Proxy, proxied
from tests.buckets.servers import Server, Servers, servers
from tests.conftest import PROGRAM, Home
from tests.workshop import SEGMENT, Workshop

__all__ = ["servers"]

KEY = "ami-0123456789abcdef0.bin"


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    """Segments that are all fetched one by one."""
    return Workshop(tmp_path / "noise").noise(6 * SEGMENT)


@pytest.fixture
def bucket(servers: Servers, content: bytes) -> tuple[Server, str]:
    """A bucket with an archive in it."""
    server = servers.get("ministack")
    name = server.new_bucket()
    archive = plain_archive(Disk(content)).joined()
    assert server.request("PUT", f"/{name}/{KEY}", archive)[0] == 200
    return server, name


def behind(home: Home, proxy: Proxy) -> Home:
    return replace(home, variables={**home.variables, "AWS_ENDPOINT_URL": proxy.url})


def words(bucket: str) -> list[str]:
    return ["create-restore-image-task", "--bucket", f"s3://{bucket}", "--object-key", KEY]


def shown(home: Home, *words: str) -> Any:
    finished = home(*words)
    assert (finished.status, finished.err) == (0, "")
    return json.loads(finished.out)


def require_failed(home: Home, reason: str) -> None:
    """The image and the task show as failed, and nothing else is there."""
    (image,) = shown(home, "describe-images")["Images"]
    (task,) = shown(home, "describe-restore-image-tasks")["RestoreImageTaskResults"]
    assert image["State"] == "failed"
    assert reason in image["StateReason"]["Message"]
    assert (task["AmiId"], task["RestoreTaskState"]) == (image["ImageId"], "Failed")
    completed = ["--filters", "Name=status,Values=completed"]
    assert shown(home, "describe-snapshots", *completed)["Snapshots"] == []


def require_again(home: Home, bucket: str, content: bytes) -> None:
    """Run again, it makes the image."""
    image_id = shown(home, *words(bucket))["ImageId"]
    (image,) = shown(home, "describe-images", "--image-ids", image_id)["Images"]
    snapshot = image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    target = home.folder / "back.raw"
    shown(home, "create-volume", "--snapshot-id", snapshot, str(target))
    assert target.read_bytes() == content
    assert shown(home, "check-store", "--read-data")["Faults"] == []


def test_a_restore_that_is_killed_can_be_repeated(
    amictl: Home, bucket: tuple[Server, str], content: bytes
) -> None:
    server, name = bucket
    with proxied(server.port, "stall", 8, 1_000_000) as proxy:
        home = behind(amictl, proxy)
        with subprocess.Popen(
            [PROGRAM, *words(name)],
            env=home.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            while proxy.count <= 8:
                threading.Event().wait(0.01)
            process.send_signal(signal.SIGKILL)
        proxy.first = proxy.last = -1
        proxy.stalled.set()

        require_failed(home, "ended before it was done")
        require_again(home, name, content)


def test_a_network_that_is_gone_fails_the_restore(
    amictl: Home, bucket: tuple[Server, str], content: bytes
) -> None:
    server, name = bucket
    with proxied(server.port, "reset", 8, 1_000_000) as proxy:
        home = behind(amictl, proxy)
        finished = home(*words(name))
        assert (finished.status, finished.out) == (16, "")
        proxy.first = proxy.last = -1

        require_failed(home, name)
        require_again(home, name, content)


@pytest.mark.parametrize("fault", ["503", "cut body"])
def test_a_fault_that_passes_is_not_noticed(
    amictl: Home, bucket: tuple[Server, str], content: bytes, fault: str
) -> None:
    server, name = bucket
    with proxied(server.port, fault, 5, 6) as proxy:
        require_again(behind(amictl, proxy), name, content)
