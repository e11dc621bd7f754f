"""A group that knows its commands by name and help, and imports one when it is called."""

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from amictl.cli.command import show_help, take_global_options
from amictl.cli.global_options import global_options
from amictl.cli.refusing import refuse_command
from amictl.cli.words import Words

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class Entry(NamedTuple):
    """Where a command is defined, and the first line of its help."""

    module: str
    attribute: str
    help: str


class LazyGroup(click.Group):
    """Commands by name in a table; so neither start nor help nor completion imports their code."""

    def __init__(self, name: str, table: Mapping[str, Entry], **attributes: Any) -> None:
        super().__init__(name, **attributes)
        self.params = [*self.params, *global_options()]
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = self.table.get(cmd_name)
        if entry is None:
            return None
        command = getattr(importlib.import_module(entry.module), entry.attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] == "help" and not ctx.resilient_parsing:
            show_help(ctx if len(args) == 1 else self._context_of(ctx, args[1]))
        if args[0] not in self.table and not ctx.resilient_parsing:
            refuse_command(ctx.command_path, args[0])
            raise unknown_command(args[0], list(self.table), ctx)
        return super().resolve_command(ctx, args)

    def _context_of(self, ctx: click.Context, name: str) -> click.Context:
        """Where help on one command is asked for. Raises UnknownCommandError."""
        _, command, _ = self.resolve_command(ctx, [name])
        assert command is not None
        return click.Context(command, parent=ctx, info_name=name)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        rest = super().parse_args(ctx, Words.of(self, ctx).prepared(args))
        take_global_options(ctx)
        return rest

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.table[name].help) for name in sorted(self.table)])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        from click.shell_completion import CompletionItem

        commands = [
            CompletionItem(name, help=self.table[name].help)
            for name in sorted(self.table)
            if name.startswith(incomplete)
        ]
        return commands + click.Command.shell_complete(self, ctx, incomplete)


class UnknownCommandError(click.UsageError):
    """No command has this name; `hint` may name the one that was meant."""

    def __init__(self, message: str, hint: str, ctx: click.Context) -> None:
        super().__init__(message, ctx)
        self.hint = hint


def unknown_command(name: str, known: list[str], ctx: click.Context) -> UnknownCommandError:
    """The error for a word that is no command of this group."""
    from difflib import get_close_matches

    longer = [one for one in known if one.startswith(name)]
    close = longer or get_close_matches(name, known, cutoff=0.8)
    hint = f"did you mean {' or '.join(close)}?" if close else f"see {ctx.command_path} --help"
    return UnknownCommandError(f"no such command: {name}", hint, ctx)
