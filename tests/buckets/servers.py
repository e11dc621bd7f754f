"""Two independent S3 servers on loopback, started when they are first asked for."""

import http.client
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from amictl.storage.attempts import Patience
from amictl.storage.bucket import BucketStorage
from amictl.storage.places import BucketPlace

KINDS = ("ministack", "moto")
SHORT = Patience(attempts=4, first_wait_seconds=0.02, timeout_seconds=5, bulk_timeout_seconds=20)
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass(frozen=True, slots=True)
class Server:
    """A server that listens on a port of 127.0.0.1; it believes any credentials."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def request(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Status and body of the answer to an unsigned request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            words = {"Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/x"}
            connection.request(method, path, body, words)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def new_bucket(self) -> str:
        """The name of a new, empty bucket."""
        name = f"bucket-{random.randbytes(6).hex()}"
        status, _ = self.request("PUT", f"/{name}")
        assert status == 200
        return name


@dataclass(frozen=True, slots=True)
class Region:
    """A prefix in a bucket of its own, and how a test opens it."""

    server: Server
    bucket: str
    cache: Path
    ttl_seconds: float = 60.0

    @property
    def place(self) -> BucketPlace:
        return self.at(self.server.url)

    def at(self, url: str) -> BucketPlace:
        """The same through another endpoint."""
        return BucketPlace(self.bucket, "some/prefix", url, self.cache, 64 << 20)

    def storage(self, url: str | None = None, patience: Patience = SHORT) -> BucketStorage:
        """Opened as by a new process."""
        place = self.at(url or self.server.url)
        return BucketStorage(place, patience=patience, ttl_seconds=self.ttl_seconds)

    def object(self, name: str) -> bytes:
        """The bytes of an object, past amictl."""
        status, data = self.server.request("GET", f"/{self.bucket}/some/prefix/{name}")
        assert status == 200
        return data

    def put_object(self, name: str, data: bytes) -> None:
        """Change an object, past amictl."""
        status, _ = self.server.request("PUT", f"/{self.bucket}/some/prefix/{name}", data)
        assert status == 200


class Servers:
    """The servers that run, by kind."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, tuple[Server, subprocess.Popen[bytes]]] = {}

    def get(self, kind: str) -> Server:
        """Start it unless it runs."""
        if kind not in self._running:
            self._running[kind] = self._started(kind)
        return self._running[kind][0]

    def stop(self) -> None:
        for _, process in self._running.values():
            process.kill()
            process.wait()

    def _started(self, kind: str) -> tuple[Server, subprocess.Popen[bytes]]:
        port = free_port()
        words = {
            "moto": [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            "ministack": [str(Path(sys.executable).with_name("ministack"))],
        }[kind]
        places = {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "HOME": str(self._folder)}
        with (self._folder / f"{kind}.log").open("wb") as log:
            process = subprocess.Popen(
                words, stdout=log, stderr=log, cwd=self._folder, env={**os.environ, **places}
            )
        ends = time.monotonic() + 60
        while time.monotonic() < ends and process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return Server(port), process
        process.kill()
        process.wait()
        raise AssertionError((self._folder / f"{kind}.log").read_text())


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@contextmanager
def credentials_in_environment() -> Iterator[None]:
    """Credentials that any of the servers takes, for this process and its children."""
    before = dict(os.environ)
    os.environ.update(CREDENTIALS)
    try:
        yield
    finally:
        for name in CREDENTIALS:
            os.environ.pop(name)
        os.environ.update({name: before[name] for name in CREDENTIALS if name in before})


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Both servers; each starts when it is first asked for."""
    running = Servers(tmp_path_factory.mktemp("servers"))
    with credentials_in_environment():
        yield running
        running.stop()
