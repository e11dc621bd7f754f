"""Tags: what EC2 allows a user to write on images, snapshots and volumes."""

from collections.abc import Mapping, Sequence

from amictl.errors import UsageError
from amictl.model.records import Tag, tags_from
from amictl.model.texts import require_text

MAX_TAGS = 50
MAX_KEY_CHARACTERS = 128
MAX_VALUE_CHARACTERS = 256
RESERVED = "aws:"
"""Keys that begin so are not the user's, and do not count."""


def require_tags(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The tags of one resource by key, in the order given. Raises UsageError with EC2's codes."""
    tags = dict(pairs)
    if len(tags) != len(pairs):
        raise UsageError("a tag key is given twice for one resource")
    _require_room(tags)
    for key, value in tags.items():
        require_tag(key, value)
    return tags


def require_tag(key: str, value: str) -> None:
    """Raises UsageError unless a user may write, or name, a tag like this."""
    if not 0 < len(key) <= MAX_KEY_CHARACTERS:
        raise UsageError(
            f"invalid tag key {key[:60]!r}", hint=f"a key has 1 to {MAX_KEY_CHARACTERS} characters"
        )
    if key.startswith(RESERVED):
        raise UsageError(
            f"invalid tag key {key!r}: Tag keys starting with '{RESERVED}' are reserved"
            " for internal use"
        )
    if len(value) > MAX_VALUE_CHARACTERS:
        raise UsageError(f"the value of tag {key!r} is over {MAX_VALUE_CHARACTERS} characters")
    require_text(key, "a tag key")
    require_text(value, f"the value of tag {key!r}")


def users_tags(tags: Sequence[Tag]) -> tuple[Tag, ...]:
    """Those that a user gave."""
    return tuple(tag for tag in tags if not tag.key.startswith(RESERVED))


def tags_with(tags: Sequence[Tag], new: Mapping[str, str]) -> tuple[Tag, ...]:
    """Tags with others added; a value replaces that of the same key.

    Raises UsageError (TagLimitExceeded) if they are too many together.
    """
    together = {tag.key: tag.value for tag in tags} | dict(new)
    _require_room(together)
    return tags_from(together)


def tags_without(tags: Sequence[Tag], gone: Sequence[tuple[str, str | None]]) -> tuple[Tag, ...]:
    """Tags without those of a key, whatever their value (None), or of a key and a value.

    An empty `gone` stands for all that are the user's.
    """
    if not gone:
        return tuple(tag for tag in tags if tag.key.startswith(RESERVED))
    return tuple(
        tag for tag in tags if (tag.key, None) not in gone and (tag.key, tag.value) not in gone
    )


def _require_room(tags: Mapping[str, str]) -> None:
    if sum(not key.startswith(RESERVED) for key in tags) > MAX_TAGS:
        raise UsageError(
            "The maximum number of Tags for a resource has been reached.",
            hint=f"a resource has at most {MAX_TAGS} tags",
            code="TagLimitExceeded",
        )
