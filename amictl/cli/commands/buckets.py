"""create-bucket, describe-buckets and delete-bucket."""

import os
from pathlib import Path

import click

from amictl.cli import regions
from amictl.cli.command import Presentation, Result, command
from amictl.cli.invocation import Invocation
from amictl.cli.option_types import FILE, WordsType
from amictl.cli.options import list_option
from amictl.errors import UsageError
from amictl.model.buckets import BucketConfig, require_bucket_name, require_storage_class
from amictl.model.region import require_bucket_url, require_endpoint_url


@command(
    "create-bucket",
    presentation=Presentation(identifier="Name"),
    examples=[
        ("A directory on a backup disk", "amictl create-bucket offsite --directory /mnt/backup"),
        (
            "A prefix of a bucket of an object store of one's own",
            "amictl create-bucket archives --bucket-url s3://backups/archives"
            " --endpoint-url https://minio.example.org:9000",
        ),
        (
            "A bucket at AWS, in a class for what is seldom read",
            "amictl create-bucket yearly --bucket-url s3://example-amis"
            " --storage-class STANDARD_IA",
        ),
    ],
)
@click.argument("name", metavar="NAME")
@click.option("--directory", type=FILE, metavar="DIR", help="A directory, which must be there.")
@click.option(
    "--bucket-url",
    metavar="URL",
    help="Instead of a directory: s3://BUCKET or s3://BUCKET/PREFIX of an object store.",
)
@click.option(
    "--endpoint-url",
    metavar="URL",
    help="Where the object store is; without it, where AWS has the bucket.",
)
@click.option(
    "--storage-class",
    metavar="CLASS",
    help="The class of new objects, where the command that makes them names none.",
)
def create_bucket(
    invocation: Invocation,
    name: str,
    directory: Path | None,
    bucket_url: str | None,
    endpoint_url: str | None,
    storage_class: str | None,
) -> Result:
    """Give a name to a place where archives go.

    NAME has 3 to 63 lower-case letters, digits, hyphens and full stops, and is written to the
    configuration file. The place must be there, and keeps what is in it. Commands also take
    s3://BUCKET/PREFIX and directories (with a slash or a full stop at the beginning) directly.
    """
    from amictl.actions import buckets as actions

    bucket = _bucket(name, directory, bucket_url, endpoint_url, storage_class)
    return actions.create_bucket(regions.places(os.environ), bucket, invocation.surroundings)


def _bucket(
    name: str,
    directory: Path | None,
    bucket_url: str | None,
    endpoint_url: str | None,
    storage_class: str | None,
) -> BucketConfig:
    """Raises UsageError unless one place is given."""
    require_bucket_name(name)
    if (directory is None) == (bucket_url is None):
        raise UsageError(
            "give either --directory or --bucket-url", code="InvalidParameterCombination"
        )
    if directory is not None:
        if endpoint_url is not None or storage_class is not None:
            raise UsageError(
                "--endpoint-url and --storage-class go with --bucket-url",
                code="InvalidParameterCombination",
            )
        # Keeps symbolic links.
        return BucketConfig(name, Path(os.path.abspath(directory)))  # noqa: PTH100
    endpoint = None if endpoint_url is None else require_endpoint_url(endpoint_url)
    kind = None if storage_class is None else require_storage_class(storage_class)
    return BucketConfig(name, None, require_bucket_url(str(bucket_url)), endpoint, kind)


@command(
    "describe-buckets",
    presentation=Presentation(identifier="Name"),
    examples=[
        ("All buckets", "amictl describe-buckets"),
        ("One bucket", "amictl describe-buckets --names offsite"),
    ],
)
@list_option("--names", WordsType(), metavar="NAME...", help="Only these.")
def describe_buckets(invocation: Invocation, names: tuple[str, ...]) -> Result:
    """Show the buckets that have a name, in the order of the configuration file.

    The places are not looked into.
    """
    from amictl.actions import buckets as actions

    return actions.describe_buckets(regions.places(os.environ), names)


@command(
    "delete-bucket",
    examples=[("A bucket that is not used any more", "amictl delete-bucket offsite")],
)
@click.argument("name", metavar="NAME")
def delete_bucket(invocation: Invocation, name: str) -> Result:
    """Forget the name of a bucket.

    The place and what is in it stay as they are; create-bucket gives it a name again.
    """
    from amictl.actions import buckets as actions

    return actions.delete_bucket(regions.places(os.environ), name, invocation.surroundings)
