"""A region in a bucket of each of the two servers."""

from pathlib import Path
from zlib import crc32

import pytest

from tests.buckets.servers import KINDS, Region, Servers, servers
from tests.buckets.workshop import BucketWorkshop

__all__ = ["servers"]


@pytest.fixture(params=KINDS)
def region(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Region:
    """An empty prefix."""
    server = servers.get(request.param)
    return Region(server, server.new_bucket(), tmp_path / "cache")


@pytest.fixture
def one_region(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Region:
    """An empty prefix of one of the servers, for each test always of the same one."""
    server = servers.get(KINDS[crc32(request.node.name.encode()) % len(KINDS)])
    return Region(server, server.new_bucket(), tmp_path / "cache")


@pytest.fixture
def workshop(one_region: Region, tmp_path: Path) -> BucketWorkshop:
    """A store in an empty prefix of one of the servers."""
    return BucketWorkshop(tmp_path, region=one_region)
