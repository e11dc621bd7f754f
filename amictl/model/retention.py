"""Retention rules of the recycle bin: what they may say, and which one decides.

As in EC2, of all rules that are for a thing the one with the longest period counts.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from amictl.errors import NotFoundError, UnsupportedError, UsageError
from amictl.model.records import RetentionRule, Tag
from amictl.model.tags import MAX_KEY_CHARACTERS, MAX_VALUE_CHARACTERS
from amictl.model.texts import require_description, require_text

IMAGE = "EC2_IMAGE"
SNAPSHOT = "EBS_SNAPSHOT"
RESOURCE_TYPES = (SNAPSHOT, IMAGE)
DAYS = range(1, 366)
MAX_RULES = 250
MAX_TAGS = 50
MAX_EXCLUDED = 5

_INVALID = "ValidationException"
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_IDENTIFIER = re.compile(r"[0-9A-Za-z]{11}")
_RECORD_TYPES = {"ami": IMAGE, "snap": SNAPSHOT}


def new_identifier(random_bytes: Callable[[int], bytes]) -> str:
    """A fresh identifier of a rule: eleven letters and digits."""
    number = int.from_bytes(random_bytes(16), "big")
    digits = []
    for _ in range(11):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(digits)


def is_identifier(text: str) -> bool:
    """Whether `text` has the form of a rule's identifier."""
    return _IDENTIFIER.fullmatch(text) is not None


def require_identifier(text: str) -> str:
    """Return `text` if it has the form of a rule's identifier. Raises UsageError."""
    if not is_identifier(text):
        raise UsageError(
            f"{text[:60]!r} is not the identifier of a retention rule",
            hint="it has eleven letters and digits; amictl list-rules shows them",
            code=_INVALID,
        )
    return text


def rule_not_found(identifier: str) -> NotFoundError:
    """The error for a rule that there is not."""
    return NotFoundError(
        f"The retention rule '{identifier}' does not exist.",
        hint="amictl list-rules shows those that exist",
        code="ResourceNotFoundException",
    )


def require_resource_type(text: str) -> str:
    """Return `text` if rules can be for it. Raises UsageError, UnsupportedError."""
    if text == "EBS_VOLUME":
        raise UnsupportedError(
            "EBS_VOLUME: a volume is a file of yours, and delete-volume only forgets its record",
            hint=f"rules are for {' and '.join(RESOURCE_TYPES)}",
        )
    if text not in RESOURCE_TYPES:
        raise UsageError(
            f"{text[:60]!r} is not a resource type",
            hint=f"give one of {', '.join(RESOURCE_TYPES)}",
            code=_INVALID,
        )
    return text


def require_period(period: Mapping[str, Any]) -> int:
    """The days of a `{"RetentionPeriodValue": …, "RetentionPeriodUnit": "DAYS"}`.

    Raises UsageError.
    """
    days, unit = period["RetentionPeriodValue"], period["RetentionPeriodUnit"]
    if unit != "DAYS":
        raise UsageError(f"{unit[:60]!r}: a retention period is in DAYS", code=_INVALID)
    if days not in DAYS:
        raise UsageError(
            f"a retention period of {days} days: it has {DAYS[0]} to {DAYS[-1]}", code=_INVALID
        )
    return int(days)


def require_rule_description(text: str) -> str:
    """Return `text` if a rule may have it as description: one line. Raises UsageError."""
    if re.fullmatch(r"[\S ]*", text) is None:
        raise UsageError("the description of a rule is one line without tabs", code=_INVALID)
    try:
        return require_description(text)
    except UsageError as error:
        raise UsageError(error.message, code=_INVALID) from error


def require_resource_tags(given: Sequence[Mapping[str, str]], most: int) -> tuple[Tag, ...]:
    """Tags that things are known by, sorted; a value left out is the empty one.

    A key may be there with several values. Raises UsageError.
    """
    pairs = {(one["ResourceTagKey"], one.get("ResourceTagValue", "")) for one in given}
    if len(pairs) > most:
        raise UsageError(
            f"a rule has at most {most} of these tags, not {len(pairs)}", code=_INVALID
        )
    for key, value in pairs:
        require_text(key, "a tag key")
        require_text(value, f"the value of tag {key!r}")
        if not 0 < len(key) <= MAX_KEY_CHARACTERS or len(value) > MAX_VALUE_CHARACTERS:
            raise UsageError(
                f"invalid tag {key[:60]!r}",
                hint=f"a key has 1 to {MAX_KEY_CHARACTERS} characters,"
                f" a value at most {MAX_VALUE_CHARACTERS}",
                code=_INVALID,
            )
    return tuple(Tag(key, value) for key, value in sorted(pairs))


def require_one_level(rule: RetentionRule) -> RetentionRule:
    """Return a rule that is for things with tags or for all but some. Raises UsageError."""
    if rule.tags and rule.excluded:
        raise UsageError(
            "tags to exclude go with a rule that is for everything, not with resource tags",
            code=_INVALID,
        )
    return rule


def rules_for(record_id: str, rules: Iterable[RetentionRule]) -> list[RetentionRule]:
    """The rules for the type of a snapshot or an image, by its id."""
    wanted = _RECORD_TYPES[record_id.partition("-")[0]]
    return [rule for rule in rules if rule.resource_type == wanted]


def retention_days(rules: Iterable[RetentionRule], tags: Iterable[Tag]) -> int | None:
    """How long something with these tags is retained by rules for its type; None if not."""
    own = set(tags)
    return max((rule.retention_days for rule in rules if _is_for(rule, own)), default=None)


def _is_for(rule: RetentionRule, tags: set[Tag]) -> bool:
    return not tags.isdisjoint(rule.tags) if rule.tags else tags.isdisjoint(rule.excluded)
