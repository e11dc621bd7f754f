"""A proxy on loopback that passes requests on to an S3 server, and does one thing wrong."""

import http.client
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Headers = list[tuple[str, str]]
Answer = tuple[int, Headers, bytes]

_HOP = {"connection", "transfer-encoding", "content-length", "date", "server"}
_FULL = b"<Error><Code>QuotaExceeded</Code><Message>No room.</Message></Error>"
_BUSY = b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"


@dataclass
class Proxy:
    """Counts the requests that the fault is about, and spoils those from `first` to `last`.

    `fault` is one of FAULTS; counting begins at 0, and -1 spoils none. Requests of `denied`
    methods are refused. Every answer waits for `delay_seconds`, and `most_at_once` is how many did
    so at the same time. `forgets_conditions` makes a server that ignores conditions on puts, and
    `refusal` is a status and a code with which one that does not know them answers.
    """

    port: int
    upstream: int
    fault: str
    first: int = -1
    last: int = -1
    count: int = 0
    denied: tuple[str, ...] = ()
    delay_seconds: float = 0.0
    waiting: int = 0
    most_at_once: int = 0
    forgets_conditions: bool = False
    refusal: tuple[int, str] | None = None
    methods: list[str] = field(default_factory=list)
    stalled: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait(self) -> None:
        """As long as the way to the server and back takes."""
        with self.lock:
            self.waiting += 1
            self.most_at_once = max(self.most_at_once, self.waiting)
        threading.Event().wait(self.delay_seconds)
        with self.lock:
            self.waiting -= 1

    def spoils(self, method: str, path: str) -> bool:
        """Whether this request is one of those; counts it if the fault is about it."""
        with self.lock:
            self.methods.append(method)
            if not FAULTS[self.fault].concerns(method, path):
                return False
            self.count += 1
            return self.first <= self.count - 1 <= self.last


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    proxy: Proxy

    def do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.proxy.delay_seconds:
            self.proxy.wait()
        if self.command in self.proxy.denied:
            self.give((403, [], b"<Error><Code>AccessDenied</Code></Error>"))
            return
        conditional = "If-None-Match" in self.headers or "If-Match" in self.headers
        if self.proxy.refusal and conditional:
            status, code = self.proxy.refusal
            self.give((status, [], f"<Error><Code>{code}</Code></Error>".encode()))
            return
        spoilt = self.proxy.spoils(self.command, self.path)
        fault = FAULTS[self.proxy.fault]
        if spoilt and not fault.passes_on:
            fault.spoil(self, (503, [], _BUSY))
            return
        answer = self.passed_on(body)
        if spoilt:
            fault.spoil(self, answer)
        else:
            self.give(answer)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = do  # noqa: N815 - names of http.server

    def passed_on(self, body: bytes) -> Answer:
        upstream = http.client.HTTPConnection("127.0.0.1", self.proxy.upstream, timeout=20)
        try:
            left_out = {"connection"}
            if self.proxy.forgets_conditions:
                left_out |= {"if-none-match", "if-match"}
            words = {n: text for n, text in self.headers.items() if n.lower() not in left_out}
            upstream.request(self.command, self.path, body, words)
            answer = upstream.getresponse()
            headers = answer.getheaders()
            return answer.status, headers, answer.read()
        finally:
            upstream.close()

    def give(self, answer: Answer, length: int | None = None) -> None:
        """Send an answer that says that it has this length; else its own, or that of HEAD."""
        status, headers, body = answer
        stated = {name.lower(): text for name, text in headers}.get("content-length")
        self.send_response_only(status)
        for name, text in headers:
            if name.lower() not in _HOP:
                self.send_header(name, text)
        own = stated if self.command == "HEAD" and stated else str(len(body))
        self.send_header("Content-Length", own if length is None else str(length))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def hang_up(self) -> None:
        """Reset the connection."""
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        with suppress(OSError):
            self.connection.close()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong, with which requests, and whether the server does what was asked."""

    spoil: Callable[[_Handler, Answer], None]
    passes_on: bool
    concerns: Callable[[str, str], bool] = lambda _method, _path: True


def _busy(handler: _Handler, answer: Answer) -> None:
    handler.give(answer)


def _full(handler: _Handler, _: Answer) -> None:
    handler.give((507, [], _FULL))


def _elsewhere(handler: _Handler, _: Answer) -> None:
    place = f"http://localhost:{handler.proxy.upstream}{handler.path}"
    handler.give((307, [("Location", place)], b""))


def _reset(handler: _Handler, _: Answer) -> None:
    handler.hang_up()


def _stall(handler: _Handler, _: Answer) -> None:
    handler.proxy.stalled.wait(20)
    handler.hang_up()


def _cut(handler: _Handler, answer: Answer) -> None:
    """Half of the body, and the connection ends."""
    status, headers, body = answer
    handler.give((status, headers, body[: len(body) // 2]), len(body))
    handler.close_connection = True


def _short(handler: _Handler, answer: Answer) -> None:
    """Half of the body, as if it were all."""
    status, headers, body = answer
    handler.give((status, headers, body[: len(body) // 2]))


def _error_in_200(handler: _Handler, answer: Answer) -> None:
    status, headers, _ = answer
    kept = [(name, text) for name, text in headers if name.lower() != "etag"]
    handler.give((200 if status < 300 else status, kept, _BUSY))


def _endless(handler: _Handler, answer: Answer) -> None:
    """A length that nobody can have meant, and bytes without end.

    Only of an object: with the length of an error the client library asks for so much memory that
    the program is aborted, which harms nothing but cannot be shown in the same process.
    """
    status, headers, body = answer
    if status >= 300:
        handler.give(answer)
        return
    with suppress(OSError):
        handler.give((status, headers, body), 1 << 50)
        while not handler.proxy.stalled.is_set():
            handler.wfile.write(bytes(1 << 20))
    handler.close_connection = True


def _is_list(method: str, path: str) -> bool:
    return method == "GET" and "list-type=2" in path


def _is_get(method: str, path: str) -> bool:
    return method == "GET" and not _is_list(method, path)


def _has_answer(method: str, _: str) -> bool:
    return method != "HEAD"


def _is_put(method: str, _: str) -> bool:
    return method == "PUT"


def _is_post(method: str, _: str) -> bool:
    return method == "POST"


def _adds(method: str, _: str) -> bool:
    return method in ("POST", "PUT")


OBJECT_FAULTS = ("lost reply to a post", "full", "elsewhere")
"""Faults of requests that only buckets of objects make, or survive differently."""

FAULTS = {
    "503": Fault(_busy, passes_on=False),
    "reset": Fault(_reset, passes_on=False),
    "stall": Fault(_stall, passes_on=False),
    "cut body": Fault(_cut, passes_on=True, concerns=lambda method, _: method == "GET"),
    "lost reply": Fault(_reset, passes_on=True, concerns=_is_put),
    "lost reply to a post": Fault(_reset, passes_on=True, concerns=_is_post),
    "full": Fault(_full, passes_on=False, concerns=_adds),
    "elsewhere": Fault(_elsewhere, passes_on=False),
    "wrong length": Fault(_short, passes_on=True, concerns=_is_get),
    "error in 200": Fault(
        _error_in_200, passes_on=True, concerns=lambda method, _: method != "HEAD"
    ),
    "truncated list": Fault(_short, passes_on=True, concerns=_is_list),
    "endless body": Fault(_endless, passes_on=True, concerns=_is_get),
}


@contextmanager
def proxied(upstream: int, fault: str, first: int = -1, last: int = -1) -> Iterator[Proxy]:
    """A proxy in front of the server on a port of loopback."""
    handler = type("Handler", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    proxy = Proxy(server.server_address[1], upstream, fault, first, last)
    handler.proxy = proxy
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.stalled.set()
        server.shutdown()
        server.server_close()
        thread.join()
