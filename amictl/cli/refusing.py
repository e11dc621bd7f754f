"""Refuses by name what EC2 has and amictl has not, or leaves it out where that was asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from amictl.cli.operations import operation_of
from amictl.errors import UnsupportedError

IGNORE = "--ignore-unsupported"
_FLAGS_EVERYWHERE = ("--no-", "--v2-debug", "--cli-auto-prompt")


@dataclass(frozen=True)
class Refusals:
    """The options of EC2 that one command cannot honour; none if `command` is None.

    With `ignoring` they are left out, each with a warning; otherwise they are errors.
    """

    command: str | None
    ignoring: bool

    @cached_property
    def reasons(self) -> Mapping[str, str]:
        """The reason by the option's name."""
        if self.command is None:
            return {}
        from amictl.cli.ec2.refusals import EVERYWHERE, OPTIONS

        return {**EVERYWHERE, **OPTIONS.get(self.command, {})}

    def leave_out(self, option: str) -> None:
        """Raises UnsupportedError with the reason, or only warns."""
        leave_out(option, self.reasons[option], ignoring=self.ignoring)

    def count_values(self, option: str, words: Sequence[str]) -> int:
        """How many of the next words the AWS CLI would take as values of this option."""
        values = 0
        while values < len(words) and not words[values].startswith("--"):
            values += 1
        match self._kind(option):
            case "boolean":
                return 0
            case "list":
                return values
            case _:
                return min(values, 1)

    def option_of(self, member: str) -> str | None:
        """The refused option that stands for a member of EC2's parameters, if there is one."""
        operation = operation_of(self.command or "")
        options = operation.options.items() if operation else ()
        names = [name for name, (known, _) in options if known == member]
        return next((name for name in names if name in self.reasons), None)

    def _kind(self, option: str) -> str:
        operation = operation_of(self.command or "")
        if operation is not None and option in operation.options:
            return operation.options[option][1]
        return "boolean" if option.startswith(_FLAGS_EVERYWHERE) else "string"


def leave_out(option: str, reason: str, *, ignoring: bool) -> None:
    """Raises UnsupportedError with the reason; when `ignoring`, only warns."""
    from amictl.cli.failures import complain

    if not ignoring:
        raise UnsupportedError(
            f"{option} is not supported: {reason}", hint=f"{IGNORE} leaves such options out"
        )
    complain(f"warning: {option} is left out: {reason}")


def is_ignoring(words: Sequence[str]) -> bool:
    """Whether `--ignore-unsupported`, or the beginning of it, is among the words."""
    return any(word.startswith("--ig") and IGNORE.startswith(word) for word in words)


def refuse_command(path: str, name: str) -> None:
    """Raises UnsupportedError if `name` is an operation, a waiter or a word that has an answer.

    `path` is the group that it was asked of: `amictl`, or `amictl wait` for waiters.
    """
    from amictl.cli.ec2 import refusals

    if path.endswith(" wait"):
        answer = refusals.waiter_answer(name)
    else:
        answer = refusals.operation_answer(name)
    if answer is not None:
        raise UnsupportedError(f"amictl has no {name}: {answer}")
