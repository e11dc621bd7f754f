"""Whatever is wrong with a bundle ends in its error, within bounds of memory and time."""

import tracemalloc

import pytest

from amictl import errors
from tests.bundles.hostile import Fault, manifests, read_manifest, read_stream, streams

MANIFESTS = list(manifests())
STREAMS = list(streams())
MEMORY_MAX = 100 << 20


def name_of(fault: Fault) -> str:
    return fault.name


@pytest.mark.parametrize("fault", MANIFESTS, ids=name_of)
def test_a_manifest_is_read_or_refused(fault: Fault) -> None:
    require(fault, read_manifest)


@pytest.mark.parametrize("fault", STREAMS, ids=name_of)
def test_a_stream_is_read_or_refused(fault: Fault) -> None:
    require(fault, read_stream)


def test_there_are_enough_of_both() -> None:
    assert len(MANIFESTS) > 80
    assert len(STREAMS) > 45


def require(fault: Fault, read: object) -> None:
    data = fault.make()
    assert callable(read)
    if fault.error is None:
        read(data)
        return
    tracemalloc.start()
    try:
        with pytest.raises(errors.AmictlError) as raised:
            read(data)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert type(raised.value).__name__ == fault.error
    assert fault.reason in raised.value.message
    assert most < MEMORY_MAX
