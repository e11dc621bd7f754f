"""Looks for bytes that must not be there: windows of a disk that is a canary, and secrets."""

import base64
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

WINDOW = 16
_HEAD = 8


class Canary:
    """A disk of random bytes, of which no 16 may be found in other places, at any offset."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        heads = _heads(content)[: len(content) - WINDOW + 1]
        self._order = np.argsort(heads)
        self._heads = heads[self._order]

    def is_in(self, data: bytes) -> bool:
        """Whether 16 bytes in a row are of the disk."""
        if len(data) < WINDOW:
            return False
        heads = _heads(data)[: len(data) - WINDOW + 1]
        at = np.searchsorted(self._heads, heads)
        known = self._heads[np.minimum(at, len(self._heads) - 1)] == heads
        return any(
            self.content[start : start + WINDOW] == data[here : here + WINDOW]
            for here in np.flatnonzero(known).tolist()
            for start in [int(self._order[at[here]])]
        )


def _heads(data: bytes) -> "np.ndarray[tuple[int], np.dtype[np.uint64]]":
    """The eight bytes from each offset on."""
    padded = np.frombuffer(data + bytes(_HEAD), np.uint8)
    windows = np.lib.stride_tricks.sliding_window_view(padded, _HEAD)[: len(data)]
    return np.ascontiguousarray(windows).view("<u8").reshape(-1)


def forms(secret: bytes) -> Iterator[bytes]:
    """How a secret may be written down."""
    yield secret
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    for encoded in (base64.b64encode(secret), base64.urlsafe_b64encode(secret)):
        yield encoded.rstrip(b"=")


def files_under(folder: Path, exempt: Iterable[Path]) -> dict[str, bytes]:
    """All files of a folder, by their paths, but for those that are exempt or in such a folder."""
    left_out = set(exempt)
    found = {}
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if Path(place, name) not in left_out]
        for name in files:
            path = Path(place, name)
            if path not in left_out:
                found[str(path.relative_to(folder))] = path.read_bytes()
    return found
