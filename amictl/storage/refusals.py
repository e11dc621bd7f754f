"""What the refusal of an S3-compatible server means: its status, and its code."""

from dataclasses import dataclass

from amictl.errors import StorageError

_NOT_KNOWN = {400, 405, 501}
"""What a server answers that does not know what was asked."""

_UNKNOWN = {"InvalidArgument", "InvalidRequest", "NotImplemented", "NotSupported"}
"""Codes with which status 400 means that too; with others it means something else."""

_PASSING = {"BadDigest", "IncompleteBody", "RequestTimeout", "XAmzContentSHA256Mismatch"}
"""Codes with which status 400 says that something went wrong on the way."""

_UNTRUSTED = {"ExpiredToken", "InvalidToken", "TokenRefreshRequired"}
"""Codes with which status 400 is about credentials."""

_FULL = 507
_RETRIED = {None, 408, 409, 429, *range(500, 600)} - _NOT_KNOWN - {_FULL}


class DeniedError(StorageError):
    """The credentials do not allow this request."""

    code = "UnauthorizedOperation"


class NotKnownError(StorageError):
    """The server does not know how to do this."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The status of an answer, None if there was none, and the code in it, perhaps empty."""

    status: int | None
    code: str

    @property
    def may_pass(self) -> bool:
        """Whether the same request may succeed a little later."""
        return not self.is_full and (self.status in _RETRIED or self.code in _PASSING)

    @property
    def is_not_known(self) -> bool:
        """Whether the server says that it does not know how to do what was asked."""
        if self.status == 400:
            return self.code in {"", *_UNKNOWN}
        return self.status in _NOT_KNOWN

    @property
    def is_denied(self) -> bool:
        """Whether it is about credentials or permissions."""
        return not self.is_full and (self.status in (401, 403) or self.code in _UNTRUSTED)

    @property
    def is_full(self) -> bool:
        """Whether there is no room for more."""
        return self.status == _FULL or "quota" in self.code.lower()
