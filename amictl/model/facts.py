"""Keys of what `further` of attributes and cores holds. amictl-store(5), FURTHER.

Times are ISO 8601 in UTC, as everywhere; sizes are bytes, in digits.
"""

from datetime import UTC, datetime

from amictl.errors import CorruptStoreError
from amictl.model.records import Attributes
from amictl.model.times import parse_timestamp

DEPRECATION_TIME = "deprecation-time"
LAST_LAUNCHED_TIME = "last-launched-time"

PROTECTION = "deregistration-protection"
"""`enabled-without-cooldown` or `enabled-with-cooldown`; absent when there is none."""

PROTECTED_UNTIL = "deregistration-protection-until"
"""End of the cooldown of a protection that was switched off."""

BIN_ENTER_TIME = "recycle-bin-enter-time"
BIN_EXIT_TIME = "recycle-bin-exit-time"

STATE_BEFORE_BIN = "state-before-recycle-bin"

IMAGE_LOCATION = "image-location"
"""In the core of an image whose root disk is a bundle: the place of the bundle's manifest."""

BUNDLE_MANIFEST = "bundle-manifest-sha256"
"""Of the same: the digest of the manifest, which may not change."""

BUNDLE_BUCKET = "bundle-bucket"
"""Of the settings of a region: where the bundles of copied images go."""

SOURCE_IMAGE = "source-image-id"
SOURCE_IMAGE_REGION = "source-image-region"
SOURCE_SNAPSHOT = "source-snapshot-id"
SOURCE_REGION = "source-region"
"""In the cores of copies: what they were copied from."""

GARBAGE_BYTES = "garbage-bytes"
"""In the core of a copied snapshot: plain bytes that came with it and that it does not use."""

LOCK_MODE = "lock-mode"
LOCK_DURATION = "lock-duration"
"""Days."""
LOCK_CREATED = "lock-created-on"
LOCK_STARTS = "lock-duration-start-time"
LOCK_EXPIRES = "lock-expires-on"

PATH = "path"
SIZE_BYTES = "size-bytes"
SNAPSHOT_ID = "snapshot-id"
IMAGE_ID = "image-id"
CREATE_TIME = "create-time"
DEVICE_NAME = "device-name"

KMS_KEY_ID = "kms-key-id"
"""Of a volume: the key that what is taken from it is encrypted with."""

SEALED = "sealed"
"""Of the core of an encrypted snapshot: the keys of its lineage, sealed."""

MAC_DOMAIN = "mac-domain"
"""Of the core of an image: the domain whose key made its MAC."""

MAPPED_CONTENT = "mapped-content"
"""Of the same: what each device maps, whatever the ids of the snapshots are."""

MADE_WITH_KEY = "made-with-key"
"""Of the header of a domain: a MAC that only who has the identity of its key can make."""

COPIED_CORE = "copied-core"
"""Of the core of a snapshot that was copied without its key: the core of the source."""

CONFIRMATION = "confirmation"
"""In the attributes of such a copy: a MAC over its core, by a command that had the key."""

INODE = "inode"
BIRTH_TIME = "birth-time-ns"
"""Of the file that was written, to tell it from another one with its name."""


def moment(attributes: Attributes, key: str) -> datetime | None:
    """The fact as a time in UTC; None if it is absent.

    Raises CorruptStoreError, naming record and fact, for what is not a time with a zone.
    """
    text = attributes.fact(key)
    if text is None:
        return None
    try:
        found = parse_timestamp(text)
        if found.tzinfo is None:
            raise ValueError("it has no time zone")
        return found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise _damaged(attributes, key, str(error)) from error


def count(attributes: Attributes, key: str) -> int | None:
    """The fact as a number of 0 to 2**63 - 1; None if it is absent.

    Raises CorruptStoreError, naming record and fact, for what is not one in digits.
    """
    text = attributes.fact(key)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) < 2**63):
        raise _damaged(attributes, key, "it is not a number, or too large")
    return int(text)


def word(attributes: Attributes, key: str, known: tuple[str, ...]) -> str | None:
    """The fact, which is one of the known words; None if it is absent.

    Raises CorruptStoreError, naming record and fact, for another word.
    """
    text = attributes.fact(key)
    if text is not None and text not in known:
        raise _damaged(attributes, key, f"{text!r} is not one of {', '.join(known)}")
    return text


def _damaged(attributes: Attributes, key: str, reason: str) -> CorruptStoreError:
    return CorruptStoreError(f"{key} of {attributes.id} cannot be read: {reason}")
