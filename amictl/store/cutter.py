"""Storing one segment: cut, name, look up, compress what is new into frames."""

from collections.abc import Sequence

from amictl.content.cutting import Piece, cut
from amictl.content.domains import Domain
from amictl.content.naming import chunk_name
from amictl.model.blockmap import Leaf, Name
from amictl.store.lineages import Lineage, pattern_of
from amictl.store.new_chunks import Chunk, FrameStorer
from amictl.store.writing import Writer


class SegmentStorer:
    """Stores segments; one for each thread, because it uses its contexts again."""

    def __init__(self, writer: Writer, lineage: Lineage, domain: Domain) -> None:
        self._writer = writer
        self._average = lineage.cut.average
        self._pattern = pattern_of(lineage)
        self._domain = domain
        self._frames = FrameStorer(writer, domain)

    def store(self, data: memoryview, mark: bytes) -> tuple[Leaf, int]:
        """The leaf of a segment, whose new chunks are now in frames.

        And how many bytes were new.
        """
        pieces = cut(data, self._average, self._pattern)
        spans = [(piece.start, piece.stop) for piece in pieces if not piece.is_zero]
        plain = [chunk_name(data[start:stop]) for start, stop in spans]
        stored = self._domain.stored_names(plain)
        leaf = _leaf(pieces, stored, plain, mark)
        if not spans:
            return leaf, 0
        new = self._writer.claim_new(stored)
        chunks = [Chunk(*span, *names) for span, *names in zip(spans, stored, plain, strict=True)]
        self._frames.store(data, chunks, new)
        pairs = zip(spans, new, strict=True)
        return leaf, sum(stop - start for (start, stop), is_new in pairs if is_new)


def _leaf(
    pieces: Sequence[Piece], stored: Sequence[Name], plain: Sequence[Name], mark: bytes
) -> Leaf:
    """The names are those of the pieces that are not zero."""

    def column(names: Sequence[Name]) -> tuple[Name | None, ...]:
        following = iter(names)
        return tuple(None if piece.is_zero else next(following) for piece in pieces)

    names = column(stored)
    plain_names = names if plain is stored else column(plain)
    return Leaf(tuple(piece.stop - piece.start for piece in pieces), names, mark, plain_names)
