"""Requests that no bucket answered: what the client library says of them, in plain words."""

import re
from urllib.parse import urlsplit

from amictl.errors import StorageError
from amictl.storage.connecting import CREDENTIAL_HOSTS, NOWHERE

_REQUESTED = re.compile(r"Error performing [A-Z]+ (\S+)")
_KIND = re.compile(r"\bkind: (Connect|Timeout),")
_REASONS = {
    "dns error": "its name is not known",
    "name or service not known": "its name is not known",
    "ConnectionRefused": "connection refused",
    "connection refused": "connection refused",
    "certificate": "its certificate is not accepted",
    "NetworkUnreachable": "the network is unreachable",
    "HostUnreachable": "there is no route to it",
    "timed out": "it does not answer in time",
}


class NoCredentialsError(StorageError):
    """There are no credentials to sign a request with."""

    code = "UnauthorizedOperation"


def is_answer(error: Exception) -> bool:
    """Whether an error is what a server said, be it the wrong one."""
    return _KIND.search(str(error)) is None and not _asks_for_credentials(str(error))


def translated(text: str, doing: str, place: str) -> StorageError | None:
    """The error for a request to `place` that found no server, or nobody to sign it; else None.

    `text` is all that the library says.
    """
    if _asks_for_credentials(text):
        return no_credentials(doing, place)
    kind = _KIND.search(text)
    if kind is None:
        return None
    if f" {NOWHERE}," in text:
        return StorageError(f"cannot {doing} {place}: it was redirected to another host")
    found = _REQUESTED.search(text)
    reason = "timed out" if kind[1] == "Timeout" else text
    return unreachable(doing, place, found[1] if found else "", reason)


def no_credentials(doing: str, place: str) -> NoCredentialsError:
    """The error for a request that nobody gave the keys for."""
    return NoCredentialsError(
        f"cannot {doing} {place}: no credentials were found"
        " (environment, profile, role of the instance)",
        hint="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    )


def unreachable(doing: str, place: str, url: str, text: str) -> StorageError:
    """The error for a request to a URL that nobody answered; `text` has the reason in it."""
    words = [reason for mark, reason in _REASONS.items() if mark in text]
    parts = urlsplit(url)
    server = f"{parts.scheme}://{parts.netloc}" if parts.netloc else "the server"
    reason = f" ({words[0]})" if words else ""
    return StorageError(
        f"cannot {doing} {place}: cannot reach {server}{reason}",
        hint="is the address right, and is the server up?",
    )


def _asks_for_credentials(text: str) -> bool:
    """Whether it failed before it began: nobody gave the keys to sign it with."""
    found = _REQUESTED.search(text)
    return found is not None and urlsplit(found[1]).hostname in CREDENTIAL_HOSTS
