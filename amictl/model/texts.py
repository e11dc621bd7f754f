"""Texts that a user writes about images and snapshots."""

from amictl.errors import UsageError

MAX_DESCRIPTION_CHARACTERS = 255


def require_text(text: str, what: str) -> str:
    """Return `text` if it can be written down as UTF-8. Raises UsageError."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{what} is not UTF-8 text: {text[:60]!r}") from None
    return text


def require_description(text: str) -> str:
    """Return `text` if EC2 would take it as a description. Raises UsageError."""
    if len(text) > MAX_DESCRIPTION_CHARACTERS:
        raise UsageError(f"the description is over {MAX_DESCRIPTION_CHARACTERS} characters")
    return require_text(text, "the description")
