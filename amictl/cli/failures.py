"""Turns what was raised into lines on standard error and an exit status."""

import contextlib
import os
import signal
import sys
import traceback

import click

from amictl.cli.invocation import Invocation
from amictl.errors import (
    AmictlError,
    InterruptedBySignalError,
    StorageError,
    UnsupportedError,
    UsageError,
)

_BUG = 1
_COPIES = {
    "create-image": "copy-image",
    "register-image": "copy-image",
    "create-snapshot": "copy-snapshot",
    "create-snapshots": "copy-snapshot",
}
"""What encrypts the things that a command makes."""


class ResultNotShownError(StorageError):
    """The operation is done, but its result could not be written to standard output."""


class ReaderGoneError(ResultNotShownError):
    """Whoever read standard output has closed it, as `head` does; nothing to complain about."""


class FailedWorkerError(AmictlError):
    """A detached worker ended before it held the moment; `message` is what it complained about."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def report(error: BaseException, invocation: Invocation) -> int:
    """Say what went wrong, and return the exit status for it."""
    debug = bool(invocation.given.debug) or "--debug" in invocation.arguments
    if debug:
        complain("".join(traceback.format_exception(error)).rstrip())
    match _translated(error):
        case ReaderGoneError(exit_code=status):
            pass
        case FailedWorkerError(message=message, exit_code=status):
            complain(message)
        case AmictlError(exit_code=status) as known:
            sentence = invocation.sentence or _sentence
            complain(sentence(known))
            if hint := invocation.hint(known) if invocation.hint else known.hint:
                from amictl.cli.hints import of_invocation

                complain(f"hint: {of_invocation(hint, invocation)}")
        case click.exceptions.NoArgsIsHelpError(message=message, exit_code=status):
            complain(message)
        case unknown:
            status = _BUG
            complain(f"amictl bug: {type(unknown).__name__}: {' '.join(str(unknown).split())}")
            if not debug:
                complain("hint: run it again with --debug to see where, and please report it")
    return status


def _sentence(error: AmictlError) -> str:
    return f"An error occurred ({error.code}): {error.message}"


def complain(text: str) -> None:
    """One message on standard error; nothing more can be done when that fails."""
    with contextlib.suppress(OSError, ValueError):
        click.echo(text, err=True)


def _translated(error: BaseException) -> BaseException:
    """The error in amictl's own terms, if it is one that can be expected."""
    match error:
        case AmictlError() | click.exceptions.NoArgsIsHelpError():
            return error
        case click.UsageError():
            return _usage_error(error)
        case KeyboardInterrupt() | click.Abort():
            return InterruptedBySignalError(signal.SIGINT)
        case BrokenPipeError():
            return ReaderGoneError("standard output was closed")
        case OSError():
            place = f": {error.filename!r}" if error.filename else ""
            return StorageError(f"{error.strerror or error}{place}")
        case ImportError(name=str(name)) if not name.startswith("amictl"):
            return UnsupportedError(
                f"amictl needs the Python library {name.partition('.')[0]!r}, which is missing or"
                " does not fit",
                hint="install amictl anew, as with: pip install --force-reinstall amictl",
            )
        case MemoryError():
            return StorageError("there is not enough memory", code="InsufficientMemory")
        case _:
            return error


def _usage_error(error: click.UsageError) -> UsageError:
    command = error.ctx.command_path if error.ctx else "amictl"
    hint = f"see {command} --help"
    match error:
        case click.MissingParameter():
            code = "MissingParameter"
        case click.NoSuchOption(option_name=name):
            code = "UnknownParameter"
            if elsewhere := _option_elsewhere(error, name):
                hint = elsewhere
            elif close := _close_options(error, name):
                hint = f"did you mean {' or '.join(close)}?"
            return UsageError(f"no such option: {error.option_name}", hint=hint, code=code)
        case _:
            code = _code_of(error)
            hint = getattr(error, "hint", hint)
    message = " ".join(error.format_message().rstrip(".").split())
    return UsageError(message, hint=hint, code=code)


def _option_elsewhere(error: click.UsageError, name: str) -> str | None:
    """What to do for an option that only another command has."""
    command = error.ctx.info_name if error.ctx else None
    copy = _COPIES.get(command or "")
    if copy is None or name not in ("--encrypted", "--kms-key-id"):
        return None
    return (
        f"make it first, then an encrypted copy: amictl {copy} --encrypted; or encrypt all that is"
        " new: amictl enable-ebs-encryption-by-default"
    )


def _close_options(error: click.UsageError, name: str) -> list[str]:
    """The options of the command that a wrong name may stand for, those that help shows."""
    from difflib import get_close_matches

    params = error.ctx.command.get_params(error.ctx) if error.ctx else []
    shown = [param for param in params if not getattr(param, "hidden", False)]
    names = [name for param in shown for name in (*param.opts, *param.secondary_opts)]
    return get_close_matches(name, names, cutoff=0.75)


def _code_of(error: click.UsageError) -> str:
    from amictl.cli.lazy_group import UnknownCommandError

    return "InvalidAction" if isinstance(error, UnknownCommandError) else UsageError.code


def close_standard_output() -> None:
    """After a failed write: what is still in Python's buffer must not fail again at the end."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
