"""The manifest of a bundle as XML. amictl-bundle(5), THE MANIFEST.

The signature is over bytes of the document: the element `machine_configuration`, if there is one,
and then `image`, as they stand.
"""

import re
from collections.abc import Callable
from xml.sax.saxutils import escape

from amictl.bundles.strict_xml import Element, parse
from amictl.errors import InvalidManifestError
from amictl.model.bundles import (
    BundleManifest,
    BundlePart,
    SignedBundle,
    WrappedKey,
)

VERSION = "2007-10-10"
READ_VERSIONS = ("3", "2007-08-29", VERSION)
CIPHER = "AES-128-CBC"
DIGEST = "SHA1"
PARTS_MAX = 16_384
SIZE_MAX = 2**40
"""Bytes of the largest image that a manifest may claim."""

_FILE_NAME = re.compile(r"[^./][^/]{0,199}")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")
_WRAPPED = re.compile(r"([0-9a-fA-F]{2}){64,1024}")
_SHA1 = re.compile(r"[0-9a-fA-F]{40}")
_WORD_LENGTH_MAX = 256

_CHILDREN = {
    "manifest": "version bundler machine_configuration image signature",
    "bundler": "name version release",
    "machine_configuration": (
        "architecture block_device_mapping kernel_id ramdisk_id product_codes"
    ),
    "block_device_mapping": "mapping",
    "mapping": "virtual device",
    "product_codes": "product_code",
    "image": (
        "name user type kernel_name ancestry digest size bundled_size ec2_encrypted_key"
        " user_encrypted_key ec2_encrypted_iv user_encrypted_iv parts"
    ),
    "ancestry": "ancestor_ami_id",
    "parts": "part",
    "part": "filename digest",
}
"""What may be in an element; in all others there is text."""
_REPEATED = ("mapping", "product_code", "ancestor_ami_id", "part")
_ATTRIBUTES = {
    "digest": "algorithm",
    "ec2_encrypted_key": "algorithm",
    "user_encrypted_key": "algorithm",
    "parts": "count",
    "part": "index",
}


def encode(manifest: BundleManifest, sign: Callable[[bytes], bytes]) -> bytes:
    """The document; the same bytes for the same value and signature.

    `sign` makes the signature over the bytes that it is given.
    """
    signed = (_machine(manifest) + _image(manifest)).encode()
    name, version, release = manifest.bundler or ("", "", "")
    bundler = _tag("name", name) + _tag("version", version) + _tag("release", release)
    return (
        b"<?xml version='1.0'?><manifest>"
        + (_tag("version", VERSION) + f"<bundler>{bundler}</bundler>").encode()
        + signed
        + _tag("signature", sign(signed).hex()).encode()
        + b"</manifest>\n"
    )


def decode(data: bytes) -> SignedBundle:
    """Raises InvalidManifestError for what is no manifest that can be trusted to be whole.

    The signature is not checked here.
    """
    root = parse(data)
    if root.name != "manifest":
        raise InvalidManifestError(f"it is a {root.name}, and no manifest")
    _require_known(root)
    version = _text(root, "version")
    if version not in READ_VERSIONS:
        raise InvalidManifestError(f"it has version {version[:40]!r}, which is not known")
    image = _only(root, "image")
    machine = _at_most_one(root, "machine_configuration")
    if version == "3" and machine is not None:
        raise InvalidManifestError(
            "it has version 3 and a machine configuration, which would not be signed"
        )
    signature = _text(root, "signature")
    if not _WRAPPED.fullmatch(signature):
        raise InvalidManifestError("its signature is not hexadecimal")
    elements = [one for one in (machine, image) if one is not None]
    signed = b"".join(data[one.start : one.stop] for one in elements)
    return SignedBundle(_manifest(root, machine, image), signed, bytes.fromhex(signature))


def _manifest(root: Element, machine: Element | None, image: Element) -> BundleManifest:
    mappings: tuple[tuple[str, str], ...] = ()
    if machine is not None:
        found = _list(machine, "block_device_mapping", "mapping")
        mappings = tuple((_word(one, "virtual"), _word(one, "device")) for one in found)
    if len({virtual for virtual, _ in mappings}) != len(mappings):
        raise InvalidManifestError("it maps a virtual name twice")
    _require_algorithm(_only(image, "digest"), DIGEST)
    bundler = _at_most_one(root, "bundler")
    return BundleManifest(
        name=_file_name(image, "name"),
        user=_word(image, "user"),
        architecture=_optional(machine, "architecture"),
        sha1=_sha1(image),
        size_bytes=_number(image, "size", SIZE_MAX),
        bundled_size_bytes=_number(image, "bundled_size", SIZE_MAX),
        for_user=_wrapped(image, "user"),
        for_ec2=_wrapped(image, "ec2"),
        parts=_parts(image),
        image_type=_optional(image, "type") or "machine",
        mappings=mappings,
        kernel_id=_optional(machine, "kernel_id"),
        ramdisk_id=_optional(machine, "ramdisk_id"),
        product_codes=_words(machine, "product_codes", "product_code"),
        ancestors=_words(image, "ancestry", "ancestor_ami_id"),
        bundler=None if bundler is None else _bundler(bundler),
        version=_text(root, "version"),
    )


def _bundler(element: Element) -> tuple[str, str, str]:
    name, version, release = (
        _optional(element, key) or "" for key in ("name", "version", "release")
    )
    return name, version, release


def _parts(image: Element) -> tuple[BundlePart, ...]:
    parts = _only(image, "parts")
    count = _counted(parts, "count", PARTS_MAX)
    if count == 0 or count != len(parts.children):
        raise InvalidManifestError(f"it counts {count} parts and names {len(parts.children)}")
    found: dict[int, BundlePart] = {}
    for part in parts.children:
        index = _counted(part, "index", PARTS_MAX)
        if index in found or index >= count:
            raise InvalidManifestError(f"the index {index} of a part is given twice, or too large")
        _require_algorithm(_only(part, "digest"), DIGEST)
        found[index] = BundlePart(_file_name(part, "filename"), _sha1(part))
    if len({part.file_name for part in found.values()}) != count:
        raise InvalidManifestError("two parts have one file name")
    return tuple(found[index] for index in range(count))


def _wrapped(image: Element, whose: str) -> WrappedKey:
    key = _only(image, f"{whose}_encrypted_key")
    _require_algorithm(key, CIPHER)
    texts = key.text.strip(), _text(image, f"{whose}_encrypted_iv")
    if not all(_WRAPPED.fullmatch(text) for text in texts):
        raise InvalidManifestError(
            f"its {whose}_encrypted_key or {whose}_encrypted_iv is not hexadecimal"
        )
    return WrappedKey(*(bytes.fromhex(text) for text in texts))


def _require_known(element: Element) -> None:
    """Raises InvalidManifestError for what has no place there, or stands there twice."""
    known = _CHILDREN.get(element.name, "").split()
    allowed = {_ATTRIBUTES[element.name]} if element.name in _ATTRIBUTES else set()
    unknown = sorted(element.attributes.keys() - allowed)
    if unknown:
        raise InvalidManifestError(f"{element.name} has the unknown attribute {unknown[0]!r}")
    if known and element.text.strip():
        raise InvalidManifestError(f"{element.name} has text where elements belong")
    seen: set[str] = set()
    for child in element.children:
        if child.name not in known:
            raise InvalidManifestError(f"{element.name} has the unknown element {child.name!r}")
        if child.name in seen and child.name not in _REPEATED:
            raise InvalidManifestError(f"{element.name} has {child.name} twice")
        seen.add(child.name)
        _require_known(child)


def _at_most_one(parent: Element | None, name: str) -> Element | None:
    children = [] if parent is None else parent.children
    return next((child for child in children if child.name == name), None)


def _only(parent: Element, name: str) -> Element:
    found = _at_most_one(parent, name)
    if found is None:
        raise InvalidManifestError(f"{parent.name} has no {name}")
    return found


def _text(parent: Element, name: str) -> str:
    return _only(parent, name).text.strip()


def _word(parent: Element, name: str) -> str:
    return _sound(_text(parent, name), name)


def _optional(parent: Element | None, name: str) -> str | None:
    found = _at_most_one(parent, name)
    text = "" if found is None else found.text.strip()
    return _sound(text, name) if text else None


def _sound(text: str, name: str) -> str:
    if not 0 < len(text) <= _WORD_LENGTH_MAX or not text.isprintable():
        raise InvalidManifestError(f"{name} is empty, too long, or has control characters")
    return text


def _list(parent: Element | None, name: str, item: str) -> list[Element]:
    found = _at_most_one(parent, name)
    return [] if found is None else [child for child in found.children if child.name == item]


def _words(parent: Element | None, name: str, item: str) -> tuple[str, ...]:
    return tuple(_sound(one.text.strip(), item) for one in _list(parent, name, item))


def _file_name(parent: Element, name: str) -> str:
    text = _text(parent, name)
    if not _FILE_NAME.fullmatch(text) or not text.isprintable():
        raise InvalidManifestError(f"{name} {text[:80]!r} is not the name of a file")
    return text


def _sha1(parent: Element) -> bytes:
    text = _text(parent, "digest")
    if not _SHA1.fullmatch(text):
        raise InvalidManifestError(f"the digest of {parent.name} is not 40 hexadecimal digits")
    return bytes.fromhex(text)


def _number(parent: Element, name: str, most: int) -> int:
    text = _text(parent, name)
    if not _NUMBER.fullmatch(text) or not 0 < int(text) <= most:
        raise InvalidManifestError(f"{name} is {text[:40]!r}; expected 1 to {most}")
    return int(text)


def _counted(element: Element, name: str, most: int) -> int:
    text = element.attributes.get(name, "")
    if not _NUMBER.fullmatch(text) or int(text) > most:
        raise InvalidManifestError(
            f"the {name} of {element.name} is {text[:40]!r}; expected 0 to {most}"
        )
    return int(text)


def _require_algorithm(element: Element, known: str) -> None:
    given = element.attributes.get("algorithm")
    if given != known:
        raise InvalidManifestError(
            f"the algorithm of {element.name} is {str(given)[:40]!r}, not {known}"
        )


def _machine(manifest: BundleManifest) -> str:
    mappings = "".join(
        f"<mapping>{_tag('virtual', virtual)}{_tag('device', device)}</mapping>"
        for virtual, device in manifest.mappings
    )
    codes = "".join(_tag("product_code", code) for code in manifest.product_codes)
    return _tags(
        "machine_configuration",
        _tag("architecture", manifest.architecture),
        f"<block_device_mapping>{mappings}</block_device_mapping>" if mappings else "",
        _tag("kernel_id", manifest.kernel_id),
        _tag("ramdisk_id", manifest.ramdisk_id),
        f"<product_codes>{codes}</product_codes>" if codes else "",
    )


def _image(manifest: BundleManifest) -> str:
    ancestors = "".join(_tag("ancestor_ami_id", one) for one in manifest.ancestors)
    parts = "".join(
        f'<part index="{index}">{_tag("filename", part.file_name)}{_digest(part.sha1)}</part>'
        for index, part in enumerate(manifest.parts)
    )
    cipher = f' algorithm="{CIPHER}"'
    return _tags(
        "image",
        _tag("name", manifest.name),
        _tag("user", manifest.user),
        _tag("type", manifest.image_type),
        f"<ancestry>{ancestors}</ancestry>" if ancestors else "",
        _digest(manifest.sha1),
        _tag("size", str(manifest.size_bytes)),
        _tag("bundled_size", str(manifest.bundled_size_bytes)),
        f"<ec2_encrypted_key{cipher}>{manifest.for_ec2.key.hex()}</ec2_encrypted_key>",
        f"<user_encrypted_key{cipher}>{manifest.for_user.key.hex()}</user_encrypted_key>",
        _tag("ec2_encrypted_iv", manifest.for_ec2.vector.hex()),
        _tag("user_encrypted_iv", manifest.for_user.vector.hex()),
        f'<parts count="{len(manifest.parts)}">{parts}</parts>',
    )


def _digest(sha1: bytes) -> str:
    return f'<digest algorithm="{DIGEST}">{sha1.hex()}</digest>'


def _tags(name: str, *content: str) -> str:
    return f"<{name}>{''.join(content)}</{name}>"


def _tag(name: str, text: str | None) -> str:
    return "" if text is None else f"<{name}>{escape(text)}</{name}>"
