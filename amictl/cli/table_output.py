"""Tables for people. Nothing is cut off: what is too wide for a row becomes a list of fields."""

import io
import shutil
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from rich import box
from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from amictl.cli.invocation import Invocation, is_terminal

_ENDLESS = 1_000_000


def table_of(value: Any, invocation: Invocation, columns: tuple[str, ...]) -> str:
    """The whole result as text.

    Of several items only `columns` are shown (all members, if it is empty); of a single one, all,
    one a line.
    """
    console = _console(invocation.options.color)
    for part in _parts(value, columns, console):
        console.print(part)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def _console(color: str | None) -> Console:
    terminal = is_terminal(sys.stdout)
    return Console(
        file=io.StringIO(),
        width=shutil.get_terminal_size().columns if terminal else _ENDLESS,
        force_terminal=color == "on" or (terminal and color != "off"),
        no_color=color == "off",
        highlight=False,
        emoji=False,
        markup=False,
        legacy_windows=False,
    )


def _parts(value: Any, columns: tuple[str, ...], console: Console) -> Iterable[RenderableType]:
    """Scalars of a structure first, then a table for each of its lists."""
    match value:
        case dict():
            scalars = {key: member for key, member in value.items() if not _is_listing(member)}
            if scalars:
                yield _fields(scalars)
            for key, member in value.items():
                if _is_listing(member):
                    yield _listing(key, member, columns, console)
        case list():
            yield _listing("", value, columns, console)
        case _:
            yield Text(_cell(value))


def _is_listing(member: Any) -> bool:
    return isinstance(member, list) and all(isinstance(item, dict) for item in member)


def _listing(
    title: str, items: list[Any], columns: tuple[str, ...], console: Console
) -> RenderableType:
    structures = [_flat(item) if isinstance(item, dict) else _as_structure(item) for item in items]
    everything = list(dict.fromkeys(key for item in structures for key in item))
    chosen = list(columns) if columns and len(structures) > 1 else everything
    if not chosen:
        return Text(f"{title or 'Result'}: none")
    if columns and len(structures) == 1:
        return _records(title, structures, chosen)
    rows = _rows(title, structures, chosen)
    rows.show_header = all(isinstance(item, dict) for item in items)
    natural = Measurement.get(console, console.options.update(width=_ENDLESS), rows)
    return rows if natural.maximum <= console.width else _records(title, structures, chosen)


def _rows(title: str, items: list[dict[str, Any]], columns: list[str]) -> Table:
    table = _table(title)
    for column in columns:
        table.add_column(Text(column), no_wrap=True)
    for item in items:
        table.add_row(*(Text(_cell(item.get(column, ""))) for column in columns))
    return table


def _records(title: str, items: list[dict[str, Any]], columns: list[str]) -> Table:
    """One field a line; a rule between items."""
    table = _table(title)
    table.show_header = False
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for item in items:
        for column in columns:
            if column in item:
                table.add_row(Text(column, style="bold"), Text(_cell(item[column])))
        table.add_section()
    return table


def _fields(structure: Mapping[str, Any]) -> Table:
    flat = _flat(structure)
    return _records("", [flat], list(flat))


def _table(title: str) -> Table:
    return Table(
        title=Text(title) if title else None,
        title_justify="left",
        box=box.ROUNDED,
        header_style="bold",
    )


def _flat(structure: Mapping[str, Any]) -> dict[str, Any]:
    """Members of inner structures stand beside the others: `Amictl.Directory`."""
    result: dict[str, Any] = {}
    for key, member in structure.items():
        if isinstance(member, dict):
            result.update({f"{key}.{inner}": value for inner, value in _flat(member).items()})
        else:
            result[key] = member
    return result


def _as_structure(item: Any) -> dict[str, Any]:
    """An item of a queried list as columns without names worth showing."""
    members = item if isinstance(item, list) else [item]
    return {str(number + 1): member for number, member in enumerate(members)}


def _cell(value: Any) -> str:
    """A scalar as text, a list with one item a line; control characters are escaped."""
    if isinstance(value, list):
        return "\n".join(_shorthand(item) for item in value)
    return _shorthand(value)


def _shorthand(value: Any) -> str:
    match value:
        case dict():
            return ",".join(f"{key}={_nested(member)}" for key, member in value.items())
        case list():
            return ",".join(_nested(item) for item in value)
        case str():
            return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in value)
        case bool():
            return "true" if value else "false"
        case None:
            return ""
        case _:
            return str(value)


def _nested(value: Any) -> str:
    match value:
        case dict():
            return f"{{{_shorthand(value)}}}"
        case list():
            return f"[{_shorthand(value)}]"
        case _:
            return _shorthand(value)
