"""The one kind of command: global options, lists of words, and a result that is shown."""

import contextlib
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn

import click

from amictl.cli.global_options import GLOBAL_NAMES, GlobalOption, global_options, input_options
from amictl.cli.invocation import Invocation
from amictl.cli.paging import paging_options, take_page
from amictl.cli.words import Words
from amictl.errors import AmictlError

Result = dict[str, Any]
FAULTS_FOUND = 3

_LINE_LENGTH = 68
_SHELL_WORD = re.compile(r"""(?:[^\s'"]|'[^']*'|"[^"]*")+""")


class Example(NamedTuple):
    """A command line for the help text and the man page, and what it does."""

    text: str
    line: str

    def wrapped(self) -> str:
        """The line, broken between words so that it fits a page and can still be pasted."""
        lines = [""]
        for word in _SHELL_WORD.findall(self.line):
            if lines[-1] and len(lines[-1]) + len(word) > _LINE_LENGTH:
                lines[-1] += " \\"
                lines.append(f"    {word}")
            else:
                lines[-1] += f" {word}" if lines[-1] else word
        return "\n".join(lines)


class Presentation(NamedTuple):
    """How results of a command are shown.

    `identifier` is the member that --quiet prints, of the result or of each item of its list;
    `columns` are the members that a table of several items shows (all, if empty); `faults` says
    that a non-empty member `Faults` makes the exit status 3.
    """

    identifier: str | None = None
    columns: tuple[str, ...] = ()
    faults: bool = False


_PLAIN = Presentation()


class Command(click.Command):
    """A command whose callback takes an Invocation and its own parameters and returns a result.

    Invoking it shows the result and returns the exit status; errors are left to `main`.
    """

    def __init__(
        self,
        name: str,
        *,
        presentation: Presentation,
        examples: Sequence[Example],
        **attributes: Any,
    ) -> None:
        super().__init__(name, **attributes)
        self.params = [
            *self.params,
            *paging_options(name),
            *global_options(),
            *input_options(),
        ]
        self.presentation = presentation
        self.examples = tuple(examples)

    @property
    def operation(self) -> str:
        """The name as EC2 would write it: `create-image` is `CreateImage`."""
        return "".join(word.capitalize() for word in str(self.name).split("-"))

    def sentence(self, error: AmictlError) -> str:
        """An error in the words of EC2's own tools."""
        return (
            f"An error occurred ({error.code}) when calling the {self.operation} operation:"
            f" {error.message}"
        )

    def hint(self, error: AmictlError) -> str | None:
        """What to do after an error of this command."""
        from amictl.cli import hints

        return hints.of_command(str(self.name), error)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args == ["help"] and not ctx.resilient_parsing:
            show_help(ctx)
        invocation = ctx.ensure_object(Invocation)
        invocation.sentence, invocation.hint = self.sentence, self.hint
        rest = super().parse_args(ctx, Words.of(self, ctx).prepared(args))
        take_global_options(ctx)
        return rest

    def invoke(self, ctx: click.Context) -> int:
        invocation = ctx.ensure_object(Invocation)
        assert self.callback is not None
        paginate = not invocation.given.no_paginate
        page = take_page(str(self.name), ctx.params, paginate=paginate)
        with contextlib.closing(invocation):
            result: Result | None = ctx.invoke(self.callback, invocation, **ctx.params)
        return self.show(invocation, page.of(result or {}))

    def show(self, invocation: Invocation, result: Result) -> int:
        """Write the result to standard output; the exit status."""
        from amictl.cli import output

        output.show(invocation, self.presentation, result)
        if self.presentation.faults and result.get("Faults"):
            from amictl.cli.failures import complain
            from amictl.cli.fault_lines import hint, lines
            from amictl.cli.hints import of_invocation

            found, *named = lines(self.operation, result)
            complain("\n".join([found] if output.is_seen(invocation) else [found, *named]))
            if advice := hint(result):
                complain(f"hint: {of_invocation(advice, invocation)}")
            return FAULTS_FOUND
        return 0

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        params = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        own = [param for param in params if not isinstance(param, GlobalOption)]
        everywhere = [param for param in params if isinstance(param, GlobalOption)]
        for title, group in (("Options", own), ("Global options", everywhere)):
            records = [record for param in group if (record := param.get_help_record(ctx))]
            with formatter.section(title):
                formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Examples"):
            for number, example in enumerate(self.examples):
                formatter.write("\n" if number else "")
                formatter.write_text(f"{example.text}:")
                for line in example.wrapped().splitlines():
                    formatter.write(f"{'':{formatter.current_indent + 2}}{line}\n")


def command(
    name: str,
    *,
    examples: Sequence[tuple[str, str]],
    presentation: Presentation = _PLAIN,
) -> Callable[[Callable[..., Result | None]], Command]:
    """Make a function a command; its docstring is the help text."""
    return click.command(
        name,
        cls=Command,
        presentation=presentation,
        examples=[Example(*example) for example in examples],
    )


def show_help(ctx: click.Context) -> NoReturn:
    """What the word `help` does, as in the AWS CLI: the same as --help."""
    click.echo(ctx.get_help(), color=ctx.color)
    ctx.exit()


def take_global_options(ctx: click.Context) -> None:
    """Move the global options of this context to the invocation; the innermost one counts."""
    given = {name: ctx.params.pop(name) for name in GLOBAL_NAMES & ctx.params.keys()}
    if not ctx.resilient_parsing:
        invocation = ctx.ensure_object(Invocation)
        invocation.given = invocation.given.updated(given)
