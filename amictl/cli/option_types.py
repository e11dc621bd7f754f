"""Types of values on the command line."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from amictl.cli import shapes
from amictl.cli.parameter_files import PREFIX
from amictl.cli.words import ListType
from amictl.errors import UsageError
from amictl.model.ids import require_id

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Parameter = click.Parameter | None
Context = click.Context | None

_DEVICE = re.compile(r"/dev/[A-Za-z0-9]+|x?[hsv]d[a-z]{1,2}[0-9]*")
_DURATION = re.compile(r"([0-9]{1,9})(s|m|h|d|w)?")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class IdType(click.ParamType[str]):
    """An identifier: a prefix and 17 hexadecimal digits. Raises MalformedIdError."""

    name = "id"

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def convert(self, value: str, param: Parameter, ctx: Context) -> str:
        return require_id(self.kind, value)


class IdsType(ListType):
    """Identifiers of one kind in a row, or a JSON list of them, or `file://`."""

    name = "id"

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def accepts(self, word: str) -> bool:
        return word.startswith((f"{self.kind}-", "[", PREFIX))

    def convert(self, value: str, param: Parameter, ctx: Context) -> tuple[Any, ...]:
        return tuple(require_id(self.kind, text) for text in _texts(value, param))


class WordsType(ListType):
    """Words in a row, or a JSON list of them, or `file://`."""

    name = "text"

    def accepts(self, word: str) -> bool:
        return True

    def convert(self, value: str, param: Parameter, ctx: Context) -> tuple[Any, ...]:
        return _texts(value, param)


class StructuresType(ListType):
    """Structures in a row: shorthand, JSON or `file://`."""

    name = "shorthand"

    def __init__(self, shape: shapes.Structure) -> None:
        self.shape = shape

    def accepts(self, word: str) -> bool:
        return shapes.begins_like(word, self.shape)

    def convert(self, value: str, param: Parameter, ctx: Context) -> tuple[Any, ...]:
        with _naming(param):
            return tuple(shapes.read(value, self.shape))


class StructureType(click.ParamType[dict[str, Any]]):
    """One structure: shorthand, JSON or `file://`."""

    name = "shorthand"

    def __init__(self, shape: shapes.Structure) -> None:
        self.shape = shape

    def convert(self, value: Any, param: Parameter, ctx: Context) -> dict[str, Any]:
        items = StructuresType(self.shape).convert(value, param, ctx)
        if len(items) != 1:
            option = param.opts[0] if param else "the option"
            raise UsageError(f"{option}: expected one structure, found {len(items)}")
        structure: dict[str, Any] = items[0]
        return structure


class DiskType(click.ParamType[tuple[str | None, Path]]):
    """`FILE` or `DEVICE=FILE`; a file that exists by the whole name is meant before."""

    name = "disk"

    def convert(self, value: Any, param: Parameter, ctx: Context) -> tuple[str | None, Path]:
        device, equals, file = value.partition("=")
        if equals and _DEVICE.fullmatch(device) and not Path(value).exists():
            return device, Path(file)
        return None, Path(value)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> "list[CompletionItem]":
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]


class MomentType(click.ParamType[datetime]):
    """ISO 8601, a date, or seconds since 1970; local time where no zone is given."""

    name = "date"

    def convert(self, value: Any, param: Parameter, ctx: Context) -> datetime:
        try:
            if value.isascii() and value.isdigit():
                return datetime.fromtimestamp(int(value), UTC)
            return datetime.fromisoformat(value).astimezone(UTC)
        except (ValueError, OverflowError, OSError):
            raise UsageError(
                f"{value!r} is not a point in time",
                hint="write 2026-11-22, 2026-11-22T14:30:00Z or seconds since 1970",
            ) from None


class DurationType(click.ParamType[float]):
    """A number with s, m, h, d or w; seconds without."""

    name = "duration"

    def convert(self, value: Any, param: Parameter, ctx: Context) -> float:
        match = _DURATION.fullmatch(value)
        if match is None:
            raise UsageError(f"{value!r} is not a duration", hint="write 90s, 15m, 12h, 7d or 2w")
        return float(int(match[1]) * _SECONDS[match[2] or "s"])


class AnyCase(click.Choice[str]):
    """One of some words, in capitals or not; they are shown as they are written here."""

    def __init__(self, choices: Sequence[str]) -> None:
        super().__init__(choices, case_sensitive=False)

    def get_invalid_choice_message(self, value: Any, ctx: Context) -> str:
        return f"{value!r} is not one of {', '.join(map(repr, self.choices))}."


class OneOf(click.Choice[str]):
    """One of some words. Others are taken too, because the action says why it refuses them."""

    def __init__(self, offered: Sequence[str], refused: Sequence[str]) -> None:
        super().__init__((*offered, *refused))
        self.offered = tuple(offered)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return f"[{'|'.join(self.offered)}]"

    def get_missing_message(self, param: click.Parameter, ctx: click.Context | None) -> str:
        return f"Choose from: {', '.join(self.offered)}"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> "list[CompletionItem]":
        return click.Choice(self.offered).shell_complete(ctx, param, incomplete)


@contextmanager
def _naming(param: Parameter) -> Iterator[None]:
    """Begin the message of a wrong value with the option."""
    option = param.opts[0] if param else "the option"
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{option}: {error.message}", hint=error.hint, code=error.code) from error


def _texts(value: str, param: Parameter) -> tuple[str, ...]:
    with _naming(param):
        return tuple(shapes.texts(value))


FILE = click.Path(path_type=Path, readable=False)
