"""A plugin of age for tests: it wraps nothing but hides the file key under one byte.

<https://c2sp.org/age-plugin>. Called as age-plugin-sample --age-plugin=STATE-MACHINE.
"""

import base64
import sys

CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def bech32(prefix: str, data: bytes) -> str:
    """An identifier as age writes it. BIP 173."""
    bits = "".join(f"{byte:08b}" for byte in data)
    bits += "0" * (-len(bits) % 5)
    values = [int(bits[start : start + 5], 2) for start in range(0, len(bits), 5)]
    expanded = [ord(sign) >> 5 for sign in prefix] + [0] + [ord(sign) & 31 for sign in prefix]
    check = _polymod([*expanded, *values, 0, 0, 0, 0, 0, 0]) ^ 1
    values += [(check >> 5 * (5 - place)) & 31 for place in range(6)]
    return prefix + "1" + "".join(CHARSET[value] for value in values)


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for place, generator in enumerate(
            (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
        ):
            check ^= generator if top >> place & 1 else 0
    return check


RECIPIENT = bech32("age1sample", b"public")
IDENTITY = bech32("age-plugin-sample-", b"secret").upper()


def _read() -> tuple[list[str], bytes]:
    words = sys.stdin.readline().split()[1:]
    body = ""
    while len(line := sys.stdin.readline().strip()) == 64:
        body += line
    body += line
    return words, base64.b64decode(body + "=" * (-len(body) % 4))


def _write(words: str, body: bytes = b"") -> None:
    text = base64.b64encode(body).decode().rstrip("=")
    sys.stdout.write(f"-> {words}\n{text}\n")
    sys.stdout.flush()


def _until_done() -> list[tuple[list[str], bytes]]:
    found = []
    while (stanza := _read())[0] != ["done"]:
        found.append(stanza)
    return found


def main() -> None:
    given = _until_done()
    if sys.argv[1] == "--age-plugin=recipient-v1":
        keys = [body for words, body in given if words == ["wrap-file-key"]]
        for number, key in enumerate(keys):
            _write(f"recipient-stanza {number} sample", bytes(byte ^ 85 for byte in key))
            _read()
    else:
        stanzas = [(words[1], body) for words, body in given if words[0] == "recipient-stanza"]
        for file, body in [found for found in stanzas if len(found[1]) == 16]:
            _write(f"file-key {file}", bytes(byte ^ 85 for byte in body))
            _read()
    _write("done")


if __name__ == "__main__":
    main()
