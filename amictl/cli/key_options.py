"""Options that several commands about keys have."""

from collections.abc import Callable
from typing import Any

import click

from amictl.cli.option_types import FILE
from amictl.cli.options import Decorator
from amictl.cli.words import CommandType


def key_id_option() -> Decorator:
    """`--key-id`."""
    return click.option(
        "--key-id", required=True, metavar="KEY", help="The key: its id, or alias/NAME."
    )


def passphrase_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Where a passphrase is, if nobody types it: three options, for PassphraseOptions."""
    for option in (
        click.option(
            "--passphrase-command",
            type=CommandType(),
            metavar="COMMAND",
            help="It is the first line that this command of the shell writes.",
        ),
        click.option(
            "--passphrase-file",
            type=FILE,
            metavar="FILE",
            help="It is the first line of this file, which has mode 0600.",
        ),
        click.option(
            "--passphrase-fd",
            type=click.IntRange(min=0),
            metavar="N",
            help="It is the first line of what can be read from this file descriptor.",
        ),
    ):
        function = option(function)
    return function
