"""The user's configuration, config.toml: which regions there are. Text in, values out.

    [regions.NAME]
    directory = "/absolute/path"

Sections and keys that this version does not know are left alone: the file belongs to the user.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from amictl.errors import UsageError
from amictl.model.region import RegionConfig, require_region_name


def decode(text: str) -> tuple[RegionConfig, ...]:
    """The regions in the order of the file. Raises UsageError that names the wrong entry."""
    return tuple(
        _region(name, section) for name, section in _table(_document(text), "regions").items()
    )


def with_region(text: str, region: RegionConfig) -> str:
    """The same text, comments and order kept, with one more region at its end.

    Raises UsageError if the text cannot be decoded or the path is not text. The name is new:
    the caller has looked.
    """
    import tomlkit

    directory = str(region.directory)
    if not directory.isprintable():
        raise UsageError(f"the path {directory!r} cannot be written to the configuration")
    decode(text)
    document = tomlkit.parse(text)
    section = tomlkit.table()
    section["directory"] = directory
    if "regions" not in document:
        document["regions"] = tomlkit.table(is_super_table=True)
    regions: Any = document["regions"]
    regions[region.name] = section
    return tomlkit.dumps(document)


def _document(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise _wrong(f"it is not TOML: {error}") from None


def _region(name: str, section: Any) -> RegionConfig:
    place = f"regions.{name}"
    require_region_name(name)
    directory = section.get("directory") if isinstance(section, dict) else None
    if not isinstance(directory, str):
        raise _wrong(f"{place} has no text `directory`")
    if not directory.startswith(("/", "~")) or "\0" in directory:
        raise _wrong(f"the directory of {place} is not an absolute path: {directory!r}")
    return RegionConfig(name, Path(directory))


def _table(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = document.get(name, {})
    if not isinstance(table, dict):
        raise _wrong(f"{name} is not a table")
    return table


def _wrong(reason: str) -> UsageError:
    return UsageError(f"the configuration cannot be used: {reason}", code="InvalidConfiguration")
