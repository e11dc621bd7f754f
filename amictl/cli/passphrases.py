"""Where passphrases come from: options, the environment, or a person at the terminal.

Never from the command line itself, which other users can see.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from amictl.cli.invocation import is_terminal
from amictl.errors import KeyLockedError, UsageError

VARIABLES = ("AMICTL_PASSPHRASE_FD", "AMICTL_PASSPHRASE_FILE", "AMICTL_PASSPHRASE_COMMAND")

_WAYS = "--{0}passphrase-file, --{0}passphrase-command or --{0}passphrase-fd"


@dataclass(frozen=True, slots=True)
class PassphraseOptions:
    """What was given of `--passphrase-fd`, `--passphrase-file` and `--passphrase-command`."""

    descriptor: int | None = None
    file: Path | None = None
    command: str | None = None

    @classmethod
    def taken_from(cls, options: dict[str, Any], prefix: str = "") -> "PassphraseOptions":
        """Out of the parameters of a command."""
        names = ("fd", "file", "command")
        return cls(*(options.pop(f"{prefix}passphrase_{name}") for name in names))

    @classmethod
    def of_environment(cls, environment: Mapping[str, str]) -> "PassphraseOptions":
        """Raises UsageError for a descriptor that is no number."""
        number, file, command = (environment.get(name) or None for name in VARIABLES)
        if number is not None and not (number.isascii() and number.isdigit()):
            raise UsageError(f"{VARIABLES[0]} is {number!r}, not a file descriptor")
        return cls(
            None if number is None else int(number), None if file is None else Path(file), command
        )

    @property
    def is_given(self) -> bool:
        """Whether one of them says where a passphrase is."""
        return any(way is not None for way in (self.descriptor, self.file, self.command))

    def read(self) -> str:
        """The passphrase. Raises KeyLockedError, UsageError if two ways were given."""
        from amictl.keys import passphrases
        from amictl.keys.process import shield

        shield()
        match self:
            case PassphraseOptions(int(number), None, None):
                return passphrases.from_descriptor(number)
            case PassphraseOptions(None, Path() as path, None):
                return passphrases.from_file(path)
            case PassphraseOptions(None, None, str(command)):
                return passphrases.from_command(command)
        raise UsageError(
            "a passphrase can come from one place only", code="InvalidParameterCombination"
        )


@dataclass(slots=True)
class Passphrases:
    """Gives the passphrase for what is named, asking once for each, or reading it once for all."""

    given: PassphraseOptions
    _known: dict[str, str] = field(default_factory=dict, repr=False)

    def __call__(self, place: str) -> str:
        key = "" if self.given.is_given else place
        if key not in self._known:
            self._known[key] = self.given.read() if self.given.is_given else _typed(place)
        return self._known[key]


def new_passphrase(given: PassphraseOptions, what: str, prefix: str = "") -> str:
    """A passphrase for something new, typed twice if it is typed.

    `prefix` is what the names of the options begin with. Raises KeyLockedError, UsageError
    if the two are not the same.
    """
    if given.is_given:
        return given.read()
    passphrase = _asked(f"New passphrase for {what}: ", f"use {_WAYS.format(prefix)}", what)
    if not passphrase:
        raise UsageError("the passphrase is empty")
    if _asked("The same once more: ", "", what) != passphrase:
        raise UsageError("the two passphrases are not the same", hint="try again")
    return passphrase


class Conversation:
    """What a plugin says and asks goes to the terminal; without one, questions have no answer."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note

    def display_message(self, message: str) -> None:
        self._note(message)

    def confirm(self, message: str, yes_string: str, no_string: str | None) -> bool | None:
        if not is_terminal(sys.stdin):
            return None
        return _line(f"{message} ({yes_string}: y, {no_string or 'no'}: n) ").lower() == "y"

    def request_public_string(self, description: str) -> str | None:
        return _line(f"{description}: ") if is_terminal(sys.stdin) else None

    def request_passphrase(self, description: str) -> str | None:
        from getpass import getpass

        return getpass(f"{description}: ") if is_terminal(sys.stdin) else None


def _typed(place: str) -> str:
    return _asked(f"Passphrase for {place}: ", f"set {', '.join(VARIABLES)}", place)


def _asked(prompt: str, hint: str, what: str) -> str:
    from getpass import getpass

    from amictl.keys.process import shield

    shield()
    if not is_terminal(sys.stdin):
        raise KeyLockedError(
            f"{what} needs a passphrase, and there is no terminal to ask for it", hint=hint
        )
    try:
        return getpass(prompt)
    except EOFError:
        raise KeyLockedError(f"no passphrase was given for {what}", hint=hint) from None


def _line(prompt: str) -> str:
    import click

    click.echo(prompt, nl=False, err=True)
    return sys.stdin.readline().strip()
