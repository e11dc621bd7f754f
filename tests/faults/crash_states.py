"""What a power cut at any moment of a recorded log may leave.

Names and data survive apart: what was synced is certain, everything else is kept or lost by
itself, data page by page. Some of these states no file system leaves; but whatever a file system
may leave after a power cut is one of them.
"""

import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from blake3 import blake3

from tests.faults.recording_disk import (
    DIRECTORY,
    Operation,
    RecordingDisk,
    Rename,
    Resize,
    Sync,
    SyncDirectory,
    Write,
    Zero,
    apply_names,
)

PAGE = 4096


@dataclass(frozen=True, slots=True)
class State:
    """What a power cut left: names, and the content of the files that have one."""

    names: dict[str, int]
    contents: dict[int, bytes]

    def digest(self) -> bytes:
        """Equal for states that look alike."""
        known = {file: blake3(content).digest() for file, content in self.contents.items()}
        hasher = blake3()
        for name, file in sorted(self.names.items()):
            hasher.update(name.encode() + b"\0" + known.get(file, b"") + b"\0")
        return hasher.digest()

    def materialise(self, folder: Path) -> None:
        """Make it real below an empty folder."""
        for name, file in sorted(self.names.items()):
            if file == DIRECTORY:
                (folder / name).mkdir(0o700)
            else:
                (folder / name).write_bytes(self.contents[file])


@dataclass(slots=True)
class _Content:
    """One file: what is certain of it, and what was done since."""

    certain: bytes = b""
    since: list[Write | Zero | Resize] = field(default_factory=list)


class PowerCut:
    """Goes through a log, and says at each moment what may be left."""

    def __init__(self, disk: RecordingDisk) -> None:
        self._certain_names = dict(disk.first_names)
        self._renames: dict[str, list[Rename]] = {}
        self._contents = {file: _Content(content) for file, content in disk.first_contents.items()}

    def go_on(self, operation: Operation) -> None:
        """One operation further."""
        match operation:
            case Sync(file):
                content = self._content(file)
                size = _sizes(content)[-1]
                content.certain = _built(content.certain, content.since, None, size)
                content.since.clear()
            case Rename(directory):
                self._renames.setdefault(directory, []).append(operation)
            case SyncDirectory(directory):
                for rename in self._renames.pop(directory, ()):
                    apply_names(self._certain_names, rename.changes)
            case _:
                self._content(operation.file).since.append(operation)

    def left(self, names: str | random.Random, data: str | random.Random) -> State:
        """What is left when of the unsynced names, and of the unsynced data, "all" is kept,
        "none" is, or what a generator chooses.
        """
        kept = dict(self._certain_names)
        for renames in self._renames.values():
            for rename in renames:
                if _chosen(names):
                    apply_names(kept, rename.changes)
        reachable = {name: file for name, file in kept.items() if _is_reachable(name, kept)}
        contents = {
            file: self._content_left(file, data)
            for file in sorted(set(reachable.values()) - {DIRECTORY})
        }
        return State(reachable, contents)

    def _content_left(self, file: int, data: str | random.Random) -> bytes:
        content = self._content(file)
        if not content.since or data == "none":
            return content.certain
        sizes = _sizes(content)
        if isinstance(data, str):
            return _built(content.certain, content.since, None, sizes[-1])
        return _built(content.certain, content.since, data, data.choice(sizes))

    def _content(self, file: int) -> _Content:
        return self._contents.setdefault(file, _Content())


def states_after_a_power_cut(
    disk: RecordingDisk, *, seed: int, choices: int
) -> Iterator[tuple[int, State]]:
    """For every length of the log: the extremes, and random states between them.

    A state that looks like one before it, and comes after the same promises, is for the caller to
    leave out.
    """
    generator = random.Random(seed)
    cut = PowerCut(disk)
    for position in range(len(disk.log) + 1):
        if position:
            cut.go_on(disk.log[position - 1])
        for names in ("all", "none"):
            for data in ("all", "none"):
                yield position, cut.left(names, data)
        for _ in range(choices):
            yield position, cut.left(generator, generator)


def states_at_the_end(disk: RecordingDisk, *, seed: int, choices: int) -> Iterator[State]:
    """What a power cut after the last operation may leave: what is certain, and random states."""
    generator = random.Random(seed)
    cut = PowerCut(disk)
    for operation in disk.log:
        cut.go_on(operation)
    yield cut.left("none", "none")
    for _ in range(choices):
        yield cut.left(generator, generator)


def _chosen(choice: str | random.Random) -> bool:
    return choice.random() < 0.5 if isinstance(choice, random.Random) else choice == "all"


def _is_reachable(name: str, names: dict[str, int]) -> bool:
    parent = os.path.dirname(name)  # noqa: PTH120 - it is text, and there are many
    return not parent or (names.get(parent) == DIRECTORY and _is_reachable(parent, names))


def _sizes(content: _Content) -> list[int]:
    """The length that is certain, and each that the file had since."""
    sizes = [len(content.certain)]
    for operation in content.since:
        match operation:
            case Write(_, offset, data):
                sizes.append(max(sizes[-1], offset + len(data)))
            case Resize(_, size):
                sizes.append(size)
    return sizes


def _built(
    certain: bytes,
    since: Sequence[Write | Zero | Resize],
    generator: random.Random | None,
    size: int,
) -> bytes:
    """The content after what was done since; with a generator, each page of each operation is
    kept or lost by itself.
    """
    built = bytearray(certain)
    for operation in since:
        if isinstance(operation, Resize):
            del built[operation.size :]
            built.extend(bytes(operation.size - len(built)))
            continue
        is_write = isinstance(operation, Write)
        length = len(operation.data) if isinstance(operation, Write) else operation.length
        for start, stop in _pages(operation.offset, length):
            if generator is not None and generator.random() < 0.5:
                continue
            if not is_write:
                stop = min(stop, len(built))
            if stop > len(built):
                built.extend(bytes(stop - len(built)))
            if isinstance(operation, Write):
                at = operation.offset
                built[start:stop] = operation.data[start - at : stop - at]
            elif start < stop:
                built[start:stop] = bytes(stop - start)
    del built[size:]
    built.extend(bytes(size - len(built)))
    return bytes(built)


def _pages(offset: int, length: int) -> Iterator[tuple[int, int]]:
    """A range, cut where pages meet."""
    start, end = offset, offset + length
    while start < end:
        stop = min(end, (start // PAGE + 1) * PAGE)
        yield start, stop
        start = stop
