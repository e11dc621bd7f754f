"""Sealing: XAES-256-GCM (C2SP) over AES-256-GCM, and the keys that a domain's secret gives.

amictl-store(5), SEALING. Sealers and openers are not thread-safe: each thread has its own.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from amictl.errors import CorruptStoreError
from amictl.formats.framing import NONCE_SIZE, SEAL_SIZE, Buffer

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers import CipherContext

KEY_SIZE = 32
_BLOCK_SIZE = 16
_REDUCTION = 0b10000111  # of CMAC: NIST SP 800-38B, 6.1
_HALF_NONCE = 12


@dataclass(frozen=True, slots=True, repr=False)
class DomainKeys:
    """What HKDF makes of the root secret of a domain, 32 bytes each.

    `commitment` is not secret: it says to which root secret a header belongs.
    """

    naming: bytes
    sealing: bytes
    authenticating: bytes
    commitment: bytes


def derive(secret: bytes, domain_id: bytes) -> DomainKeys:
    """The keys of a domain; `secret` has 32 bytes, `domain_id` 16."""

    def key(use: str) -> bytes:
        info = f"amictl domain 1 {use}".encode()
        return HKDF(SHA256(), KEY_SIZE, salt=domain_id, info=info).derive(secret)

    return DomainKeys(key("naming"), key("sealing"), key("authenticating"), key("commitment"))


def identity_mac(identity: bytes, data: Buffer) -> str:
    """A MAC that only who has the secret of an identity of age or SSH can make, and verify."""
    key = HKDF(SHA256(), KEY_SIZE, salt=None, info=b"amictl key 1 authenticating").derive(identity)
    return mac(key, data)


def mac(key: bytes, data: Buffer) -> str:
    """HMAC-SHA256 in hexadecimal."""
    return hmac.digest(key, data, "sha256").hex()


class Sealer:
    """Encrypts and authenticates."""

    def __init__(self, key: bytes) -> None:
        self._subkeys = _Subkeys(key)
        self._buffer = bytearray()

    def seal(
        self, plain: Buffer, associated: bytes, random_bytes: Callable[[int], bytes]
    ) -> memoryview:
        """Nonce, ciphertext and tag. The view is of a buffer that the next call uses again.

        What `random_bytes` gives must be unpredictable and must never repeat.
        """
        size = len(plain) + SEAL_SIZE
        if len(self._buffer) < size:
            self._buffer = bytearray(size)
        target = memoryview(self._buffer)[:size]
        self.seal_into(target, plain, associated, random_bytes)
        return target

    def seal_into(
        self,
        target: memoryview,
        plain: Buffer,
        associated: bytes,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        """The same, to a place that is SEAL_SIZE longer than `plain`."""
        nonce = random_bytes(NONCE_SIZE)
        target[:NONCE_SIZE] = nonce
        self._subkeys.cipher(nonce).encrypt_into(
            nonce[_HALF_NONCE:], plain, associated, target[NONCE_SIZE:]
        )


class Opener:
    """The reverse of a Sealer."""

    def __init__(self, key: bytes) -> None:
        self._subkeys = _Subkeys(key)
        self._buffer = bytearray()

    def open(self, sealed: Buffer, associated: bytes, what: str) -> memoryview:
        """The plain bytes. The view is of a buffer that the next call uses again.

        Raises CorruptStoreError, which begins with `what`, unless they were sealed under this key
        with these associated data.
        """
        size = len(sealed) - SEAL_SIZE
        if size < 0:
            raise CorruptStoreError(f"{what} is too short to be sealed")
        if len(self._buffer) < size:
            self._buffer = bytearray(size)
        target = memoryview(self._buffer)[:size]
        view = memoryview(sealed)
        nonce = bytes(view[:NONCE_SIZE])
        try:
            self._subkeys.cipher(nonce).decrypt_into(
                nonce[_HALF_NONCE:], view[NONCE_SIZE:], associated, target
            )
        except InvalidTag as error:
            raise CorruptStoreError(f"{what} was changed after it was sealed") from error
        return target


class _Subkeys:
    """A key of AES-256-GCM for each nonce: the first half of a nonce through AES-CMAC."""

    def __init__(self, key: bytes) -> None:
        # ECB without a mode's state: each update encrypts whole blocks by themselves.
        cipher = Cipher(algorithms.AES256(key), modes.ECB())
        self._block: CipherContext = cipher.encryptor()
        mask = int.from_bytes(self._block.update(bytes(_BLOCK_SIZE)), "big") << 1
        if mask >> 128:
            mask = mask & (1 << 128) - 1 ^ _REDUCTION
        heads = (bytes((0, counter, 0x58, 0)) + bytes(_HALF_NONCE) for counter in (1, 2))
        self._masks = [int.from_bytes(head, "big") ^ mask for head in heads]

    def cipher(self, nonce: bytes) -> AESGCM:
        """Whose own nonce is the second half."""
        half = int.from_bytes(nonce[:_HALF_NONCE], "big")
        blocks = b"".join((mask ^ half).to_bytes(_BLOCK_SIZE, "big") for mask in self._masks)
        return AESGCM(self._block.update(blocks))
