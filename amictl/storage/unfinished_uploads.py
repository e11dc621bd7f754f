"""Uploads that were begun: each is noted on local disk, so that one whose writer was killed is
found and ended, and nobody pays for its parts.

The note is locked for as long as its writer lives. Uploads of other machines are ended when nothing
was added to them for a day, by the clock of the server.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from amictl.errors import CorruptStoreError, ObjectNotFoundError, StorageError
from amictl.storage.disk import Disk, make_directories
from amictl.storage.object_requests import Requests
from amictl.storage.pending_files import PendingFile, read_held
from amictl.storage.refusals import DeniedError, NotKnownError

_LONG_AGO = timedelta(days=1)
_PAGES_MAX = 20
_SUFFIX = ".upload"
PROBE = ".amictl-probe-"
"""What the names of objects begin with by which a server is tried."""
_STAGED = ".staged-"


class UnfinishedUploads:
    """What is begun in one bucket, under whatever prefix."""

    def __init__(self, requests: Requests, note: Callable[[str], None]) -> None:
        self.folder: Path = replace(requests.place, prefix="").own_cache_folder / "uploads"
        self._requests = requests
        self._note = note

    def noted(self, key: str, **upload: str) -> PendingFile | None:
        """A note of an upload that we make (its UploadId), or of a probe, locked until it is let
        go; None if there is no place for one on local disk.
        """
        disk, name = Disk(), os.urandom(12).hex()
        text = json.dumps({"Key": self._requests.full(key), **upload})
        with suppress(OSError, StorageError):
            make_directories(disk, self.folder)
            staged = self.folder / f"{_STAGED}{name}"
            return PendingFile(disk, staged, self.folder / f"{name}{_SUFFIX}", text.encode())
        return None

    def end_dead(self, key: str) -> None:
        """End the uploads that killed commands of this machine left, and those of other machines
        for this key that nobody goes on with. Raises StorageError.
        """
        ours = self._end_noted()
        try:
            for upload_id in self._listed(key):
                if upload_id not in ours:
                    self._end(self._requests.full(key), upload_id)
        except (DeniedError, NotKnownError) as error:
            self._note(
                f"uploads that others left behind are not looked for: {error.message};"
                " a lifecycle rule removes them: amictl-buckets(7)"
            )

    def _end_noted(self) -> set[str]:
        """End the uploads whose notes nobody holds; the others, which are alive."""
        alive = set()
        with suppress(OSError):
            for path in self.folder.glob(f"{_STAGED}*"):
                with suppress(OSError):
                    if time.time() - path.stat().st_mtime > _LONG_AGO.total_seconds():
                        path.unlink()
        for path in sorted(self.folder.glob(f"*{_SUFFIX}")):
            with suppress(CorruptStoreError):
                found = read_held(path)
                if found is None:
                    continue
                noted = _decoded(found[0])
                if found[1]:
                    alive.add(noted.get("UploadId", ""))
                    continue
                if {"Key", "UploadId"} <= noted.keys():
                    self._end(noted["Key"], noted["UploadId"])
                elif PROBE in noted.get("Key", ""):
                    self._requests.ask("DeleteObject", "", Key=noted["Key"])
                with suppress(OSError):
                    path.unlink()
        return alive

    def _end(self, full_key: str, upload_id: str) -> None:
        """Raises StorageError; nothing if it has ended already."""
        with suppress(ObjectNotFoundError):
            self._requests.ask("AbortMultipartUpload", "", Key=full_key, UploadId=upload_id)

    def _listed(self, key: str) -> Iterator[str]:
        """The uploads for a key to which nothing was added for long."""
        answer = self._requests.ask_of_all("ListMultipartUploads", key)
        now = _server_time(answer)
        for upload in answer.get("Uploads") or ():
            if upload.get("Key") == self._requests.full(key):
                upload_id = str(upload.get("UploadId"))
                if now - self._last_sign(key, upload) > _LONG_AGO:
                    yield upload_id

    def _last_sign(self, key: str, upload: Mapping[str, Any]) -> datetime:
        """When an upload was begun, or was added to last; now if nobody can tell."""
        newest: datetime = upload.get("Initiated") or datetime.now(UTC)
        if datetime.now(UTC) - newest < _LONG_AGO / 2:
            return newest
        marker: dict[str, Any] = {}
        for _ in range(_PAGES_MAX):
            words = {"UploadId": upload["UploadId"], **marker}
            answer = self._requests.ask("ListParts", key, **words)
            signs = [part["LastModified"] for part in answer.get("Parts") or ()]
            newest = max([newest, *signs])
            if not answer.get("IsTruncated"):
                break
            marker = {"PartNumberMarker": answer["NextPartNumberMarker"]}
        return newest


def let_go(note: PendingFile | None, *, ended: bool) -> None:
    """Forget a note if its upload has ended; else the next command ends it."""
    if note is not None:
        if ended:
            note.remove()
        else:
            note.release()


def _decoded(text: bytes) -> dict[str, str]:
    """What a note says; nothing if it is none."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    words = found if isinstance(found, dict) else {}
    pair = {name: words.get(name) for name in ("Key", "UploadId")}
    return {name: text for name, text in pair.items() if text and isinstance(text, str)}


def _server_time(answer: Mapping[str, Any]) -> datetime:
    text = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    with suppress(ValueError, TypeError):
        found = parsedate_to_datetime(text)
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    return datetime.now(UTC)
