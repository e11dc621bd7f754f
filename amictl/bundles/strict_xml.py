"""A small and strict reader of XML: elements, attributes and text, and where elements stand.

Refused are document types, entities, namespaces, comments, processing instructions, CDATA sections
and other encodings than UTF-8; depth, counts and sizes are bounded before anything is kept.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn
from xml.parsers import expat

from amictl.errors import InvalidManifestError

DOCUMENT_SIZE_MAX = 8 * 1024 * 1024
DEPTH_MAX = 8
ELEMENTS_MAX = 50_000
TEXT_SIZE_MAX = 16_384
ATTRIBUTES_MAX = 4

_ENCODINGS = (None, "utf-8", "us-ascii")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")


@dataclass(slots=True)
class Element:
    """An element; `start` and `stop` are the bytes of the document that it stands in."""

    name: str
    attributes: dict[str, str]
    start: int
    stop: int = 0
    text: str = ""
    children: list["Element"] = field(default_factory=list)


def parse(data: bytes) -> Element:
    """The root element. Raises InvalidManifestError for whatever is not plain, small XML."""
    if len(data) > DOCUMENT_SIZE_MAX:
        raise InvalidManifestError(
            f"it has {len(data)} bytes; at most {DOCUMENT_SIZE_MAX} are read"
        )
    if data.startswith((b"\xff\xfe", b"\xfe\xff", b"\0")):
        raise InvalidManifestError("it is not UTF-8")
    reader = _Reader(data)
    try:
        reader.parser.Parse(data, True)
    except expat.ExpatError as error:
        raise InvalidManifestError(f"it is not XML: {error}") from None
    except UnicodeError:
        raise InvalidManifestError("it is not UTF-8") from None
    assert reader.root is not None  # a document without an element is not XML
    return reader.root


class _Reader:
    """Receives what the parser finds."""

    def __init__(self, data: bytes) -> None:
        self.root: Element | None = None
        self._data = data
        self._open: list[Element] = []
        self._count = 0
        self.parser = expat.ParserCreate("utf-8")
        self.parser.buffer_text = True
        self.parser.ordered_attributes = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.XmlDeclHandler = self._declaration
        self.parser.StartDoctypeDeclHandler = _refusal("a document type")
        self.parser.EntityDeclHandler = _refusal("an entity")
        self.parser.CommentHandler = _refusal("a comment")
        self.parser.ProcessingInstructionHandler = _refusal("a processing instruction")
        self.parser.StartCdataSectionHandler = _refusal("a CDATA section")

    def _declaration(self, version: str, encoding: str | None, standalone: int) -> None:
        if version != "1.0" or (encoding and encoding.lower()) not in _ENCODINGS:
            raise InvalidManifestError(
                f"it is XML {version} in {encoding}; only 1.0 in UTF-8 is read"
            )

    def _start(self, name: str, given: list[str]) -> None:
        self._count += 1
        if len(self._open) >= DEPTH_MAX:
            raise InvalidManifestError(f"its elements are nested more than {DEPTH_MAX} deep")
        if self._count > ELEMENTS_MAX:
            raise InvalidManifestError(f"it has more than {ELEMENTS_MAX} elements")
        if len(given) > 2 * ATTRIBUTES_MAX:
            raise InvalidManifestError(f"an element has more than {ATTRIBUTES_MAX} attributes")
        attributes = dict(zip(given[::2], given[1::2], strict=True))
        for word in (name, *attributes):
            if not _NAME.fullmatch(word) or word == "xmlns":
                raise InvalidManifestError(
                    f"it has the name {word[:80]!r}; namespaces are not read"
                )
        if any(len(value) > TEXT_SIZE_MAX for value in attributes.values()):
            raise InvalidManifestError("the value of an attribute is too long")
        element = Element(name, attributes, self.parser.CurrentByteIndex)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)

    def _end(self, name: str) -> None:
        element = self._open.pop()
        position = self.parser.CurrentByteIndex
        is_empty = not element.children and not element.text
        if is_empty and self._data[position - 2 : position] == b"/>":
            element.stop = position  # of `<a/>` that is where the tag ends
        else:
            element.stop = self._data.index(b">", position) + 1
        if element.children and element.text.strip():
            raise InvalidManifestError(f"{name} has text beside its elements")

    def _text(self, text: str) -> None:
        element = self._open[-1]
        if len(element.text) + len(text) > TEXT_SIZE_MAX:
            # Between many elements there may be many line breaks, which are not kept.
            text = text.strip() if element.children else text
            if len(element.text) + len(text) > TEXT_SIZE_MAX:
                raise InvalidManifestError(f"the text of {element.name} is too long")
        element.text += text


def _refusal(what: str) -> Callable[..., NoReturn]:
    def refuse(*_: object) -> NoReturn:
        raise InvalidManifestError(f"it has {what}, which is not read")

    return refuse
