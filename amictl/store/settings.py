"""The settings of a region: what holds for all that is new in it. amictl-store(5), RECORDS."""

from collections.abc import Callable
from dataclasses import replace

from amictl.errors import ObjectMissingError
from amictl.formats import records as record_format
from amictl.model import facts
from amictl.model.records import RegionSettings, tags_from
from amictl.store import layout
from amictl.store.store import Store


def read(store: Store) -> RegionSettings:
    """Raises CorruptStoreError; a region whose settings were never changed has the usual ones."""
    return _read(store)[0]


def change(store: Store, make: Callable[[RegionSettings], RegionSettings]) -> RegionSettings:
    """Replace the settings by what `make` makes of them; durable when it returns.

    `make` is called again if somebody else was faster, and may raise.
    """
    while True:
        before, data = _read(store)
        after = make(before)
        if after == before or store.storage.replace_if_unchanged(
            layout.SETTINGS, record_format.encode(after), data
        ):
            return after


def bundle_bucket(region: RegionSettings) -> str | None:
    """The text that means the bucket for the bundles of copied images, if there is one."""
    return next((tag.value for tag in region.further if tag.key == facts.BUNDLE_BUCKET), None)


def with_bundle_bucket(region: RegionSettings, text: str) -> RegionSettings:
    """The settings with this bucket."""
    pairs = {tag.key: tag.value for tag in region.further} | {facts.BUNDLE_BUCKET: text}
    return replace(region, further=tags_from(pairs))


def _read(store: Store) -> tuple[RegionSettings, bytes | None]:
    try:
        data = store.storage.read(layout.SETTINGS)
    except ObjectMissingError:
        return RegionSettings(), None
    return record_format.decode(data, RegionSettings, layout.SETTINGS), data
