"""RSA as bundles use it: PKCS#1 v1.5 encryption, and signatures over SHA-1. amictl-bundle(5).

Keys and certificates are PEM files, as `openssl genrsa` and `openssl req -x509` write them.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from amictl.errors import (
    InvalidManifestError,
    KeyLockedError,
    KeyUnavailableError,
    NotFoundError,
    StorageError,
    UsageError,
)
from amictl.keys.process import shield
from amictl.model.bundles import BundleManifest, SignedBundle, WrappedKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

KEY_FILE_SIZE_MAX = 65_536
_KEY = re.compile(rb"[0-9a-fA-F]{32}")
_VECTOR = re.compile(rb"[0-9a-fA-F]{1,32}")
_SIZES = range(1024, 8193)
"""Bits of the RSA keys that are taken: old ones have 1024."""


def read_private_key(path: Path) -> "RSAPrivateKey":
    """From then on nobody else can read the memory of this process.

    Raises NotFoundError, StorageError, KeyLockedError for one with a passphrase, UsageError.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    shield()
    try:
        key = load_pem_private_key(_read(path, "private key"), password=None)
    except TypeError:
        raise KeyLockedError(
            f"the private key {str(path)!r} has a passphrase",
            hint="openssl rsa -in KEY -out OTHER writes one without, mode 0600",
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError(f"{str(path)!r} is not a private key in PEM") from None
    if not isinstance(key, RSAPrivateKey):
        raise UsageError(f"{str(path)!r} is not an RSA key, which bundles need")
    _require_size(key.key_size, path)
    return key


def read_public_key(path: Path) -> "RSAPublicKey":
    """The key of a certificate, which may have expired. Raises as `read_private_key`."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from cryptography.x509 import load_pem_x509_certificate

    data = _read(path, "certificate")
    is_bare = b"BEGIN PUBLIC KEY" in data
    try:
        key: object = (
            load_pem_public_key(data) if is_bare else load_pem_x509_certificate(data).public_key()
        )
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError(f"{str(path)!r} is not an X.509 certificate in PEM") from None
    if not isinstance(key, RSAPublicKey):
        raise UsageError(f"the key of {str(path)!r} is not RSA, which bundles need")
    _require_size(key.key_size, path)
    return key


def is_pair(private: "RSAPrivateKey", public: "RSAPublicKey") -> bool:
    """Whether a certificate is of a private key."""
    return private.public_key().public_numbers() == public.public_numbers()


def wrap(public: "RSAPublicKey", key: bytes, vector: bytes) -> WrappedKey:
    """Encrypt the key of a bundle and its vector, each as lower-case hexadecimal text."""
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

    wrapped = (public.encrypt(text.hex().encode(), PKCS1v15()) for text in (key, vector))
    return WrappedKey(*wrapped)


def unwrap(private: "RSAPrivateKey", manifest: BundleManifest) -> tuple[bytes, bytes]:
    """The key of a bundle and its vector, 16 bytes each, from the user's copy or EC2's.

    A vector that is too short is filled with zeros, as openssl does. Raises KeyUnavailableError.
    """
    for wrapped in (manifest.for_user, manifest.for_ec2):
        key, vector = _opened(private, wrapped.key), _opened(private, wrapped.vector)
        if _KEY.fullmatch(key) and _VECTOR.fullmatch(vector):
            return bytes.fromhex(key.decode()), bytes.fromhex(vector.decode().ljust(32, "0"))
    raise KeyUnavailableError(
        f"the private key does not open the bundle of {manifest.name!r}",
        hint="it takes the key of the certificate that the bundle was made with",
    )


def sign(private: "RSAPrivateKey", data: bytes) -> bytes:
    """A signature over the SHA-1 of some bytes."""
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA1

    return private.sign(data, PKCS1v15(), SHA1())  # the format has nothing else


def require_signed(bundle: SignedBundle, public: "RSAPublicKey", place: str) -> None:
    """Raises InvalidManifestError unless the manifest was signed with this key."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA1

    try:
        public.verify(bundle.signature, bundle.signed, PKCS1v15(), SHA1())
    except InvalidSignature:
        raise InvalidManifestError(
            f"the manifest {place} is not signed with this certificate, or was changed since",
            hint="--certificate names the certificate of who made the bundle",
        ) from None


def _opened(private: "RSAPrivateKey", wrapped: bytes) -> bytes:
    """What a key encrypted; something else where it was another key."""
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

    try:
        return private.decrypt(wrapped, PKCS1v15())
    except ValueError:
        return b""


def _read(path: Path, what: str) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(KEY_FILE_SIZE_MAX + 1)
    except FileNotFoundError:
        raise NotFoundError(
            f"there is no {what} {str(path)!r}", code="InvalidParameterValue"
        ) from None
    except OSError as error:
        raise StorageError.from_os_error(error, f"read the {what}") from error
    if len(data) > KEY_FILE_SIZE_MAX:
        raise UsageError(f"{str(path)!r} is too large for a {what}")
    return data


def _require_size(bits: int, path: Path) -> None:
    if bits not in _SIZES:
        raise UsageError(
            f"the RSA key of {str(path)!r} has {bits} bits; {_SIZES[0]} to {_SIZES[-1]} are taken"
        )
