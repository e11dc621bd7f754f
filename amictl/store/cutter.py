"""Storing one segment: cut, name, look up, compress what is new into frames."""

from amictl.content.compressing import Compressor
from amictl.content.cutting import cut
from amictl.content.naming import chunk_name
from amictl.formats import frame as frame_format
from amictl.formats.frame import PLAIN_SIZE_MAX
from amictl.model.blockmap import Leaf, Name
from amictl.store.writing import Writer


class SegmentStorer:
    """Stores segments; one for each thread, because it uses its contexts again."""

    def __init__(self, writer: Writer, average_size: int) -> None:
        self._writer = writer
        self._average = average_size
        self._compressor = Compressor(writer.store.config.compression_level)

    def store(self, data: memoryview, mark: bytes) -> tuple[Leaf, int]:
        """The leaf of a segment, whose new chunks are now in frames.

        And how many bytes were new.
        """
        pieces = cut(data, self._average)
        names = [
            None if piece.is_zero else chunk_name(data[piece.start : piece.stop])
            for piece in pieces
        ]
        leaf = Leaf(tuple(piece.stop - piece.start for piece in pieces), tuple(names), mark)
        chunks = [
            (piece.start, piece.stop, name)
            for piece, name in zip(pieces, names, strict=True)
            if name
        ]
        if not chunks:
            return leaf, 0
        new = self._writer.claim_new([name for _, _, name in chunks])
        run: list[tuple[int, int, Name]] = []
        stored = 0
        for chunk, is_new in zip(chunks, new, strict=True):
            start, stop, _ = chunk
            if run and (not is_new or start != run[-1][1] or stop - run[0][0] > PLAIN_SIZE_MAX):
                self._write_frame(data, run)
                run = []
            if is_new:
                run.append(chunk)
                stored += stop - start
        if run:
            self._write_frame(data, run)
        return leaf, stored

    def _write_frame(self, data: memoryview, chunks: list[tuple[int, int, Name]]) -> None:
        names = tuple(name for _, _, name in chunks)
        codec, payload = self._compressor.encode(data[chunks[0][0] : chunks[-1][1]])
        frame = frame_format.encode(
            names, [stop - start for start, stop, _ in chunks], codec, payload
        )
        self._writer.add_frame(frame, names)
