"""The recording disk sees everything: the system calls that change files are those of `Disk`."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.real_program import Place, first_id

pytestmark = pytest.mark.needs("strace")

# Runs the program with a Disk that writes down what it does, in the words of the system calls.
LOGGING = """
import json, os, sys
from amictl.storage.disk import Disk
log = os.open(sys.argv.pop(1), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def named(place):
    return os.readlink(f"/proc/self/fd/{place}") if isinstance(place, int) else str(place)
def logged(name, method):
    def call(self, *words):
        places = [words[0], *(word for word in words[1:] if isinstance(word, os.PathLike))]
        before = [named(place) for place in places]
        result = method(self, *words)
        if name in ("create", "create_unnamed"):
            before = [named(result)]
        size = len(words[1]) if name == "write_at" else 0
        os.write(log, json.dumps([name, before, size]).encode() + b"\\n")
        return result
    return call
for name in sys.argv.pop(1).split(","):
    setattr(Disk, name, logged(name, getattr(Disk, name)))
from amictl.cli.main import main
main()
"""

DISK_CALLS = {
    "create": "create",
    "create_unnamed": "create",
    "name_unnamed": "link",
    "write_at": "write",
    "truncate": "truncate",
    "set_owner": "mode",
    "set_mode": "mode",
    "zero": "zero",
    "sync": "sync",
    "sync_directory": "sync",
    "rename": "rename",
    "link": "link",
    "unlink": "unlink",
    "make_directory": "mkdir",
}
# All that change a file system, and those that promise that it was changed.
SYSTEM_CALLS = {
    **dict.fromkeys(("open", "openat", "openat2", "creat"), "create"),
    **dict.fromkeys(("write", "pwrite64", "writev", "pwritev", "pwritev2"), "write"),
    **dict.fromkeys(("copy_file_range", "sendfile", "splice", "ioctl"), "copy"),
    **dict.fromkeys(("truncate", "ftruncate"), "truncate"),
    "fallocate": "zero",
    **dict.fromkeys(("fsync", "fdatasync", "sync", "syncfs", "msync"), "sync"),
    **dict.fromkeys(("rename", "renameat", "renameat2"), "rename"),
    **dict.fromkeys(("link", "linkat", "symlink", "symlinkat"), "link"),
    **dict.fromkeys(("unlink", "unlinkat", "rmdir"), "unlink"),
    **dict.fromkeys(("mkdir", "mkdirat", "mknod", "mknodat"), "mkdir"),
    **dict.fromkeys(("chmod", "fchmod", "fchmodat", "chown", "fchown", "fchownat"), "mode"),
    **dict.fromkeys(("utime", "utimes", "utimensat", "futimesat"), "times"),
    **dict.fromkeys(("setxattr", "fsetxattr", "lsetxattr", "io_uring_setup"), "other"),
}
_CALL = re.compile(r"^\d+ +(\w+)\((.*)\) += (\d+)(?:<([^>]*)>)?")
_UNFINISHED = re.compile(r"^(\d+) +(.*) <unfinished \.\.\.>$")
_RESUMED = re.compile(r"^(\d+) +<\.\.\. \w+ resumed>(.*)$")
_CURRENT = re.compile(r"AT_FDCWD<[^>]*>")
_NAMED = re.compile(r'"/proc/self/fd/\d+", \d+<([^>]*)>, "([^"]*)"')
_PLACE = re.compile(r'<(/[^>]*)>|"(/[^"]*)"')

Changes = Counter[tuple[str, tuple[str, ...]]]


def joined(lines: list[str]) -> Iterator[str]:
    """Lines of strace, those that another thread interrupted put together."""
    begun: dict[str, str] = {}
    for line in lines:
        if match := _UNFINISHED.match(line):
            begun[match[1]] = f"{match[1]} {match[2]}"
        elif match := _RESUMED.match(line):
            yield begun.pop(match[1]) + match[2]
        else:
            yield line


def seen_by_the_system(place: Place) -> Changes:
    """What succeeded below the place, by kind, paths and bytes."""
    changes: Changes = Counter()
    for line in joined(place.trace.read_text().splitlines()):
        match = _CALL.match(line)
        if match is None:
            continue
        name, words, result, opened = match.groups()
        if SYSTEM_CALLS[name] == "create":
            paths = [opened or ""] if _makes_a_file(words) else []
        else:
            paths = [one or other for one, other in _PLACE.findall(_CURRENT.sub("", words))]
        if unnamed := _NAMED.search(words):
            paths = ["/".join(unnamed.groups())]
        size = int(result) if SYSTEM_CALLS[name] in ("write", "copy") else 0
        _add(changes, place, SYSTEM_CALLS[name], paths, size)
    return changes


def _makes_a_file(words: str) -> bool:
    """Whether a call that opens a file makes it, or empties it.

    A clone or copy of a disk is a file that has no name and can never get one (O_EXCL): it is
    gone with its process, and no part of what must survive.
    """
    if "O_TMPFILE" in words:
        return "O_EXCL" not in words
    return "O_CREAT" in words or "O_TRUNC" in words


def told_by_the_disk(place: Place, log: Path) -> Changes:
    """The same in what `Disk` wrote down."""
    changes: Changes = Counter()
    for line in log.read_text().splitlines():
        name, paths, size = json.loads(line)
        _add(
            changes, place, DISK_CALLS[name], paths[-1:] if name == "name_unnamed" else paths, size
        )
    return changes


def _add(changes: Changes, place: Place, kind: str, paths: list[str], size: int) -> None:
    """Count a change below the place; bytes that are written to one file are added up."""
    own = tuple(path.removesuffix(" (deleted)") for path in paths if _is_own(place, path))
    if own and (size or kind not in ("write", "copy")):
        changes[(kind, own)] += size or 1


def _is_own(place: Place, path: str) -> bool:
    return path.startswith(str(place.folder)) and not path.endswith((".log", "/trace"))


@pytest.mark.parametrize(
    "words",
    [
        ["create-snapshot", "a.raw", "--parent", "none"],
        ["create-image", "--name", "web", "a.raw", "b.raw"],
        ["create-volume", "new.raw"],
        ["create-volume", "old.raw", "--force"],
        ["create-volume", "place.raw", "--in-place"],
        ["rebuild-index"],
        ["check-store", "--read-data"],
    ],
    ids=" ".join,
)
def test_every_change_that_the_system_sees_is_one_that_the_disk_made(
    used: Place, words: list[str]
) -> None:
    words = [str(used.folder / word) if word.endswith(".raw") else word for word in words]
    if words[0] == "create-volume":
        words += ["--snapshot-id", first_id(used)]
    log = used.folder / "disk.log"
    tracer = used.strace(",".join(SYSTEM_CALLS))
    before = [str(log), ",".join(DISK_CALLS)]
    done = used.run_python("-c", LOGGING, *before, *words, before=tracer)
    assert (done.status, done.err) == (0, "")
    told = told_by_the_disk(used, log)
    assert seen_by_the_system(used) == told
    assert len(told) >= 5


def test_a_store_is_made_by_the_disk_alone(empty: Place) -> None:
    log = empty.folder / "disk.log"
    tracer = empty.strace(",".join(SYSTEM_CALLS))
    words = [str(log), ",".join(DISK_CALLS), "create-snapshot", str(empty.folder / "b.raw")]
    done = empty.run_python("-c", LOGGING, *words, before=tracer)
    assert (done.status, done.err) == (0, "")
    assert seen_by_the_system(empty) == told_by_the_disk(empty, log)


def test_reading_commands_change_nothing(used: Place) -> None:
    tracer = used.strace(",".join(SYSTEM_CALLS))
    for command in ("describe-snapshots", "describe-images", "describe-store"):
        assert used.run(command, before=tracer).status == 0
        assert seen_by_the_system(used) == Counter()
