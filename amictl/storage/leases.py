"""Locks without a kernel: objects that their holder renews, alive for a while after that.

Every lease has a name of its own and a list shows them all, so that no condition on a put is
needed: who wants to be alone puts its lease, then looks whether there is another. Of two who do so
at once at least one sees the other, because a list shows what was put before it. Times are by the
server's clock; a holder that has not heard of a renewal for two thirds of the time says itself
that the lease is lost, and writes nothing from then on. amictl-buckets(7), LEASES.
"""

import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from amictl.errors import AmictlError, BusyError, ObjectMissingError, StorageError
from amictl.storage.refusals import DeniedError
from amictl.storage.s3 import Bucket

TTL_SECONDS = 180.0
_RENEWALS = 4
_OWN_SHARE = 2 / 3
CLOCK = "locks/clock"
ENDED = b"ended\n"


class Lease:
    """One object that is renewed with its newest content until it is ended."""

    def __init__(self, leases: "Leases", name: str, data: bytes) -> None:
        self.name = name
        self._leases = leases
        self._data = data
        self._renewed = float("-inf")
        self._ended = False
        self._lock = threading.Lock()

    def require_held(self) -> None:
        """Raises StorageError if others may take it for dead."""
        if not self._ended and _now() - self._renewed > self._leases.ttl_seconds * _OWN_SHARE:
            raise StorageError(
                f"the lease {self.name} is lost: the bucket did not answer for too long",
                hint="run the command again",
            )

    def renew(self, data: bytes | None = None) -> None:
        """Put it again, with other content if some is given. Raises StorageError."""
        with self._lock:
            if self._ended:
                return
            if self._renewed > float("-inf"):
                self.require_held()
            self._data = self._data if data is None else data
            begun = _now()
            self._leases.bucket.put_unguarded(self.name, self._data)
            self._renewed = begun

    def say(self, data: bytes) -> None:
        """Change the content, and put it unless that was done a moment ago."""
        self._data = data
        if _now() - self._renewed > self._leases.ttl_seconds / (3 * _RENEWALS):
            self.renew()

    def end(self, data: bytes) -> None:
        """Leave this content, as ended. Raises nothing."""
        self._leave()
        with self._lock, suppress(AmictlError):
            self._leases.bucket.put_unguarded(self.name, data + ENDED)

    def remove(self) -> None:
        """Leave nothing; or an ended lease, where nobody may delete. Raises nothing."""
        self._leave()
        with self._lock, suppress(AmictlError):
            if not self._leases.removed(self.name):
                self._leases.bucket.put_unguarded(self.name, self._data + ENDED)

    @property
    def content(self) -> bytes:
        """What was said last."""
        return self._data

    def _leave(self) -> None:
        with self._lock:
            self._ended = True
        self._leases.forget(self)


class Leases:
    """All leases of one process in one bucket, renewed by one thread."""

    def __init__(self, bucket: Bucket, ttl_seconds: float = TTL_SECONDS) -> None:
        self.bucket = bucket
        self.ttl_seconds = ttl_seconds
        self._held: list[Lease] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._offset: float | None = None
        self._may_delete = True

    def take(self, name: str, data: bytes) -> Lease:
        """A new lease; others see it when this returns."""
        lease = Lease(self, name, data)
        lease.renew()
        with self._lock:
            self._held.append(lease)
            if self._thread is None:
                self._thread = threading.Thread(target=self._keep, name="leases", daemon=True)
                self._thread.start()
        return lease

    def forget(self, lease: Lease) -> None:
        """It is renewed no more."""
        with self._lock:
            if lease in self._held:
                self._held.remove(lease)

    def require_held(self) -> None:
        """Raises StorageError if any lease of this process may be lost."""
        with self._lock:
            held = tuple(self._held)
        for lease in held:
            lease.require_held()

    def removed(self, name: str) -> bool:
        """Delete an object that is garbage, if that is allowed; returns whether it was."""
        if self._may_delete:
            try:
                self.bucket.delete_unguarded(name)
            except DeniedError:
                self._may_delete = False
        return self._may_delete

    def is_fresh(self, modified: float) -> bool:
        """Whether what was put at this time of the server may still have its holder."""
        return self.seconds_left(modified) > 0

    def seconds_left(self, modified: float) -> float:
        """How long its holder may still be taken for alive if it puts nothing more."""
        return self.ttl_seconds - (self.now() - modified)

    def now(self) -> float:
        """The server's time, asked for once and before anybody is taken for dead; ours where we may
        not write, and so take nothing over.
        """
        if self._offset is None:
            try:
                self.bucket.put_unguarded(CLOCK, os.urandom(8).hex().encode())
                self._offset = self.bucket.get(CLOCK).modified - _now()
            except (DeniedError, ObjectMissingError):
                return time.time()
        return self._offset + _now()

    def join(self, name: str) -> Lease:
        """Hold a lock with others until the lease is removed, after waiting for who is alone."""
        return self._won(name, "writer", lambda other: other.startswith("alone-"))

    @contextmanager
    def alone(self, names: Sequence[str], *, wait: bool) -> Iterator[None]:
        """Hold locks without any other holder. Raises BusyError, at once unless it may `wait`."""
        held: list[Lease] = []
        try:
            for name in names:
                held.append(self._won(name, "alone", lambda _: True, wait=wait))
            yield
        finally:
            for lease in held:
                lease.remove()

    def _won(
        self, name: str, kind: str, against: Callable[[str], bool], *, wait: bool = True
    ) -> Lease:
        """A lease beside which there is none that it cannot stand."""
        pause, patience_ends = 0.05, _now() + 2 * self.ttl_seconds
        while True:
            if not self._others(name, None, against):
                lease = self.take(f"{name}/{kind}-{os.urandom(8).hex()}", _holder())
                try:
                    if not self._others(name, lease.name, against):
                        return lease
                except BaseException:
                    lease.remove()
                    raise
                lease.remove()
            if not wait or _now() > patience_ends:
                raise BusyError(
                    f"another command holds {self.bucket.where(name)}",
                    hint="run the command again when it is done; what a killed one held is free "
                    f"after {self.ttl_seconds:.0f} seconds",
                )
            time.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(pause * 2, 2.0)

    def _others(self, name: str, own: str | None, against: Callable[[str], bool]) -> bool:
        """Whether somebody else has a living lease of a kind that matters."""
        # What was ended and may not be deleted is as long as a holder's words and a mark.
        found = [
            one.modified
            for one in self.bucket.below(name)
            if one.name != own
            and one.size == len(_holder())
            and against(one.name.rpartition("/")[2])
        ]
        if any(self.is_fresh(modified) for modified in found):
            return True
        # Before anybody is taken for dead the time is asked again: the server's clock may be set.
        self._offset = None if found else self._offset
        return any(self.is_fresh(modified) for modified in found)

    def close(self) -> None:
        """Renew nothing any more; what was not ended dies by itself."""
        self._stop.set()
        if self._thread is not None:
            # A renewal that waits for an answer needs none any more.
            self._thread.join(5.0)

    def _keep(self) -> None:
        while not self._stop.wait(self.ttl_seconds / _RENEWALS):
            with self._lock:
                held = tuple(self._held)
            for lease in held:
                # What cannot be renewed in time is lost, and its holder finds that out.
                with suppress(AmictlError):
                    lease.renew()


def _holder() -> bytes:
    """Who holds a lease: nothing that others could learn from, always equally long."""
    return b"held\n"


def _now() -> float:
    """Seconds that go on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
