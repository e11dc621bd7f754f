"""Storing those chunks of a segment that are new, in frames."""

from collections.abc import Sequence
from typing import NamedTuple

from amictl.content.compressing import Compressor
from amictl.content.domains import Domain
from amictl.formats.frame import PLAIN_SIZE_MAX, Frame
from amictl.formats.framing import Buffer
from amictl.model.blockmap import Name
from amictl.store.packing import NewFrame
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

    def store(
        self,
        data: memoryview,
        chunks: Sequence[Chunk],
        new: Sequence[bool],
        made: Sequence[NewFrame] = (),
    ) -> None:
        """Store those chunks of a segment that are new and were claimed; neighbours together.

        And frames of it that are made already.
        """
        run: list[Chunk] = []
        frames = [*made]
        for chunk, is_new in zip(chunks, new, strict=True):
            if run and (
                not is_new
                or chunk.start != run[-1].stop
                or chunk.stop - run[0].start > PLAIN_SIZE_MAX
            ):
                frames.append(self._compressed(data, run))
                run = []
            if is_new:
                run.append(chunk)
        if run:
            frames.append(self._compressed(data, run))
        if frames:
            # At once, so that whoever reads the segment finds them one behind the other.
            self._writer.add_frames(frames)

    def _compressed(self, data: memoryview, chunks: Sequence[Chunk]) -> NewFrame:
        plain = data[chunks[0].start : chunks[-1].stop]
        return self.frame(chunks, *self._compressor.encode(plain))

    def frame(self, chunks: Sequence[Chunk], codec: int, payload: Buffer) -> NewFrame:
        """Claimed chunks, which follow each other, in one frame whose payload is encoded."""
        frame = Frame(
            tuple(chunk.stored for chunk in chunks),
            tuple(chunk.stop - chunk.start for chunk in chunks),
            codec,
            memoryview(payload),
            plain_names=tuple(chunk.plain for chunk in chunks),
        )
        return self._domain.encode_frame(frame, self._writer.random_bytes), frame.names
