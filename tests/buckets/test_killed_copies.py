"""A copy into a bucket that is killed, at some of its requests, beside another one; and again."""

import json
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.buckets.proxy import Proxy, proxied
from tests.buckets.servers import Server, Servers
from tests.conftest import Finished, Home, await_end
from tests.workshop import SEGMENT

PROGRAM = """
from amictl.storage.bucket import BucketStorage
BucketStorage.__init__.__kwdefaults__["ttl_seconds"] = 5.0
from amictl.cli.main import main
main()
"""
"""The program, with leases that are short."""

POINTS = [((at + 0.5) / 6, at % 2 == 1) for at in range(6)]
"""How far into its requests a copy is killed; and whether it encrypts."""
SECONDS_LEFT = re.compile(r"is free in at most (\d+) seconds")


@dataclass(frozen=True, slots=True)
class User:
    """Somebody with an image in the region `local`, and a bucket with two names: `away`, and
    `slow`, which goes through a proxy."""

    home: Home
    disk: Path
    image_id: str
    proxy: Proxy

    def begin(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *words],
            env=self.home.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str) -> Finished:
        with self.begin(*words) as process:
            out, err = process.communicate(timeout=120)
        return Finished(process.returncode, out, err)

    def answer(self, *words: str) -> Any:
        """Of a command that succeeds."""
        finished = self.run(*words)
        assert finished.status == 0, finished.err
        return json.loads(finished.out)

    def copy(self, name: str, region: str, encrypted: bool) -> list[str]:
        """The words that copy the image under this name."""
        source = ["--source-region", "local", "--source-image-id", self.image_id]
        words = ["copy-image", "--region", region, "--name", name, *source]
        return [*words, "--encrypted", "--kms-key-id", "alias/a"] if encrypted else words

    def images(self) -> set[tuple[str, str]]:
        """Names and states of the images in the bucket."""
        shown = self.answer("describe-images", "--region", "away")["Images"]
        return {(image["Name"], image["State"]) for image in shown}

    def require_whole(self) -> None:
        """Every available image has the bytes of the disk, and nothing is damaged."""
        shown = self.answer("describe-images", "--region", "away")["Images"]
        for image in shown:
            if image["State"] == "available":
                snapshot_id = image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
                target = self.home.folder / f"restored-{image['ImageId']}"
                words = ["--region", "away", "--snapshot-id", snapshot_id, str(target)]
                self.answer("create-volume", "--force", *words)
                assert target.read_bytes() == self.disk.read_bytes()
        found = self.answer("check-store", "--region", "away", "--read-data")
        assert (found["Faults"], found["Damaged"]) == ([], [])


@contextmanager
def user_of(folder: Path, server: Server) -> Iterator[User]:
    folder.mkdir()
    disk = folder / "disk"
    disk.write_bytes(random.Random(5).randbytes(SEGMENT + 12345))
    home = Home(folder)
    bucket = ["--bucket-url", f"s3://{server.new_bucket()}/below"]
    with proxied(server.port, "stall") as proxy:
        assert home("create-key", "--alias", "alias/a").status == 0
        for name, url in (("away", server.url), ("slow", proxy.url)):
            made = home("create-region", name, *bucket, "--endpoint-url", url)
            assert made.status == 0, made.err
        created = json.loads(home("create-image", "--name", "web", disk).out)
        proxy.count = 0
        yield User(home, disk, created["ImageId"], proxy)


@pytest.fixture(scope="module")
def server(servers: Servers) -> Server:
    """The faster one is enough here."""
    return servers.get("ministack")


@pytest.fixture(scope="module")
def requests(server: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[bool, int]:
    """How many a copy takes, a plain one and one that encrypts."""
    counts = {}
    for encrypted in (False, True):
        with user_of(tmp_path_factory.mktemp("count") / "home", server) as user:
            user.answer(*user.copy("web", "slow", encrypted))
            counts[encrypted] = user.proxy.count
    return counts


@pytest.fixture
def user(tmp_path: Path, server: Server) -> Iterator[User]:
    with user_of(tmp_path / "home", server) as user:
        yield user


def kill_at(user: User, number: int, words: list[str], meanwhile: list[str]) -> Finished:
    """Kill a command that waits for the answer to this request; how another one ended that ran
    while it waited."""
    user.proxy.first, user.proxy.last = number, 1_000_000
    process = user.begin(*words)
    while user.proxy.count <= number and process.poll() is None:
        threading.Event().wait(0.01)
    beside = user.run(*meanwhile)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    await_end(process.pid)
    user.proxy.first = user.proxy.last = -1
    user.proxy.stalled.set()
    return beside


@pytest.mark.parametrize(("point", "encrypted"), POINTS)
def test_a_killed_copy_is_made_by_running_it_again(
    user: User, requests: dict[bool, int], point: float, encrypted: bool
) -> None:
    words = user.copy("web", "slow", encrypted)
    other = user.copy("other", "away", encrypted)
    beside = kill_at(user, int(requests[encrypted] * point), words, other)
    assert beside.status == 0, beside.err
    states = {("web", state) for state in ("pending", "failed", "available")}
    assert user.images() <= {("other", "available"), *states}
    user.require_whole()
    again = user.run(*words)
    begun = time.monotonic()
    while again.status == 11 and time.monotonic() < begun + 60:
        (seconds,) = SECONDS_LEFT.findall(again.err)
        assert 0 < int(seconds) <= 5
        threading.Event().wait(int(seconds))
        again = user.run(*words)
    # A name is taken for good if all that was missing was the answer.
    assert again.status in (0, 14), again.err
    available = {("other", "available"), ("web", "available")}
    # One that was killed before it took the name looks alive until its lease is over.
    assert available <= user.images() <= {*available, ("web", "failed"), ("web", "pending")}
    user.require_whole()
