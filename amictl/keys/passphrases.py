"""Where passphrases come from when nobody types them: a descriptor, a file, or a command.

The text is what comes before the first line break. It is never put into a message.
"""

import os
import stat
import subprocess
from pathlib import Path

from amictl.errors import KeyLockedError

_LENGTH_MAX = 64 * 1024


def from_descriptor(number: int) -> str:
    """The first line of an open file. Raises KeyLockedError."""
    place = f"file descriptor {number}"
    try:
        return _first_line(_read(number), place)
    except OSError as error:
        raise _unreadable(place, error) from error


def from_file(path: Path) -> str:
    """The first line of a file that nobody else can read. Raises KeyLockedError."""
    place = f"the passphrase file {str(path)!r}"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            # A pipe, as the shell's <(…), is nobody else's anyway.
            status = os.fstat(descriptor)
            if stat.S_ISREG(status.st_mode) and status.st_mode & 0o077:
                raise KeyLockedError(
                    f"{place} can be read by others", hint=f"run: chmod 600 {path}"
                )
            return _first_line(_read(descriptor), place)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _unreadable(place, error) from error


def from_command(command: str) -> str:
    """The first line that a command of the shell writes. Raises KeyLockedError."""
    finished = subprocess.run(command, shell=True, stdout=subprocess.PIPE, check=False)
    if finished.returncode != 0:
        raise KeyLockedError(
            f"the passphrase command ended with status {finished.returncode}",
            hint="run it by hand; it must write the passphrase to its standard output",
        )
    return _first_line(finished.stdout, "the output of the passphrase command")


def _read(descriptor: int) -> bytes:
    pieces = []
    length = 0
    while length <= _LENGTH_MAX and (piece := os.read(descriptor, _LENGTH_MAX)):
        pieces.append(piece)
        length += len(piece)
    return b"".join(pieces)


def _first_line(data: bytes, place: str) -> str:
    line = data.partition(b"\n")[0].removesuffix(b"\r")
    if not line:
        raise KeyLockedError(f"there is no passphrase in {place}")
    if len(line) > _LENGTH_MAX:
        raise KeyLockedError(f"what is in {place} is too long for a passphrase")
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise KeyLockedError(f"the passphrase in {place} is not UTF-8 text") from None


def _unreadable(place: str, error: OSError) -> KeyLockedError:
    return KeyLockedError(f"cannot read {place}: {error.strerror}")
