"""Regions: which stores have a name; making, changing and deleting one."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from amictl.errors import (
    UNREADABLE,
    ConflictError,
    DryRunError,
    RegionNotFoundError,
    StorageError,
    UsageError,
)
from amictl.formats import config
from amictl.model.filters import Texts, matching
from amictl.model.records import RegionSettings
from amictl.model.region import (
    NewStore,
    RegionConfig,
    RegionDefaults,
    UserPlaces,
    require_region_name,
)
from amictl.model.surroundings import Surroundings
from amictl.storage import config_file
from amictl.storage.places import BucketPlace, bucket_place
from amictl.store import emptying, layout, settings
from amictl.store.opening import random_owner
from amictl.store.placing import create_region_store, look_into_region, open_region
from amictl.store.store import Store

DEFAULT_REGION = "local"

_UNCONDITIONAL = (
    "the server ignores conditions on writes: let only one command at a time write to this region;"
    " amictl-buckets(7) says why"
)
_FILTERS: dict[str, Texts] = {"region-name": lambda region: [region.name]}


def create_region(
    places: UserPlaces,
    region: RegionConfig,
    new: NewStore,
    surroundings: Surroundings,
) -> dict[str, Any]:
    """Make a store in an empty or absent place and give it a name; durable when it returns.

    A place that holds a store already keeps it, with its own chunk size and level, and gets
    the name. The first region that is made decides whose all new stores of this user are.
    Raises ConflictError if the name is taken or the place holds something else.
    """
    require_region_name(region.name)
    path = places.config_path.resolve()  # a symbolic link, as dot-file managers make, stays one
    with config_file.changing(path):
        text = config_file.read(path)
        if any(known.name == region.name for known in config.decode(text)):
            raise ConflictError(
                f"there is a region {region.name!r} already",
                hint="amictl describe-regions shows where it is",
                code="InvalidRegion.Duplicate",
            )
        _require_apart(places, text, region)
        owner_id = config.decode_defaults(text).owner_id
        if owner_id is None:
            present = _present_owner(places, text, region)
            owner_id = present or random_owner(surroundings.random_bytes)
            text = config.with_default(text, "owner-id", owner_id)
        changed = config.with_region(text, region)
        with _opened_or_created(
            places, region, replace(new, owner_id=owner_id), surroundings
        ) as store:
            config_file.replace_with(path, changed, surroundings.random_bytes)
            if not store.storage.abilities().get("ConditionalWrites", True):
                surroundings.progress.note(_UNCONDITIONAL)
            return _description(region, store, RegionDefaults())


def _require_apart(places: UserPlaces, text: str, region: RegionConfig) -> None:
    """Raises ConflictError if a bucket's region would be inside of another one, or around it."""
    new = _place(places, region)
    for known in config.decode(text):
        there = _place(places, known)
        if isinstance(new, BucketPlace) and isinstance(there, BucketPlace) and new.overlaps(there):
            raise ConflictError(
                f"{new.url} and {there.url} of {known.name} are one inside of the other",
                hint="give a prefix that is not in another region, nor around one",
            )


def _present_owner(places: UserPlaces, text: str, region: RegionConfig) -> str | None:
    """Whose the stores are that there are already, the first of them that can be opened."""
    for known in (
        *config.decode(text),
        RegionConfig(DEFAULT_REGION, places.default_directory),
        region,
    ):
        with (
            suppress(RegionNotFoundError, *UNREADABLE),
            look_into_region(known, places.environment) as store,
        ):
            return store.config.owner_id
    return None


def modify_region(
    places: UserPlaces,
    name: str,
    *,
    default: bool,
    max_concurrent_copies: int | None,
    bundle_bucket: str | None,
    surroundings: Surroundings,
) -> dict[str, Any]:
    """Make a region the one that is meant where none is named, and change what holds for all that
    is new in it; its description. Durable when it returns.

    The default region need not be there: its disk may be away, and `local` is made when it is
    needed. Raises RegionNotFoundError, UsageError if nothing is to be changed.
    """
    if not default and max_concurrent_copies is None and bundle_bucket is None:
        raise UsageError("nothing is to be changed", code="MissingParameter")
    region = find_region(places, name)
    if max_concurrent_copies is not None or bundle_bucket is not None:
        make = partial(_changed, most_copies=max_concurrent_copies, bundles=bundle_bucket)
        with open_region(region, places.environment) as store:
            store.require_features("write")
            settings.change(store, make)
    path = places.config_path.resolve()
    if default:
        with config_file.changing(path):
            changed = config.with_default(config_file.read(path), "region", name)
            config_file.replace_with(path, changed, surroundings.random_bytes)
    return _described(places, region, config.decode_defaults(config_file.read(path)))


def _changed(
    before: RegionSettings, *, most_copies: int | None, bundles: str | None
) -> RegionSettings:
    after = before if bundles is None else settings.with_bundle_bucket(before, bundles)
    return after if most_copies is None else replace(after, max_concurrent_copies=most_copies)


def delete_region(places: UserPlaces, name: str, surroundings: Surroundings) -> dict[str, Any]:
    """Remove a region that holds nothing: its store, and its name if the configuration has it.

    Raises RegionNotFoundError; ConflictError for the default region, while anything is in it, and
    where another region is in the same place.
    """
    path = places.config_path.resolve()
    with config_file.changing(path):
        text = config_file.read(path)
        _require_not_default(text, name)
        region = find_region(places, name)
        _require_alone(places, text, region)
        with _opened_or_forgettable(places, region) as store:
            store.require_features("delete")
            emptying.remove_store(store)
        if _has_name(text, name):
            changed = config.without_region(text, name)
            config_file.replace_with(path, changed, surroundings.random_bytes)
    return {}


def _require_alone(places: UserPlaces, text: str, region: RegionConfig) -> None:
    """Raises ConflictError if another region is in the same place."""
    for other in config.decode(text):
        if other.name != region.name and _place(places, other) == _place(places, region):
            raise ConflictError(
                f"the region {other.name} is in the same place",
                hint=f"to remove only one of the names: amictl delete-region {region.name}"
                " --forget",
                code="DependencyViolation",
            )


def _place(places: UserPlaces, region: RegionConfig) -> Path | BucketPlace:
    if region.directory is not None:
        return region.directory.expanduser().resolve()
    assert region.bucket_url is not None
    return bucket_place(region.bucket_url, region.endpoint_url, places.environment)


def _opened_or_forgettable(places: UserPlaces, region: RegionConfig) -> Store:
    """Raises RegionNotFoundError that says what can be done about a store that is not there."""
    try:
        look_into_region(region, places.environment).close()  # else the wait would be a long one
        return open_region(region, places.environment)
    except RegionNotFoundError as error:
        error.hint = _only_the_name(region)
        raise
    except StorageError as error:
        error.hint = "; ".join(filter(None, (error.hint, _only_the_name(region))))
        raise


def _only_the_name(region: RegionConfig) -> str:
    return f"to remove only its name: amictl delete-region {region.name} --forget"


def forget_region(places: UserPlaces, name: str, surroundings: Surroundings) -> dict[str, Any]:
    """Take the name of a region from the configuration; its store stays as it is.

    Raises RegionNotFoundError, ConflictError for the default region.
    """
    path = places.config_path.resolve()
    with config_file.changing(path):
        text = config_file.read(path)
        if not _has_name(text, name):
            raise _no_region(name, places.config_path)
        _require_not_default(text, name)
        changed = config.without_region(text, name)
        config_file.replace_with(path, changed, surroundings.random_bytes)
    return {}


def _has_name(text: str, name: str) -> bool:
    return any(region.name == name for region in config.decode(text))


def _require_not_default(text: str, name: str) -> None:
    if config.decode_defaults(text).region == name:
        raise ConflictError(
            f"{name} is the default region",
            hint=f"choose another one first: amictl modify-region {DEFAULT_REGION} --default",
        )


def require_not_hiding(places: UserPlaces, region: RegionConfig) -> None:
    """Raises ConflictError if a new region would take the name `local` from the store that has it
    without a configuration: what is in there could not be found any more.
    """
    there = region.directory is not None and region.directory.resolve()
    if region.name != DEFAULT_REGION or there == places.default_directory.resolve():
        return
    if (places.default_directory / layout.CONFIG).exists():
        raise ConflictError(
            f"there is a region {DEFAULT_REGION!r} already, in {str(places.default_directory)!r}",
            hint=f"choose another name, or give --directory {places.default_directory}",
            code="InvalidRegion.Duplicate",
        )


def describe_regions(
    places: UserPlaces,
    names: Sequence[str] = (),
    filters: Iterable[Mapping[str, Any]] = (),
    *,
    dry_run: bool = False,
) -> dict[str, Any]:
    """All regions, or these, the default one first, as EC2's DescribeRegions; `Problem` says why
    one cannot be opened.

    Raises RegionNotFoundError if one of the names is unknown, UsageError for an unknown filter.
    """
    text = config_file.read(places.config_path)
    regions, defaults = config.decode(text), config.decode_defaults(text)
    if all(region.name != DEFAULT_REGION for region in regions):
        regions = (RegionConfig(DEFAULT_REGION, places.default_directory), *regions)
    for name in names:
        if all(region.name != name for region in regions):
            raise _no_region(name, places.config_path)
    wanted = [region for region in regions if not names or region.name in names]
    found = matching(wanted, filters, _FILTERS)
    if dry_run:
        raise DryRunError

    described = partial(_described, places, defaults=defaults)
    if all(region.bucket_url is None for region in found):
        return {"Regions": [described(region) for region in found]}
    from amictl.store.parallel import in_order

    with in_order(described, found, threads=len(found)) as regions_shown:
        return {"Regions": list(regions_shown)}


def region_names(places: UserPlaces) -> list[str]:
    """The names of all regions in the configuration, in its order. Raises UsageError."""
    return [region.name for region in config.decode(config_file.read(places.config_path))]


def find_region(places: UserPlaces, name: str) -> RegionConfig:
    """The region of this name. Raises RegionNotFoundError."""
    for region in config.decode(config_file.read(places.config_path)):
        if region.name == name:
            return region
    if name == DEFAULT_REGION:
        return RegionConfig(name, places.default_directory)
    raise _no_region(name, places.config_path)


def _no_region(name: str, config_path: Path) -> RegionNotFoundError:
    return RegionNotFoundError(
        f"there is no region {name!r} in {str(config_path)!r}",
        hint="amictl describe-regions lists them; amictl create-region makes one",
    )


def default_region(places: UserPlaces) -> str:
    """The region that is meant where none is named."""
    return config.decode_defaults(config_file.read(places.config_path)).region or DEFAULT_REGION


def open_or_create(places: UserPlaces, directory: Path, surroundings: Surroundings) -> Store:
    """Open a store for writing; an absent or empty directory becomes one, mode 0700, of the owner
    that the configuration names.
    """
    text = config_file.read(places.config_path)
    new = NewStore(owner_id=config.decode_defaults(text).owner_id)
    return _opened_or_created(places, RegionConfig("", directory), new, surroundings)


def _opened_or_created(
    places: UserPlaces, region: RegionConfig, new: NewStore, surroundings: Surroundings
) -> Store:
    with suppress(RegionNotFoundError):
        return open_region(region, places.environment)
    try:
        return create_region_store(region, new, places.environment, surroundings)
    except ConflictError:
        with suppress(RegionNotFoundError):  # somebody else made it just now
            return open_region(region, places.environment)
        raise


def _described(
    places: UserPlaces, region: RegionConfig, defaults: RegionDefaults
) -> dict[str, Any]:
    try:
        with look_into_region(region, places.environment) as store:
            return _description(region, store, defaults)
    except (RegionNotFoundError, *UNREADABLE) as error:
        facts = _facts(region, defaults) | {"Problem": error.message}
        return {"RegionName": region.name, "Amictl": facts}


def _description(region: RegionConfig, store: Store, defaults: RegionDefaults) -> dict[str, Any]:
    own = settings.read(store)
    bundles = settings.bundle_bucket(own)
    return {
        "RegionName": region.name,
        "Amictl": {
            **_facts(region, defaults),
            "ChunkSize": store.config.chunk_size_bytes,
            "CompressionLevel": store.config.compression_level,
            "MaxConcurrentCopies": own.max_concurrent_copies,
            **({} if bundles is None else {"BundleBucket": bundles}),
            "OwnerId": store.config.owner_id,
            "StoreId": store.config.store_id,
            **store.storage.abilities(),
        },
    }


def _facts(region: RegionConfig, defaults: RegionDefaults) -> dict[str, Any]:
    """What the configuration says of a region."""
    facts = {
        "Default": (defaults.region or DEFAULT_REGION) == region.name or None,
        "Directory": None if region.directory is None else str(region.directory),
        "BucketUrl": region.bucket_url,
        "EndpointUrl": region.endpoint_url,
    }
    return {key: value for key, value in facts.items() if value is not None}
