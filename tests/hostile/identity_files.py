"""Identity files, as `import-key` takes them from anybody."""

import base64
from collections.abc import Iterator

from tests.hostile.corpus import Vector

PUBLIC = "age1fyzhlkkf53dzva0h66krcvl0n90f6a8ujg8yneh32n7ndghfjduscej2n8"
SECRET = "AGE-SECRET-KEY-15K6UEWRWMPL2HGC93PXTMUTA364NTXKE2NNKRNFYYZKUZM0HYU2S30C6JW"
RIGHT = f"# created: 2026-11-22T12:00:00Z\n# public key: {PUBLIC}\n{SECRET}\n".encode()

AGE = b"age-encryption.org/v1\n"
END = b"--- bWFjbWFjbWFjbWFjbWFjbWFjbWFjbWFjbWFjbWFjbWE\npayload"
SALT = "c2FsdHNhbHRzYWx0c2FsdA"
OTHER_KEY = b"-> X25519 c2hhcmVzaGFyZXNoYXJlc2hhcmVzaGFyZXNoYXJl\nYm9keQ\n"


def protected(factor: str, *more: bytes) -> bytes:
    """The head of a file under a passphrase, with this work factor and these stanzas besides."""
    stanza = f"-> scrypt {SALT}{factor and ' '}{factor}\nYm9keWJvZHlib2R5Ym9keWJvZHlib2R5\n"
    return AGE + stanza.encode() + b"".join(more) + END


def armored(data: bytes, begin: bytes = b"-----BEGIN AGE ENCRYPTED FILE-----") -> bytes:
    body = base64.encodebytes(data)
    return begin + b"\n" + body + b"-----END AGE ENCRYPTED FILE-----\n"


IDENTITIES = {
    "empty": (b"", "0 identities"),
    "comments-only": (RIGHT.rpartition(b"AGE")[0], "0 identities"),
    "two-identities": (RIGHT + RIGHT, "2 identities"),
    "identity-and-plugin": (RIGHT + b"AGE-PLUGIN-X-1QQQ\n", "2 identities"),
    "byte-order-mark": (b"\xef\xbb\xbf" + RIGHT[RIGHT.index(b"AGE") :], "no identity that age"),
    "utf-16": (RIGHT.decode().encode("utf-16"), "not an identity file"),
    "latin-1": (b"# \xe9\n" + RIGHT, "not an identity file"),
    "last-letter-missing": (RIGHT[:-2] + b"\n", "no identity that age"),
    "one-letter-changed": (RIGHT.replace(b"15K6", b"15K7"), "no identity that age"),
    "public-key-only": (f"{PUBLIC}\n".encode(), "no identity that age"),
    "zero-byte-inside": (RIGHT.replace(b"15K6", b"15\x006"), "no identity that age"),
    "escape-inside": (RIGHT.replace(b"15K6", b"\x1b[2J"), "no identity that age"),
    "line-of-a-megabyte": (SECRET.encode() * 14_000, "no identity that age"),
    "half-a-million-lines": (b"x\n" * 500_000, "500000 identities"),
    "plugin-with-a-path": (b"# recipient: age1x1q\nAGE-PLUGIN-../../BIN/SH-1QQQ", "no identity"),
    "plugin-without-recipient": (b"AGE-PLUGIN-X-1QQQ", "does not say which recipient"),
    "ssh-without-end": (b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaA==\n", "SSH key"),
    "ssh-of-zeros": (
        b"-----BEGIN OPENSSH PRIVATE KEY-----\n"
        + base64.encodebytes(b"openssh-key-v1\0" + bytes(200))
        + b"-----END OPENSSH PRIVATE KEY-----\n",
        "SSH key",
    ),
    "ssh-with-a-length-of-4-gib": (
        b"-----BEGIN OPENSSH PRIVATE KEY-----\n"
        + base64.encodebytes(b"openssh-key-v1\0" + b"\xff\xff\xff\xf0" + bytes(60))
        + b"-----END OPENSSH PRIVATE KEY-----\n",
        "SSH key",
    ),
}

PROTECTED = {
    "work-factor-23": (protected("23"), "work factor of 23"),
    "work-factor-63": (protected("63"), "work factor of 63"),
    "work-factor-of-three-digits": (protected("018"), "no valid work factor"),
    "work-factor-with-a-plus": (protected("+9"), "no valid work factor"),
    "work-factor-negative": (protected("-1"), "no valid work factor"),
    "work-factor-of-other-digits": (protected("२२"), "no valid work factor"),
    "work-factor-of-a-letter": (protected("1e"), "no valid work factor"),
    "work-factor-absent": (protected(""), "no valid work factor"),
    "work-factor-and-another-word": (protected("18 18"), "no valid work factor"),
    "two-spaces-in-a-stanza": (protected(" 18"), "header is damaged"),
    "second-passphrase": (
        protected("18", b"-> scrypt c2FsdA 30\nYm9keQ\n"),
        "work factor of 30",
    ),
    "second-passphrase-that-is-modest": (
        protected("18", b"-> scrypt c2FsdA 18\nYm9keQ\n"),
        "not protected by a passphrase",
    ),
    "passphrase-and-key": (protected("18", OTHER_KEY), "not protected by a passphrase"),
    "another-key": (AGE + OTHER_KEY + END, "not protected by a passphrase"),
    "no-stanza": (AGE + END, "not protected by a passphrase"),
    "65-stanzas": (AGE + OTHER_KEY * 65 + END, "over 64 recipients"),
    "10000-stanzas": (AGE + OTHER_KEY * 10_000 + END, "over 65536 bytes"),
    "stanza-of-64-kib": (AGE + b"-> scrypt " + b"x" * 65_536 + b"\n" + END, "over 65536 bytes"),
    "header-without-end": (AGE + OTHER_KEY, "has no end"),
    "header-of-nothing": (AGE, "header is damaged"),
    "stanza-without-type": (AGE + b"-> \nYm9keQ\n" + END, "header is damaged"),
    "body-before-a-stanza": (AGE + b"Ym9keQ\n" + END, "header is damaged"),
    "armor-without-end": (armored(protected("18"))[:-40], "not an age file"),
    "armor-of-something-else": (armored(RIGHT), "not an age file"),
    "armor-that-is-no-base64": (armored(protected("18")).replace(b"YW", b"*W"), "armor is damaged"),
    "armor-in-armor": (armored(armored(protected("18"))), "not an age file"),
}


def vectors() -> Iterator[Vector]:
    yield Vector("identity-file", "right", None, "", lambda: RIGHT)
    for error, faults in (("UsageError", IDENTITIES), ("KeyUnavailableError", PROTECTED)):
        for fault, (data, reason) in faults.items():
            yield Vector("identity-file", fault, error, reason, lambda data=data: data)
