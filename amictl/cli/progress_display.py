"""Progress on standard error: a bar for people, lines of JSON for programs, or nothing."""

import contextlib
import json
import time
from typing import TYPE_CHECKING, Any, Protocol

import click

from amictl.cli.global_options import GlobalOptions
from amictl.progress import Progress, Step

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

_BAR_SECONDS = 0.1
_JSON_SECONDS = 1.0


class Display(Progress, Protocol):
    """A progress that is drawn until it is closed."""

    def close(self) -> None: ...


def display_for(options: GlobalOptions, terminal: bool) -> Display:
    """What fits the options, given whether standard error is a terminal.

    A machine gets JSON when it asks for it; mail from cron stays empty.
    """
    if options.progress == "json":
        return JsonLines()
    if options.quiet or not terminal:
        return Notes(shown=False)
    if options.no_progress or options.progress == "none" or _is_dumb_terminal():
        return Notes(shown=True)
    return Bars(color=options.color != "off")


class Pace:
    """Lets one event pass in `seconds`, and always the last one."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.next_time = 0.0

    def passes(self, step: Step) -> bool:
        now = time.monotonic()
        if now < self.next_time and step.done < step.total:
            return False
        self.next_time = now + self.seconds
        return True


class Notes:
    """No progress; notes are lines of text, or not shown."""

    def __init__(self, *, shown: bool) -> None:
        self.shown = shown

    def update(self, step: Step) -> None:
        pass

    def note(self, text: str) -> None:
        if self.shown:
            _write_line(text)

    def close(self) -> None:
        pass


class JsonLines:
    """One JSON object a line: `message_type` is `status` (bytes, about once a second) or `note`."""

    def __init__(self) -> None:
        self.pace = Pace(_JSON_SECONDS)

    def update(self, step: Step) -> None:
        if self.pace.passes(step):
            _write_object(
                message_type="status",
                action=step.what,
                bytes_done=step.done,
                bytes_total=step.total,
                bytes_new=step.new,
                bytes_known=step.known,
                bytes_zero=step.zero,
            )

    def note(self, text: str) -> None:
        _write_object(message_type="note", text=text)

    def close(self) -> None:
        pass


class Bars:
    """A bar for each piece of work, with bytes, rate, time left and what became of the bytes."""

    def __init__(self, *, color: bool) -> None:
        self.color = color
        self.pace = Pace(_BAR_SECONDS)
        self.bar: Bar | None = None
        self.tasks: dict[str, TaskID] = {}

    def update(self, step: Step) -> None:
        if not self.pace.passes(step):
            return
        if self.bar is None:
            self.bar = _new_bar(self.color)
            self.bar.start()
        if step.what not in self.tasks:
            self.tasks[step.what] = self.bar.add_task(step.what, total=step.total, fate="")
        self.bar.update(
            self.tasks[step.what], completed=step.done, total=step.total, fate=_fate(step)
        )

    def note(self, text: str) -> None:
        if self.bar is None:
            _write_line(text)
        else:
            self.bar.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


def size_text(size_bytes: int) -> str:
    """A size for people, with three digits: `1.21 GiB`."""
    value = float(size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1024
    return f"{value:.3g} TiB"


def _fate(step: Step) -> str:
    parts = (("new", step.new), ("known", step.known), ("zero", step.zero))
    return " ".join(f"{size_text(count)} {name}" for name, count in parts if count)


def _new_bar(color: bool) -> "Bar":
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[fate]}", markup=False),
        console=Console(stderr=True, no_color=not color),
        transient=True,
    )


def _is_dumb_terminal() -> bool:
    import os

    return os.environ.get("TERM", "dumb") in ("dumb", "unknown")


def _write_object(**members: Any) -> None:
    _write_line(json.dumps(members))


def _write_line(text: str) -> None:
    """Progress is not worth failing for: a closed standard error is ignored."""
    with contextlib.suppress(OSError, ValueError):
        click.echo(text, err=True)
