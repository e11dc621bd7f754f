"""Buckets of objects with less than amictl would like: conditions, permissions, memories."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from amictl.errors import (
    AmictlError,
    BusyError,
    ObjectExistsError,
    StorageError,
)
from amictl.storage.attempts import Patience
from amictl.storage.refusals import DeniedError
from amictl.storage.unanswered import NoCredentialsError
from tests.buckets.objects import PART, Objects
from tests.buckets.proxy import Proxy, proxied
from tests.buckets.servers import Region, Servers, free_port

LARGE = bytes(range(256)) * (PART // 256 + 1)


@pytest.fixture
def objects(servers: Servers, tmp_path: Path) -> Objects:
    """An empty prefix; leases are short. The other server says of every upload that it was begun
    in 2010.
    """
    server = servers.get("ministack")
    return Objects(tmp_path, Region(server, server.new_bucket(), tmp_path / "cache", 2.0))


@pytest.fixture
def proxy(objects: Objects) -> Iterator[Proxy]:
    """Passes everything on, until it is told otherwise."""
    assert objects.region is not None
    with proxied(objects.region.server.port, "503") as running:
        yield running


def make_unconditional(proxy: Proxy, kind: str) -> None:
    if kind == "ignored":
        proxy.forgets_conditions = True
    else:
        proxy.refusal = (501, "NotImplemented")


@pytest.mark.parametrize("kind", ["ignored", "refused"])
def test_without_conditions_only_one_writes_an_object(
    objects: Objects, proxy: Proxy, kind: str
) -> None:
    make_unconditional(proxy, kind)
    bucket = objects.open(proxy.url)
    with bucket.create("object", {}, {}, None) as writer:
        writer.write(LARGE)
        with pytest.raises(BusyError, match="another command holds"):
            bucket.create("object", {}, {}, None)
        writer.finish()
    with pytest.raises(ObjectExistsError):
        bucket.create("object", {}, {}, None)
    assert objects.get("object") == LARGE
    assert objects.everything() == ["object"]


@pytest.mark.parametrize("content", [b"small", LARGE])
def test_without_conditions_what_came_meanwhile_is_not_replaced(
    objects: Objects, proxy: Proxy, content: bytes
) -> None:
    proxy.forgets_conditions = True
    with objects.open(proxy.url).create("object", {}, {}, None) as writer:
        writer.write(content)
        objects.put("object", b"somebody else")
        with pytest.raises(ObjectExistsError):
            writer.finish()
    assert objects.get("object") == b"somebody else"
    assert objects.everything() == ["object"]


def test_what_the_server_can_do_is_tried_once(objects: Objects, proxy: Proxy) -> None:
    objects.put("first", b"", proxy.url)
    proxy.methods.clear()
    objects.put("second", b"", proxy.url)
    assert proxy.methods == ["HEAD", "GET", "PUT"]


@pytest.mark.parametrize("content", [b"small", LARGE])
def test_who_may_only_put_writes_objects(objects: Objects, proxy: Proxy, content: bytes) -> None:
    objects.put("first", b"", proxy.url)
    proxy.denied = ("GET", "HEAD", "DELETE")
    objects.put("object", content, proxy.url)
    with pytest.raises(ObjectExistsError):
        objects.put("first", content, proxy.url)
    proxy.denied = ()
    assert objects.get("object") == content
    assert ["s3:ListBucketMultipartUploads" in note for note in objects.notes] == [True, True]


def test_what_is_not_allowed_is_told_with_the_permission(objects: Objects, proxy: Proxy) -> None:
    objects.put("object", b"content", proxy.url)
    bucket = objects.open(proxy.url)
    source = bucket.open("object")
    proxy.denied = ("GET", "PUT", "POST", "DELETE")
    with pytest.raises(DeniedError, match="s3:GetObject on"):
        source.read(0, 1)
    with pytest.raises(DeniedError, match="s3:ListBucket on"):
        bucket.names("")
    with pytest.raises(DeniedError, match="s3:DeleteObject on"):
        bucket.delete("object")
    with pytest.raises(DeniedError, match="s3:PutObject on"):
        objects.put("other", b"content", proxy.url)


def test_tags_and_the_class_reach_the_server(objects: Objects) -> None:
    objects.put("object", b"content", tags={"a b": "c=d:e"}, storage_class="STANDARD_IA")
    assert objects.region is not None
    place = f"/{objects.region.bucket}/some/prefix/object?tagging"
    status, text = objects.region.server.request("GET", place)
    assert (status, b"<Key>a b</Key><Value>c=d:e</Value>" in text) == (200, True)


def test_an_upload_of_another_machine_is_left_alone_for_a_day(objects: Objects) -> None:
    assert objects.region is not None
    region = objects.region
    place = f"/{region.bucket}/some/prefix/object?uploads"
    status, _ = region.server.request("POST", place)
    assert status == 200
    objects.put("object", b"")
    assert objects.everything() == ["object", "object"]


def test_an_upload_that_nobody_goes_on_with_is_ended(servers: Servers, tmp_path: Path) -> None:
    server = servers.get("moto")  # where all were begun in 2010
    region = Region(server, server.new_bucket(), tmp_path / "cache")
    objects = Objects(tmp_path, region)
    for key in ("object", "object-2"):
        assert server.request("POST", f"/{region.bucket}/some/prefix/{key}?uploads")[0] == 200
    objects.put("object", b"")
    assert objects.everything() == ["object", "object-2"]


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b"\xff", b'{"Key": 1}', b'{"Key": "object"}'])
def test_a_damaged_note_of_an_upload_is_removed(objects: Objects, text: bytes) -> None:
    objects.put("object", b"content")
    assert objects.region is not None
    (note,) = {path.parent for path in objects.region.cache.rglob("conditions")}
    (note / "1.upload").write_bytes(text)
    objects.put("other", b"")
    assert [path.name for path in note.iterdir()] == ["conditions"]
    assert objects.get("object") == b"content"


def test_a_server_that_is_not_there_is_told(objects: Objects) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    bucket = objects.open(url, Patience(attempts=2, first_wait_seconds=0.01))
    with pytest.raises(StorageError, match=rf"cannot reach {url} \(connection refused\)"):
        bucket.names("")


def test_without_credentials_it_is_said(
    objects: Objects, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from amictl.storage import object_requests

    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    object_requests.new_session.cache_clear()
    try:
        with pytest.raises(NoCredentialsError, match="no credentials were found"):
            objects.open().names("")
    finally:
        object_requests.new_session.cache_clear()


def test_a_long_list_is_read_to_its_end(objects: Objects) -> None:
    assert objects.region is not None
    for number in range(1005):
        objects.region.put_object(f"many/{number:04}", b"")
    assert objects.open().names("many/") == [f"many/{number:04}" for number in range(1005)]


def test_many_objects_are_made_at_once(objects: Objects) -> None:
    failures: list[AmictlError] = []

    def make(number: int) -> None:
        try:
            objects.put(f"object-{number}", b"%d" % number)
        except AmictlError as error:
            failures.append(error)

    threads = [threading.Thread(target=make, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert objects.everything() == [f"object-{number}" for number in range(8)]
