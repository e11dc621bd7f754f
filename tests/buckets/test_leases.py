"""Leases: what stands in for the locks of a kernel, and what happens when one is lost."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from amictl.actions.deregistering import deregister_image
from amictl.errors import BusyError, StorageError
from amictl.model.records import PendingImage
from amictl.storage.bucket import BucketStorage
from amictl.store import catalog, layout
from amictl.store.pending import PendingFile
from tests.buckets.proxy import proxied
from tests.buckets.servers import SHORT, Region
from tests.buckets.workshop import BucketWorkshop

EPOCHS = ("locks/epoch-0", "locks/epoch-1")
SHORT_TTL = 1.5
HASTY = replace(SHORT, attempts=2, timeout_seconds=0.3)


@pytest.fixture
def short(one_region: Region) -> Region:
    """A region whose leases are short."""
    return replace(one_region, ttl_seconds=SHORT_TTL)


@pytest.fixture
def storage(short: Region) -> Iterator[BucketStorage]:
    opened = short.storage()
    yield opened
    opened.close()


@pytest.fixture
def other(short: Region) -> Iterator[BucketStorage]:
    """Another process."""
    opened = short.storage()
    yield opened
    opened.close()


def killed(storage: BucketStorage) -> None:
    """End the renewing as death does, without a word."""
    storage.close()


def test_a_lease_outlives_its_time_while_it_is_renewed(
    storage: BucketStorage, other: BucketStorage
) -> None:
    hold = storage.hold(EPOCHS[0])
    threading.Event().wait(2 * SHORT_TTL)
    with pytest.raises(BusyError), other.alone(EPOCHS):
        pass
    storage.write("packs/a", b"still mine")
    hold.release()


def test_what_a_killed_writer_held_is_free_after_a_while(
    storage: BucketStorage, other: BucketStorage
) -> None:
    storage.hold(EPOCHS[0])
    killed(storage)
    with pytest.raises(BusyError, match="another command holds s3:"), other.alone(EPOCHS):
        pass
    threading.Event().wait(2 * SHORT_TTL)
    with other.alone(EPOCHS):
        pass


def test_who_waits_for_a_killed_one_goes_on_after_a_while(
    storage: BucketStorage, other: BucketStorage
) -> None:
    lock = storage.exclusively("locks/catalog")
    lock.__enter__()
    killed(storage)
    with other.exclusively("locks/catalog"):
        other.write("packs/a", b"mine now")
    assert other.read("packs/a") == b"mine now"


def test_work_of_a_killed_writer_is_dead_after_a_while(
    storage: BucketStorage, other: BucketStorage
) -> None:
    storage.begin_work("pending/a", b"head\n")
    killed(storage)
    assert other.read_work("pending/a") == (b"head\n", True)
    threading.Event().wait(2 * SHORT_TTL)
    assert other.read_work("pending/a") == (b"head\n", False)


def test_progress_is_seen_by_others(storage: BucketStorage, other: BucketStorage) -> None:
    work = storage.begin_work("pending/a", b"head\n")
    ends = time.monotonic() + 20
    while other.read_work("pending/a") != (b"head\nhalf\n", True) and time.monotonic() < ends:
        work.write(b"half\n")
    assert other.read_work("pending/a") == (b"head\nhalf\n", True)
    work.remove()


CHANGES: dict[str, Callable[[BucketStorage], object]] = {
    "write": lambda storage: storage.write("packs/a", b"late"),
    "write_if_absent": lambda storage: storage.write_if_absent("packs/b", b"late"),
    "replace": lambda storage: storage.replace_if_unchanged("packs/a", b"late", b"before"),
    "delete": lambda storage: storage.delete("packs/a"),
    "publish": lambda storage: storage.publish([]),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_who_lost_a_lease_changes_nothing(
    short: Region, change: Callable[[BucketStorage], object]
) -> None:
    with proxied(short.server.port, "503") as proxy:
        storage = short.storage(proxy.url, HASTY)
        storage.write("packs/a", b"before")
        assert storage.has_conditional_writes
        hold = storage.hold(EPOCHS[0])
        proxy.first, proxy.last = 0, 1_000_000
        threading.Event().wait(SHORT_TTL)
        proxy.first = proxy.last = -1
        with pytest.raises(StorageError, match="is lost"):
            change(storage)
        assert short.object("packs/a") == b"before"
        hold.release()
        storage.close()


def test_the_time_is_asked_again_before_anybody_is_taken_for_dead(
    storage: BucketStorage, other: BucketStorage
) -> None:
    """As when the server's clock was set back since it was asked."""
    leases = other._leases
    assert leases.now() > 0
    assert leases._offset is not None
    leases._offset += 1000
    hold = storage.hold(EPOCHS[0])
    with pytest.raises(BusyError), other.alone(EPOCHS):
        pass
    hold.release()


PAUSED = """
import sys
from pathlib import Path
from amictl.errors import StorageError
from amictl.storage.bucket import BucketStorage
from amictl.storage.places import BucketPlace
place = BucketPlace(sys.argv[1], "some/prefix", sys.argv[2], Path(sys.argv[3]))
storage = BucketStorage(place, ttl_seconds=1.5)
present = storage.read("index/CURRENT")
with storage.exclusively("locks/catalog"):
    print("held", flush=True)
    sys.stdin.readline()
    try:
        storage.write("events/a", b"late")
    except StorageError as error:
        print(error.message, flush=True)
print(storage.replace_if_unchanged("index/CURRENT", b"late", present))
"""


def test_who_was_stopped_for_too_long_changes_nothing(short: Region, other: BucketStorage) -> None:
    """Neither under its lease, which is lost, nor without one, because of the condition."""
    other.write("index/CURRENT", b"before")
    words = [sys.executable, "-c", PAUSED, short.bucket, short.server.url, str(short.cache)]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        process.send_signal(signal.SIGSTOP)
        with other.exclusively("locks/catalog"):
            other.write("events/a", b"newer")
            assert other.replace_if_unchanged("index/CURRENT", b"newer", b"before")
            process.send_signal(signal.SIGCONT)
            process.stdin.write("\n")
            process.stdin.flush()
            said = process.stdout.readlines()
    assert "is lost" in said[0]
    assert said[1:] == ["False\n"]
    assert (short.object("events/a"), short.object("index/CURRENT")) == (b"newer", b"newer")


def test_a_released_lock_lets_the_same_process_go_on(storage: BucketStorage) -> None:
    for _ in range(3):
        with storage.exclusively("locks/catalog"):
            storage.write("packs/a", b"1")
    assert [name for name, _ in storage.names("locks/catalog")] == []


def test_what_a_killed_one_was_making_is_free_in_at_most_so_many_seconds(
    workshop: BucketWorkshop,
) -> None:
    """It looks alive until its lease runs out: waiting helps, and another name is not needed."""
    disk = workshop.file("disk", workshop.noise(4096))
    image_id = workshop.image("web", disk)
    with workshop.open() as dead:
        core = catalog.read_image_core(dead, image_id)
        dead.storage.delete(layout.core(image_id))
        PendingFile(dead, image_id, PendingImage(core, "", ()))
    with pytest.raises(BusyError, match=r"is free in at most \d+ seconds") as caught:
        workshop.image("web", disk)
    assert (caught.value.code, caught.value.exit_code) == ("InvalidAMIName.Duplicate", 11)
    with (
        workshop.open() as store,
        pytest.raises(BusyError, match="is in state pending; if the process") as caught,
    ):
        deregister_image(store, image_id, workshop.surroundings)
    assert caught.value.code == "IncorrectState"
