"""Buckets for objects: a directory, and a prefix at each of the two servers."""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from amictl.storage.attempts import Patience
from amictl.storage.object_files import DirectoryBucket
from amictl.storage.objects import ObjectBucket
from amictl.storage.upload_bucket import UploadBucket
from tests.buckets.servers import SHORT, Region

PART = 5 << 20
"""The smallest part that one of the servers takes."""


@dataclass
class Objects:
    """A bucket of objects, opened anew each time, as by a new process."""

    folder: Path
    region: Region | None
    notes: list[str] = field(default_factory=list)

    def open(self, url: str | None = None, patience: Patience = SHORT) -> ObjectBucket:
        if self.region is None:
            return DirectoryBucket(self.folder)
        place = self.region.at(url or self.region.server.url)
        return UploadBucket(
            place,
            note=self.notes.append,
            patience=patience,
            part_size=PART,
            lease_seconds=self.region.ttl_seconds,
        )

    def put(self, key: str, content: bytes, url: str | None = None, **words: Any) -> None:
        """Make an object, in pieces that are not as long as parts."""
        said = {"metadata": {}, "tags": {}, "storage_class": None} | words
        with self.open(url).create(key, **said) as writer:
            for start in range(0, len(content), 3_000_000):
                writer.write(content[start : start + 3_000_000])
            writer.finish()

    def get(self, key: str, url: str | None = None) -> bytes:
        """All bytes of an object."""
        source = self.open(url).open(key)
        try:
            return source.read(0, source.size)
        finally:
            source.close()

    def everything(self) -> list[str]:
        """The keys of all that is there, hidden ones too, past amictl; and unfinished uploads."""
        if self.region is None:
            files = [path for path in self.folder.rglob("*") if path.is_file()]
            return sorted(str(path.relative_to(self.folder)) for path in files)
        return sorted(self._listed("?list-type=2", "Contents") + self._listed("?uploads", "Upload"))

    def _listed(self, question: str, kind: str) -> list[str]:
        assert self.region is not None
        status, text = self.region.server.request("GET", f"/{self.region.bucket}{question}")
        assert status == 200
        plain = re.sub(rb' xmlns="[^"]*"', b"", text)
        keys = [one.findtext("Key") or "" for one in ElementTree.fromstring(plain).iter(kind)]
        return [key.removeprefix("some/prefix/") for key in keys]


def behind(objects: Objects, **words: Any) -> Objects:
    """The same bucket in other circumstances."""
    assert objects.region is not None
    return replace(objects, region=replace(objects.region, **words))
