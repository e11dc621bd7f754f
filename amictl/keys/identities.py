"""Identities and recipients in the words of age: text in, what pyrage opens and seals with out.

An identity file has comments and one identity: of age itself, of a plugin, or an SSH key of type
ed25519; or it is an age file with a passphrase around such a file.
"""

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from blake3 import blake3

from amictl.errors import KeyLockedError, KeyUnavailableError, UsageError
from amictl.keys import age_headers

AskPassphrase = Callable[[str], str]
"""Gives the passphrase for what is named. Raises KeyUnavailableError if there is none."""

_SSH = b"-----BEGIN OPENSSH PRIVATE KEY-----"
_SSH_TYPE = "ssh-ed25519"
_MEASUREMENTS = 50
_COMMENT = re.compile(r"#\s*(?:public key|recipient):\s*(age1\S+)", re.IGNORECASE)


class Talk(Protocol):
    """What a plugin may want to say and ask while it is at work."""

    def display_message(self, message: str) -> None: ...

    def confirm(self, message: str, yes_string: str, no_string: str | None) -> bool | None: ...

    def request_public_string(self, description: str) -> str | None: ...

    def request_passphrase(self, description: str) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Identity:
    """An identity that is open; `recipient` is its public half, `opener` what pyrage takes.

    `secret` is what nobody else knows: of a plugin's identity, which gives none away, None.
    """

    recipient: str
    opener: Any = field(repr=False)
    secret: bytes | None = field(default=None, repr=False)


def key_id_of(recipient: str) -> str:
    """The id of the key with this recipient, the same everywhere."""
    return str(uuid.UUID(bytes=blake3(recipient.encode()).digest(16)))


def new_identity(created: str) -> tuple[Identity, bytes]:
    """A new identity, and its file as age-keygen writes it, with the time in a comment."""
    from pyrage import x25519

    opener = x25519.Identity.generate()
    public = str(opener.to_public())
    text = f"# created: {created}\n# public key: {public}\n{opener}\n"
    return Identity(public, opener, str(opener).encode()), text.encode()


def protected(text: bytes, passphrase: str) -> bytes:
    """An identity file with a passphrase around it; it takes about a second, so as to last."""
    from pyrage import passphrase as with_passphrase

    data: bytes = with_passphrase.encrypt(text, passphrase, armored=True)
    return data


def unprotected(data: bytes, place: str, ask: AskPassphrase) -> bytes:
    """The identity file inside one that is protected; another as it is.

    Raises KeyUnavailableError, also if the file asks for too much.
    """
    if not age_headers.is_age_file(data):
        return data
    try:
        stanzas = age_headers.require_modest(data)
    except ValueError as error:
        raise KeyUnavailableError(f"{place} cannot be opened: {error}") from error
    if [words[0] for words in stanzas] != ["scrypt"]:
        raise KeyUnavailableError(f"{place} is not protected by a passphrase, but by another key")
    return _opened(data, place, ask(place))


def _opened(data: bytes, place: str, passphrase: str) -> bytes:
    """What is sealed under a passphrase, whose work was found to be modest.

    The library measures in a few milliseconds how fast the machine is, and refuses what it takes
    for too much. While others keep the machine busy it may be wrong by a factor of a hundred: it
    is asked again.
    """
    from pyrage import DecryptError
    from pyrage import passphrase as with_passphrase

    for _ in range(_MEASUREMENTS):
        try:
            text: bytes = with_passphrase.decrypt(data, passphrase)
            return text
        except DecryptError as error:
            if not str(error).startswith("Excessive work"):
                raise KeyLockedError(
                    f"the passphrase does not open {place}",
                    hint="try again, or give another passphrase",
                ) from None
    raise KeyUnavailableError(
        f"opening {place} takes too long on this machine, as busy as it is",
        hint="try again when it is less busy",
    )


def identity_in(text: bytes, place: str, talk: Talk, recipient: str | None = None) -> Identity:
    """The one identity in an identity file; `recipient` is for a plugin's that does not name its
    own.

    Raises UsageError.
    """
    if text.lstrip().startswith(_SSH):
        return _ssh_identity(text, place)
    lines = _lines(text, place)
    found = [line for line in lines if line and not line.startswith("#")]
    if len(found) != 1:
        raise UsageError(f"{place} has {len(found)} identities; a key has one")
    if found[0].startswith("AGE-PLUGIN-"):
        named = next((match[1] for line in lines if (match := _COMMENT.match(line))), None)
        return _plugin_identity(found[0], place, talk, recipient or named)
    from pyrage import IdentityError, x25519

    try:
        opener = x25519.Identity.from_str(found[0])
    except IdentityError:
        raise UsageError(f"{place} has no identity that age would take") from None
    return Identity(str(opener.to_public()), opener, str(opener).encode())


def require_recipient(text: str) -> str:
    """A recipient without its comment: of age, of a plugin, or an SSH key of type ed25519.

    Raises UsageError.
    """
    words = text.split()
    is_ssh = words[:1] == [_SSH_TYPE]
    recipient = " ".join(words[:2]) if is_ssh else text.strip().lower()
    sealer(recipient, None)
    return recipient


def sealer(recipient: str, talk: Talk | None) -> Any:
    """What pyrage seals with, for a recipient. Raises UsageError for what is none.

    Without `talk`, nothing can be sealed for a plugin, but its recipients are recognised.
    """
    from pyrage import RecipientError, plugin, ssh, tag, tagpq, x25519

    kinds = {"age": x25519.Recipient, "age1tag": tag.Recipient, "age1tagpq": tagpq.Recipient}
    try:
        if recipient.startswith(f"{_SSH_TYPE} "):
            return ssh.Recipient.from_str(recipient)
        kind = kinds.get(recipient.rpartition("1")[0])
        if kind is not None:
            return kind.from_str(recipient)
        found = plugin.Recipient.from_str(recipient)
    except RecipientError:
        raise UsageError(
            f"{recipient[:80]!r} is not a recipient",
            hint="write age1…, or the two words of an SSH key: ssh-ed25519 AAAA…",
        ) from None
    return talk and _with_plugin(found.plugin(), [found], [], talk)


def _lines(text: bytes, place: str) -> list[str]:
    try:
        return [line.strip() for line in text.decode().splitlines()]
    except UnicodeDecodeError:
        raise UsageError(f"{place} is not an identity file") from None


def _ssh_identity(text: bytes, place: str) -> Identity:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from pyrage import IdentityError, ssh

    try:
        private = serialization.load_ssh_private_key(text, password=None)
        opener = ssh.Identity.from_buffer(text)
    except (ValueError, TypeError, UnsupportedAlgorithm, IdentityError) as error:
        raise UsageError(
            f"{place} is not an SSH key that can be used: {error}",
            hint="take the passphrase from a copy of it with ssh-keygen -p; amictl gives it a new"
            " one",
        ) from None
    public = private.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    recipient = public.decode()
    if not isinstance(private, Ed25519PrivateKey):
        raise UsageError(f"{place} is an SSH key of another type than ed25519")
    return Identity(recipient, opener, private.private_bytes_raw())


def _plugin_identity(text: str, place: str, talk: Talk, recipient: str | None) -> Identity:
    from pyrage import IdentityError, plugin

    if recipient is None:
        raise UsageError(
            f"{place} does not say which recipient its identity has",
            hint="give it with --recipient",
        )
    try:
        found = plugin.Identity.from_str(text)
    except IdentityError:
        raise UsageError(f"{place} has no identity that age would take") from None
    opener = _with_plugin(found.plugin(), [], [found], talk)
    return Identity(require_recipient(recipient), opener)


def _with_plugin(name: str, recipients: list[Any], identities: list[Any], talk: Talk) -> Any:
    """Raises KeyUnavailableError if the program age-plugin-NAME is not there."""
    from pyrage import DecryptError, EncryptError, plugin

    try:
        if identities:
            return plugin.IdentityPluginV1(name, identities, talk)
        return plugin.RecipientPluginV1(name, recipients, [], talk)
    except (EncryptError, DecryptError):
        raise KeyUnavailableError(
            f"the program age-plugin-{name} cannot be used",
            hint=f"install age-plugin-{name} so that it is found in PATH",
        ) from None
