"""Storing one segment: cut, name, look up, compress what is new into frames."""

from collections.abc import Sequence
from typing import NamedTuple

from amictl.content.compressing import Compressor
from amictl.content.cutting import Piece, cut
from amictl.content.domains import Domain
from amictl.content.naming import chunk_name
from amictl.formats.frame import PLAIN_SIZE_MAX, Frame
from amictl.formats.framing import Buffer
from amictl.model.blockmap import Leaf, Name
from amictl.store.lineages import Lineage, pattern_of
from amictl.store.writing import Writer


class _Chunk(NamedTuple):
    """Where it is in the segment, and its names."""

    start: int
    stop: int
    stored: Name
    plain: Name


class SegmentStorer:
    """Stores segments; one for each thread, because it uses its contexts again."""

    def __init__(self, writer: Writer, lineage: Lineage, domain: Domain) -> None:
        self._writer = writer
        self._average = lineage.cut.average
        self._pattern = pattern_of(lineage)
        self._domain = domain
        self._compressor = Compressor(writer.store.config.compression_level)

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
        run: list[_Chunk] = []
        frames: list[tuple[Buffer, tuple[Name, ...]]] = []
        stored_bytes = 0
        for (start, stop), *names, is_new in zip(spans, stored, plain, new, strict=True):
            if run and (
                not is_new or start != run[-1].stop or stop - run[0].start > PLAIN_SIZE_MAX
            ):
                frames.append(self._frame(data, run))
                run = []
            if is_new:
                run.append(_Chunk(start, stop, *names))
                stored_bytes += stop - start
        if run:
            frames.append(self._frame(data, run))
        if frames:
            # Together, so that whoever reads the segment finds them one behind the other.
            self._writer.add_frames(frames)
        return leaf, stored_bytes

    def _frame(self, data: memoryview, chunks: list[_Chunk]) -> tuple[Buffer, tuple[Name, ...]]:
        codec, payload = self._compressor.encode(data[chunks[0].start : chunks[-1].stop])
        frame = Frame(
            tuple(chunk.stored for chunk in chunks),
            tuple(chunk.stop - chunk.start for chunk in chunks),
            codec,
            memoryview(payload),
            plain_names=tuple(chunk.plain for chunk in chunks),
        )
        return self._domain.encode_frame(frame, self._writer.random_bytes), frame.names


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
