"""create-region and describe-regions."""

import os
from pathlib import Path
from typing import Any

import click

from amictl.cli import regions
from amictl.cli.command import Presentation, Result, command
from amictl.cli.invocation import Invocation
from amictl.cli.option_types import FILE, WordsType
from amictl.cli.options import dry_run, filters, list_option, yes_no
from amictl.model.region import DEFAULT_CHUNK_SIZE_BYTES, DEFAULT_COMPRESSION_LEVEL

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
    ],
)
@click.argument("name", metavar="NAME")
@click.option(
    "--directory",
    type=FILE,
    required=True,
    metavar="DIR",
    help="An empty or new directory, or one that holds a store already.",
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
    invocation: Invocation, name: str, directory: Path, chunk_size: str, compression_level: int
) -> Result:
    """Make a store in a directory and give it a name.

    NAME has 1 to 63 lower-case letters, digits and hyphens, and is written to the configuration
    file.
    """
    from amictl.actions import regions as actions

    actions.require_not_hiding(name, directory, regions.default_directory())
    return actions.create_region(
        regions.config_path(os.environ),
        name,
        directory,
        chunk_size_bytes=int(chunk_size.removesuffix("KiB")) * 1024,
        compression_level=compression_level,
        surroundings=invocation.surroundings,
    )


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

    The region `local` is always there; others are in the configuration file. `Problem` says why
    the store of a region cannot be opened.
    """
    from amictl.actions import regions as actions

    return actions.describe_regions(
        regions.config_path(os.environ),
        regions.default_directory(),
        region_names,
        filters,
        dry_run=bool(dry_run),
    )
