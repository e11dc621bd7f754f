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
    return _passphrase_options("", "It is")(function)


def luks_passphrase_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same for the passphrase of a LUKS disk."""
    return _passphrase_options("luks-", "With --luks: the passphrase is")(function)


def _passphrase_options(prefix: str, it_is: str) -> Decorator:
    command = click.option(
        f"--{prefix}passphrase-command",
        type=CommandType(),
        metavar="COMMAND",
        help=f"{it_is} the first line that this command of the shell writes.",
    )
    file = click.option(
        f"--{prefix}passphrase-file",
        type=FILE,
        metavar="FILE",
        help=f"{it_is} the first line of this file, which has mode 0600.",
    )
    descriptor = click.option(
        f"--{prefix}passphrase-fd",
        type=click.IntRange(min=0),
        metavar="N",
        help=f"{it_is} the first line of what can be read from this file descriptor.",
    )

    def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
        return descriptor(file(command(function)))

    return decorated
