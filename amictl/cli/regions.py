"""Which region a command works in, and where its store is."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from amictl.cli.global_options import GlobalOptions

if TYPE_CHECKING:
    from amictl.model.region import RegionConfig, UserPlaces
    from amictl.model.surroundings import Surroundings
    from amictl.store.store import Store


def config_path(environment: Mapping[str, str]) -> Path:
    """The file that names regions: AMICTL_CONFIG, or the user's."""
    if path := environment.get("AMICTL_CONFIG"):
        return Path(path)
    import platformdirs

    return platformdirs.user_config_path("amictl") / "config.toml"


def places(environment: Mapping[str, str]) -> "UserPlaces":
    """Where the regions of the user are told."""
    from amictl.model.region import UserPlaces

    return UserPlaces(config_path(environment), default_directory(), environment)


def default_directory() -> Path:
    """Where the region `local` is unless the configuration says otherwise."""
    import platformdirs

    from amictl.actions.regions import DEFAULT_REGION

    return platformdirs.user_data_path("amictl") / DEFAULT_REGION


def open_store(options: GlobalOptions, environment: Mapping[str, str]) -> "Store":
    """The store to read. Raises RegionNotFoundError."""
    from amictl.errors import RegionNotFoundError
    from amictl.store import placing

    place = _place(options, environment)
    try:
        return _with_keys(placing.open_region(place, environment))
    except RegionNotFoundError as error:
        # One that has a name was made once.
        if place.name and place.directory != default_directory() and _is_bare(place.directory):
            error.hint = "is its disk mounted?"
        raise


def _is_bare(directory: Path | None) -> bool:
    """Whether there is nothing in a directory, or not even that."""
    return directory is not None and (
        not directory.exists() or (directory.is_dir() and not any(directory.iterdir()))
    )


def every_region(
    options: GlobalOptions, environment: Mapping[str, str]
) -> "dict[str, Callable[[], Store]]":
    """How to open each region there is, by its name; what --store names is one by its path."""
    from amictl.actions import regions
    from amictl.store import layout

    names = regions.region_names(places(environment))
    if regions.DEFAULT_REGION not in names and (default_directory() / layout.CONFIG).exists():
        names.insert(0, regions.DEFAULT_REGION)
    all_options = {name: replace(options, region=name, store=None) for name in names}
    if options.store is not None:
        all_options[str(options.store)] = options
    return {name: partial(open_store, one, environment) for name, one in all_options.items()}


def _with_keys(store: "Store") -> "Store":
    from amictl.cli.user_keys import UserKeyring

    store.keyring = UserKeyring()
    return store


def open_named_store(name: str, environment: Mapping[str, str]) -> "Store":
    """The store of a region, to read: what another one is copied from.

    Raises RegionNotFoundError.
    """
    return open_store(GlobalOptions(region=name), environment)


def open_store_or_empty(
    options: GlobalOptions,
    environment: Mapping[str, str],
    surroundings: "Surroundings",
    scratch: Callable[[], Path],
) -> "Store":
    """The store to list from. Before anything was stored, the region `local` that nobody named
    is like an empty one: then it is a store that is made in `scratch()`, or was before.

    Raises RegionNotFoundError for every other region that is not there.
    """
    from amictl.errors import RegionNotFoundError

    place = _place(options, environment)
    try:
        return open_store(options, environment)
    except RegionNotFoundError:
        if options.store or options.region or place.directory != default_directory():
            raise
        if _holds_something(default_directory()):
            raise
    return open_or_create_store(replace(options, store=scratch()), environment, surroundings)


def open_or_create_store(
    options: GlobalOptions, environment: Mapping[str, str], surroundings: "Surroundings"
) -> "Store":
    """The store to write to. The one of a configured region must be there: a disk that is not
    mounted must not be taken for a new region. A directory of --store and the default are made.
    """
    from amictl.actions import regions

    directory = _place(options, environment).directory
    if directory is None or (options.store is None and directory != default_directory()):
        return open_store(options, environment)
    return _with_keys(regions.open_or_create(places(environment), directory, surroundings))


def open_or_rehearse_store(
    options: GlobalOptions,
    environment: Mapping[str, str],
    surroundings: "Surroundings",
    scratch: Path,
) -> "Store":
    """For a dry run: the store to write to; where there is none yet but could be, one in `scratch`.

    Raises ConflictError, StorageError if none can be made there.
    """
    from amictl.errors import RegionNotFoundError
    from amictl.store import opening

    directory = _place(options, environment).directory
    try:
        return open_store(options, environment)
    except RegionNotFoundError:
        if directory is None or (options.store is None and directory != default_directory()):
            raise
    opening.require_place(directory)
    return open_or_create_store(replace(options, store=scratch), environment, surroundings)


def _holds_something(directory: Path) -> bool:
    """Whether something is there that may be, or lead to, a store that cannot be seen now."""
    if directory.is_symlink():
        return True
    return directory.exists() and (not directory.is_dir() or any(directory.iterdir()))


def _place(options: GlobalOptions, environment: Mapping[str, str]) -> "RegionConfig":
    """Where the region is that a command works in; without a name if it is a directory's."""
    from amictl.actions import regions
    from amictl.model.region import RegionConfig

    if options.store is not None:
        return RegionConfig("", options.store)
    told = places(environment)
    name = options.region or regions.default_region(told)
    region = regions.find_region(told, name)
    return replace(region, directory=region.directory and region.directory.expanduser())
