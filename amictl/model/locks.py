"""Snapshot locks: a locked snapshot cannot be deleted until its lock expires. EC2's LockSnapshot.

A lock stands in the facts of a snapshot's attributes; whether it still holds, only the clock tells.
"""

from dataclasses import dataclass
from datetime import datetime

from amictl.errors import ConflictError, CorruptStoreError
from amictl.model import facts
from amictl.model.records import Attributes
from amictl.model.times import timestamp

GOVERNANCE = "governance"
COMPLIANCE = "compliance"
EXPIRED = "expired"

_KEYS = (
    facts.LOCK_MODE,
    facts.LOCK_DURATION,
    facts.LOCK_CREATED,
    facts.LOCK_STARTS,
    facts.LOCK_EXPIRES,
)


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock of a snapshot: when it was first made, and from when until when it counts.

    The duration is in days, rounded up.
    """

    mode: str
    duration_days: int
    created: datetime
    starts: datetime
    expires: datetime

    def state(self, now: datetime) -> str:
        """EC2's LockState: the mode, or expired."""
        return self.mode if now < self.expires else EXPIRED


def lock_of(attributes: Attributes) -> Lock | None:
    """The lock of a snapshot, expired or not; None if it has none. Raises CorruptStoreError."""
    mode = facts.word(attributes, facts.LOCK_MODE, (GOVERNANCE, COMPLIANCE))
    if mode is None:
        return None
    days = facts.count(attributes, facts.LOCK_DURATION)
    times = (facts.LOCK_CREATED, facts.LOCK_STARTS, facts.LOCK_EXPIRES)
    created, starts, expires = (facts.moment(attributes, key) for key in times)
    if days is None or created is None or starts is None or expires is None:
        raise CorruptStoreError(f"the lock of {attributes.id} cannot be read: a part is missing")
    return Lock(mode, days, created, starts, expires)


def with_lock(attributes: Attributes, lock: Lock | None) -> Attributes:
    """The same with this lock; None removes it."""
    if lock is None:
        return attributes.with_facts(dict.fromkeys(_KEYS))
    values = (
        lock.mode,
        str(lock.duration_days),
        timestamp(lock.created),
        timestamp(lock.starts),
        timestamp(lock.expires),
    )
    return attributes.with_facts(dict(zip(_KEYS, values, strict=True)))


def require_unlocked(attributes: Attributes, now: datetime) -> None:
    """Raises ConflictError (OperationNotPermitted) while a lock keeps a snapshot from deletion."""
    lock = lock_of(attributes)
    if lock is not None and lock.state(now) != EXPIRED:
        raise ConflictError(
            f"The snapshot {attributes.id} is locked in {lock.mode} mode until"
            f" {timestamp(lock.expires)} and cannot be deleted",
            code="OperationNotPermitted",
            hint=f"amictl unlock-snapshot --snapshot-id {attributes.id} takes the lock away",
        )
