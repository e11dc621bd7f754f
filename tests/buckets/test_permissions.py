"""What amictl does with less than it would like: credentials, permissions, conditions."""

import http.server
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from amictl.actions.checking import verify_snapshot
from amictl.errors import ImageNameDuplicateError, StorageError, UsageError
from amictl.storage import unanswered
from amictl.storage.attempts import Patience
from amictl.storage.bucket import BucketStorage
from amictl.storage.connecting import profile_credentials
from amictl.storage.places import bucket_place
from amictl.storage.refusals import DeniedError
from amictl.store import layout
from amictl.store.opening import open_storage
from tests.buckets.proxy import Proxy, proxied
from tests.buckets.servers import SHORT, Region, free_port
from tests.buckets.workshop import BucketWorkshop
from tests.workshop import SEGMENT


@pytest.fixture
def disk(tmp_path: Path, workshop: BucketWorkshop) -> Path:
    """A segment and a bit."""
    return workshop.file("disk", workshop.noise(SEGMENT + 4096))


def add_only(proxy: Proxy) -> None:
    """Credentials that may get, put and list, and not delete."""
    proxy.denied = ("DELETE", "POST")


def test_who_may_only_add_creates_and_restores(workshop: BucketWorkshop, disk: Path) -> None:
    with proxied(workshop.region.server.port, "503") as proxy:
        add_only(proxy)
        adding = workshop.behind(proxy.url, SHORT)
        first = adding.snapshot_id(disk)
        with disk.open("r+b") as file:
            file.write(b"changed")
        image_id = adding.image("image", disk)
        assert len(adding.restored(first)) == disk.stat().st_size
        assert adding.check(read_data=True)["Faults"] == []
    assert image_id.startswith("ami-")
    assert workshop.check(read_data=True)["Faults"] == []


def test_who_may_only_add_leaves_no_lock_behind(workshop: BucketWorkshop, disk: Path) -> None:
    with proxied(workshop.region.server.port, "503") as proxy:
        add_only(proxy)
        workshop.behind(proxy.url, SHORT).snapshot_id(disk)
    with workshop.open() as store, store.storage.alone(layout.EPOCH_LOCKS):
        pass


def test_who_may_only_add_cannot_delete(workshop: BucketWorkshop) -> None:
    with proxied(workshop.region.server.port, "503") as proxy:
        add_only(proxy)
        with workshop.behind(proxy.url, SHORT).open() as store:
            store.storage.write("events/a", b"1")
            with pytest.raises(DeniedError, match="s3:DeleteObject"):
                store.storage.delete("events/a")
            store.storage.clean("events/a")
            assert store.storage.read("events/a") == b"1"


def test_who_may_only_read_restores(workshop: BucketWorkshop, disk: Path) -> None:
    snapshot_id = workshop.snapshot_id(disk)
    with proxied(workshop.region.server.port, "503") as proxy:
        proxy.denied = ("PUT", "DELETE", "POST")
        reading = workshop.behind(proxy.url, SHORT)
        with reading.open() as store, pytest.raises(DeniedError, match="s3:PutObject"):
            store.require_features("write")
        assert reading.check()["Faults"] == []
        with reading.open() as store:
            found = verify_snapshot(
                store, snapshot_id, against=disk, surroundings=workshop.surroundings
            )
    assert found["Faults"] == []


DENIALS: dict[str, Callable[[BucketStorage], object]] = {
    "GET": lambda storage: storage.read("packs/a"),
    "PUT": lambda storage: storage.write("packs/a", b"1"),
}


@pytest.mark.parametrize("method", DENIALS)
def test_what_is_not_allowed_is_told_with_the_permission(region: Region, method: str) -> None:
    with proxied(region.server.port, "503") as proxy:
        proxy.denied = (method,)
        storage = region.storage(proxy.url)
        with pytest.raises(DeniedError, match=f"s3:{method.title()}Object .*{region.bucket}"):
            DENIALS[method](storage)
        storage.close()


def test_a_list_that_is_not_allowed_is_told_with_the_permission(region: Region) -> None:
    with proxied(region.server.port, "503") as proxy:
        proxy.denied = ("GET",)
        storage = region.storage(proxy.url)
        with pytest.raises(DeniedError, match="s3:ListBucket"):
            list(storage.names("packs"))
        storage.close()


ASKING: dict[str, Callable[[BucketStorage], object]] = {
    "read": lambda storage: storage.read("store.json"),
    "write": lambda storage: storage.write("packs/a", b"1"),
    "list": lambda storage: list(storage.names("packs")),
}


@pytest.mark.parametrize("asking", ASKING.values(), ids=ASKING)
def test_a_bucket_that_is_not_there_is_told(
    region: Region, asking: Callable[[BucketStorage], object]
) -> None:
    storage = replace(region, bucket="nobody-made-this").storage()
    with pytest.raises(StorageError, match="there is no bucket 'nobody-made-this'"):
        asking(storage)
    storage.close()


def test_a_server_that_is_not_there_is_told(region: Region) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    storage = region.storage(url, Patience(first_wait_seconds=0.2))
    begun = time.monotonic()
    with pytest.raises(StorageError, match=f"cannot get s3://{region.bucket}") as caught:
        storage.read("packs/a")
    assert time.monotonic() - begun < 3
    assert caught.value.message.endswith(f"cannot reach {url} (connection refused)")
    assert caught.value.hint == "is the address right, and is the server up?"
    storage.close()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "Error performing PUT http://169.254.169.254/latest/api/token in 1ms - Server returned"
            " non-2xx status code: 403 Forbidden",
            "no credentials were found",
        ),
        (
            "Error performing GET http://a.invalid:9000/b/x in 4ms - HTTP error\nkind: Connect,\n"
            '"dns error"',
            r"cannot reach http://a.invalid:9000 \(its name is not known\)",
        ),
        (
            "Error performing GET https://a/b/x in 4ms - HTTP error\nkind: Timeout,",
            r"cannot reach https://a \(it does not answer in time\)",
        ),
    ],
)
def test_what_no_bucket_answered_is_told_in_plain_words(text: str, message: str) -> None:
    error = unanswered.translated(text, "get", "s3://b/x")
    assert error is not None
    assert re.search(message, error.message)
    assert not unanswered.is_answer(OSError(text))


def test_a_redirect_to_another_host_brings_no_object(region: Region) -> None:
    asked: list[str] = []

    class Other(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Redirecting(Other):
        def do_GET(self) -> None:
            self.send_response(307)
            self.send_header("Location", f"http://127.0.0.2:{other.server_address[1]}/x")
            self.send_header("Content-Length", "0")
            self.end_headers()

    other = http.server.ThreadingHTTPServer(("127.0.0.2", 0), Other)
    first = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Redirecting)
    for server in (other, first):
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    storage = region.storage(f"http://127.0.0.1:{first.server_address[1]}")
    with pytest.raises(StorageError, match="it was redirected to another host"):
        storage.read("packs/a")
    storage.close()
    for server in (other, first):
        server.shutdown()
        server.server_close()
    assert asked == []


# --- conditions on puts --------------------------------------------------------------------------


def test_what_the_server_can_do_is_kept_in_the_bucket(region: Region) -> None:
    storage = region.storage()
    assert storage.has_conditional_writes
    assert region.object("bucket.json") == (
        b'{"ConditionalWrites":true,"format":"amictl-bucket","version":1}\n'
    )
    assert [name for name, _ in storage.names("locks") if "probe" in name] == []
    storage.close()


@pytest.mark.parametrize("refusal", [(501, "NotImplemented"), (400, "InvalidArgument")])
def test_a_server_that_does_not_know_conditions_is_found_out(
    region: Region, refusal: tuple[int, str]
) -> None:
    with proxied(region.server.port, "503") as proxy:
        proxy.refusal = refusal
        storage = region.storage(proxy.url)
        assert not storage.has_conditional_writes
        assert storage.write_if_absent("packs/a", b"1")
        assert storage.abilities() == {"ConditionalWrites": False}
        storage.close()


def test_an_outage_says_nothing_about_what_the_server_can_do(region: Region) -> None:
    with proxied(region.server.port, "503", 1, 1_000_000) as proxy:
        storage = region.storage(proxy.url)
        with pytest.raises(StorageError, match="503"):
            storage.write_if_absent("packs/a", b"1")
        storage.close()
    storage = region.storage()
    assert storage.abilities() == {}
    assert storage.has_conditional_writes
    storage.close()


@pytest.mark.parametrize("code", ["RequestTimeout", "ExpiredToken", "SomethingNew"])
def test_a_bad_request_says_nothing_about_what_the_server_can_do(region: Region, code: str) -> None:
    """Else all later writers would do without conditions for a token that expired once."""
    with proxied(region.server.port, "503") as proxy:
        proxy.refusal = (400, code)
        storage = region.storage(proxy.url)
        with pytest.raises(StorageError, match=code):
            storage.write_if_absent("packs/a", b"1")
        storage.close()
    storage = region.storage()
    assert storage.abilities() == {}
    storage.close()


def test_what_is_gone_when_it_is_to_be_replaced_was_changed(region: Region) -> None:
    """AWS answers so if an object is deleted between reading and replacing it."""
    with proxied(region.server.port, "503") as proxy:
        storage = region.storage(proxy.url)
        assert storage.has_conditional_writes
        storage.write("packs/a", b"before")
        proxy.refusal = (404, "NoSuchKey")
        assert not storage.replace_if_unchanged("packs/a", b"after", b"before")
        storage.close()


@pytest.fixture
def forgetful(region: Region, tmp_path: Path) -> Iterator[BucketWorkshop]:
    """A store on a server that takes conditions and ignores them."""
    with proxied(region.server.port, "503") as proxy:
        proxy.forgets_conditions = True
        storage = region.storage(proxy.url)
        assert not storage.has_conditional_writes
        storage.close()
        yield BucketWorkshop(tmp_path, region=region).behind(proxy.url, SHORT)


def test_a_server_that_ignores_conditions_is_found_out(forgetful: BucketWorkshop) -> None:
    with forgetful.open() as store:
        assert not store.storage.has_conditional_writes  # type: ignore[attr-defined]


def test_without_conditions_a_name_is_taken_once(forgetful: BucketWorkshop) -> None:
    with forgetful.open() as store:
        assert store.storage.write_if_absent("events/a", b"first")
        assert not store.storage.write_if_absent("events/a", b"second")
        assert store.storage.replace_if_unchanged("events/a", b"third", b"first")
        assert not store.storage.replace_if_unchanged("events/a", b"fourth", b"first")
        assert store.storage.read("events/a") == b"third"


def test_without_conditions_of_many_threads_none_loses_an_update(
    forgetful: BucketWorkshop,
) -> None:
    with forgetful.open() as store:
        store.storage.write("events/a", b"0")

    def count() -> None:
        with forgetful.open() as own:
            done = 0
            while done < 2:
                present = own.storage.read("events/a")
                following = b"%d" % (int(present) + 1)
                done += own.storage.replace_if_unchanged("events/a", following, present)

    threads = [threading.Thread(target=count) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with forgetful.open() as store:
        assert store.storage.read("events/a") == b"6"


def test_without_conditions_a_disk_is_taken_and_restored(forgetful: BucketWorkshop) -> None:
    disk = forgetful.file("disk", forgetful.noise(100_000))
    assert forgetful.restored(forgetful.snapshot_id(disk)) == disk.read_bytes()
    forgetful.image("image", disk)
    with pytest.raises(ImageNameDuplicateError):
        forgetful.image("image", disk)


# --- places and credentials ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    ["", "s3://", "s3:///a", "https://a/b", "s3://a/b//c", "s3://a/../b", "s3://a/b?c", "s3://a b"],
)
def test_what_is_no_place_in_a_bucket_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        bucket_place(url, None, {"AMICTL_CACHE": "/c"})


@pytest.mark.parametrize(
    ("url", "bucket", "prefix"),
    [("s3://a", "a", ""), ("s3://a/", "a", ""), ("s3://a/b/c/", "a", "b/c")],
)
def test_a_place_is_a_bucket_and_a_prefix(url: str, bucket: str, prefix: str) -> None:
    place = bucket_place(url, "https://s3.example.com/", {"AMICTL_CACHE": "/c"})
    assert (place.bucket, place.prefix) == (bucket, prefix)
    assert place.endpoint_url == "https://s3.example.com"
    assert place.own_cache_folder.parent == Path("/c")


@pytest.mark.parametrize(("text", "size"), [("0", 0), ("500M", 500 << 20), ("4G", 4 << 30)])
def test_the_size_of_the_cache_is_said_in_the_environment(text: str, size: int) -> None:
    environment = {"AMICTL_CACHE": "/c", "AMICTL_CACHE_SIZE": text}
    assert bucket_place("s3://a", None, environment).cache_size_bytes == size


@pytest.mark.parametrize("text", ["", "G", "1.5G", "-1", "4 G", "4g"])
def test_a_size_of_the_cache_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="AMICTL_CACHE_SIZE"):
        bucket_place("s3://a", None, {"AMICTL_CACHE": "/c", "AMICTL_CACHE_SIZE": text})


def test_an_endpoint_that_is_no_url_is_refused() -> None:
    with pytest.raises(UsageError, match="localhost:9000"):
        bucket_place("s3://a", "localhost:9000", {"AMICTL_CACHE": "/c"})


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_without_an_endpoint_that_of_all_programs_is_taken(name: str) -> None:
    environment = {"AMICTL_CACHE": "/c", name: "http://localhost:9000/"}
    assert bucket_place("s3://a", None, environment).endpoint_url == "http://localhost:9000"
    own = bucket_place("s3://a", "https://s3.example.com", environment)
    assert own.endpoint_url == "https://s3.example.com"


def test_credentials_of_a_profile_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "credentials"
    file.write_text("[work]\naws_access_key_id = AKID\naws_secret_access_key = SECRET\n")
    environment = {"AWS_PROFILE": "work", "AWS_SHARED_CREDENTIALS_FILE": str(file)}
    for name, text in environment.items():
        monkeypatch.setenv(name, text)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    found = profile_credentials(environment)()
    assert (found["access_key_id"], found["secret_access_key"]) == ("AKID", "SECRET")


@pytest.mark.parametrize(
    "environment", [{"HOME": "/nonexistent"}, {"AWS_ACCESS_KEY_ID": "a", "AWS_PROFILE": "b"}]
)
def test_without_a_profile_or_with_keys_the_client_library_finds_them(
    environment: dict[str, str],
) -> None:
    assert profile_credentials(environment) is None


def test_a_store_in_a_bucket_is_opened_by_its_storage(workshop: BucketWorkshop) -> None:
    with open_storage(workshop.region.storage()) as store:
        assert store.storage.where() == workshop.region.place.url
