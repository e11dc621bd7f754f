"""Requests whose outcome is uncertain, and answers that cannot be meant."""

import resource
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from amictl.errors import CorruptStoreError, StorageError
from amictl.storage.bucket import BucketStorage
from tests.buckets.proxy import Proxy, proxied
from tests.buckets.servers import SHORT, Region

PATIENT = replace(SHORT, first_wait_seconds=1.0)


@pytest.fixture
def lossy(region: Region) -> Iterator[Proxy]:
    """Loses the reply to the first put after `first` was set."""
    with proxied(region.server.port, "lost reply") as proxy:
        yield proxy


@pytest.fixture
def storage(region: Region, lossy: Proxy) -> Iterator[BucketStorage]:
    """Behind the proxy; it knows already what the server can do."""
    opened = region.storage(lossy.url, PATIENT)
    assert opened.has_conditional_writes
    opened.write("packs/a", b"before")
    lossy.first = lossy.last = lossy.count
    yield opened
    opened.close()


def after_the_loss(lossy: Proxy, region: Region) -> threading.Thread:
    """Somebody else who writes when the reply is lost, and before it is asked for again."""

    def write() -> None:
        while lossy.count <= lossy.first:
            threading.Event().wait(0.01)
        region.put_object("packs/a", b"somebody else")

    thread = threading.Thread(target=write)
    thread.start()
    return thread


def test_a_replacement_whose_reply_was_lost_was_done(
    storage: BucketStorage, region: Region
) -> None:
    assert storage.replace_if_unchanged("packs/a", b"after", b"before")
    assert region.object("packs/a") == b"after"


def test_a_new_object_whose_reply_was_lost_is_ours(storage: BucketStorage) -> None:
    assert storage.write_if_absent("packs/b", b"new")


def test_a_replacement_that_was_overwritten_since_is_not_taken_for_one_that_failed(
    storage: BucketStorage, region: Region, lossy: Proxy
) -> None:
    """Who takes it for one that failed would remove what the newest state builds on."""
    other = after_the_loss(lossy, region)
    with pytest.raises(StorageError, match="somebody else changed it"):
        storage.replace_if_unchanged("packs/a", b"after", b"before")
    other.join()
    assert region.object("packs/a") == b"somebody else"


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"[]", b'{"ConditionalWrites":1}', b"\xff", b'{"ConditionalWrites":"no"}']
)
def test_damaged_words_about_the_server_are_refused(region: Region, text: bytes) -> None:
    region.put_object("bucket.json", text)
    storage = region.storage()
    with pytest.raises(CorruptStoreError, match=r"bucket\.json"):
        storage.write_if_absent("packs/a", b"1")
    storage.close()


def test_many_threads_read_one_block_with_one_request(region: Region) -> None:
    region.put_object("packs/a", bytes(3_000_000))
    with proxied(region.server.port, "503") as proxy:
        storage = region.storage(proxy.url)
        targets = [bytearray(b"x" * 1_000_000) for _ in range(8)]
        threads = [
            threading.Thread(target=storage.read_into, args=("packs/a", 0, memoryview(target)))
            for target in targets
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        storage.close()
    assert (targets, proxy.count) == ([bytearray(1_000_000)] * 8, 1)


def test_a_range_over_many_blocks_is_read(region: Region) -> None:
    content = b"".join(number.to_bytes(4, "big") for number in range(1_000_000))
    region.put_object("packs/a", content)
    storage = region.storage()
    target = bytearray(3_000_001)
    storage.read_into("packs/a", 999_999, memoryview(target))
    assert target == content[999_999:4_000_000]
    with pytest.raises(CorruptStoreError, match="ends before byte 4000001"):
        storage.read_into("packs/a", 999_999 + 1, memoryview(bytearray(3_000_001)))
    storage.close()


def test_a_large_run_is_fetched_in_parts(region: Region) -> None:
    content = bytes(range(256)) * 80_000
    region.put_object("index/a.run", content)
    storage = region.storage()
    assert bytes(storage.map("index/a.run")) == content
    assert bytes(storage.map("index/a.run")) == content
    storage.close()


def test_a_run_that_arrived_damaged_is_not_kept(region: Region) -> None:
    def require_sound(content: memoryview) -> None:
        if bytes(content) != b"sound":
            raise CorruptStoreError("the run's digest is wrong")

    region.put_object("index/a.run", b"wrong")
    storage = region.storage()
    assert bytes(storage.map("index/a.run", require_sound)) == b"wrong"
    region.put_object("index/a.run", b"sound")
    assert bytes(storage.map("index/a.run", require_sound)) == b"sound"
    region.put_object("index/a.run", b"wrong")
    assert bytes(storage.map("index/a.run", require_sound)) == b"sound"  # from the cache
    storage.close()


def test_a_body_without_end_takes_no_memory(region: Region) -> None:
    region.put_object("packs/a", bytes(100_000))
    with proxied(region.server.port, "endless body", 0, 1_000_000) as proxy:
        storage = region.storage(proxy.url, replace(SHORT, attempts=2, timeout_seconds=3))
        before = _peak_bytes()
        with pytest.raises((StorageError, CorruptStoreError)):
            storage.read_into("packs/a", 0, memoryview(bytearray(1000)))
        with pytest.raises((StorageError, CorruptStoreError)):
            storage.read("packs/a")
        proxy.stalled.set()
        storage.close()
    assert _peak_bytes() - before < 64_000_000


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
