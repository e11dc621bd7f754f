"""An object that comes into being in an object store: whole, under a key that was free.

A small object is one put, a large one an upload in parts, of which nobody sees anything before it
completes. What comes of the last request is known before anybody is told.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

from amictl.errors import AmictlError, ObjectNotFoundError, StorageError
from amictl.storage import object_words
from amictl.storage.attempts import BRIEF, begun
from amictl.storage.object_requests import Requests, may_pass, refusal
from amictl.storage.objects import Unfinished, taken
from amictl.storage.pending_files import PendingFile
from amictl.storage.refusals import DeniedError
from amictl.storage.unfinished_uploads import UnfinishedUploads, let_go
from amictl.storage.waiting import until

PART_SIZE = 16 << 20
_PARTS_AT_ONCE = 4
_PARTS_OF_FIRST_SIZE = 5000
_PARTS_OF_NEXT_SIZES = 1000
_PARTS_MAX = 10_000
_END_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class _Part:
    """What the server calls a part that it has, and what we do."""

    etag: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class Manner:
    """How an object is made: where the server honours conditions, with one; else `require_alone`
    raises StorageError when it is not certain any more that nobody else makes it.
    """

    part_size: int
    conditional: bool
    require_alone: Callable[[], None]
    held: ExitStack


class ObjectUpload(Unfinished):
    """See `storage.objects.ObjectWriter` for the contract."""

    def __init__(
        self,
        requests: Requests,
        key: str,
        words: Mapping[str, Any],
        unfinished: UnfinishedUploads,
        manner: Manner,
    ) -> None:
        self._requests = requests
        self._key = key
        self._token = os.urandom(16).hex()
        metadata = {**words["Metadata"], object_words.TOKEN: self._token}
        self._words = {**words, "Metadata": metadata}
        self._unfinished = unfinished
        self._manner = manner
        self._pieces: list[bytes] = []
        self._held = self._size = 0
        self._upload_id: str | None = None
        self._note: PendingFile | None = None
        self._parts: list[Future[_Part]] = []
        self._in_flight: deque[Future[_Part]] = deque()
        self._over = threading.Event()
        self._etag = ""
        self._ended = False

    def write(self, data: bytes) -> None:
        self._pieces.append(bytes(data))
        self._held += len(data)
        self._size += len(data)
        if self._held < self._part_size:
            return
        rest = memoryview(b"".join(self._pieces))
        while len(rest) >= (size := self._part_size):
            self._send(bytes(rest[:size]))
            rest = rest[size:]
        self._pieces, self._held = [bytes(rest)], len(rest)

    def finish(self) -> None:
        try:
            body = b"".join(self._pieces)
            if self._upload_id is None:
                self._etag = f'"{object_words.digest(body).hex()}"'
                self._place("PutObject", {**self._words, **object_words.checked(body)})
            else:
                if body:
                    self._send(body)
                self._place("CompleteMultipartUpload", self._completion())
        except BaseException:
            self.abandon()
            raise
        self._ended = True
        let_go(self._note, ended=True)
        self._manner.held.close()

    def abandon(self) -> None:
        if self._ended:
            return
        self._ended = True
        self._over.set()
        left = {future for future in self._in_flight if not future.done()}
        wait_for(left, _END_SECONDS)
        ended = self._upload_id is None
        with suppress(AmictlError):
            if self._upload_id is not None:
                brief = Requests(self._requests.place, BRIEF)
                with suppress(ObjectNotFoundError):
                    brief.ask("AbortMultipartUpload", self._key, UploadId=self._upload_id)
                # A part that was on its way may arrive afterwards: then it is ended once more.
                ended = not left
        let_go(self._note, ended=ended)
        self._manner.held.close()

    @property
    def _part_size(self) -> int:
        """Of the next part. It grows, so that 10,000 parts are enough for a tebibyte."""
        beyond = len(self._parts) - _PARTS_OF_FIRST_SIZE
        return self._manner.part_size << max(0, beyond // _PARTS_OF_NEXT_SIZES + 1)

    def _send(self, part: bytes) -> None:
        """Send the next part, when no more than a few are on their way. Raises StorageError."""
        if self._upload_id is None:
            self._begin()
        number = len(self._parts) + 1
        if number > _PARTS_MAX:
            raise StorageError(f"{self._requests.where(self._key)} is too large for one object")
        most = max(1, _PARTS_AT_ONCE * self._manner.part_size // len(part))
        while len(self._in_flight) >= most:
            self._in_flight.popleft().result()
        sent = begun(lambda: self._sent(number, part))
        self._in_flight.append(sent)
        self._parts.append(sent)

    def _begin(self) -> None:
        answer = self._requests.ask("CreateMultipartUpload", self._key, **self._words)
        upload_id = answer.get("UploadId")
        if not upload_id:
            raise StorageError(f"no upload of {self._requests.where(self._key)} was begun")
        self._upload_id = str(upload_id)
        self._note = self._unfinished.noted(self._key, UploadId=self._upload_id)

    def _sent(self, number: int, content: bytes) -> _Part:
        """Send a part; in a thread of its own."""
        until(self._over)
        words = {"UploadId": self._upload_id, "PartNumber": number}
        body = object_words.checked(content)
        etag = self._requests.ask("UploadPart", self._key, **words, **body).get("ETag")
        if not etag:
            raise StorageError(f"a part of {self._requests.where(self._key)} was not confirmed")
        return _Part(str(etag), object_words.digest_of(body))

    def _completion(self) -> dict[str, Any]:
        """All parts, when all have arrived. Raises StorageError."""
        parts = [sent.result() for sent in self._parts]
        self._in_flight.clear()
        whole = object_words.digest(b"".join(part.digest for part in parts)).hex()
        self._etag = f'"{whole}-{len(parts)}"'
        numbered = [{"PartNumber": at, "ETag": part.etag} for at, part in enumerate(parts, 1)]
        return {"UploadId": self._upload_id, "MultipartUpload": {"Parts": numbered}}

    def _place(self, operation: str, words: Mapping[str, Any]) -> None:
        """Send what makes the object visible, until it is known what came of it.

        Raises ObjectExistsError, StorageError.
        """
        condition = {"IfNoneMatch": "*"} if self._manner.conditional else {}
        wait = self._requests.patience.first_wait_seconds
        left = self._requests.patience.attempts
        while True:
            left -= 1
            if not self._manner.conditional:
                self._require_free()
            try:
                answer = self._requests.once(operation, self._key, **words, **condition)
                if answer.get("ETag"):
                    return
                error: Exception = StorageError(
                    f"{self._requests.where(self._key)} was not confirmed"
                )
            except Exception as caught:
                if isinstance(caught, AmictlError):
                    raise
                error = caught
            if self._is_done(operation, error):
                return
            if not left:
                raise self._translated(operation, error) from error
            time.sleep(wait)
            wait = min(wait * 2, 10.0)

    def _is_done(self, operation: str, error: Exception) -> bool:
        """After an error: whether the object is there nevertheless, as ours; no if it may help to
        send the request again. Raises ObjectExistsError if another one is there, StorageError.
        """
        why = refusal(error)
        refused = why.status == 412
        ended = why.code == "NoSuchUpload"
        unclear = isinstance(error, StorageError) or may_pass(error)
        if not (refused or ended or unclear):
            raise self._translated(operation, error) from error
        try:
            found = self._found()
        except StorageError as unknown:
            if refused and isinstance(unknown, DeniedError):
                raise taken(self._requests.where(self._key)) from None
            raise StorageError(
                f"the reply about {self._requests.where(self._key)} was lost, and nobody knows"
                f" whether it is there: {unknown.message}",
                hint="run the command again: if it is there, that is refused",
            ) from unknown
        if found is None and ended:
            raise StorageError(
                f"somebody else ended the upload of {self._requests.where(self._key)}",
                hint="run the command again",
            ) from error
        if found is False or (found is None and refused):
            raise taken(self._requests.where(self._key)) from None
        return bool(found)

    def _found(self) -> bool | None:
        """Whether what is there is ours; None if nothing is there. Raises StorageError."""
        try:
            answer = self._requests.ask("HeadObject", self._key)
        except ObjectNotFoundError:
            return None
        names = {name.lower(): text for name, text in (answer.get("Metadata") or {}).items()}
        token = names.get(object_words.TOKEN)
        if token is not None:
            return bool(token == self._token)
        # A server that loses metadata.
        told = (answer.get("ContentLength"), answer.get("ETag"))
        return told == (self._size, self._etag)

    def _require_free(self) -> None:
        """Where the server would replace what is there. Raises ObjectExistsError, StorageError."""
        self._manner.require_alone()
        if self._found() is False:
            raise taken(self._requests.where(self._key))

    def _translated(self, operation: str, error: Exception) -> AmictlError:
        if isinstance(error, AmictlError):
            return error
        return self._requests.translated(operation, self._key, error)
