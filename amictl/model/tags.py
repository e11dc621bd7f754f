"""Tags: what EC2 allows a user to write on images and snapshots."""

from collections.abc import Sequence

from amictl.errors import UsageError
from amictl.model.texts import require_text

MAX_TAGS = 50
MAX_KEY_CHARACTERS = 128
MAX_VALUE_CHARACTERS = 256


def require_tags(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The tags of one resource by key, in the order given. Raises UsageError with EC2's codes."""
    tags = dict(pairs)
    if len(tags) != len(pairs):
        raise UsageError("a tag key is given twice for one resource")
    if len(tags) > MAX_TAGS:
        raise UsageError(f"more than {MAX_TAGS} tags for one resource", code="TagLimitExceeded")
    for key, value in tags.items():
        if not 0 < len(key) <= MAX_KEY_CHARACTERS or key.startswith("aws:"):
            raise UsageError(
                f"invalid tag key {key[:60]!r}",
                hint=f"1 to {MAX_KEY_CHARACTERS} characters that do not begin with aws:",
            )
        if len(value) > MAX_VALUE_CHARACTERS:
            raise UsageError(f"the value of tag {key!r} is over {MAX_VALUE_CHARACTERS} characters")
        require_text(key, "a tag key")
        require_text(value, f"the value of tag {key!r}")
    return tags
