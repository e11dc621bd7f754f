"""Prepares the words of a command line for click, which knows neither lists nor abbreviations.

`--image-ids a b c` becomes `--image-ids=a --image-ids=b --image-ids=c`: an option that takes
several values is followed by words as long as these have the form of its values. The first other
word, and all after `--`, is an argument. As in the AWS CLI, the beginning of an option's name is
enough if no other option begins with it. Options that EC2 has and amictl has not are found here
too, so that they are refused before anything else is complained about.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import click

from amictl.cli.global_options import GlobalOption
from amictl.cli.invocation import Invocation
from amictl.cli.parameter_files import text_or_file
from amictl.cli.refusing import Refusals, is_ignoring
from amictl.errors import UsageError


class ListType(click.ParamType[tuple[Any, ...]]):
    """The type of the words of a ListOption; `convert` gives the items that one word stands for."""

    def accepts(self, word: str) -> bool:
        """Whether a word has the form of such a value."""
        raise NotImplementedError


class CommandType(click.ParamType[str]):
    """A command for the shell, as it is."""

    name = "command"


_AS_THEY_ARE = (click.Path, CommandType)
"""Types of values that never stand for a file with the value: paths, and commands for a shell."""


class ListOption(click.Option):
    """An option that takes several words; its value is the tuple of all their items.

    Without a word it counts as not given, as in the AWS CLI: an empty tuple.
    """

    def __init__(self, names: Sequence[str], item_type: ListType, **attributes: Any) -> None:
        super().__init__(names, type=item_type, multiple=True, callback=_joined, **attributes)
        self.item_type = item_type


def _joined(_: click.Context, __: click.Parameter, value: Any) -> tuple[Any, ...]:
    return tuple(item for items in value or () for item in items)


@dataclass(frozen=True, slots=True)
class Words:
    """The options of one command; `arguments` says whether it takes words that are no options."""

    options: dict[str, click.Option]
    refusals: Refusals
    arguments: bool
    subcommands: bool
    completing: bool

    @classmethod
    def of(cls, command: click.Command, context: click.Context) -> "Words":
        params = command.get_params(context)
        options = [param for param in params if isinstance(param, click.Option)]
        return cls(
            {name: option for option in options for name in names(option)},
            _refusals(command, context),
            arguments=any(isinstance(param, click.Argument) for param in params),
            subcommands=isinstance(command, click.Group),
            completing=context.resilient_parsing,
        )

    def prepared(self, words: Sequence[str]) -> list[str]:
        """The same command line in click's terms.

        Raises UsageError for an ambiguous option, UnsupportedError for a refused one.
        """
        return list(self._prepared(words))

    def _prepared(self, words: Sequence[str]) -> Iterator[str]:
        position = 0
        while position < len(words):
            word = words[position]
            if word == "--" or (self.subcommands and not word.startswith("-")):
                yield from words[position:]
                return
            name, equals, value = word.partition("=")
            option = self.options.get(name := self._full_name(name))
            following = words[position + 1 :]
            if option is None and self._is_refused(name):
                self.refusals.leave_out(name)
                taken = 0 if equals else self.refusals.count_values(name, following)
            elif option is None:
                yield word
                taken = 0
            elif equals:
                yield f"{name}={self._looked_up(option, value)}"
                taken = 0
            elif isinstance(option, ListOption):
                taken = self._count_values(option, following)
                yield from (f"{name}={item}" for item in following[:taken])
            elif isinstance(option.type, click.Choice) and _may_stand_alone(option):
                taken = int(bool(following) and following[0] in option.type.choices)
                yield f"{name}={following[0] if taken else option.flag_value}"
            else:
                taken = 0 if option.is_flag else 1
                yield from (name, *(self._looked_up(option, item) for item in following[:taken]))
            position += 1 + taken

    def _looked_up(self, option: click.Option, value: str) -> str:
        """The value, or what the file holds that it names, if the option takes such values.

        Lists and structures look into files by themselves. Raises UsageError, StorageError.
        """
        if self.completing or isinstance(option, GlobalOption | ListOption):
            return value
        return value if isinstance(option.type, _AS_THEY_ARE) else text_or_file(value)

    def _is_refused(self, name: str) -> bool:
        return name.startswith("--") and name in self.refusals.reasons

    def _full_name(self, name: str) -> str:
        if not name.startswith("--") or name in self.options or name in self.refusals.reasons:
            return name
        known = (*self.options, *(self.refusals.reasons.keys() - self.options.keys()))
        candidates = sorted(full for full in known if full.startswith(name))
        if len({id(self.options.get(full, full)) for full in candidates}) > 1:
            raise UsageError(
                f"the option {name} is ambiguous", hint=f"did you mean {' or '.join(candidates)}?"
            )
        return candidates[0] if candidates else name

    def _count_values(self, option: ListOption, words: Sequence[str]) -> int:
        """How many of the next words are values; a command without arguments takes all words."""
        count = 0
        for word in words:
            if word.startswith("--") or (self.arguments and not option.item_type.accepts(word)):
                break
            count += 1
        return count


def _refusals(command: click.Command, context: click.Context) -> Refusals:
    """Nothing is refused while the shell completes a line."""
    invocation = context.find_object(Invocation) or Invocation()
    return Refusals(
        None if context.resilient_parsing else str(command.name), is_ignoring(invocation.arguments)
    )


def _may_stand_alone(option: click.Option) -> bool:
    return not option.is_flag and isinstance(option.flag_value, str)


def names(option: click.Option) -> Iterable[str]:
    """All names of an option, the negative ones of a pair included."""
    return (*option.opts, *option.secondary_opts)
