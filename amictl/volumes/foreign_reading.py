"""A disk in a foreign format as a volume: qemu-img converts it while it is read, once, in order.

qemu-img has two sockets and no path: from one it reads the file, into the other it writes the
disk, from its beginning to its end. No raw copy of the disk is ever on a disk of ours.
"""

import json
import os
import re
import resource
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from types import TracebackType
from typing import Protocol

from amictl.errors import AmictlError, CorruptStoreError
from amictl.formats.foreign_header import SECTOR_SIZE, TAKE_AGAIN, ForeignDisk
from amictl.model.blockmap import SEGMENT_SIZE
from amictl.volumes import nbd
from amictl.volumes.converting import READERS, Limit, reason_of, require_converter, start

_SEGMENTS_HELD = 6
_AREA_BEHIND = 1 << 62
_ZEROS_SKIPPED = "1M"
_CUT_SHORT = ("end of file", "truncated")
_OPENING = re.compile(r"(Could not open )?'?json:\{.*\}'?: ")
_LIMITS: tuple[Limit, ...] = (
    (resource.RLIMIT_AS, 1 << 30),
    (resource.RLIMIT_FSIZE, 1 << 16),  # what it says
    (resource.RLIMIT_CORE, 0),
)


class FileBytes(Protocol):
    """A file that does not change, from anywhere; `where` is its name for messages."""

    @property
    def size(self) -> int: ...

    @property
    def where(self) -> str: ...

    def read(self, offset: int, length: int) -> bytes:
        """Exactly so many bytes, from any thread. Raises AmictlError where they cannot be had."""
        ...


class ConvertedDisk:
    """The content of a foreign disk, for `Volume`: `segments` and `read` belong together.

    Each segment is read once, after `segments` said that it is there; what is not there is zeros.
    A context manager: qemu-img and the threads are gone when it is left, whatever happened.
    """

    def __init__(self, disk: ForeignDisk, file: FileBytes) -> None:
        """Raises UnsupportedError if qemu-img is not installed."""
        self._program = require_converter()
        self._foreign = disk
        self._served = _ServedFile(file, may_end_early=disk.ends_early)
        self._filled = _Segments(disk.size_bytes)
        self._where = file.where
        self._said = -1
        self._process: subprocess.Popen[bytes] | None = None
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._failures: list[Exception] = []

    def __enter__(self) -> "ConvertedDisk":
        self._said = os.memfd_create("what qemu-img says")
        try:
            self._begin()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def segments(self) -> Iterator[int]:
        """Ascending indexes of the segments that hold data, as they come.

        When it ends, all of the disk was there. Raises CorruptStoreError for a file that qemu-img
        cannot read, and what reading the file raised.
        """
        yield from self._filled.indexes()
        for thread in self._threads:
            thread.join()
        assert self._process is not None
        status = self._process.wait()
        for failure in self._failures:
            raise failure
        if status != 0:
            raise CorruptStoreError(
                f"{self._where} cannot be read as {self._foreign.format}:"
                f" {_what_is_wrong(reason_of(status, self._said))}",
                hint=f"{TAKE_AGAIN}; qemu-img check says more, on a copy",
                code="InvalidFormat",
            )

    def read(self, offset: int, target: memoryview) -> None:
        """Fill `target` with a segment that `segments` named."""
        target[:] = self._filled.taken(offset // SEGMENT_SIZE)[: len(target)]

    def _begin(self) -> None:
        from_us, source = self._pair()
        to_us, target = self._pair()
        with source, target:
            words = [self._program, "convert", "-n", "--target-is-zero", "-m", str(READERS)]
            words += ["-S", _ZEROS_SKIPPED, "--target-image-opts"]
            words += [self._source_of(source.fileno())]
            words += [f"driver=nbd,server.type=fd,server.str={target.fileno()}"]
            inherited = (source.fileno(), target.fileno())
            self._process = start(words, self._said, inherited, _LIMITS)
        self._in_thread("file", lambda: nbd.serve(from_us, self._served))
        self._in_thread("disk", lambda: nbd.receive(to_us, self._filled), self._filled.finish)

    def _source_of(self, descriptor: int) -> str:
        """What qemu-img is to read. Whatever the header says, there is no backing file."""
        options = {
            "driver": self._foreign.driver,
            "file": {"driver": "nbd", "server": {"type": "fd", "str": str(descriptor)}},
            "backing": None,
            **dict(self._foreign.options),
        }
        return "json:" + json.dumps(options)

    def _pair(self) -> tuple[socket.socket, socket.socket]:
        ours, theirs = socket.socketpair()
        self._sockets.append(ours)
        return ours, theirs

    def _in_thread(
        self,
        name: str,
        work: Callable[[], AmictlError | None],
        afterwards: Callable[[], None] = lambda: None,
    ) -> None:
        def run() -> None:
            try:
                failure = work()
                if failure is not None:
                    self._failures.append(failure)
            except _AbandonedError:
                pass
            except Exception as error:  # noqa: BLE001  (raised where the segments are asked for)
                self._failures.append(error)
                self._hang_up()
            finally:
                afterwards()

        thread = threading.Thread(target=run, name=f"qemu-img {name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _hang_up(self) -> None:
        for connection in self._sockets:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it was closed by the other side

    def _end(self) -> None:
        self._filled.abandon()
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._hang_up()
        for thread in self._threads:
            thread.join()
        for connection in self._sockets:
            connection.close()
        os.close(self._said)


def _what_is_wrong(reason: str) -> str:
    """What qemu-img says, without the name that it has for the file: our sockets."""
    if any(word in reason for word in _CUT_SHORT):
        return "its tables lead behind its end; it may have been truncated"
    return _OPENING.sub("", reason.partition("\n")[0])


class _ServedFile:
    """The file as qemu-img sees it.

    A reader of a format pads what is missing at the end of a file with zeros, without a word. So
    where tables may lead there, the file seems to go on, and whoever reads there finds out.
    """

    def __init__(self, file: FileBytes, *, may_end_early: bool) -> None:
        self._file = file
        self.size_bytes = _AREA_BEHIND if may_end_early else file.size

    def read(self, offset: int, length: int) -> bytes:
        """Zeros fill up the last sector, to which compressed clusters extend.

        And what is asked for at the beginning, where headers are: of these a reader asks for more
        than there is. Raises CorruptStoreError for all else that is behind the end.
        """
        size = self._file.size
        if offset and offset + length > -(-size // SECTOR_SIZE) * SECTOR_SIZE:
            raise CorruptStoreError(
                f"{self._file.where} ends at byte {size}, and its tables lead to byte"
                f" {offset + length}: it may have been truncated",
                hint=TAKE_AGAIN,
                code="InvalidFormat",
            )
        data = self._file.read(offset, max(0, min(length, size - offset)))
        return data + bytes(length - len(data)) if len(data) < length else data

    def extents(self, offset: int, length: int) -> list[tuple[int, bool]]:
        return [(length, False)]


class _AbandonedError(Exception):
    """Nobody wants the rest of the disk."""


class _Segments:
    """What one thread writes in ascending order, and others take segment by segment."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self._room = threading.Semaphore(_SEGMENTS_HELD)
        self._ready: SimpleQueue[int | None] = SimpleQueue()
        self._held: dict[int, bytearray] = {}
        self._index = -1
        self._position = 0
        self._abandoned = False

    def write(self, offset: int, data: memoryview) -> None:
        """Raises CorruptStoreError for what is not behind what was written before."""
        if offset < self._position:
            raise CorruptStoreError(f"qemu-img wrote byte {offset} after byte {self._position}")
        self._position = offset + len(data)
        while data:
            index, place = divmod(offset, SEGMENT_SIZE)
            length = min(len(data), SEGMENT_SIZE - place)
            if index != self._index:
                self._begin(index)
            self._held[index][place : place + length] = data[:length]
            offset += length
            data = data[length:]

    def finish(self) -> None:
        """Nothing more will be written."""
        self._hand_out()
        self._ready.put(None)

    def abandon(self) -> None:
        """Nobody takes any more: whoever writes stops."""
        self._abandoned = True
        self._room.release()

    def indexes(self) -> Iterator[int]:
        """Each segment as it is whole, until nothing more will be written."""
        while (index := self._ready.get()) is not None:
            yield index

    def taken(self, index: int) -> bytearray:
        """The bytes of a segment, once."""
        self._room.release()
        return self._held.pop(index)

    def _begin(self, index: int) -> None:
        self._hand_out()
        self._room.acquire()
        if self._abandoned:
            raise _AbandonedError
        self._index = index
        self._held[index] = bytearray(SEGMENT_SIZE)

    def _hand_out(self) -> None:
        if self._index >= 0:
            self._ready.put(self._index)
            self._index = -1
