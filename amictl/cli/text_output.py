"""`--output text`, as the AWS CLI writes it: one line per structure, for cut and awk.

A line is the upper-case name of the list or structure, then its scalars in the alphabetical
order of their keys, separated by tabs; nested structures follow on lines of their own.
"""

from collections.abc import Iterator
from typing import Any


def text_of(value: Any) -> str:
    """All lines of a result. Absent members of a list's items are empty columns."""
    return "".join(f"{line}\n" for line in _lines(value, None, None))


def _lines(value: Any, name: str | None, columns: list[str] | None) -> Iterator[str]:
    match value:
        case dict():
            yield from _structure(value, name, columns)
        case list():
            yield from _list(value, name)
        case _:
            yield str(value)


def _structure(value: dict[str, Any], name: str | None, columns: list[str] | None) -> Iterator[str]:
    if columns is None:
        columns = sorted(key for key, member in value.items() if _is_scalar(member))
    cells = [str(value.get(key, "")) for key in columns]
    if cells:
        yield "\t".join([name.upper(), *cells] if name else cells)
    for key in sorted(value.keys() - set(columns)):
        yield from _lines(value[key], key, None)


def _list(items: list[Any], name: str | None) -> Iterator[str]:
    if any(isinstance(item, dict) for item in items):
        structures = [item for item in items if isinstance(item, dict)]
        columns = {key for item in structures for key in item if _is_scalar(item[key])}
        for item in items:
            yield from _lines(item, name, sorted(columns))
        return
    scalars = [str(item) for item in items if _is_scalar(item)]
    if name is not None:
        yield from (f"{name.upper()}\t{scalar}" for scalar in scalars)
    elif scalars:
        yield "\t".join(scalars)
    for item in items:
        if not _is_scalar(item):
            yield from _lines(item, name, None)


def _is_scalar(value: Any) -> bool:
    return not isinstance(value, dict | list)
