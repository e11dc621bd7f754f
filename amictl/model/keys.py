"""Keys: what is known of one without its secret, and the names that it is called by.

A key is the local counterpart of a KMS key; states and words are KMS's. amictl-security(7).
"""

import re
from dataclasses import dataclass

from amictl.errors import KeyNotFoundError, UsageError
from amictl.model.records import KeyId, Tag

ENABLED = "Enabled"
PENDING_DELETION = "PendingDeletion"

ALIAS_PREFIX = "alias/"
DEFAULT_ALIAS = "alias/aws/ebs"
"""The key of a region that has chosen none."""

LABEL = "user.amictl.kms-key-id"
"""The extended attribute of a disk image file that is a volume of a key."""

_KEY_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ALIAS = re.compile(r"alias/[A-Za-z0-9/_-]{1,250}")
_ARN = re.compile(r"arn:.*:(?:key/)?(?P<name>[0-9a-f-]+|alias/.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What is known of a key without its secret; times ISO 8601 UTC.

    `recipient` is the public half of the identity, and `further_recipients` are those to which
    everything is wrapped as well. `deletion_date` is there while the state is PendingDeletion.
    """

    key_id: KeyId
    recipient: str
    further_recipients: tuple[str, ...]
    aliases: tuple[str, ...]
    state: str
    deletion_date: str | None
    created: str
    description: str
    origin: str
    further: tuple[Tag, ...] = ()

    @property
    def recipients(self) -> tuple[str, ...]:
        """All recipients, that of the key itself first."""
        return (self.recipient, *self.further_recipients)

    @property
    def words(self) -> str:
        """What messages call it: by its id, and an alias that somebody gave it."""
        given = [alias for alias in self.aliases if alias != DEFAULT_ALIAS]
        return f"the key {' '.join((self.key_id, *given[:1]))}"


def key_name(text: str) -> str:
    """The key id or alias in what was given for a key: itself, or the end of an ARN.

    Raises KeyNotFoundError for what no key can be called.
    """
    found = _ARN.fullmatch(text)
    name = found["name"] if found else text
    if not _KEY_ID.fullmatch(name) and not _ALIAS.fullmatch(name):
        raise KeyNotFoundError(
            f"{text!r} is neither the id of a key nor an alias",
            hint="write alias/NAME or an id; amictl describe-keys lists them",
        )
    return name


def is_key_id(text: str) -> bool:
    """Whether `text` has the form of the id of a key."""
    return _KEY_ID.fullmatch(text) is not None


def require_alias(text: str) -> str:
    """Return `text` if it can be an alias. Raises UsageError."""
    if not _ALIAS.fullmatch(text):
        raise UsageError(
            f"{text!r} is no name for an alias",
            hint="alias/ and 1 to 250 letters, digits, slashes, hyphens and underscores",
            code="InvalidAliasNameException",
        )
    return text
