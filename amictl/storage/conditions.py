"""Whether a server makes objects only under free keys, and what is done where it does not."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from amictl.errors import AmictlError, ObjectExistsError, ObjectNotFoundError
from amictl.storage import object_words
from amictl.storage.attempts import Patience
from amictl.storage.object_requests import Requests
from amictl.storage.places import BucketPlace
from amictl.storage.refusals import NotKnownError
from amictl.storage.unfinished_uploads import PROBE, UnfinishedUploads, let_go

_KEPT = "conditions"
_KEPT_SECONDS = 7 * 24 * 3600
_WORDS = {True: b"honoured\n", False: b"ignored\n"}


def are_honoured(requests: Requests, key: str, unfinished: UnfinishedUploads) -> bool:
    """Whether neither a put nor the completion of an upload replaces what is there.

    Tried beside a key, and remembered for a week in a local folder. Raises StorageError.
    """
    folder = unfinished.folder
    kept = folder / _KEPT
    with suppress(OSError):
        if time.time() - kept.stat().st_mtime < _KEPT_SECONDS:
            return kept.read_bytes() == _WORDS[True]
    name = f"{PROBE}{os.urandom(8).hex()}"
    found = _probe(requests, f"{key.rpartition('/')[0]}/{name}".lstrip("/"), unfinished)
    with suppress(OSError):
        folder.mkdir(0o700, parents=True, exist_ok=True)
        new = folder / f".{os.urandom(8).hex()}"
        new.write_bytes(_WORDS[found])
        new.rename(kept)
    return found


@contextmanager
def alone_with(
    place: BucketPlace, key: str, patience: Patience, ttl_seconds: float
) -> Iterator[Callable[[], None]]:
    """Be the only amictl that writes an object, by a lease beside it; a call that raises
    StorageError if the lease may be lost. Raises BusyError if another one writes it.
    """
    from amictl.storage.leases import CLOCK, Leases
    from amictl.storage.s3 import Bucket

    leases = Leases(Bucket(place, patience), ttl_seconds)
    try:
        with leases.alone([f"{key}.writing"], wait=False):
            yield leases.require_held
    finally:
        with suppress(AmictlError):
            leases.removed(CLOCK)
        leases.close()


def _probe(requests: Requests, key: str, unfinished: UnfinishedUploads) -> bool:
    """Try both with a key that is taken, and leave nothing, as far as that is allowed."""
    note = unfinished.noted(key)
    try:
        requests.ask("PutObject", key, **object_words.checked(b"1"))
        return _is_put_refused(requests, key) and _is_completion_refused(requests, key, unfinished)
    finally:
        with suppress(AmictlError):
            requests.ask("DeleteObject", key)
        let_go(note, ended=True)


def _is_put_refused(requests: Requests, key: str) -> bool:
    try:
        requests.ask("PutObject", key, IfNoneMatch="*", **object_words.checked(b"2"))
    except ObjectExistsError:
        return True
    except NotKnownError:
        pass
    return False


def _is_completion_refused(requests: Requests, key: str, unfinished: UnfinishedUploads) -> bool:
    upload = {"UploadId": str(requests.ask("CreateMultipartUpload", key).get("UploadId"))}
    note = unfinished.noted(key, **upload)
    try:
        part = object_words.checked(b"3")
        etag = requests.ask("UploadPart", key, PartNumber=1, **upload, **part).get("ETag", "")
        parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
        requests.ask(
            "CompleteMultipartUpload", key, MultipartUpload=parts, IfNoneMatch="*", **upload
        )
    except ObjectExistsError:
        return True
    except (NotKnownError, ObjectNotFoundError):  # the latter after a reply that was lost
        pass
    finally:
        with suppress(AmictlError):
            requests.ask("AbortMultipartUpload", key, **upload)
        let_go(note, ended=True)
    return False
