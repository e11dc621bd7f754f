"""The servers of buckets, for the suite that runs over both kinds of storage."""

from tests.buckets.servers import servers

__all__ = ["servers"]
