"""Every error that amictl raises on purpose, with its code and exit status.

    AmictlError
    ├── UsageError              2   the command line, or a value on it, is wrong
    │   └── ImageNameMalformedError, BlockDeviceMappingError, MalformedIdError
    ├── NotFoundError          10   no such image, snapshot, volume, region or file
    ├── BusyError              11   somebody else holds it, or a wait ran out
    ├── KeyUnavailableError    12   the key is missing or does not fit
    │   └── KeyLockedError
    ├── CorruptStoreError      13   stored bytes are not what was written
    ├── ConflictError          14   wrong state, or the name is taken
    ├── UnsupportedError       15   a newer format, or an operation without meaning here
    ├── StorageError           16   the disk, the network or a permission said no
    └── DryRunError            17   the request would have succeeded

`code` is EC2's word where EC2 has one; neither it nor `exit_code` ever changes its meaning.
The exit codes are explained in amictl(1).
"""


class AmictlError(Exception):
    """Base of all errors with a message for people: what, where, and what to do next."""

    code = "InternalError"
    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code


class UsageError(AmictlError):
    """A parameter is missing, malformed or does not go with another."""

    code = "InvalidParameterValue"
    exit_code = 2


class MalformedIdError(UsageError):
    """An identifier has the wrong form; raised with EC2's `…ID.Malformed` code."""

    code = "InvalidParameterValue"


class ImageNameMalformedError(UsageError):
    """An image name has a wrong length or a character that EC2 does not allow."""

    code = "InvalidAMIName.Malformed"


class BlockDeviceMappingError(UsageError):
    """A block device mapping cannot be honoured."""

    code = "InvalidBlockDeviceMapping"


class NotFoundError(AmictlError):
    """The thing that was named does not exist here."""

    code = "ResourceNotFound"
    exit_code = 10


class ImageNotFoundError(NotFoundError):
    """No image has this id in this region."""

    code = "InvalidAMIID.NotFound"


class SnapshotNotFoundError(NotFoundError):
    """No snapshot has this id in this region."""

    code = "InvalidSnapshot.NotFound"


class VolumeNotFoundError(NotFoundError):
    """No snapshot of this volume is in this region."""

    code = "InvalidVolume.NotFound"


class RegionNotFoundError(NotFoundError):
    """No region has this name, or its directory holds no store."""

    code = "InvalidRegion"


class TaskNotFoundError(NotFoundError):
    """No task has this id in this region."""

    code = "InvalidConversionTaskId"


class KeyNotFoundError(NotFoundError):
    """No key here has this id or alias."""

    code = "NotFoundException"


class BucketNotFoundError(NotFoundError):
    """No bucket has this name, or it is not where its name says."""

    code = "NoSuchBucket"


class ObjectNotFoundError(NotFoundError):
    """No object has this key, or no file this path."""

    code = "NoSuchKey"


class BusyError(AmictlError):
    """Somebody else holds a lock, or a wait ran out."""

    code = "Unavailable"
    exit_code = 11


class KeyUnavailableError(AmictlError):
    """A key is needed that is not here."""

    code = "CustomerKeyHasBeenRevoked"
    exit_code = 12


class KeyLockedError(KeyUnavailableError):
    """The key is here, but not its passphrase; or others could read it, so that it is not used."""

    code = "AccessDeniedException"


class CorruptStoreError(AmictlError):
    """Stored bytes are not what amictl wrote: torn, swapped, truncated, foreign or missing."""

    code = "CorruptStore"
    exit_code = 13


class ObjectMissingError(CorruptStoreError):
    """A file that the store needs is not there."""


class InvalidArchiveError(CorruptStoreError):
    """An archive is not what amictl wrote: torn, changed, or made to do harm."""

    code = "InvalidFormat"


class InvalidManifestError(CorruptStoreError):
    """The manifest of a bundle cannot be read, or is not signed by whom it should be."""

    code = "InvalidManifest"


class ConflictError(AmictlError):
    """The state of the thing does not allow this."""

    code = "IncorrectState"
    exit_code = 14


class ImageNameDuplicateError(ConflictError):
    """Another image of this region has the name."""

    code = "InvalidAMIName.Duplicate"

    @classmethod
    def of(
        cls, name: str, holder: str, hint: str = "give another --name"
    ) -> "ImageNameDuplicateError":
        """Name the name and the image that has it."""
        return cls(f"AMI name {name} is already in use by AMI {holder}", hint=hint)


class ObjectExistsError(ConflictError):
    """An object has this key already; none is ever replaced."""

    code = "PreconditionFailed"


class SourceInUseError(ConflictError):
    """The disk is open for writing somewhere, so its content is not at rest."""

    code = "IncorrectInstanceState"


class SourceChangedError(ConflictError):
    """The disk was written to while it was read; the snapshot cannot be completed."""

    code = "IncorrectInstanceState"


class VolumeInUseError(ConflictError):
    """Somebody has the disk of this volume open for writing."""

    code = "VolumeInUse"


class TaskCancelledError(ConflictError):
    """Somebody cancelled the task that was at work."""

    code = "TaskCancelled"


class WaiterError(ConflictError):
    """A waiter saw a state that can never become the one waited for."""

    code = "WaiterFailed"


class UnsupportedError(AmictlError):
    """A newer format, an unknown feature, or an operation that has no meaning here."""

    code = "UnsupportedOperation"
    exit_code = 15


class StorageError(AmictlError):
    """The disk, the network or a permission said no; the message names the path."""

    code = "StorageError"
    exit_code = 16

    @classmethod
    def from_os_error(cls, error: OSError, doing: str) -> "StorageError":
        """Name what was being done and what the system answered."""
        place = f" {error.filename!r}" if error.filename else ""
        return cls(f"cannot {doing}{place}: {error.strerror or error}")


class DryRunError(AmictlError):
    """Everything was checked; without --dry-run it would be done."""

    code = "DryRunOperation"
    exit_code = 17

    def __init__(
        self, message: str = "Request would have succeeded, but DryRun flag is set."
    ) -> None:
        super().__init__(message)


UNREADABLE = (CorruptStoreError, StorageError, UnsupportedError)
"""What reading a store can raise. An interruption is not among it: it ends whatever reads."""


class InterruptedBySignalError(AmictlError):
    """SIGINT or SIGTERM arrived; work in hand was dropped, what was durable stays."""

    code = "Interrupted"

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by signal {signal_number}", hint="run the command again")
        self.exit_code = 128 + signal_number
