"""list-snapshot-blocks, list-changed-blocks and get-snapshot-block: the shapes of EBS direct."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from amictl.cli.command import Presentation, Result, command
from amictl.cli.invocation import Invocation
from amictl.cli.option_types import FILE
from amictl.cli.options import id_option

_SNAPSHOT = "snap-0123456789abcdef0"


def _paging(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--next-token", metavar="TOKEN", help="Go on where the result with this token ended."
        ),
        click.option(
            "--max-results",
            type=click.IntRange(100, 10000),
            metavar="N",
            help="At most so many, from 100 to 10000; all when not given.",
        ),
        click.option(
            "--starting-block-index",
            type=click.IntRange(min=0),
            metavar="N",
            default=0,
            help="Begin with this block; not used with --next-token.",
        ),
    ):
        function = option(function)
    return function


@command(
    "list-snapshot-blocks",
    examples=[
        ("All blocks with data", f"amictl list-snapshot-blocks --snapshot-id {_SNAPSHOT}"),
        (
            "How many there are",
            f"amictl list-snapshot-blocks --snapshot-id {_SNAPSHOT} --query 'length(Blocks)'",
        ),
    ],
)
@id_option("--snapshot-id", "snap", required=True, help="The snapshot.")
@_paging
def list_snapshot_blocks(invocation: Invocation, snapshot_id: str, **paging: Any) -> Result:
    """List the blocks that hold data.

    A block is 524,288 bytes; its index is its place in the volume, counted in blocks. Blocks that
    are absent read as zeros. The tokens are for get-snapshot-block.
    """
    from amictl.actions import blocks

    with invocation.open_store_for_listing() as store:
        return blocks.list_snapshot_blocks(store, snapshot_id, **paging)


@command(
    "list-changed-blocks",
    examples=[
        (
            "What changed between two nights",
            f"amictl list-changed-blocks --first-snapshot-id {_SNAPSHOT}"
            " --second-snapshot-id snap-0fedcba9876543210",
        )
    ],
)
@id_option("--first-snapshot-id", "snap", required=True, help="The earlier snapshot.")
@id_option("--second-snapshot-id", "snap", required=True, help="The later snapshot.")
@_paging
def list_changed_blocks(
    invocation: Invocation, first_snapshot_id: str, second_snapshot_id: str, **paging: Any
) -> Result:
    """List the blocks in which two snapshots differ.

    A block of which only the second snapshot has data has no first token, and a block that
    became zeros has no second one.
    """
    from amictl.actions import blocks

    with invocation.open_store_for_listing() as store:
        return blocks.list_changed_blocks(store, first_snapshot_id, second_snapshot_id, **paging)


@command(
    "get-snapshot-block",
    presentation=Presentation(),
    examples=[
        (
            "Write the first block to a file",
            f"amictl get-snapshot-block --snapshot-id {_SNAPSHOT} --block-index 0"
            " --block-token TOKEN block.bin",
        )
    ],
)
@click.argument("outfile", metavar="OUTFILE", type=FILE)
@id_option("--snapshot-id", "snap", required=True, help="The snapshot.")
@click.option(
    "--block-index", type=click.IntRange(min=0), required=True, metavar="N", help="The block."
)
@click.option(
    "--block-token", required=True, metavar="TOKEN", help="The block's token, from a listing."
)
def get_snapshot_block(
    invocation: Invocation, snapshot_id: str, block_index: int, block_token: str, outfile: Path
) -> Result:
    """Write one block of a snapshot to a file.

    Prints its length and its SHA-256 in base64, as EBS does.
    """
    from amictl.actions import blocks

    with invocation.open_store_for_listing() as store:
        return blocks.get_snapshot_block(store, snapshot_id, block_index, block_token, outfile)
