"""Writes man/*.1 from the command tree: `python -m amictl.cli.manual man`."""

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from amictl import __version__
from amictl.cli import manual_texts as texts
from amictl.cli.command import Command
from amictl.cli.global_options import GlobalOption, input_options
from amictl.cli.lazy_group import LazyGroup
from amictl.cli.main import PROGRAM, program
from amictl.cli.option_types import OneOf
from amictl.cli.roff import Page, bold, escaped, italic
from amictl.cli.words import ListOption


def pages() -> dict[str, str]:
    """The text of every page by its file name."""
    result = {f"{PROGRAM}.1": _program_page()}
    for path, command in commands():
        if isinstance(command, Command):
            result[f"{'-'.join(path)}.1"] = _command_page(path, command)
        elif isinstance(command, LazyGroup):
            result[f"{'-'.join(path)}.1"] = _group_page(path, command)
    return result


def commands() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command and group under the program, with the words that call it."""
    yield from _commands_of((PROGRAM,), program)


def _commands_of(
    path: tuple[str, ...], group: LazyGroup
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group, info_name=path[-1])
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, LazyGroup):
            yield from _commands_of((*path, name), command)


def _program_page() -> str:
    page = _page((PROGRAM,), "keep disk images as deduplicated machine images and snapshots")
    page.heading("SYNOPSIS")
    page.line(bold(PROGRAM), " ", italic("COMMAND"), " [", italic("OPTIONS"), "]")
    page.heading("DESCRIPTION")
    page.prose(texts.DESCRIPTION)
    page.heading("COMMANDS")
    page.items((name, program.table[name].help) for name in sorted(program.table))
    page.heading("OPTIONS OF ALL COMMANDS")
    everywhere = [param for param in program.params if isinstance(param, click.Option)]
    _options(page, [*everywhere, *input_options()])
    page.heading("OPTIONS AND VALUES")
    page.prose(texts.VALUES)
    page.heading("RESULTS")
    page.prose(texts.RESULTS)
    for heading, table in (
        ("ENVIRONMENT", texts.ENVIRONMENT),
        ("FILES", texts.FILES),
        ("EXIT STATUS", texts.EXIT_STATUS),
    ):
        page.heading(heading)
        page.items(table)
    page.heading("SEE ALSO")
    inner = [f"{PROGRAM}-{name}(1)" for name in sorted(program.table)]
    _references(page, [*inner, *texts.SEE_ALSO])
    return page.text()


def _group_page(path: tuple[str, ...], group: LazyGroup) -> str:
    page = _page(path, group.help or "")
    page.heading("SYNOPSIS")
    page.line(bold(" ".join(path)), " ", italic("COMMAND"), " [", italic("OPTIONS"), "]")
    page.heading("DESCRIPTION")
    page.prose(group.help or "")
    page.heading("COMMANDS")
    page.items((name, group.table[name].help) for name in sorted(group.table))
    page.heading("SEE ALSO")
    inner = [f"{'-'.join(path)}-{name}(1)" for name in sorted(group.table)]
    _references(page, [f"{PROGRAM}(1)", *inner])
    return page.text()


def _command_page(path: tuple[str, ...], command: Command) -> str:
    page = _page(path, command.get_short_help_str(limit=200))
    page.heading("SYNOPSIS")
    _synopsis(page, path, command)
    page.heading("DESCRIPTION")
    page.prose(command.help or "")
    page.heading("OPTIONS")
    _options(page, _own_options(command))
    page.prose(f"The options of all commands are in {PROGRAM}(1).")
    page.heading("EXAMPLES")
    for example in command.examples:
        page.prose(f"{example.text}:")
        page.literal(example.wrapped())
    page.heading("EXIT STATUS")
    page.prose(_exit_status(command))
    page.heading("SEE ALSO")
    _references(page, [f"{PROGRAM}(1)", *texts.SEE_ALSO])
    return page.text()


def _page(path: tuple[str, ...], purpose: str) -> Page:
    name = "-".join(path)
    page = Page(name, 1, f"{PROGRAM} {__version__}")
    page.heading("NAME")
    page.line(escaped(name), r" \- ", escaped(_as_phrase(purpose)))
    return page


def _as_phrase(sentence: str) -> str:
    """Without the capital and the stop of a sentence, as NAME wants it."""
    first, rest = sentence[:1], sentence[1:].removesuffix(".")
    return (first.lower() if not rest[:1].isupper() else first) + rest


def _synopsis(page: Page, path: tuple[str, ...], command: Command) -> None:
    required = [option for option in _own_options(command) if option.required]
    parts = [bold(" ".join(path))]
    parts += [f"{bold(option.opts[0])} {italic(_value(option))}" for option in required]
    parts += [f"[{italic('OPTIONS')}]"]
    arguments = [param for param in command.params if isinstance(param, click.Argument)]
    parts += [italic(argument.make_metavar(_context(command))) for argument in arguments]
    page.line(" ".join(parts))


def _own_options(command: click.Command) -> list[click.Option]:
    return [
        param
        for param in command.params
        if isinstance(param, click.Option) and not isinstance(param, GlobalOption)
    ]


def _options(page: Page, options: Sequence[click.Option]) -> None:
    for option in options:
        if not option.hidden:
            page.item(_term(option), _explanation(option))


def _term(option: click.Option) -> str:
    names = ", ".join(bold(name) for name in (*option.opts, *option.secondary_opts))
    return names if option.is_flag else f"{names} {italic(_value(option))}"


def _value(option: click.Option) -> str:
    if isinstance(option.type, OneOf):
        return "|".join(option.type.offered)
    if isinstance(option.type, click.Choice):
        return "|".join(option.type.choices)
    text = option.metavar or option.type.name.upper()
    return text if isinstance(option, ListOption) else re.sub(r"[\[\]]", "", text)


def _explanation(option: click.Option) -> str:
    notes = []
    if option.required:
        notes.append("It must be given.")
    if option.show_default:
        notes.append(f"The default is {option.default}.")
    return " ".join([option.help or "", *notes])


def _exit_status(command: Command) -> str:
    found = ", 3 when faults were found" if command.presentation.faults else ""
    return f"0 when it is done{found}; the others are explained in {PROGRAM}(1)."


def _references(page: Page, names: Sequence[str]) -> None:
    words = [re.fullmatch(r"(.*)(\(\d\))", name) for name in names]
    page.line(", ".join(f"{bold(word[1])}{word[2]}" for word in words if word))


def _context(command: click.Command) -> click.Context:
    return click.Context(command, info_name=command.name)


def write(folder: Path) -> None:
    """Write all pages to a folder."""
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="ascii")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
