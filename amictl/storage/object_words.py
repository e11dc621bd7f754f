"""What is said of an object in an object store: user metadata and tags, as headers carry them."""

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from hashlib import md5
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

_ENCODED = re.compile(r"=\?utf-8\?b\?([A-Za-z0-9+/=]*)\?=", re.IGNORECASE)
TOKEN = "amictl-upload"
"""The metadata that tells whose an object is after a reply was lost."""


def encode(
    metadata: Mapping[str, str], tags: Mapping[str, str], storage_class: str | None
) -> dict[str, Any]:
    """The words of a request that makes an object. Text that is not ASCII is encoded as RFC 2047
    does it, and so is text with spaces at its ends, which headers lose.
    """
    words: dict[str, Any] = {"Metadata": {name: _word(text) for name, text in metadata.items()}}
    if tags:
        words["Tagging"] = urlencode(tags)
    if storage_class:
        words["StorageClass"] = storage_class
    return words


def decode(answer: Mapping[str, Any]) -> Mapping[str, str]:
    """The metadata in an answer, without the token. What cannot be decoded stays as it is."""
    found = answer.get("Metadata") or {}
    names = {name.lower(): text for name, text in found.items()}  # some servers capitalise them
    return MappingProxyType({name: _text(names[name]) for name in names if name != TOKEN})


def checked(body: bytes | memoryview) -> dict[str, Any]:
    """A body and its digest, with which a server refuses it if it was damaged on the way."""
    return {"Body": body, "ContentMD5": b64encode(digest(body)).decode()}


def digest_of(words: Mapping[str, Any]) -> bytes:
    """The digest in such words."""
    return b64decode(words["ContentMD5"])


def digest(body: bytes | memoryview) -> bytes:
    """Its MD5, which every server knows, and which is no protection against anybody."""
    return md5(body, usedforsecurity=False).digest()


def _word(text: str) -> str:
    if text.isascii() and text.isprintable() and text == text.strip() and "=?" not in text:
        return text
    return f"=?UTF-8?B?{b64encode(text.encode()).decode()}?="


def _text(word: str) -> str:
    found = _ENCODED.fullmatch(word)
    try:
        return b64decode(found[1], validate=True).decode() if found else word
    except ValueError:
        return word
