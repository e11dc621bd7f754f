"""Whatever goes wrong between amictl and a bucket of objects: an object is there whole, or not at
all, and nothing is left that somebody would pay for."""

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from amictl.errors import AmictlError, CorruptStoreError, ObjectExistsError, StorageError
from amictl.storage.attempts import Patience
from tests.buckets.objects import PART, Objects
from tests.buckets.proxy import Proxy, proxied
from tests.buckets.servers import Region

HASTY = Patience(attempts=4, first_wait_seconds=0.02, timeout_seconds=0.7, bulk_timeout_seconds=1)
PASSING = ("503", "reset", "stall", "cut body", "lost reply", "truncated list")
LIES = ("wrong length", "error in 200", "endless body", "elsewhere")
LARGE = random.Random(1).randbytes(PART + 100_000)
SMALL = LARGE[:100_000]


@pytest.fixture
def objects(one_region: Region, tmp_path: Path) -> Objects:
    """An empty prefix of one of the servers."""
    return Objects(tmp_path, one_region)


@pytest.fixture
def proxy(objects: Objects) -> Iterator[Proxy]:
    """Passes everything on, until it is told otherwise."""
    assert objects.region is not None
    with proxied(objects.region.server.port, "503") as running:
        yield running


def story(objects: Objects, content: bytes, url: str) -> list[str]:
    """Make an object, list it and read it."""
    with objects.open(url, HASTY).create("folder/object", {"a": "b"}, {}, None) as writer:
        writer.write(content)
        writer.finish()
    bucket = objects.open(url, HASTY)
    source = bucket.open("folder/object")
    assert source.read(10, len(content) - 10) == content[10:]
    source.close()
    return bucket.names("folder/")


STEPS = {"503": 4, "reset": 3, "stall": 5}
"""Every so many requests are spoilt in turn; of the rarer ones each."""

CONTENT = {"small": SMALL, "large": LARGE}


@pytest.mark.parametrize("kind", CONTENT)
@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes_is_not_noticed(
    objects: Objects, proxy: Proxy, fault: str, kind: str
) -> None:
    proxy.fault = fault
    at = 0
    while proxy.count >= at:  # until the story has no such request any more
        proxy.first = proxy.last = at
        proxy.count = 0
        assert story(objects, CONTENT[kind], proxy.url) == ["folder/object"]
        assert objects.get("folder/object") == CONTENT[kind]
        objects.open().delete("folder/object")
        assert objects.everything() == []
        at += STEPS.get(fault, 1)
    assert at > 1


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_lost_reply_to_a_post_is_not_noticed(objects: Objects, proxy: Proxy, at: int) -> None:
    proxy.fault, proxy.first, proxy.last = "lost reply to a post", at, at
    assert story(objects, LARGE, proxy.url) == ["folder/object"]
    assert objects.get("folder/object") == LARGE
    # An upload whose beginning was not confirmed has no parts, and stays for a day.
    assert set(objects.everything()) <= {"folder/object"} | _probes(objects)


def _probes(objects: Objects) -> set[str]:
    return {key for key in objects.everything() if "/.amictl-probe-" in key}


@pytest.mark.parametrize("at", [0, 2])
@pytest.mark.parametrize("fault", LIES)
def test_a_lie_is_refused_and_a_rerun_succeeds(
    objects: Objects, proxy: Proxy, fault: str, at: int
) -> None:
    story(objects, SMALL, proxy.url)  # what the server can do is known
    objects.open().delete("folder/object")
    proxy.fault, proxy.first, proxy.last, proxy.count = fault, 2 * at, 2 * at, 0
    with suppress(StorageError, CorruptStoreError, AmictlError):
        story(objects, LARGE, proxy.url)
    proxy.first = proxy.last = -1
    if objects.open().exists("folder/object"):
        assert objects.get("folder/object") == LARGE
        objects.open().delete("folder/object")
    assert story(objects, LARGE, proxy.url) == ["folder/object"]
    assert objects.everything() == ["folder/object"]


@pytest.mark.parametrize(
    ("fault", "at"),
    [
        *(("503", at) for at in (0, 3, 10, 12)),
        *(("reset", at) for at in (2, 5, 11)),
        *(("lost reply", at) for at in (0, 3, 4)),
        *(("full", at) for at in (1, 4, 6, 8)),
        ("stall", 6),
    ],
)
def test_after_an_outage_nothing_is_visible_and_a_rerun_succeeds(
    objects: Objects, proxy: Proxy, fault: str, at: int
) -> None:
    proxy.fault, proxy.first, proxy.last = fault, at, 1_000_000
    with suppress(StorageError):
        story(objects, LARGE, proxy.url)
    assert proxy.count > at
    assert "folder/object" not in objects.open().names("folder/")
    proxy.first = proxy.last = -1
    story(objects, LARGE, proxy.url)
    assert objects.get("folder/object") == LARGE
    assert objects.everything() == ["folder/object"]


def test_a_full_bucket_is_told_at_once(objects: Objects, proxy: Proxy) -> None:
    story(objects, SMALL, proxy.url)
    proxy.fault, proxy.first, proxy.last, proxy.count = "full", 0, 1_000_000, 0
    with pytest.raises(StorageError, match=r"there is no room \(507 QuotaExceeded\)"):
        objects.put("other", SMALL, proxy.url)
    assert proxy.count == 1
    assert objects.everything() == ["folder/object"]


def test_a_redirection_to_another_host_is_not_followed(objects: Objects, proxy: Proxy) -> None:
    proxy.fault, proxy.first, proxy.last = "elsewhere", 0, 1_000_000
    with pytest.raises(StorageError, match="redirected to another host"):
        objects.open(proxy.url, HASTY).names("")


def test_a_body_without_end_takes_no_memory_and_no_time(objects: Objects, proxy: Proxy) -> None:
    objects.put("object", SMALL)
    source = objects.open(proxy.url, HASTY).open("object")
    proxy.fault, proxy.first, proxy.last = "endless body", 0, 1_000_000
    with pytest.raises(AmictlError):
        source.read(0, 1000)
    source.close()


def test_a_lost_reply_to_what_somebody_else_made_is_no_success(
    objects: Objects, proxy: Proxy
) -> None:
    objects.put("warm", SMALL, proxy.url)
    with objects.open(proxy.url, HASTY).create("object", {}, {}, None) as writer:
        writer.write(SMALL)
        objects.put("object", SMALL)
        proxy.fault, proxy.count = "lost reply", 0
        proxy.first = proxy.last = 0
        with pytest.raises(ObjectExistsError):
            writer.finish()


WRITER = """
import sys
from pathlib import Path
from amictl.storage.places import BucketPlace
from amictl.storage.upload_bucket import UploadBucket
bucket, url, cache, part = sys.argv[1:]
place = BucketPlace(bucket, "some/prefix", url, Path(cache))
with UploadBucket(place, part_size=int(part)).create("object", {}, {}, None) as writer:
    for number in range(4):
        writer.write(bytes([number]) * int(part))
    writer.finish()
"""


def started(objects: Objects, url: str) -> subprocess.Popen[bytes]:
    """A process that makes an object of four parts."""
    assert objects.region is not None
    words = [objects.region.bucket, url, str(objects.region.cache), str(PART)]
    return subprocess.Popen([sys.executable, "-c", WRITER, *words], env=dict(os.environ))


@pytest.mark.parametrize("moment", [3, 6, 9, 11, 13, 14])
def test_what_a_killed_writer_left_is_gone_when_the_next_one_is_done(
    objects: Objects, proxy: Proxy, moment: int
) -> None:
    proxy.delay_seconds = 0.02
    with started(objects, proxy.url) as process:
        while len(proxy.methods) <= moment and process.poll() is None:
            threading.Event().wait(0.002)
        process.send_signal(signal.SIGKILL)
    whole = b"".join(bytes([number]) * PART for number in range(4))
    if objects.open().exists("object"):
        assert objects.get("object") == whole
        objects.open().delete("object")
    objects.put("object", SMALL, proxy.url)
    assert objects.get("object") == SMALL
    assert objects.everything() == ["object"]


@pytest.mark.parametrize("moment", [0, 3, 4, 5])
def test_an_interrupted_writer_leaves_nothing(objects: Objects, proxy: Proxy, moment: int) -> None:
    objects.put("warm", b"", proxy.url)
    proxy.methods.clear()
    proxy.delay_seconds = 0.05
    with started(objects, proxy.url) as process:
        while len(proxy.methods) <= moment and process.poll() is None:
            threading.Event().wait(0.002)
        process.send_signal(signal.SIGINT)
    assert process.returncode != 0
    assert objects.everything() == ["warm"]


def test_an_upload_of_a_living_writer_is_left_alone(objects: Objects) -> None:
    with objects.open().create("object", {}, {}, None) as writer:
        writer.write(LARGE)
        objects.put("other", SMALL)
        writer.finish()
    assert objects.get("object") == LARGE
    assert objects.everything() == ["object", "other"]
