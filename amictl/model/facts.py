"""Keys of what `Attributes.further` holds. amictl-store(5), FURTHER.

Times are ISO 8601 in UTC, as everywhere; sizes are bytes, in digits.
"""

DEPRECATION_TIME = "deprecation-time"
LAST_LAUNCHED_TIME = "last-launched-time"

PROTECTION = "deregistration-protection"
"""`enabled-without-cooldown` or `enabled-with-cooldown`; absent when there is none."""

PROTECTED_UNTIL = "deregistration-protection-until"
"""End of the cooldown of a protection that was switched off."""

BIN_ENTER_TIME = "recycle-bin-enter-time"
BIN_EXIT_TIME = "recycle-bin-exit-time"

STATE_BEFORE_BIN = "state-before-recycle-bin"

SOURCE_IMAGE = "source-image-id"

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

INODE = "inode"
"""Of the file that was written, to tell it from another one with its name."""
