"""Writes a result to standard output: JSON, YAML, tab-separated text, a table, or ids alone."""

import errno
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from amictl.cli.failures import ReaderGoneError, ResultNotShownError, close_standard_output
from amictl.cli.invocation import Invocation, is_terminal
from amictl.errors import UsageError

if TYPE_CHECKING:
    from amictl.cli.command import Presentation


_LONGEST = 200


def show(invocation: Invocation, presentation: "Presentation", result: dict[str, Any]) -> None:
    """Write the result once, whole. Raises ResultNotShownError, which names what was made."""
    text = rendered(invocation, presentation, result)
    try:
        _write(text)
    except BrokenPipeError:
        close_standard_output()
        raise ReaderGoneError("standard output was closed") from None
    except OSError as error:
        close_standard_output()
        raise ResultNotShownError(
            f"cannot write the result to standard output: {error.strerror}",
            hint=_made(presentation, result),
        ) from error


def is_seen(invocation: Invocation) -> bool:
    """Whether a person sees the whole result on standard output."""
    options = invocation.options
    return is_terminal(sys.stdout) and not options.quiet and options.query is None


def rendered(invocation: Invocation, presentation: "Presentation", result: dict[str, Any]) -> str:
    """The text of a result; empty for an empty one."""
    query = invocation.options.query
    if not result:
        return ""
    if invocation.options.quiet and query is None:
        return "".join(f"{name}\n" for name in identifiers(result, presentation.identifier))
    value: Any = result if query is None else _selected(invocation, presentation, result)
    match invocation.output:
        case "text":
            from amictl.cli.text_output import text_of

            values = _pieces(result) if query is None else [value]
            return "".join(text_of(item) for item in values)
        case "yaml":
            import yaml

            return yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
        case "table":
            from amictl.cli.table_output import table_of

            columns = presentation.columns if query is None else ()
            return table_of(value, invocation, columns)
        case _:
            return json.dumps(value, indent=4, ensure_ascii=False) + "\n"


def _pieces(result: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """In text the token of the next piece has a line of its own after the items."""
    yield {name: member for name, member in result.items() if name != "NextToken"}
    if "NextToken" in result:
        yield {"NextToken": {"NextToken": result["NextToken"]}}


def identifiers(result: dict[str, Any], name: str | None) -> Iterator[str]:
    """The member `name` of the result, of a structure in it, or of each item of its lists."""
    if name is None:
        return
    if name in result:
        yield str(result[name])
        return
    for member in result.values():
        if isinstance(member, dict) and name in member:
            yield str(member[name])
        if isinstance(member, list):
            yield from (str(item[name]) for item in member if name in item)


def _selected(invocation: Invocation, presentation: "Presentation", result: dict[str, Any]) -> Any:
    import jmespath

    query = invocation.options.query
    assert query is not None
    try:
        return query.search(result)
    except jmespath.exceptions.JMESPathError as error:
        raise UsageError(
            f"bad value for --query: {_cut(str(error))}", hint=_made(presentation, result)
        ) from error


def _cut(text: str) -> str:
    """In one line, without what may be a whole result in the middle of it."""
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 2 :]}"


def _made(presentation: "Presentation", result: dict[str, Any]) -> str | None:
    """What exists now although its result is not shown."""
    made = result.get(presentation.identifier or "")
    return f"it was done all the same: {made}" if made else None


def _write(text: str) -> None:
    """Write UTF-8; a byte that was no text in a file name stays visible as an escape."""
    if not text:
        return
    if sys.stdout is None:
        raise OSError(errno.EBADF, "it is closed")
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
    sys.stdout.buffer.flush()
