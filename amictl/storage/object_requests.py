"""Requests to a bucket of objects, through boto3: what may be retried is, no answer has no end.

`storage.s3` asks for regions, where a start counts in milliseconds; this asks for what its library
cannot do: uploads in parts that complete under a condition, are listed and aborted, and tags.
"""

import os
import time
from collections.abc import Callable, Mapping
from functools import cache
from io import BytesIO
from typing import Any, TypeVar

from amictl.errors import (
    AmictlError,
    BucketNotFoundError,
    ObjectNotFoundError,
    StorageError,
    UnsupportedError,
    UsageError,
)
from amictl.storage.attempts import Attempts, Patience, interruptible
from amictl.storage.objects import taken
from amictl.storage.places import BucketPlace
from amictl.storage.refusals import DeniedError, NotKnownError, Refusal
from amictl.storage.unanswered import NoCredentialsError, no_credentials, unreachable

Answer = TypeVar("Answer")

_ANSWER_SIZE_MAX = 16 << 20
_CONNECTIONS = 32
_PERMISSIONS = {
    "AbortMultipartUpload": "AbortMultipartUpload",
    "DeleteObject": "DeleteObject",
    "GetObject": "GetObject",
    "HeadObject": "GetObject",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListObjectsV2": "ListBucket",
    "ListParts": "ListMultipartUploadParts",
}


class Requests:
    """Requests about the objects of one bucket. Safe for many threads, not for a forked child.

    Raises UnsupportedError if the library is missing.
    """

    def __init__(self, place: BucketPlace, patience: Patience) -> None:
        self.place = place
        self.patience = patience
        self._attempts = Attempts(patience)
        self._client = _connected(place, patience.timeout_seconds)
        self._slow_client: Any = None

    def where(self, key: str = "") -> str:
        """The URL of an object."""
        return f"{self.place.url}/{key}".rstrip("/")

    def full(self, key: str) -> str:
        """A key with the prefix of the place."""
        return f"{self.place.prefix}/{key}".lstrip("/")

    def ask(self, operation: str, key: str, **words: Any) -> dict[str, Any]:
        """The answer about an object, sent again while that may help.

        Raises DeniedError, NotKnownError, StorageError; ObjectNotFoundError, BucketNotFoundError.
        """
        return self.tried(operation, key, lambda: self._sent(self._client, operation, key, words))

    def tried(self, operation: str, key: str, request: Callable[[], Answer]) -> Answer:
        """The same for a request that does more than to ask, such as to read a body."""
        try:
            return self._attempts.made(request, may_pass, _is_answer)
        except AmictlError:
            raise
        except Exception as error:
            raise self.translated(operation, key, error) from error

    def once(self, operation: str, key: str, **words: Any) -> dict[str, Any]:
        """The answer to one request, which may take long. Raises what the library raises."""
        if self._slow_client is None:
            self._slow_client = _connected(self.place, self.patience.bulk_timeout_seconds)
        return interruptible(lambda: self._sent(self._slow_client, operation, key, words))

    def ask_of_all(self, operation: str, prefix: str, **words: Any) -> dict[str, Any]:
        """The answer about all objects whose keys begin with a prefix."""
        whole = {"Bucket": self.place.bucket, "Prefix": self.full(prefix), **words}
        method = getattr(self._client, _METHODS[operation])
        return self.tried(operation, prefix, lambda: dict(method(**whole)))

    def get(self, key: str, offset: int, length: int) -> tuple[bytes, dict[str, Any]]:
        """A range of an object that is not empty, and the answer; its length may be wrong."""

        def request() -> tuple[bytes, dict[str, Any]]:
            words = {"Range": f"bytes={offset}-{offset + length - 1}"}
            answer = self._sent(self._client, "GetObject", key, words)
            with answer.pop("Body") as body:
                return _bounded(body, length, self._deadline(length)), answer

        return self.tried("GetObject", key, request)

    def _deadline(self, length: int) -> float:
        """When a body of this length must have come, of a server that trickles."""
        seconds = self.patience.timeout_seconds * (1 + length / (1 << 20))
        return time.monotonic() + min(seconds, self.patience.bulk_timeout_seconds)

    def _sent(
        self, client: Any, operation: str, key: str, words: Mapping[str, Any]
    ) -> dict[str, Any]:
        words = dict(words)
        if isinstance(body := words.get("Body"), (bytes, memoryview)):
            # As a file it is sent in small pieces, each of which may take as long as all at once.
            words["Body"] = BytesIO(body)
        method = getattr(client, _METHODS[operation])
        return dict(method(**{"Bucket": self.place.bucket, "Key": self.full(key), **words}))

    def translated(self, operation: str, key: str, error: Exception) -> AmictlError:
        """The error of the library in our words."""
        from botocore import exceptions

        place, doing = self.where(key), _in_words(operation)
        if isinstance(error, (exceptions.NoCredentialsError, exceptions.CredentialRetrievalError)):
            return no_credentials(doing, place)
        if isinstance(error, exceptions.PartialCredentialsError):
            return NoCredentialsError(f"cannot {doing} {place}: {error}")
        if isinstance(error, (exceptions.ParamValidationError, exceptions.ProfileNotFound)):
            return UsageError(f"cannot {doing} {place}: {_first_line(error)}")
        if not isinstance(error, exceptions.ClientError):
            if isinstance(error, (exceptions.HTTPClientError, exceptions.ConnectionError)):
                words = error.kwargs
                text = f"{error} {words.get('error', '')}".replace("timeout", "timed out")
                return unreachable(doing, place, str(words.get("endpoint_url", "")), text.lower())
            return StorageError(f"cannot {doing} {place}: {_first_line(error)}")
        return self._refused(operation, place, refusal(error))

    def _refused(self, operation: str, place: str, why: Refusal) -> AmictlError:
        doing = _in_words(operation)
        if why.code == "NoSuchBucket":
            return BucketNotFoundError(
                f"there is no bucket {self.place.bucket!r} at {self.place.endpoint_url or 'AWS'}",
                hint="make it, or name another; amictl makes no buckets",
            )
        if why.code == "InvalidObjectState":
            return StorageError(
                f"cannot {doing} {place}: it is in a class from which it must be thawed",
                hint="restore it with the tools of its provider, then run the command again",
            )
        if why.code == "NoSuchUpload":
            return ObjectNotFoundError(f"somebody else ended the upload of {place}")
        if why.status == 404:
            return ObjectNotFoundError(f"there is no {place}")
        if why.is_denied:
            permission = f"s3:{_PERMISSIONS.get(operation, 'PutObject')}"
            return DeniedError(
                f"the credentials do not allow {permission} on {place}"
                + (f" ({why.code})" if not why.code.isdigit() else ""),
                hint="amictl-buckets(7) has the policies that a bucket needs; without"
                " s3:ListBucket, what is missing is answered so too",
            )
        if why.status == 412:
            return taken(place)
        reason = f"{why.status or ''} {'' if why.code.isdigit() else why.code}".strip()
        if why.is_full:
            return StorageError(
                f"cannot {doing} {place}: there is no room ({reason})",
                hint="free some space, or raise the quota; then run the command again",
            )
        kind = NotKnownError if why.is_not_known else StorageError
        return kind(f"cannot {doing} {place}: {reason}")


def refusal(error: Exception) -> Refusal:
    """What a server said; nothing for what is no answer."""
    from botocore.exceptions import ClientError

    if not isinstance(error, ClientError):
        return Refusal(None, "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return Refusal(status, _plain(str(error.response.get("Error", {}).get("Code", "")))[:64])


def may_pass(error: Exception) -> bool:
    """Whether the same request may succeed a little later."""
    from botocore import exceptions
    from botocore.parsers import ResponseParserError
    from urllib3.exceptions import HTTPError

    if isinstance(error, exceptions.ClientError):
        why = refusal(error)
        # An error inside of an answer that begins as a success has no status of its own.
        return why.may_pass or why.status == 200
    passing = (
        exceptions.ConnectionError,
        exceptions.HTTPClientError,
        exceptions.IncompleteReadError,
        HTTPError,
        ResponseParserError,
        OSError,
    )
    return isinstance(error, passing)


def _is_answer(error: Exception) -> bool:
    from botocore.exceptions import ClientError, IncompleteReadError

    return isinstance(error, (ClientError, IncompleteReadError))


@cache
def new_session() -> Any:
    """Where clients come from: one in a process, because it reads large descriptions of services,
    and finds the credentials."""
    import boto3

    return boto3.Session()


def _connected(place: BucketPlace, timeout_seconds: float) -> Any:
    """A client that tries each request once."""
    try:
        import boto3  # noqa: F401  (before the rest: it is what the extra names)
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        raise UnsupportedError(
            f"{place.url} needs a library that is not installed",
            hint="pip install 'amictl[s3]'",
        ) from error
    config = Config(
        connect_timeout=min(10.0, timeout_seconds),
        read_timeout=timeout_seconds,
        retries={"total_max_attempts": 1, "mode": "standard"},
        max_pool_connections=_CONNECTIONS,
        # Not every server knows the newer checksums, and some answer ranges with wrong ones.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path"} if place.endpoint_url else None,
    )
    try:
        session = new_session()
        region = os.environ.get("AWS_REGION") or session.region_name or "us-east-1"
        client = session.client(
            "s3", endpoint_url=place.endpoint_url, region_name=region, config=config
        )
    except (BotoCoreError, ValueError) as error:
        raise StorageError(f"cannot use {place.url}: {_first_line(error)}") from error
    _bound_answers(client, place, timeout_seconds)
    return client


def _bound_answers(client: Any, place: BucketPlace, timeout_seconds: float) -> None:
    """Read answers that are no objects to a bound, in size and in time; the library would read
    for as long as bytes come. And follow no redirection but those inside of AWS: the library would
    ask for a bucket's region, again and again.
    """
    from botocore.awsrequest import AWSResponse

    session = client._endpoint.http_session

    def send(request: Any, **_: Any) -> AWSResponse:
        streams, request.stream_output = request.stream_output, True
        answer = session.send(request)
        if streams and answer.status_code < 300:
            return answer
        if place.endpoint_url and answer.status_code in (301, 302, 303, 307, 308):
            answer.raw.close()
            raise StorageError(f"cannot use {place.url}: it was redirected to another host")
        deadline = time.monotonic() + timeout_seconds
        with answer.raw:
            body = _bounded(answer.raw, _ANSWER_SIZE_MAX, deadline)
        return AWSResponse(answer.url, answer.status_code, answer.headers, _Body(body))

    client.meta.events.register("before-send.s3", send)


class _Body(BytesIO):
    """A body that was read already, as the library wants to read it."""

    def stream(self, **_: Any) -> Any:
        """All of it."""
        yield self.read()


def _bounded(body: Any, size: int, deadline: float) -> bytes:
    """A body, of which one byte more than `size` is read. Raises OSError if it is late."""
    pieces, left = [], size + 1
    while left > 0 and (piece := body.read(min(left, 1 << 20))):
        pieces.append(piece)
        left -= len(piece)
        if time.monotonic() > deadline:
            raise TimeoutError("the body comes too slowly")
    return b"".join(pieces)


def _in_words(operation: str) -> str:
    if operation in ("GetObject", "HeadObject"):
        return "get"
    if operation.startswith("List"):
        return "list"
    return "delete" if operation in ("DeleteObject", "AbortMultipartUpload") else "put"


def _first_line(error: Exception) -> str:
    return _plain(str(error).partition("\n")[0][:300])


def _plain(text: str) -> str:
    """A text without what could confuse a terminal."""
    return "".join(char if char.isprintable() else "?" for char in text)


_METHODS = {
    "AbortMultipartUpload": "abort_multipart_upload",
    "CompleteMultipartUpload": "complete_multipart_upload",
    "CreateMultipartUpload": "create_multipart_upload",
    "DeleteObject": "delete_object",
    "GetObject": "get_object",
    "HeadObject": "head_object",
    "ListMultipartUploads": "list_multipart_uploads",
    "ListObjectsV2": "list_objects_v2",
    "ListParts": "list_parts",
    "PutObject": "put_object",
    "UploadPart": "upload_part",
}
