"""DisableImage and EnableImage; deprecation and deregistration protection of images."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from amictl.errors import UsageError
from amictl.model import facts
from amictl.model.records import Attributes
from amictl.model.surroundings import Surroundings
from amictl.model.times import timestamp
from amictl.store.image_states import AVAILABLE, DISABLED, change_image
from amictl.store.store import Store

COOLDOWN = timedelta(hours=24)
MAX_DEPRECATION_YEARS = 10

WITH_COOLDOWN = "enabled-with-cooldown"
WITHOUT_COOLDOWN = "enabled-without-cooldown"


def disable_image(
    store: Store, image_id: str, surroundings: Surroundings, *, dry_run: bool = False
) -> dict[str, Any]:
    """`{"Return": True}` once nothing is launched from the image any more.

    This and all that follow raise ImageNotFoundError, and ConflictError for an image that is
    pending, failed or in the recycle bin.
    """
    operation = ("DisableImage", DISABLED)
    change_image(store, surroundings, image_id, operation, _in_state(DISABLED), dry_run=dry_run)
    return {"Return": True}


def enable_image(
    store: Store, image_id: str, surroundings: Surroundings, *, dry_run: bool = False
) -> dict[str, Any]:
    """The reverse of `disable_image`."""
    operation = ("EnableImage", AVAILABLE)
    change_image(store, surroundings, image_id, operation, _in_state(AVAILABLE), dry_run=dry_run)
    return {"Return": True}


def _in_state(state: str) -> Callable[[Attributes], Attributes]:
    return lambda attributes: replace(attributes, state=state)


def enable_image_deprecation(
    store: Store,
    image_id: str,
    deprecate_at: datetime,
    surroundings: Surroundings,
    *,
    dry_run: bool = False,
) -> dict[str, Any]:
    """`{"Return": True}`; the time is kept to the nearest minute.

    Raises UsageError for a time in the past, or more than ten years from now.
    """
    now = surroundings.now()
    if deprecate_at < now:
        raise UsageError(f"the deprecation time {timestamp(deprecate_at)} is in the past")
    if deprecate_at > _years_after(now, MAX_DEPRECATION_YEARS):
        raise UsageError(
            f"the deprecation time {timestamp(deprecate_at)} is more than"
            f" {MAX_DEPRECATION_YEARS} years from now"
        )
    minute = (deprecate_at + timedelta(seconds=30)).replace(second=0, microsecond=0)
    time = timestamp(minute)
    return _set_deprecation(store, image_id, "EnableImageDeprecation", time, surroundings, dry_run)


def disable_image_deprecation(
    store: Store, image_id: str, surroundings: Surroundings, *, dry_run: bool = False
) -> dict[str, Any]:
    """`{"Return": True}`; the image will not be deprecated."""
    return _set_deprecation(store, image_id, "DisableImageDeprecation", None, surroundings, dry_run)


def _set_deprecation(
    store: Store,
    image_id: str,
    name: str,
    time: str | None,
    surroundings: Surroundings,
    dry_run: bool,
) -> dict[str, Any]:
    change_image(
        store,
        surroundings,
        image_id,
        (name, f"deprecated at {time}" if time else "not deprecated"),
        lambda attributes: attributes.with_facts({facts.DEPRECATION_TIME: time}),
        dry_run=dry_run,
    )
    return {"Return": True}


def _years_after(moment: datetime, years: int) -> datetime:
    try:
        return moment.replace(year=moment.year + years)
    except ValueError:  # 29 February
        return moment.replace(year=moment.year + years, day=28)


def enable_image_deregistration_protection(
    store: Store,
    image_id: str,
    surroundings: Surroundings,
    *,
    with_cooldown: bool = False,
    dry_run: bool = False,
) -> dict[str, Any]:
    """`{"Return": …}`, the kind of protection.

    With a cooldown the image stays protected for 24 hours after the protection has ended.
    """
    protection = WITH_COOLDOWN if with_cooldown else WITHOUT_COOLDOWN
    name = "EnableImageDeregistrationProtection"
    return _set_protection(store, image_id, (name, protection), surroundings, dry_run)


def disable_image_deregistration_protection(
    store: Store, image_id: str, surroundings: Surroundings, *, dry_run: bool = False
) -> dict[str, Any]:
    """`{"Return": "disabled"}`; a cooldown begins if there is to be one."""
    operation = ("DisableImageDeregistrationProtection", "disabled")
    return _set_protection(store, image_id, operation, surroundings, dry_run)


def _set_protection(
    store: Store,
    image_id: str,
    operation: tuple[str, str],
    surroundings: Surroundings,
    dry_run: bool,
) -> dict[str, Any]:
    word = operation[1]
    until = timestamp(surroundings.now() + COOLDOWN)

    def change(attributes: Attributes) -> Attributes:
        changed = {facts.PROTECTION: None if word == "disabled" else word}
        # Another kind of protection is no way round the cooldown either.
        if attributes.fact(facts.PROTECTION) == WITH_COOLDOWN != word:
            changed[facts.PROTECTED_UNTIL] = until
        return attributes.with_facts(changed)

    change_image(store, surroundings, image_id, operation, change, dry_run=dry_run)
    return {"Return": word}
