"""create-region, describe-regions, modify-region and delete-region."""

import os
from pathlib import Path
from typing import Any

import click

from amictl.cli import regions
from amictl.cli.command import Presentation, Result, command
from amictl.cli.invocation import Invocation
from amictl.cli.option_types import FILE, WordsType
from amictl.cli.options import dry_run, filters, list_option, yes_no
from amictl.cli.seen_states import know_new
from amictl.errors import UsageError
from amictl.model.region import (
    DEFAULT_CHUNK_SIZE_BYTES,
    DEFAULT_COMPRESSION_LEVEL,
    NewStore,
    RegionConfig,
    require_bucket_url,
    require_endpoint_url,
)

_CHUNK_SIZES = ("16KiB", "32KiB", "64KiB")


@command(
    "create-region",
    presentation=Presentation(identifier="RegionName"),
    examples=[
        ("A region on a backup disk", "amictl create-region backup --directory /mnt/backup/amis"),
        (
            "A region for many similar disks that is to be as small as possible",
            "amictl create-region archive --directory /srv/amis --chunk-size 16KiB"
            " --compression-level 9",
        ),
        (
            "A region in a bucket of an object store of one's own",
            "amictl create-region away --bucket-url s3://backups/amis"
            " --endpoint-url https://minio.example.org:9000",
        ),
    ],
)
@click.argument("name", metavar="NAME")
@click.option(
    "--directory",
    type=FILE,
    metavar="DIR",
    help="An empty or new directory, or one that holds a store already.",
)
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
    "--chunk-size",
    type=click.Choice(_CHUNK_SIZES, case_sensitive=False),
    default=f"{DEFAULT_CHUNK_SIZE_BYTES // 1024}KiB",
    show_default=True,
    help="Average size of what is deduplicated; it cannot be changed later.",
)
@click.option(
    "--compression-level",
    type=click.IntRange(1, 19),
    default=DEFAULT_COMPRESSION_LEVEL,
    show_default=True,
    help="The level of zstd.",
)
def create_region(
    invocation: Invocation,
    name: str,
    directory: Path | None,
    bucket_url: str | None,
    endpoint_url: str | None,
    chunk_size: str,
    compression_level: int,
) -> Result:
    """Make a store in a directory or a bucket and give it a name.

    NAME has 1 to 63 lower-case letters, digits and hyphens, and is written to the configuration
    file. All regions that are made with one configuration have one owner, so that copies between
    them take over what is stored as it is.
    """
    from amictl.actions import regions as actions

    region = _region(name, directory, bucket_url, endpoint_url)
    places = regions.places(os.environ)
    actions.require_not_hiding(places, region)
    new = NewStore(int(chunk_size.removesuffix("KiB")) * 1024, compression_level)
    result = actions.create_region(places, region, new, invocation.surroundings)
    with regions.open_named_store(name, os.environ) as store:
        know_new(store, os.environ)
    return result


def _region(
    name: str, directory: Path | None, bucket_url: str | None, endpoint_url: str | None
) -> RegionConfig:
    """Raises UsageError unless one place is given."""
    if (directory is None) == (bucket_url is None):
        raise UsageError(
            "give either --directory or --bucket-url", code="InvalidParameterCombination"
        )
    if directory is not None:
        if endpoint_url is not None:
            raise UsageError(
                "--endpoint-url goes with --bucket-url", code="InvalidParameterCombination"
            )
        # Keeps symbolic links.
        return RegionConfig(name, Path(os.path.abspath(directory)))  # noqa: PTH100
    endpoint = None if endpoint_url is None else require_endpoint_url(endpoint_url)
    return RegionConfig(name, None, require_bucket_url(str(bucket_url)), endpoint)


@command(
    "describe-regions",
    presentation=Presentation(identifier="RegionName"),
    examples=[
        ("All regions", "amictl describe-regions"),
        ("One region", "amictl describe-regions --region-names local"),
    ],
)
@list_option("--region-names", WordsType(), metavar="NAME...", help="Only these.")
@filters("region-name")
@yes_no(
    "--all-regions/--no-all-regions",
    help="Accepted as by EC2; no region here needs to be enabled, and all are shown anyway.",
)
@dry_run()
def describe_regions(
    invocation: Invocation,
    region_names: tuple[str, ...],
    filters: tuple[dict[str, Any], ...],
    all_regions: bool | None,
    dry_run: bool | None,
) -> Result:
    """Show regions.

    The region `local` is always there; others are in the configuration file. `Default` marks the
    one that is meant where none is named, `Problem` says why the store of a region cannot be
    opened.
    """
    from amictl.actions import regions as actions

    return actions.describe_regions(
        regions.places(os.environ),
        region_names,
        filters,
        dry_run=bool(dry_run),
    )


@command(
    "modify-region",
    presentation=Presentation(identifier="RegionName"),
    examples=[
        (
            "Have commands mean a region that do not name one",
            "amictl modify-region backup --default",
        ),
        ("Let fewer copies run at once", "amictl modify-region backup --max-concurrent-copies 4"),
    ],
)
@click.argument("name", metavar="NAME")
@click.option(
    "--default",
    is_flag=True,
    help="Make it the region of commands without --region, --store and AMICTL_REGION.",
)
@click.option(
    "--max-concurrent-copies",
    type=click.IntRange(min=1),
    metavar="N",
    help="How many images and snapshots may be copied into it at a time; 100 at first.",
)
@click.option(
    "--bundle-bucket",
    metavar="BUCKET",
    help="Where copy-image puts the bundles of instance-store images.",
)
def modify_region(
    invocation: Invocation,
    name: str,
    default: bool,
    max_concurrent_copies: int | None,
    bundle_bucket: str | None,
) -> Result:
    """Make a region the default one, or change its settings.

    The default region is kept in the configuration file, the settings in the region.
    """
    from amictl.actions import regions as actions
    from amictl.cli.bundle_places import absolute

    if bundle_bucket is not None:
        bundle_bucket = absolute(bundle_bucket)
        invocation.open_bucket(bundle_bucket)[0].names("")
    return actions.modify_region(
        regions.places(os.environ),
        name,
        default=default,
        max_concurrent_copies=max_concurrent_copies,
        bundle_bucket=bundle_bucket,
        surroundings=invocation.surroundings,
    )


@command(
    "delete-region",
    examples=[
        ("A region that is empty", "amictl delete-region backup"),
        ("Only its name, when its disk is kept elsewhere", "amictl delete-region backup --forget"),
    ],
)
@click.argument("name", metavar="NAME")
@click.option("--forget", is_flag=True, help="Remove only the name, and leave the store as it is.")
def delete_region(invocation: Invocation, name: str, forget: bool) -> Result:
    """Remove a region that holds nothing, or only its name.

    While images or snapshots are in it, in the recycle bin too, or work that is not finished, or
    files of others, nothing is removed. A store whose name was removed gets one again with
    create-region.
    """
    from amictl.actions import regions as actions

    places = regions.places(os.environ)
    if forget:
        return actions.forget_region(places, name, invocation.surroundings)
    return actions.delete_region(places, name, invocation.surroundings)
