"""The user's configuration, config.toml: which regions and buckets there are. Text in, values out.

    [defaults]
    region = "NAME"
    owner-id = "123456789012"

    [regions.NAME]
    directory = "/absolute/path"

    [regions.OTHER]
    bucket-url = "s3://bucket/prefix"
    endpoint-url = "https://host:port"

    [buckets.NAME]
    directory = "/absolute/path"  # or bucket-url and endpoint-url
    storage-class = "STANDARD_IA"

Sections and keys that this version does not know are left alone: the file belongs to the user.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from amictl.errors import UsageError
from amictl.model.buckets import BucketConfig, require_bucket_name, require_storage_class
from amictl.model.region import (
    RegionConfig,
    RegionDefaults,
    require_bucket_url,
    require_endpoint_url,
    require_region_name,
)

_OWNER = re.compile(r"[0-9]{12}")


def decode(text: str) -> tuple[RegionConfig, ...]:
    """The regions in the order of the file. Raises UsageError that names the wrong entry."""
    return tuple(
        _region(name, section) for name, section in _table(_document(text), "regions").items()
    )


def decode_buckets(text: str) -> tuple[BucketConfig, ...]:
    """The buckets in the order of the file. Raises UsageError that names the wrong entry."""
    return tuple(
        _bucket(name, section) for name, section in _table(_document(text), "buckets").items()
    )


def decode_defaults(text: str) -> RegionDefaults:
    """Raises UsageError that names the wrong entry."""
    table = _table(_document(text), "defaults")
    region, owner_id = table.get("region"), table.get("owner-id")
    if region is not None:
        if not isinstance(region, str):
            raise _wrong("defaults.region is not a text")
        require_region_name(region)
    if owner_id is not None and not (isinstance(owner_id, str) and _OWNER.fullmatch(owner_id)):
        raise _wrong("defaults.owner-id is not a text of twelve digits")
    return RegionDefaults(region, owner_id)


def with_region(text: str, region: RegionConfig) -> str:
    """The same text, comments and order kept, with one more region at its end.

    Raises UsageError if the text cannot be decoded or the path is not text. The name is new:
    the caller has looked.
    """
    return _with_section(text, "regions", region, {})


def with_bucket(text: str, bucket: BucketConfig) -> str:
    """The same for a bucket."""
    return _with_section(text, "buckets", bucket, {"storage-class": bucket.storage_class})


def _with_section(
    text: str, table: str, place: RegionConfig | BucketConfig, more: Mapping[str, str | None]
) -> str:
    import tomlkit

    document = _editable(text)
    section = tomlkit.table()
    for key, value in {
        "directory": None if place.directory is None else str(place.directory),
        "bucket-url": place.bucket_url,
        "endpoint-url": place.endpoint_url,
        **more,
    }.items():
        if value is not None:
            if not value.isprintable():
                raise UsageError(f"{value!r} cannot be written to the configuration")
            section[key] = value
    if table not in document:
        document[table] = tomlkit.table(is_super_table=True)
    document[table][place.name] = section
    return tomlkit.dumps(document)


def without_region(text: str, name: str) -> str:
    """The same text without a region that it has. Raises UsageError."""
    import tomlkit

    document = _editable(text)
    del document["regions"][name]
    return tomlkit.dumps(document)


def without_bucket(text: str, name: str) -> str:
    """The same text without a bucket that it has. Raises UsageError."""
    import tomlkit

    document = _editable(text)
    del document["buckets"][name]
    return tomlkit.dumps(document)


def with_default(text: str, key: str, value: str) -> str:
    """The same text with one of the defaults, `region` or `owner-id`. Raises UsageError."""
    import tomlkit

    document = _editable(text)
    if "defaults" not in document:
        document["defaults"] = tomlkit.table()
    document["defaults"][key] = value
    return tomlkit.dumps(document)


def _editable(text: str) -> Any:
    """The document with its comments. Raises UsageError if it cannot be decoded."""
    import tomlkit

    decode(text)
    decode_buckets(text)
    decode_defaults(text)
    return tomlkit.parse(text)


def _document(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number may have too many digits for Python
        raise _wrong(f"it is not TOML: {error}") from None


def _region(name: str, section: Any) -> RegionConfig:
    require_region_name(name)
    return RegionConfig(name, *_place(f"regions.{name}", section))


def _bucket(name: str, section: Any) -> BucketConfig:
    require_bucket_name(name)
    found = _place(f"buckets.{name}", section)
    storage_class = section.get("storage-class")
    if storage_class is not None:
        if not isinstance(storage_class, str):
            raise _wrong(f"the storage-class of buckets.{name} is not a text")
        require_storage_class(storage_class)
    return BucketConfig(name, *found, storage_class)


def _place(place: str, section: Any) -> tuple[Path | None, str | None, str | None]:
    """A directory, or a bucket's URL and perhaps its endpoint."""
    members = section if isinstance(section, dict) else {}
    directory, url, endpoint = (
        members.get(key) for key in ("directory", "bucket-url", "endpoint-url")
    )
    if url is not None:
        if directory is not None or not isinstance(url, str):
            raise _wrong(f"{place} has a directory and a bucket, or a URL that is not a text")
        return None, require_bucket_url(url), _endpoint(place, endpoint)
    if not isinstance(directory, str):
        raise _wrong(f"{place} has no text `directory`")
    if not directory.startswith(("/", "~")) or "\0" in directory:
        raise _wrong(f"the directory of {place} is not an absolute path: {directory!r}")
    return Path(directory), None, None


def _endpoint(place: str, url: Any) -> str | None:
    if url is not None and not isinstance(url, str):
        raise _wrong(f"the endpoint-url of {place} is not a text")
    return None if url is None else require_endpoint_url(url)


def _table(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = document.get(name, {})
    if not isinstance(table, dict):
        raise _wrong(f"{name} is not a table")
    return table


def _wrong(reason: str) -> UsageError:
    return UsageError(f"the configuration cannot be used: {reason}", code="InvalidConfiguration")
