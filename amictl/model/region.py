"""A region: a store with a name."""

import re
from dataclasses import dataclass
from pathlib import Path

from amictl.errors import UsageError

DEFAULT_CHUNK_SIZE_BYTES = 32 * 1024
DEFAULT_COMPRESSION_LEVEL = 3

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class RegionConfig:
    """A region's name and the absolute directory of its store."""

    name: str
    directory: Path


def require_region_name(name: str) -> str:
    """Return `name` if a region can have it. Raises UsageError."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"invalid region name {name!r}",
            hint="1 to 63 lower-case letters, digits and hyphens, with no hyphen at either end",
        )
    return name
