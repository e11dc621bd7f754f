"""The memory of the newest state that was seen of each store, in the user's state folder.

It is worth having, and never in the way: what cannot be read counts as nothing, and what cannot be
written is left. amictl-security(7), OLD STATES.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from amictl.errors import UNREADABLE

if TYPE_CHECKING:
    from amictl.model.seen import SeenState
    from amictl.store.observing import Finding
    from amictl.store.store import Store

_SIZE_MAX = 1 << 20


def state_folder(environment: Mapping[str, str]) -> Path:
    """AMICTL_STATE, or the user's."""
    if path := environment.get("AMICTL_STATE"):
        return Path(path)
    import platformdirs

    return platformdirs.user_state_path("amictl")


def know_keys(store: "Store", environment: Mapping[str, str]) -> "SeenState | None":
    """Tell a store which volumes were encrypted here; what was seen of it."""
    seen = _read(_place(store, environment))
    if seen is not None:
        store.known_keys = {one.volume_id: one.key_id for one in seen.volumes}
    return seen


def know_new(store: "Store", environment: Mapping[str, str]) -> None:
    """Remember the store that was made, or named, in a place, whatever was seen there before."""
    Watch(store, environment).accept()


class Watch:
    """Compares a store with what was seen of it, and remembers what it is when it is closed.

    `findings` show that it went back in time; while there are any, nothing is remembered.
    `changes` are what somebody else changed, and are remembered.
    """

    def __init__(self, store: "Store", environment: Mapping[str, str]) -> None:
        from amictl.store import observing

        self.findings: tuple[Finding, ...] = ()
        self.changes: tuple[str, ...] = ()
        self._store = store
        self._path = _place(store, environment)
        self._before = know_keys(store, environment)
        now = observing.observe(store)
        if self._before is not None:
            self.findings = tuple(observing.went_back(store, self._before, now))
            self.changes = tuple(observing.changes_to_know(self._before, now))
        if not self.findings:
            self._keep(now)
        store.on_close = self._remember
        store.on_new_domain = self._remember  # who is killed now must not take it for another's

    def accept(self) -> None:
        """Forget what was seen: the store is meant to be as it is now, and to be here."""
        self.findings = self.changes = ()
        self._before = None

    def accept_index(self) -> None:
        """Forget what was seen of the index, which was made anew."""
        if self._before is not None:
            self._before = replace(self._before, index_generation=None, index_digest=None)

    def _remember(self) -> None:
        from amictl.store import observing

        if not self.findings:
            self._keep(observing.observe(self._store))
        if self._store.learnt_keys:
            self._keep_keys(self._store.learnt_keys)

    def _keep_keys(self, learnt: Mapping[str, str | None]) -> None:
        """Remember keys of volumes, beside what other processes learnt meanwhile."""
        from amictl.model.seen import SeenState, with_volumes

        before = _read(self._path) or SeenState(self._store.config.store_id)
        after = with_volumes(before, learnt)
        if after != before:
            with suppress(OSError):
                _write(self._path, after)

    def _keep(self, now: "SeenState") -> None:
        from amictl.model.seen import newest_of

        newest = now if self._before is None else newest_of(self._before, now)
        if newest != self._before:
            others = _read(self._path) or newest
            self._before = newest = replace(newest, volumes=others.volumes)
            with suppress(OSError):
                _write(self._path, newest)


def _read(path: Path) -> "SeenState | None":
    """What was seen, if anything was."""
    from amictl.formats import records
    from amictl.model.seen import SeenState

    with suppress(OSError, *UNREADABLE), path.open("rb") as file:
        return records.decode(file.read(_SIZE_MAX), SeenState, str(path))
    return None


def _place(store: "Store", environment: Mapping[str, str]) -> Path:
    """One memory for each place: a copy of a store elsewhere goes its own way."""
    from blake3 import blake3

    digest = blake3(store.storage.where().encode(errors="surrogateescape")).hexdigest()
    return state_folder(environment) / "seen" / f"{digest[:32]}.json"


def _write(path: Path, seen: "SeenState") -> None:
    """Replace the file, mode 0600, in a folder of mode 0700. Raises OSError.

    It is not synced: after a power cut an older memory, or none, does no harm.
    """
    from amictl.formats import records
    from amictl.storage.disk import Disk, make_directories

    disk = Disk()
    if not path.parent.exists():
        make_directories(disk, path.parent)
    temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    descriptor = disk.create(temporary)
    try:
        try:
            disk.write_at(descriptor, records.encode(seen), 0)
        finally:
            disk.close(descriptor)
        disk.rename(temporary, path)
    except OSError:
        with suppress(OSError):
            disk.unlink(temporary)
        raise
