"""The tar stream of a bundle: any sparse image goes through it, and GNU tar agrees."""

import io
import tarfile

from hypothesis import given
from hypothesis import strategies as st

from amictl.bundles.disks import apart
from amictl.bundles.image_tar import BLOCK, Extent, header_blocks, read_image, trailer
from amictl.errors import AmictlError

SIZE_MAX = 1 << 21


class Bytes:
    """A stream of bytes in memory."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def take(self, length: int) -> bytes:
        return self._file.read(length)


@st.composite
def images(draw: st.DrawFn) -> tuple[int, list[Extent]]:
    """A size, and where data is: in order, apart, at multiples of 512 but at the end."""
    size = draw(st.integers(1, SIZE_MAX))
    bounds = sorted(draw(st.sets(st.integers(0, size // BLOCK), max_size=60)))
    pairs = zip(bounds[::2], bounds[1::2], strict=False)
    extents = [(start * BLOCK, (stop - start) * BLOCK) for start, stop in pairs]
    if draw(st.booleans()):
        start = sum(extents[-1]) + BLOCK if extents else 0
        if start < size:
            extents.append((start, size - start))
    return size, extents


def stream(size: int, extents: list[Extent]) -> bytes:
    data = b"".join(bytes([1 + offset % 250]) * length for offset, length in extents)
    begun = header_blocks("x", size, extents, 0) + data
    return begun + trailer(len(begun))


def content(size: int, extents: list[Extent]) -> bytes:
    image = bytearray(size)
    for offset, length in extents:
        image[offset : offset + length] = bytes([1 + offset % 250]) * length
    return bytes(image)


@given(images())
def test_reading_inverts_writing(image: tuple[int, list[Extent]]) -> None:
    back = bytearray(image[0])
    for offset, data in read_image(Bytes(stream(*image)), image[0]):
        back[offset : offset + len(data)] = data
    assert back == content(*image)


@given(images())
def test_python_reads_what_we_write(image: tuple[int, list[Extent]]) -> None:
    data = stream(*image)
    assert len(data) % 10_240 == 0
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        (member,) = tar.getmembers()
        file = tar.extractfile(member)
        assert file is not None
        assert file.read() == content(*image)


@given(images(), st.integers(0, 2000), st.integers(0, 255))
def test_a_changed_header_is_refused_or_the_image_stays_inside(
    image: tuple[int, list[Extent]], position: int, value: int
) -> None:
    data = bytearray(stream(*image))
    data[position % len(data)] = value
    try:
        for offset, piece in read_image(Bytes(bytes(data)), image[0]):
            assert offset >= 0
            assert offset + len(piece) <= image[0]
    except AmictlError:
        pass


@given(
    st.lists(st.tuples(st.integers(0, 40_000), st.integers(1, 40_000)), max_size=20),
    st.integers(0, 200_000),
)
def test_what_is_bundled_holds_all_data(lengths: list[tuple[int, int]], hole: int) -> None:
    position, data = 0, []
    for gap, length in lengths:
        data.append((position + gap, length))
        position += gap + length
    size = position + hole + 1
    extents = apart(data, size)
    for offset, length in data:
        assert any(a <= offset and offset + length <= a + n for a, n in extents)
    for index, (offset, length) in enumerate(extents):
        assert offset % BLOCK == 0
        assert length % BLOCK == 0 or index == len(extents) - 1
        assert offset + length <= size
    starts = [offset for offset, _ in extents]
    assert starts == sorted(starts)
