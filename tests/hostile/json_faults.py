"""Faults that any document of canonical JSON can have, whatever it says."""

import re
from collections.abc import Callable

Change = Callable[[bytes], bytes]


def instead(text: str) -> Change:
    return lambda _: text.encode()


def first_number(text: str) -> Change:
    """In the place of the first number of the document stands something else."""
    return lambda data: re.sub(rb":(\d+)\b", b":" + text.encode(), data, count=1)


def member(text: str, repeated: str = "", times: int = 0, end: str = "") -> Change:
    """A member more, at the end; it may have a part that is repeated many times."""
    return lambda data: b"".join(
        (data[:-2], b",", text.encode(), repeated.encode() * times, end.encode(), b"}\n")
    )


FAULTS: dict[str, Change] = {
    "json-empty": instead(""),
    "json-newline-only": instead("\n"),
    "json-null": instead("null\n"),
    "json-list": instead("[]\n"),
    "json-text": instead('"x"\n'),
    "json-of-no-members": instead("{}\n"),
    "json-byte-order-mark": lambda data: b"\xef\xbb\xbf" + data,
    "json-utf-16": lambda data: data.decode().encode("utf-16"),
    "json-utf-32": lambda data: data.decode().encode("utf-32"),
    "json-latin-1": lambda data: data.replace(b'"Format"', b'"\xe9":1,"Format"'),
    "json-overlong-utf-8": lambda data: data.replace(b'"Format"', b'"\xc0\xaf":1,"Format"'),
    "json-lone-surrogate": member('"x":"\\ud800"'),
    "json-encoded-surrogate": lambda data: data[:-2] + b',"x":"\xed\xa0\x80"}\n',
    "json-zero-byte": lambda data: data.replace(b"amictl", b"ami\0ctl", 1),
    "json-escape-byte": lambda data: data.replace(b"amictl", b"ami\x1bctl", 1),
    "json-zero-byte-behind": lambda data: data + b"\0",
    "json-space-behind": lambda data: data[:-1] + b" \n",
    "json-no-newline": lambda data: data[:-1],
    "json-two-newlines": lambda data: data + b"\n",
    "json-carriage-return": lambda data: data[:-1] + b"\r\n",
    "json-spaces": lambda data: data.replace(b'":', b'": '),
    "json-comment": lambda data: b"/* */" + data,
    "json-comma-at-the-end": lambda data: data[:-2] + b",}\n",
    "json-single-quotes": lambda data: data.replace(b'"', b"'"),
    "json-two-documents": lambda data: data + data,
    "json-truncated": lambda data: data[: len(data) // 2],
    "json-truncated-at-a-bracket": lambda data: data[:-2] + b"\n",
    "json-key-twice": lambda data: data.replace(b'"Format"', b'"Format":"x","Format"', 1),
    "json-keys-not-sorted": member('"AAA":1'),
    "json-key-that-nobody-knows": member('"Xyz":1'),
    "json-key-in-small-letters": lambda data: data.replace(b'"Format"', b'"format"', 1),
    "json-slash-escaped": lambda data: data.replace(b"/", b"\\/", 1),
    "json-letter-escaped": lambda data: data.replace(b"amictl", b"amic\\u0074l", 1),
    "json-nan": first_number("NaN"),
    "json-infinity": first_number("-Infinity"),
    "json-1e999": first_number("1e999"),
    "json-fraction": first_number("1.5"),
    "json-exponent": first_number("1e0"),
    "json-true-for-a-number": first_number("true"),
    "json-text-for-a-number": first_number('"1"'),
    "json-negative-zero": first_number("-0"),
    "json-zero-before-a-number": first_number("01"),
    "json-number-of-2-to-64": first_number(str(2**64)),
    "json-number-of-5000-digits": first_number("9" * 5000),
    "json-number-of-a-million-digits": first_number("9" * 1_000_000),
    "json-lists-100000-deep": member('"x":' + "[" * 100_000 + "]" * 100_000),
    "json-objects-100000-deep": member('"x":', '{"a":', 100_000, "1" + "}" * 100_000),
    "json-list-of-a-million": member('"x":[', "0,", 1_000_000, "0]"),
    "json-lists-without-end": lambda _: b"[" * 1_000_000,
    "json-five-million-empty-lists": member('"x":[', "[],", 5_000_000, "0]"),
    "json-a-million-keys": lambda data: b"".join(
        (data[:-2], b",", b",".join(b'"k%d":0' % number for number in range(1_000_000)), b"}\n")
    ),
    "json-text-of-sixteen-mebibytes": member('"x":"', "a", 16 << 20, '"'),
}
