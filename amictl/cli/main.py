"""The program: finds the command, runs it, and turns every error into a message and a status."""

import gc
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from amictl import __version__
from amictl.cli import signals
from amictl.cli.catalog import COMMANDS
from amictl.cli.invocation import Invocation
from amictl.cli.lazy_group import LazyGroup

PROGRAM = "amictl"
COMPLETION_VARIABLE = "_AMICTL_COMPLETE"
_GARBAGE_THRESHOLD = 50_000

program = LazyGroup(
    PROGRAM,
    COMMANDS,
    help="Keep raw disk images as deduplicated snapshots and registered machine images.",
    epilog="Help on a command: amictl COMMAND --help",
    params=[],
    context_settings={"max_content_width": 100},
)
click.version_option(__version__, message="%(prog)s %(version)s")(program)


def run(arguments: Sequence[str]) -> int:
    """Run one command line; its exit status. Raises nothing but SystemExit for shell completion."""
    invocation = Invocation(tuple(arguments))
    try:
        with program.make_context(PROGRAM, list(arguments), obj=invocation) as context:
            status = program.invoke(context)
            return status if isinstance(status, int) else 0
    except click.exceptions.Exit as request:
        return request.exit_code
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the edge of the program
        from amictl.cli import failures

        return failures.report(error, invocation)


def main() -> NoReturn:
    """The console script."""
    if COMPLETION_VARIABLE in os.environ:
        program.main(prog_name=PROGRAM, complete_var=COMPLETION_VARIABLE)
    # numpy's linear algebra is not used; without threads of its own it loads in half the time.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gc.set_threshold(_GARBAGE_THRESHOLD)
    _open_standard_streams()
    signals.install()
    status = run(sys.argv[1:])
    signals.ignore()
    _settle_standard_output()
    # Everything is written and closed: taking the interpreter apart would only take time.
    if sys.stderr is not None:
        sys.stderr.flush()
    os._exit(status)


def _open_standard_streams() -> None:
    """Where the caller closed one, so that no file of a store gets its number and its writers."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _settle_standard_output() -> None:
    """What could not be written was reported; the interpreter must not report it once more."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
