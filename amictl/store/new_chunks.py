"""Storing those chunks of a segment that are new, in frames."""

from collections.abc import Sequence
from typing import NamedTuple

from amictl.content.compressing import Compressor
from amictl.content.domains import Domain
from amictl.formats.frame import PLAIN_SIZE_MAX, Frame
from amictl.formats.framing import Buffer
from amictl.model.blockmap import Name
from amictl.store.writing import Writer


class Chunk(NamedTuple):
    """Where it is in its segment, and its names."""

    start: int
    stop: int
    stored: Name
    plain: Name


class FrameStorer:
    """Stores chunks; one for each thread, because it uses its contexts again."""

    def __init__(self, writer: Writer, domain: Domain) -> None:
        self._writer = writer
        self._domain = domain
        self._compressor = Compressor(writer.store.config.compression_level)

    def store(self, data: memoryview, chunks: Sequence[Chunk], new: Sequence[bool]) -> None:
        """Store those chunks of a segment that are new and were claimed; neighbours together."""
        run: list[Chunk] = []
        for chunk, is_new in zip(chunks, new, strict=True):
            if run and (
                not is_new
                or chunk.start != run[-1].stop
                or chunk.stop - run[0].start > PLAIN_SIZE_MAX
            ):
                self._compress(data, run)
                run = []
            if is_new:
                run.append(chunk)
        if run:
            self._compress(data, run)

    def store_frame(self, chunks: Sequence[Chunk], codec: int, payload: Buffer) -> None:
        """Store claimed chunks, which follow each other, in one frame that is encoded already."""
        frame = Frame(
            tuple(chunk.stored for chunk in chunks),
            tuple(chunk.stop - chunk.start for chunk in chunks),
            codec,
            memoryview(payload),
            plain_names=tuple(chunk.plain for chunk in chunks),
        )
        stored = self._domain.encode_frame(frame, self._writer.random_bytes)
        self._writer.add_frame(stored, frame.names)

    def _compress(self, data: memoryview, chunks: Sequence[Chunk]) -> None:
        self.store_frame(chunks, *self._compressor.encode(data[chunks[0].start : chunks[-1].stop]))
