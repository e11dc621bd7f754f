"""Manual pages in the language of groff: its man macros, with all text escaped."""

import re
from collections.abc import Iterable

_ESCAPES = {"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti"}


class Page:
    """A page under construction; `text()` is the whole of it."""

    def __init__(self, title: str, section: int, source: str) -> None:
        self.lines = [
            '.\\" Written by the program from its own commands: python -m amictl.cli.manual man',
            f'.TH {escaped(title.upper())} {section} "" "{escaped(source)}" "{escaped(source)}"',
            ".nh",
            ".ad l",
        ]

    def heading(self, title: str) -> None:
        """Begin a section."""
        self.lines.append(f".SH {title}")

    def line(self, *parts: str) -> None:
        """One line of parts that are escaped or marked up already."""
        text = "".join(parts)
        self.lines.append(rf"\&{text}" if text.startswith((".", "'")) else text)

    def prose(self, text: str) -> None:
        """Paragraphs, separated by empty lines, wrapped anew."""
        for paragraph in re.split(r"\n\s*\n", text.strip()):
            self.lines.append(".PP")
            self.line(escaped(" ".join(paragraph.split())))

    def item(self, term: str, text: str) -> None:
        """A term (marked up) and its explanation (plain)."""
        self.lines.append(".TP")
        self.line(term)
        self.line(escaped(text))

    def items(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Terms in bold, and their explanations."""
        for term, text in pairs:
            self.item(bold(term), text)

    def literal(self, text: str) -> None:
        """Lines as they are typed, indented and not wrapped."""
        self.lines += [".PP", ".in +4n", ".nf"]
        for line in text.splitlines():
            self.line(escaped(line))
        self.lines += [".fi", ".in"]

    def text(self) -> str:
        """The page, with a final newline."""
        return "\n".join(self.lines) + "\n"


def escaped(text: str) -> str:
    """Plain text such that groff shows every character as it is."""
    return "".join(_ESCAPES.get(c, c if c.isascii() else f"\\[u{ord(c):04X}]") for c in text)


def bold(text: str) -> str:
    """What is typed as it stands."""
    return rf"\fB{escaped(text)}\fR"


def italic(text: str) -> str:
    """What is replaced by a value."""
    return rf"\fI{escaped(text)}\fR"
