"""A key folder of a test, its keyring, and what is done with them through the actions."""

import base64
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from amictl.actions import keys
from amictl.actions.keys import NewKey
from amictl.errors import KeyUnavailableError
from amictl.keys.folder import KeyFolder
from amictl.keys.keyring import FolderKeyring
from amictl.model.records import DomainHeader
from amictl.model.surroundings import Surroundings
from amictl.progress import Silent

SECRET = bytes(range(32))


class Mute:
    """A conversation in which nothing is said or answered."""

    def display_message(self, message: str) -> None:
        pass

    def confirm(self, message: str, yes_string: str, no_string: str | None) -> bool | None:
        return None

    def request_public_string(self, description: str) -> str | None:
        return None

    def request_passphrase(self, description: str) -> str | None:
        return None


@dataclass
class Chest:
    """`passphrase` is what is answered when one is asked for, and `asked` lists for what."""

    path: Path
    passphrase: str | None = None
    now: datetime = datetime(2026, 11, 22, 12, tzinfo=UTC)
    asked: list[str] = field(default_factory=list)

    @property
    def folder(self) -> KeyFolder:
        return KeyFolder(self.path)

    @property
    def surroundings(self) -> Surroundings:
        return Surroundings(lambda: self.now, bytes, Silent())

    def keyring(self) -> FolderKeyring:
        """A new one, as in a new process."""
        return FolderKeyring(self.folder, self.ask, Mute(), lambda: self.now)

    def ask(self, place: str) -> str:
        self.asked.append(place)
        if self.passphrase is None:
            raise KeyUnavailableError(f"nobody knows the passphrase of {place}")
        return self.passphrase

    def create(self, alias: str | None = None, passphrase: str | None = None) -> str:
        """A new key; its id."""
        made = keys.create_key(self.folder, NewKey(alias), passphrase, self.surroundings)
        return str(made["KeyMetadata"]["KeyId"])

    def import_(self, path: Path, **new: Any) -> str:
        """A key from a file; its id."""
        made = keys.import_key(
            self.folder,
            path,
            NewKey(**new),
            ask=self.ask,
            talk=Mute(),
            surroundings=self.surroundings,
        )
        return str(made["KeyMetadata"]["KeyId"])

    def recipient(self, key_id: str) -> str:
        return str(keys.export_recipient(self.folder, key_id)["Recipient"])

    def file(self, key_id: str) -> Path:
        return self.path / f"{key_id}.age"

    def pass_days(self, days: int) -> None:
        self.now += timedelta(days=days)


def header(key_id: str, wrapped: str, domain_id: str = "d0" * 16) -> DomainHeader:
    """The header of a domain with this secret, wrapped."""
    return DomainHeader(
        domain_id=domain_id,
        key_id=key_id,
        commitment="c0" * 32,
        wrapped=wrapped,
        generation=0,
        created="2026-11-22T12:00:00.000Z",
    )


def text(data: bytes) -> str:
    """As it stands in a header."""
    return base64.b64encode(data).decode()
