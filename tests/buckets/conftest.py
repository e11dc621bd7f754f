"""A region in a bucket of each of the two servers."""

from pathlib import Path

import pytest

from tests.buckets.servers import KINDS, Region, Servers, servers

__all__ = ["servers"]


@pytest.fixture(params=KINDS)
def region(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Region:
    """An empty prefix."""
    server = servers.get(request.param)
    return Region(server, server.new_bucket(), tmp_path / "cache")
