"""Requests to an S3-compatible bucket: what may be retried is, and every answer is checked.

One request puts one object, whole. A put whose reply was lost may have been done: what is there is
read back before anybody is told.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from amictl.errors import (
    AmictlError,
    CorruptStoreError,
    ObjectMissingError,
    StorageError,
)
from amictl.storage import unanswered
from amictl.storage.attempts import Attempts, Patience
from amictl.storage.connecting import connected
from amictl.storage.places import BucketPlace
from amictl.storage.refusals import DeniedError, NotKnownError, Refusal

Answer = TypeVar("Answer")

READ_SIZE_MAX = 256 << 20
_CHUNK_SIZE = 1 << 20
_LISTED_MAX = 20_000_000
_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>([A-Za-z]{1,64})</Code>")


@dataclass(frozen=True, slots=True)
class Answered:
    """An object, or a part of it; `modified` is by the server's clock, `size` that of all of it."""

    data: bytes
    etag: str
    modified: float
    size: int


@dataclass(frozen=True, slots=True)
class Listed:
    """One object in a list; `modified` is by the server's clock."""

    name: str
    size: int
    modified: float


class Bucket:
    """Objects below a prefix. Safe for many threads, not for a forked child.

    All methods raise StorageError that names the bucket; reading raises ObjectMissingError.
    `guard` is called before each attempt to change something, and may raise.
    """

    def __init__(
        self, place: BucketPlace, patience: Patience, guard: Callable[[], None] = lambda: None
    ) -> None:
        self.place = place
        self._guard = guard
        self._attempts = Attempts(patience)
        self._store = connected(place, patience.timeout_seconds)
        self._bulk_store = connected(place, patience.bulk_timeout_seconds)

    def get(self, name: str) -> Answered:
        """The whole object. Raises CorruptStoreError if memory cannot hold it."""
        return self._tried("get", name, lambda: self._get(name, None))

    def get_range(self, name: str, offset: int, length: int) -> Answered:
        """As much of a range as there is; nothing where the object ends before it."""
        return self._tried("get", name, lambda: self._get(name, (offset, offset + length)))

    def size(self, name: str) -> int:
        """Length in bytes."""
        import obstore

        return int(self._tried("get", name, lambda: obstore.head(self._store, name)["size"]))

    def put(self, name: str, data: bytes) -> None:
        """Write whole, in place of any before."""
        import obstore

        def put() -> None:
            self._guard()
            obstore.put(self._store, name, data, use_multipart=False)

        self._tried("put", name, put)

    def put_unguarded(self, name: str, data: bytes | memoryview) -> None:
        """The same without the guard, for what nothing leads to yet, and for leases."""
        import obstore

        bulk = len(data) > READ_SIZE_MAX >> 8
        store = self._bulk_store if bulk else self._store
        self._tried("put", name, lambda: obstore.put(store, name, data, use_multipart=False))

    def put_new(self, name: str, data: bytes) -> bool:
        """Write whole unless the name is taken, in one request; returns whether it was done."""
        return self._put_if(name, data, "create")

    def put_over(self, name: str, data: bytes, etag: str) -> bool:
        """Write whole in place of what had this etag; returns whether it was done.

        Raises StorageError where that cannot be told.
        """
        return self._put_if(name, data, {"e_tag": etag})

    def _put_if(self, name: str, data: bytes, mode: Any) -> bool:
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        uncertain = False

        def put() -> bool | None:
            nonlocal uncertain
            self._guard()
            try:
                obstore.put(self._store, name, data, mode=mode, use_multipart=False)
            except (AlreadyExistsError, PreconditionError) as error:
                if _status(error) == 409:
                    raise
                return None if uncertain else False
            except Exception:
                uncertain = True
                raise
            return True

        done = self._tried("put", name, put)
        return self._has(name, data, must_tell=mode != "create") if done is None else done

    def _has(self, name: str, data: bytes, *, must_tell: bool) -> bool:
        """After a lost reply: whether it was our put that was done."""
        try:
            present = self.get(name).data
        except ObjectMissingError:
            present = b""
        if present != data and must_tell:
            raise StorageError(
                f"a reply about {self.where(name)} was lost, and somebody else changed it since",
                hint="run the command again",
            )
        return present == data

    def delete(self, name: str) -> None:
        """Remove; no error if it is not there. Raises DeniedError."""
        self._guard()
        self.delete_unguarded(name)

    def delete_unguarded(self, name: str) -> None:
        """The same without the guard, for what nothing leads to any more, and for leases."""
        import obstore

        with suppress(ObjectMissingError):
            self._tried("delete", name, lambda: obstore.delete(self._store, name))

    def below(self, folder: str) -> list[Listed]:
        """The objects below a folder (empty: all), at whatever depth."""
        return self._tried("list", folder, lambda: list(self._listed(folder)))

    def top(self) -> list[Listed]:
        """The objects that are in no folder, and the folders, with size 0."""
        import obstore

        found = self._tried("list", "", lambda: obstore.list_with_delimiter(self._store, None))
        folders = [Listed(name.rstrip("/"), 0, 0.0) for name in found["common_prefixes"]]
        objects = [
            Listed(one["path"], one["size"], one["last_modified"].timestamp())
            for one in found["objects"]
        ]
        return folders + objects

    def where(self, name: str) -> str:
        """The URL of an object."""
        return f"{self.place.url}/{name}".rstrip("/")

    def _get(self, name: str, span: tuple[int, int] | None) -> Answered:
        import obstore

        try:
            reply = obstore.get(self._store, name, options={"range": span} if span else {})
        except Exception as error:
            if span and _status(error) == 416:
                return Answered(b"", "", 0.0, 0)
            raise
        meta = reply.meta
        start, stop = reply.range
        expected = (0, meta["size"]) if span is None else (span[0], min(span[1], meta["size"]))
        if (start, stop) != expected or stop - start > READ_SIZE_MAX:
            raise CorruptStoreError(
                f"{self.where(name)} was answered with bytes {start} to {stop} of {meta['size']}"
            )
        data = b"".join(_bounded(reply.stream(min_chunk_size=_CHUNK_SIZE), stop - start))
        return Answered(data, meta["e_tag"] or "", meta["last_modified"].timestamp(), meta["size"])

    def _listed(self, folder: str) -> Iterator[Listed]:
        import obstore

        seen: set[str] = set()
        for chunk in obstore.list(self._store, folder or None):
            for one in chunk:
                name = one["path"]
                if name in seen or len(seen) >= _LISTED_MAX:
                    raise StorageError(f"the list of {self.where(folder)} goes round in circles")
                seen.add(name)
                yield Listed(name, one["size"], one["last_modified"].timestamp())

    def _tried(self, doing: str, name: str, request: Callable[[], Answer]) -> Answer:
        """The answer to a request, sent again while that may help."""
        try:
            return self._attempts.made(request, _may_pass, unanswered.is_answer)
        except AmictlError:
            raise
        except Exception as error:
            raise self._translated(doing, name, error) from error

    def _translated(self, doing: str, name: str, error: Exception) -> AmictlError:
        text, place, code = str(error), self.where(name), _code(error)
        if known := unanswered.translated(text, doing, place):
            return known
        if code == "NoSuchBucket":
            return StorageError(
                f"there is no bucket {self.place.bucket!r} at {self.place.endpoint_url or 'AWS'}",
                hint="make it, or name another; amictl makes no buckets",
            )
        if isinstance(error, FileNotFoundError):
            return ObjectMissingError(f"{place} is missing")
        if _refusal(error).is_denied or isinstance(error, PermissionError):
            permission = {"get": "GetObject", "put": "PutObject", "delete": "DeleteObject"}
            return DeniedError(
                f"the credentials do not allow s3:{permission.get(doing, 'ListBucket')} on {place}"
                + (f" ({code})" if code else ""),
                hint="amictl-buckets(7) has the policies that a bucket needs; without"
                " s3:ListBucket, what is missing is answered so too",
            )
        reason = f"{_status(error) or ''} {code}".strip()
        kind = NotKnownError if _refusal(error).is_not_known else StorageError
        return kind(f"cannot {doing} {place}: {reason or _first_line(text)}")


def _bounded(chunks: Iterable[Any], length: int) -> Iterator[bytes]:
    """The chunks of a body of this length; the library would go on for as long as bytes come."""
    left = length
    for chunk in chunks:
        piece = bytes(chunk)
        left -= len(piece)
        if left < 0:
            break
        yield piece
    if left:
        raise OSError(f"the body does not have {length} bytes")


def _may_pass(error: Exception) -> bool:
    """Whether the same request may succeed a little later."""
    from obstore.exceptions import NotSupportedError, PermissionDeniedError, UnauthenticatedError

    if isinstance(
        error, (FileNotFoundError, NotSupportedError, PermissionDeniedError, UnauthenticatedError)
    ):
        return False
    return _refusal(error).may_pass


def _refusal(error: Exception) -> Refusal:
    return Refusal(_status(error), _code(error))


def _code(error: Exception) -> str:
    """What kind of error a server says that it is; empty if it does not."""
    found = _CODE.search(str(error))
    return found[1] if found else ""


def _status(error: Exception) -> int | None:
    found = _STATUS.search(str(error))
    return int(found[1]) if found else None


def _first_line(text: str) -> str:
    """What an error says in its first line, without what could confuse a terminal."""
    line = text.partition("\n")[0][:300]
    return "".join(char if char.isprintable() else "?" for char in line)
