"""The keys of the user: where their folder is, and the keyring that every store gets.

Nothing is imported, read or made before a key is needed.
"""

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from amictl.archives.sealed import OpenKey
    from amictl.cli.passphrases import Conversation, Passphrases
    from amictl.keys.folder import KeyFolder
    from amictl.keys.keyring import FolderKeyring
    from amictl.model.records import DomainHeader


def folder_path(environment: Mapping[str, str]) -> Path:
    """AMICTL_KEYS, or the user's."""
    if path := environment.get("AMICTL_KEYS"):
        return Path(path)
    import platformdirs

    return platformdirs.user_data_path("amictl") / "keys"


def folder() -> "KeyFolder":
    """The key folder; it need not be there."""
    from amictl.keys.folder import KeyFolder

    return KeyFolder(folder_path(os.environ))


@cache
def passphrases() -> "Passphrases":
    """For identities that are here: from where the environment says, or from a person."""
    from amictl.cli.passphrases import PassphraseOptions, Passphrases

    return Passphrases(PassphraseOptions.of_environment(os.environ))


def conversation() -> "Conversation":
    """What plugins talk to."""
    from amictl.cli.failures import complain
    from amictl.cli.passphrases import Conversation

    return Conversation(complain)


@cache
def keyring() -> "FolderKeyring":
    """The one keyring of this process: what is open stays open."""
    from datetime import UTC, datetime

    from amictl.keys.keyring import FolderKeyring

    return FolderKeyring(folder(), passphrases(), conversation(), lambda: datetime.now(UTC))


def opener(identity: Path | None) -> "OpenKey":
    """What opens age files: an identity file, or without one the keys of the user."""
    if identity is None:
        return lambda data, place: keyring().open(data, place)
    from amictl.keys import identity_files

    return lambda data, place: identity_files.opened(
        data, place, identity, passphrases(), conversation()
    )


class UserKeyring:
    """The keyring, made when it is first asked for something; see `store.domains.Keyring`."""

    def unwrap(self, header: "DomainHeader") -> bytes:
        return keyring().unwrap(header)

    def wrap(self, key_id: str, secret: bytes) -> str:
        return keyring().wrap(key_id, secret)

    def mac(self, key_id: str, data: bytes) -> str | None:
        return keyring().mac(key_id, data)

    def is_recipient(self, key_id: str, header: "DomainHeader") -> bool:
        return keyring().is_recipient(key_id, header)

    def recipients(self, key_id: str) -> tuple[str, ...]:
        return keyring().recipients(key_id)

    def seal(self, recipients: tuple[str, ...], secret: bytes) -> bytes:
        return keyring().seal(recipients, secret)

    def resolve(self, name: str) -> str:
        return keyring().resolve(name)
