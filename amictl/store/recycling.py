"""The recycle bin: what is deleted while a retention rule is for it can be had back for a while.

amictl-store(5), RECYCLE BIN. What is in the bin is a root like any other, also when its time is
over, until a collection removes it; but then no command finds it any more.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from amictl.errors import (
    UNREADABLE,
    CorruptStoreError,
    ImageNotFoundError,
    NotFoundError,
    ObjectMissingError,
    SnapshotNotFoundError,
)
from amictl.formats import records as record_format
from amictl.model import facts
from amictl.model.records import STATES, Attributes, RetentionRule, RetentionRules
from amictl.model.retention import retention_days, rules_for
from amictl.model.times import timestamp
from amictl.store import catalog, layout, pending
from amictl.store.store import Store


@dataclass(frozen=True, slots=True)
class Stay:
    """How long something is in the recycle bin, and the state that it had before."""

    entered: datetime
    until: datetime
    state_before: str

    def is_over(self, now: datetime) -> bool:
        """Whether its time has come."""
        return self.until <= now


def discard(store: Store, record_id: str, now: datetime) -> datetime | None:
    """Move a snapshot or an image to the recycle bin if a rule is for it, else remove it.

    Returns when it will be gone from the bin, or None if it is gone; durable when it returns.
    Whoever discards a snapshot holds the catalogue (`catalog.exclusively`) and has asked for its
    users. Raises NotFoundError if it is in the bin already, CorruptStoreError if the rules or the
    tags cannot be read.
    """
    pending.remove_dead(store, record_id)  # it would look as if the making had failed
    rules = rules_for(record_id, read_rules(store))
    if rules:
        after = catalog.change_attributes(store, record_id, lambda old: _binned(old, rules, now))
        if (stay := stay_of(after)) is not None:
            return stay.until
    catalog.remove(store, record_id)
    return None


def read_rules(store: Store) -> tuple[RetentionRule, ...]:
    """All retention rules, in the order in which they were made. Raises CorruptStoreError."""
    return _read_rules(store)[0].rules


def change_rules(
    store: Store, change: Callable[[tuple[RetentionRule, ...]], tuple[RetentionRule, ...]]
) -> None:
    """Replace all rules by what `change` makes of them; durable when it returns.

    `change` is called again if somebody else was faster; it may raise.
    """
    while True:
        before, data = _read_rules(store)
        after = RetentionRules(change(before.rules))
        if after == before or store.storage.replace_if_unchanged(
            layout.RULES, record_format.encode(after), data
        ):
            return


def stay_of(attributes: Attributes) -> Stay | None:
    """The stay in the recycle bin that attributes tell of; None for what is not there.

    Raises CorruptStoreError if they do not tell all of it.
    """
    if attributes.state != catalog.IN_BIN:
        return None
    outside = STATES[attributes.id.partition("-")[0]]
    known = tuple(state for state in outside if state != catalog.IN_BIN)
    entered = facts.moment(attributes, facts.BIN_ENTER_TIME)
    until = facts.moment(attributes, facts.BIN_EXIT_TIME)
    state = facts.word(attributes, facts.STATE_BEFORE_BIN, known)
    if entered is None or until is None or state is None:
        raise CorruptStoreError(
            f"{attributes.id} is in the recycle bin, but not since when or until when"
        )
    return Stay(entered, until, state)


def stays(store: Store, record_ids: list[str]) -> Iterator[tuple[Attributes, Stay]]:
    """Of these records, those in the recycle bin, also those whose time is over.

    What is unreadable is left to a check, and what goes meanwhile is gone.
    """
    for record_id in record_ids:
        with suppress(*UNREADABLE):
            attributes = catalog.read_attributes(store, record_id)
            stay = stay_of(attributes)
            if stay is not None:
                yield attributes, stay


def require_stay(store: Store, record_id: str, now: datetime) -> Stay:
    """The stay of what is in the bin. Raises NotFoundError for what is not, or not any more."""
    try:
        attributes = catalog.read_attributes(store, record_id)
    except ObjectMissingError:
        raise _not_inside(record_id) from None
    return _require_stay(attributes, now)


def put_back(store: Store, record_id: str, now: datetime) -> Attributes:
    """Take something out of the bin as it was before; returns its attributes.

    Durable when it returns. Whoever puts back holds the catalogue (`catalog.exclusively`). Raises
    NotFoundError.
    """

    def change(before: Attributes) -> Attributes:
        state = _require_stay(before, now).state_before
        outside = before.with_facts(
            {facts.BIN_ENTER_TIME: None, facts.BIN_EXIT_TIME: None, facts.STATE_BEFORE_BIN: None}
        )
        return replace(outside, state=state)

    return catalog.change_attributes(store, record_id, change)


def _require_stay(attributes: Attributes, now: datetime) -> Stay:
    stay = stay_of(attributes)
    if stay is None or stay.is_over(now):
        raise _not_inside(attributes.id)
    return stay


def _not_inside(record_id: str) -> NotFoundError:
    if record_id.startswith("ami-"):
        return ImageNotFoundError(
            f"The image id '[{record_id}]' does not exist in the Recycle Bin",
            hint="amictl list-images-in-recycle-bin shows what can be restored",
        )
    return SnapshotNotFoundError(
        f"The snapshot '{record_id}' does not exist in the Recycle Bin.",
        hint="amictl list-snapshots-in-recycle-bin shows what can be restored",
    )


def _binned(before: Attributes, rules: list[RetentionRule], now: datetime) -> Attributes:
    """The attributes in the bin; the same if none of the rules is for the thing."""
    if before.state == catalog.IN_BIN:
        raise catalog.not_found(before.id)
    days = retention_days(rules, before.tags)
    if days is None:
        return before
    inside = before.with_facts(
        {
            facts.BIN_ENTER_TIME: timestamp(now),
            facts.BIN_EXIT_TIME: timestamp(now + timedelta(days=days)),
            facts.STATE_BEFORE_BIN: before.state,
        }
    )
    return replace(inside, state=catalog.IN_BIN)


def _read_rules(store: Store) -> tuple[RetentionRules, bytes | None]:
    """The rules and the bytes that they are written in; None if there is no such object."""
    try:
        data = store.storage.read(layout.RULES)
    except ObjectMissingError:
        return RetentionRules(), None
    return record_format.decode(data, RetentionRules, layout.RULES), data
