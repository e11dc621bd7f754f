"""Disabling, deprecating and protecting images."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from amictl.actions import changing_images as changing
from amictl.actions.deregistering import deregister_image
from amictl.actions.describing_images import describe_images
from amictl.errors import (
    AmictlError,
    ConflictError,
    DryRunError,
    ImageNotFoundError,
    MalformedIdError,
    UsageError,
)
from amictl.model.surroundings import Surroundings
from amictl.progress import Silent
from amictl.store import catalog, image_names, layout
from tests.oracle import require_ec2_shape
from tests.workshop import Workshop

UNKNOWN = "ami-" + "0" * 17


@pytest.fixture
def image_id(workshop: Workshop) -> str:
    return workshop.image("web", workshop.file("root", b"root" * 1000))


def described(workshop: Workshop, image_id: str) -> dict[str, Any]:
    with workshop.open() as store:
        (shape,) = describe_images(store, (image_id,))["Images"]
    return dict(shape)


def at(workshop: Workshop, moment: datetime) -> Surroundings:
    """The surroundings at a time of our choice."""
    return Surroundings(lambda: moment, workshop.surroundings.random_bytes, Silent())


def deprecate(workshop: Workshop, image_id: str, time: datetime, now: datetime) -> None:
    with workshop.open() as store:
        result = changing.enable_image_deprecation(store, image_id, time, at(workshop, now))
    assert result == {"Return": True}
    require_ec2_shape("EnableImageDeprecation", result)


@pytest.fixture
def now(workshop: Workshop) -> datetime:
    return workshop.surroundings.now().replace(second=10, microsecond=0)


# --- disable and enable ------------------------------------------------------------------------


def test_a_disabled_image_can_be_enabled_again(workshop: Workshop, image_id: str) -> None:
    states = []
    for change, operation in (
        (changing.disable_image, "DisableImage"),
        (changing.enable_image, "EnableImage"),
    ):
        with workshop.open() as store:
            result = change(store, image_id, workshop.surroundings)
        require_ec2_shape(operation, result)
        assert result == {"Return": True}
        states.append(described(workshop, image_id)["State"])
    assert states == ["disabled", "available"]


def test_disabling_twice_is_done_once(workshop: Workshop, image_id: str) -> None:
    with workshop.open() as store:
        for _ in range(2):
            changing.disable_image(store, image_id, workshop.surroundings)
        assert catalog.read_attributes(store, image_id).generation == 1
    assert events(workshop).count("DisableImage") == 1


def test_a_disabled_image_keeps_its_name_and_its_snapshots(
    workshop: Workshop, image_id: str
) -> None:
    with workshop.open() as store:
        changing.disable_image(store, image_id, workshop.surroundings)
        (mapping,) = catalog.read_image(store, image_id).mappings
        assert mapping.snapshot_id is not None
        assert catalog.users_of(store, mapping.snapshot_id) == [image_id]
        assert image_names.name_holder(store, "web") == image_id


def events(workshop: Workshop) -> str:
    return "".join(path.read_text() for path in sorted((workshop.root / "events").iterdir()))


def test_every_change_leaves_an_event(workshop: Workshop, image_id: str) -> None:
    for change in CHANGES.values():
        with workshop.open() as store:
            change(store, image_id, workshop.surroundings)
    history = events(workshop)
    assert all(f'"{operation}"' in history for operation in CHANGES)


# --- what can be changed at all ----------------------------------------------------------------


def _deprecate(store: Any, image_id: str, surroundings: Surroundings, **words: Any) -> Any:
    time = surroundings.now() + timedelta(days=1)
    return changing.enable_image_deprecation(store, image_id, time, surroundings, **words)


CHANGES: dict[str, Callable[..., Any]] = {
    "DisableImage": changing.disable_image,
    "EnableImage": changing.enable_image,
    "EnableImageDeprecation": _deprecate,
    "DisableImageDeprecation": changing.disable_image_deprecation,
    "EnableImageDeregistrationProtection": changing.enable_image_deregistration_protection,
    "DisableImageDeregistrationProtection": changing.disable_image_deregistration_protection,
}
each_change = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)


def refusal(workshop: Workshop, change: Callable[..., Any], image_id: str) -> AmictlError:
    with workshop.open() as store, pytest.raises(AmictlError) as raised:
        change(store, image_id, workshop.surroundings)
    return raised.value


@each_change
def test_a_dry_run_changes_nothing(
    workshop: Workshop, image_id: str, change: Callable[..., Any]
) -> None:
    with workshop.open() as store:
        before = catalog.read_attributes(store, image_id)
        with pytest.raises(DryRunError):
            change(store, image_id, workshop.surroundings, dry_run=True)
        with pytest.raises(ImageNotFoundError):
            change(store, UNKNOWN, workshop.surroundings, dry_run=True)
        assert catalog.read_attributes(store, image_id) == before


@each_change
def test_an_unknown_image_is_told(workshop: Workshop, change: Callable[..., Any]) -> None:
    assert isinstance(refusal(workshop, change, UNKNOWN), ImageNotFoundError)
    assert isinstance(refusal(workshop, change, "ami-1"), MalformedIdError)


@each_change
def test_an_image_in_the_recycle_bin_is_unavailable(
    workshop: Workshop, image_id: str, change: Callable[..., Any]
) -> None:
    with workshop.open() as store:
        changing.disable_image(store, image_id, workshop.surroundings)
        place = workshop.root / layout.attributes(image_id)
        assert b'"disabled"' in place.read_bytes()
        catalog.change_attributes(
            store, image_id, lambda old: type(old)(old.id, 1, catalog.IN_BIN, "", ())
        )
    refused = refusal(workshop, change, image_id)
    assert isinstance(refused, ConflictError)
    assert refused.code == "InvalidAMIID.Unavailable"


@each_change
def test_an_image_that_failed_is_unavailable(
    workshop: Workshop, change: Callable[..., Any]
) -> None:
    current = workshop.root / layout.CURRENT
    content = current.read_bytes()
    current.write_bytes(b"")
    with pytest.raises(AmictlError):
        workshop.image("web", workshop.file("root", b"a"))
    current.write_bytes(content)
    with workshop.open() as store:
        (failed,) = describe_images(store)["Images"]
    assert refusal(workshop, change, failed["ImageId"]).code == "InvalidAMIID.Unavailable"


# --- deprecation -------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "minutes"), [(0, 0), (29, 0), (30, 1), (59, 1)])
def test_the_deprecation_time_is_to_the_nearest_minute(
    workshop: Workshop, image_id: str, now: datetime, seconds: int, minutes: int
) -> None:
    hour = (now + timedelta(days=1)).replace(minute=0, second=0)
    deprecate(workshop, image_id, hour + timedelta(seconds=seconds), now)
    expected = (hour + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:00.000Z")
    assert described(workshop, image_id)["DeprecationTime"] == expected


def test_a_deprecation_can_be_taken_back(workshop: Workshop, image_id: str, now: datetime) -> None:
    before = described(workshop, image_id)
    deprecate(workshop, image_id, now + timedelta(days=1), now)
    with workshop.open() as store:
        result = changing.disable_image_deprecation(store, image_id, workshop.surroundings)
    assert result == {"Return": True}
    assert described(workshop, image_id) == before


def test_the_past_is_no_time_to_deprecate_at(
    workshop: Workshop, image_id: str, now: datetime
) -> None:
    with pytest.raises(UsageError, match="past"):
        deprecate(workshop, image_id, now - timedelta(seconds=1), now)


def test_an_image_can_be_deprecated_now(workshop: Workshop, image_id: str, now: datetime) -> None:
    deprecate(workshop, image_id, now, now)
    assert "DeprecationTime" in described(workshop, image_id)


def test_ten_years_is_the_longest(workshop: Workshop, image_id: str, now: datetime) -> None:
    leap = now.replace(year=2028, month=2, day=29)
    deprecate(workshop, image_id, leap.replace(year=2038, day=28), leap)
    with pytest.raises(UsageError, match="10 years"):
        deprecate(workshop, image_id, leap.replace(year=2038, month=3, day=1), leap)
    latest = now.replace(year=now.year + 10, day=1)
    with pytest.raises(UsageError, match="10 years"):
        deprecate(workshop, image_id, latest + timedelta(seconds=1), now.replace(day=1))


# --- protection --------------------------------------------------------------------------------


class Protected:
    """An image, and what is done with its protection, at a time in hours after the first."""

    def __init__(self, workshop: Workshop, image_id: str, start: datetime) -> None:
        self._workshop = workshop
        self._image_id = image_id
        self.start = start

    def _at(self, hours: float) -> Surroundings:
        return at(self._workshop, self.start + timedelta(hours=hours))

    def enable(self, hours: float, *, with_cooldown: bool) -> str:
        with self._workshop.open() as store:
            result = changing.enable_image_deregistration_protection(
                store, self._image_id, self._at(hours), with_cooldown=with_cooldown
            )
        require_ec2_shape("EnableImageDeregistrationProtection", result)
        return str(result["Return"])

    def disable(self, hours: float) -> str:
        with self._workshop.open() as store:
            result = changing.disable_image_deregistration_protection(
                store, self._image_id, self._at(hours)
            )
        require_ec2_shape("DisableImageDeregistrationProtection", result)
        return str(result["Return"])

    def is_free(self, hours: float) -> bool:
        """Whether it could be deregistered; what else keeps it from that is its protection."""
        try:
            with self._workshop.open() as store:
                deregister_image(store, self._image_id, self._at(hours), dry_run=True)
        except DryRunError:
            return True
        except ConflictError as error:
            if error.code != "OperationNotPermitted":
                raise
        return False


@pytest.fixture
def protected(workshop: Workshop, image_id: str, now: datetime) -> Protected:
    return Protected(workshop, image_id, now)


def test_a_protected_image_is_not_deregistered(protected: Protected) -> None:
    assert protected.is_free(0)
    assert protected.enable(0, with_cooldown=False) == "enabled-without-cooldown"
    assert not protected.is_free(1000)


def test_without_cooldown_the_end_of_protection_is_at_once(protected: Protected) -> None:
    protected.enable(0, with_cooldown=False)
    assert protected.disable(1) == "disabled"
    assert protected.is_free(1)


def test_a_cooldown_lasts_for_a_day(protected: Protected) -> None:
    assert protected.enable(0, with_cooldown=True) == "enabled-with-cooldown"
    assert protected.disable(1) == "disabled"
    assert not protected.is_free(24.99)
    assert protected.is_free(25)


def test_protecting_again_does_not_shorten_the_cooldown(protected: Protected) -> None:
    protected.enable(0, with_cooldown=True)
    protected.disable(1)
    protected.enable(2, with_cooldown=False)
    protected.disable(3)
    assert not protected.is_free(24.99)
    assert protected.is_free(25)


def test_another_protection_is_no_way_round_the_cooldown(protected: Protected) -> None:
    protected.enable(0, with_cooldown=True)
    protected.enable(1, with_cooldown=False)
    protected.disable(2)
    assert not protected.is_free(24.99)
    assert protected.is_free(25)


def test_disabling_the_protection_twice_does_not_begin_the_cooldown_again(
    protected: Protected,
) -> None:
    protected.enable(0, with_cooldown=True)
    protected.disable(1)
    protected.disable(20)
    assert protected.is_free(25)


def test_the_end_of_the_cooldown_is_shown(
    workshop: Workshop, image_id: str, protected: Protected
) -> None:
    protected.enable(0, with_cooldown=True)
    assert described(workshop, image_id)["DeregistrationProtection"] == "enabled-with-cooldown"
    protected.disable(1)
    shape = described(workshop, image_id)
    assert shape["DeregistrationProtection"] == "disabled"
    until = datetime.fromisoformat(shape["Amictl"]["DeregistrationProtectedUntil"])
    assert protected.is_free((until - protected.start) / timedelta(hours=1))
