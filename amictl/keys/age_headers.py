"""What the head of an age file asks for, looked at before any key is derived.

The format is age's, <https://age-encryption.org/v1>; the files are opened by pyrage. Who writes a
file decides how much memory and time opening it takes, so that bounds are checked here first.
"""

import base64
import binascii

SIZE_MAX = 64 * 1024
STANZAS_MAX = 64
WORK_FACTOR_MAX = 22
"""scrypt takes 1 KiB and 2 to this power: the bound of age itself."""

GREASE = "-grease"
"""How the type ends of what age writes besides, and nobody opens."""

MAGIC = b"age-encryption.org/v1\n"
_ARMOR = b"-----BEGIN AGE ENCRYPTED FILE-----"
_ARMOR_END = b"-----END AGE ENCRYPTED FILE-----"


def is_age_file(data: bytes) -> bool:
    """Whether bytes begin as an age file does, binary or armored."""
    return data.startswith(MAGIC) or data.lstrip().startswith(_ARMOR)


def is_armored(data: bytes) -> bool:
    """Whether an age file is not binary."""
    return not data.startswith(MAGIC)


def require_modest(data: bytes) -> list[list[str]]:
    """The words of each stanza of an age file. Raises ValueError if it is none, or asks for more
    than the bounds allow.
    """
    if len(data) > SIZE_MAX:
        raise ValueError(f"it is over {SIZE_MAX} bytes")
    stanzas = _stanzas(_binary(data))
    if len(stanzas) > STANZAS_MAX:
        raise ValueError(f"it has over {STANZAS_MAX} recipients")
    for words in stanzas:
        if words[0] == "scrypt":
            _require_modest_work(words)
    return stanzas


def _require_modest_work(words: list[str]) -> None:
    factor = words[2] if len(words) == 3 else ""
    if not (factor.isascii() and factor.isdigit() and len(factor) <= 2):
        raise ValueError("its passphrase has no valid work factor")
    if int(factor) > WORK_FACTOR_MAX:
        raise ValueError(f"its passphrase has a work factor of {factor}, over {WORK_FACTOR_MAX}")


def _binary(data: bytes) -> bytes:
    if data.startswith(MAGIC):
        return data
    lines = data.strip().splitlines()
    if len(lines) < 3 or lines[0] != _ARMOR or lines[-1] != _ARMOR_END:
        raise ValueError("it is not an age file")
    try:
        binary = base64.b64decode(b"".join(lines[1:-1]), validate=True)
    except binascii.Error as error:
        raise ValueError("its armor is damaged") from error
    if not binary.startswith(MAGIC):
        raise ValueError("it is not an age file")
    return binary


def _stanzas(binary: bytes) -> list[list[str]]:
    stanzas: list[list[str]] = []
    for line in binary[len(MAGIC) :].split(b"\n"):
        if line.startswith(b"---"):
            return stanzas
        if line.startswith(b"-> "):
            words = line.decode("ascii", "replace").split(" ")[1:]
            if not all(words):
                raise ValueError("its header is damaged")
            stanzas.append(words)
        elif not stanzas:
            raise ValueError("its header is damaged")
    raise ValueError("its header has no end")
