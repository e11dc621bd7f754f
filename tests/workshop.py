"""A store in a folder of a test, and what is done with it through the actions."""

import base64
import os
import random
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyrage
from blake3 import blake3
from pyrage import x25519

from amictl.actions.checking import check_store
from amictl.actions.creating import (
    CreateImageRequest,
    CreateSnapshotRequest,
    create_image,
    create_snapshot,
)
from amictl.actions.restoring import CreateVolumeRequest, create_volume
from amictl.content.sealing import identity_mac
from amictl.errors import KeyNotFoundError, KeyUnavailableError
from amictl.formats import records
from amictl.model.records import DomainHeader, SnapshotCore, StoreConfig
from amictl.model.surroundings import Surroundings
from amictl.progress import Silent
from amictl.storage.places import BucketPlace
from amictl.store import catalog, layout, settings
from amictl.store.opening import create_store, open_store
from amictl.store.store import Store
from amictl.volumes.extents import data_segments

MIB = 1 << 20
SEGMENT = 4 * MIB


def ignore(_: object) -> None:
    """Nobody waits for the moment."""


class Keys:
    """A keyring in memory: keys without passphrases, which can be mislaid and found again."""

    def __init__(self) -> None:
        self._identities: dict[str, x25519.Identity] = {}
        self._mislaid: set[str] = set()

    def new(self) -> str:
        """A new key; its id."""
        return self.add(str(x25519.Identity.generate()))

    def add(self, text: str) -> str:
        """A key from the text of its age identity; its id."""
        identity = x25519.Identity.from_str(text)
        digest = blake3(str(identity.to_public()).encode()).digest(16)
        key_id = str(uuid.UUID(bytes=digest))
        self._identities[key_id] = identity
        return key_id

    def mislay(self, *key_ids: str) -> None:
        """These keys are not here until they are found again."""
        self._mislaid |= set(key_ids or self._identities)

    def find(self) -> None:
        """All keys are here again."""
        self._mislaid.clear()

    def unwrap(self, header: DomainHeader) -> bytes:
        identity = self._identity(header.key_id)
        try:
            return pyrage.decrypt(base64.b64decode(header.wrapped), [identity])
        except pyrage.DecryptError as error:
            raise KeyUnavailableError(f"key {header.key_id} does not open it") from error

    def wrap(self, key_id: str, secret: bytes) -> str:
        wrapped = pyrage.encrypt(secret, [self._identity(key_id).to_public()])
        return base64.b64encode(wrapped).decode()

    def mac(self, key_id: str, data: bytes) -> str | None:
        return identity_mac(str(self._identity(key_id)).encode(), data)

    def is_recipient(self, key_id: str, header: DomainHeader) -> bool:
        return False

    def recipients(self, key_id: str) -> tuple[str, ...]:
        return (str(self._identity(key_id).to_public()),)

    def seal(self, recipients: tuple[str, ...], secret: bytes) -> bytes:
        return pyrage.encrypt(secret, [x25519.Recipient.from_str(one) for one in recipients])

    def resolve(self, name: str) -> str:
        if name not in self._identities:
            raise KeyNotFoundError(f"there is no key {name}")
        self._identity(name)
        return name

    def _identity(self, key_id: str) -> x25519.Identity:
        if key_id in self._mislaid or key_id not in self._identities:
            raise KeyUnavailableError(f"key {key_id} is not here")
        return self._identities[key_id]


@dataclass
class Workshop:
    """A folder with a store in `store`, opened anew for each action, as by a new process.

    The clock goes a second at a time, from `start` or ten seconds in the future on, so that the
    times of every file are settled; random bytes come from a seed.
    """

    folder: Path
    seed: int = 1
    chunk_size_bytes: int = 16_384
    start: datetime | None = None
    keys: Keys = field(default_factory=Keys)
    _random: random.Random = field(init=False)
    _now: datetime = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._now = self.start or datetime.now(UTC) + timedelta(seconds=10)
        with create_store(
            self.place,
            chunk_size_bytes=self.chunk_size_bytes,
            compression_level=3,
            surroundings=self.surroundings,
        ):
            pass

    @property
    def root(self) -> Path:
        return self.folder / "store"

    @property
    def place(self) -> Path | BucketPlace:
        """Where the store is made."""
        return self.root

    @property
    def surroundings(self) -> Surroundings:
        return Surroundings(self._tick, self._random.randbytes, Silent())

    def open(self) -> Store:
        store = open_store(self.root)
        store.keyring = self.keys
        return store

    def encrypt_by_default(self, key_id: str | None) -> None:
        """From now on everything new is encrypted with a key."""
        with self.open() as store:
            settings.change(
                store,
                lambda before: replace(before, encryption_by_default=True, default_key=key_id),
            )

    def plain_by_default(self) -> None:
        """What begins new is plain again."""
        with self.open() as store:
            settings.change(store, lambda before: replace(before, encryption_by_default=False))

    def file(self, name: str, content: bytes | Mapping[int, bytes], size: int = 0) -> Path:
        """A file of these bytes; or sparse, with pieces of data at offsets."""
        path = self.folder / name
        with path.open("wb") as file:
            if not isinstance(content, bytes):
                for offset, data in content.items():
                    file.seek(offset)
                    file.write(data)
            else:
                file.write(content)
            file.truncate(max(size, file.seek(0, 2)))
        return path

    def noise(self, size: int, seed: int = 7) -> bytes:
        """Bytes that do not compress."""
        return random.Random(seed).randbytes(size)

    def snapshot(
        self,
        path: Path | None,
        on_secured: Callable[[dict[str, Any]], None] = ignore,
        **words: Any,
    ) -> dict[str, Any]:
        with self.open() as store:
            request = CreateSnapshotRequest(path, **words)
            return create_snapshot(store, request, self.surroundings, on_secured)

    def snapshot_id(self, path: Path, **words: Any) -> str:
        return str(self.snapshot(path, **words)["SnapshotId"])

    def image(self, name: str, *disks: Path | tuple[str, Path], **words: Any) -> str:
        """An image of these disks; its id."""
        pairs = tuple(disk if isinstance(disk, tuple) else (None, disk) for disk in disks)
        with self.open() as store:
            request = CreateImageRequest(name, pairs, **words)
            return str(create_image(store, request, self.surroundings, ignore)["ImageId"])

    def volume(self, snapshot_id: str | None, target: Path, **words: Any) -> dict[str, Any]:
        request = CreateVolumeRequest(
            snapshot_id, words.pop("volume_id", None), words.pop("as_of", None), target, **words
        )
        with self.open() as store:
            return create_volume(store, request, self.surroundings)

    def restored(self, snapshot_id: str) -> bytes:
        """All bytes of a snapshot, restored to a new file."""
        target = self.folder / f"restored-{self._random.randbytes(8).hex()}"
        self.volume(snapshot_id, target)
        content = target.read_bytes()
        target.unlink()
        return content

    def check(self, **words: Any) -> dict[str, Any]:
        with self.open() as store:
            return check_store(store, surroundings=self.surroundings, **words)

    def core(self, snapshot_id: str) -> SnapshotCore:
        with self.open() as store:
            return catalog.read_snapshot(store, snapshot_id)

    def put_core(self, core: SnapshotCore) -> None:
        """Change a core that exists, as no program may."""
        (self.root / layout.core(core.snapshot_id)).write_bytes(records.encode(core))

    def change_config(self, **fields: Any) -> None:
        """Make the store another one than it was made as."""
        path = self.root / layout.CONFIG
        config = records.decode(path.read_bytes(), StoreConfig, layout.CONFIG)
        path.write_bytes(records.encode(replace(config, **fields)))

    def packs(self, kind: int) -> list[Path]:
        """The packs of frames (0) or of nodes (1), oldest first."""
        with self.open() as store:
            rows = [row for row in store.index.current.packs if row.kind == kind]
        return [self.root / layout.pack(row.pack_id) for row in rows]

    def _tick(self) -> datetime:
        self._now += timedelta(seconds=1)
        return self._now


def flip(path: Path, offset: int, bit: int = 0) -> None:
    """Change one bit of a file; negative offsets count from its end."""
    data = bytearray(path.read_bytes())
    data[offset] ^= 1 << bit
    path.write_bytes(data)


def same(first: Path, second: Path) -> bool:
    """Whether two files have equal bytes; what is a hole in both is not read."""
    if first.stat().st_size != second.stat().st_size:
        return False
    with first.open("rb") as a, second.open("rb") as b:
        size = first.stat().st_size
        holding = {*data_segments(a.fileno(), size), *data_segments(b.fileno(), size)}
        return all(
            os.pread(a.fileno(), SEGMENT, index * SEGMENT)
            == os.pread(b.fileno(), SEGMENT, index * SEGMENT)
            for index in holding
        )
