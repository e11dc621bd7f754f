"""A client for a bucket: its credentials, its timeouts, and to which hosts it may go."""

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from amictl.errors import StorageError, UnsupportedError
from amictl.storage.places import BucketPlace

if TYPE_CHECKING:
    from obstore.store import S3Store

_PROXIES = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"}
CREDENTIAL_HOSTS = ("169.254.169.254", "169.254.170.2", "169.254.170.23")
"""What gives credentials to instances and containers."""

_AWS_HOSTS = ["amazonaws.com", "amazonaws.com.cn", *CREDENTIAL_HOSTS]

NOWHERE = "127.0.0.1:9"
"""The proxy that nobody runs."""


def connected(place: BucketPlace, timeout_seconds: float) -> "S3Store":
    """A client that tries each request once. Raises UnsupportedError if the library is missing."""
    try:
        from obstore.store import S3Store
    except ImportError as error:
        raise UnsupportedError(
            f"{place.url} needs a library that is not installed",
            hint="pip install 'amictl[s3]'",
        ) from error
    # One key a request: not every server knows the other, whose errors come with status 200.
    words: dict[str, Any] = {"disable_bulk_delete": True}
    if place.endpoint_url is not None:
        words["endpoint"] = place.endpoint_url
        words["virtual_hosted_style_request"] = False
    if not {"AWS_REGION", "AWS_DEFAULT_REGION"} & set(os.environ):
        words["region"] = "us-east-1"
    provider = profile_credentials(os.environ)
    if provider is not None:
        words["credential_provider"] = provider
    return S3Store(
        place.bucket,
        prefix=place.prefix or None,
        client_options=_client_options(place, timeout_seconds),
        retry_config={"max_retries": 0},
        **words,
    )


def _client_options(place: BucketPlace, timeout_seconds: float) -> Any:
    return {
        "allow_http": (place.endpoint_url or "").startswith("http://"),
        "timeout": timedelta(seconds=timeout_seconds),
        "connect_timeout": timedelta(seconds=min(5.0, timeout_seconds)),
        **_only_own_hosts(place, os.environ),
    }


def _only_own_hosts(place: BucketPlace, environment: Mapping[str, str]) -> dict[str, str]:
    """Options with which a redirect to another host leads nowhere.

    The library follows redirects, and hands a session token on; so all other hosts are behind a
    proxy that nobody runs. Where there is a real proxy, that is left to it.
    """
    if any(name.upper() in _PROXIES for name in environment):
        return {}
    own = urlsplit(place.endpoint_url).hostname if place.endpoint_url else None
    hosts = [own] if own else []
    return {"proxy_url": f"http://{NOWHERE}", "proxy_excludes": ",".join(hosts + _AWS_HOSTS)}


def profile_credentials(environment: Mapping[str, str]) -> Any:
    """Credentials of the shared profile, where there is one and nothing in the environment goes
    before it; None leaves the finding to the client library (environment, role of the instance).

    Raises UnsupportedError if AWS_PROFILE asks for a profile and boto3 is not there.
    """
    if environment.get("AWS_ACCESS_KEY_ID") or environment.get("AWS_WEB_IDENTITY_TOKEN_FILE"):
        return None
    home = environment.get("HOME", "")
    files = (
        environment.get("AWS_SHARED_CREDENTIALS_FILE") or f"{home}/.aws/credentials",
        environment.get("AWS_CONFIG_FILE") or f"{home}/.aws/config",
    )
    asked = environment.get("AWS_PROFILE")
    if not asked and not any(Path(file).exists() for file in files):
        return None
    try:
        import boto3
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError as error:
        if not asked:
            return None
        raise UnsupportedError(
            f"the profile {asked!r} needs a library that is not installed",
            hint="pip install boto3; or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        ) from error
    try:
        return Boto3CredentialProvider(boto3.Session())
    except Exception as error:
        if not asked:
            return None
        raise StorageError(f"the profile {asked!r} has no credentials: {error}") from error
