"""One run of a command: what was asked for all commands, and what the action needs from outside."""

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from amictl.cli.global_options import GlobalOptions
from amictl.errors import AmictlError, RegionNotFoundError

if TYPE_CHECKING:
    from amictl.cli.progress_display import Display
    from amictl.cli.seen_states import Watch
    from amictl.model.surroundings import Surroundings
    from amictl.storage.objects import ObjectBucket, ObjectSource
    from amictl.store.store import Store


@dataclass(slots=True)
class Invocation:
    """Closed by the command when the action is over, so that no progress is drawn after it.

    `arguments` is the command line without the program's name; `sentence` words an error for the
    command, and `hint` says what to do next; both are None until a command was recognised.
    """

    arguments: tuple[str, ...] = ()
    given: GlobalOptions = field(default_factory=GlobalOptions)
    sentence: Callable[[AmictlError], str] | None = None
    hint: Callable[[AmictlError], str | None] | None = None
    _display: "Display | None" = None
    _scratch: ExitStack = field(default_factory=ExitStack)
    _scratch_folder: Path | None = None

    @property
    def options(self) -> GlobalOptions:
        """The command line and, where it is silent, the environment."""
        return self.given.with_environment(os.environ)

    @property
    def ignores_unsupported(self) -> bool:
        """Whether what has no meaning here is left out."""
        return bool(self.given.ignore_unsupported)

    @property
    def output(self) -> str:
        """The form of the result: as asked for, else a table on a terminal and JSON elsewhere."""
        return self.options.output or ("table" if is_terminal(sys.stdout) else "json")

    @property
    def display(self) -> "Display":
        """Where progress and notes go."""
        if self._display is None:
            from amictl.cli.progress_display import display_for

            self._display = display_for(self.options, is_terminal(sys.stderr))
        return self._display

    @property
    def surroundings(self) -> "Surroundings":
        """The clock, random bytes and the progress display."""
        from datetime import UTC, datetime

        from amictl.model.surroundings import Surroundings

        return Surroundings(lambda: datetime.now(UTC), os.urandom, self.display)

    def open_store(self) -> "Store":
        """The region's store, which must be there. Says so if it went back in time.

        Raises RegionNotFoundError.
        """
        store, watch = self.open_watched_store()
        _warn(watch, self.given)
        return store

    def open_watched_store(self) -> "tuple[Store, Watch]":
        """The same, and what is known of its past, for commands that say it themselves."""
        from amictl.cli import regions
        from amictl.cli.seen_states import Watch

        store = regions.open_store(self.options, os.environ)
        return store, Watch(store, os.environ)

    def open_store_for_listing(self) -> "Store":
        """The region's store, for what may find nothing: before the first write, the region `local`
        is like an empty one, unless it was named. Raises RegionNotFoundError for all others.
        """
        from amictl.cli import regions

        return regions.open_store_or_empty(
            self.options, os.environ, self.surroundings, self._scratch_store
        )

    def open_store_for_writing(self, *, dry_run: bool | None = False) -> "Store":
        """The region's store; the first write makes the region `local` and a directory's store.

        A dry run makes neither: it gets an empty store that is gone when the command is over.
        """
        from amictl.cli import regions

        if not dry_run:
            from amictl.cli.seen_states import Watch

            store = regions.open_or_create_store(self.options, os.environ, self.surroundings)
            _warn(Watch(store, os.environ), self.given)
            return store
        from amictl.cli.seen_states import know_keys

        store = regions.open_or_rehearse_store(
            self.options, os.environ, self.surroundings, self._scratch_store()
        )
        know_keys(store, os.environ)
        return store

    def _scratch_store(self) -> Path:
        """Where an empty store can be until the command is over; the same place each time."""
        from tempfile import TemporaryDirectory

        if self._scratch_folder is None:
            folder = TemporaryDirectory(prefix="amictl-empty-")
            self._scratch_folder = Path(self._scratch.enter_context(folder))
        return self._scratch_folder / "store"

    @property
    def on_secured(self) -> Callable[[dict[str, Any]], None]:
        """Tells whoever waits that the disk may change from now on."""
        from amictl.cli import detaching

        return detaching.announcer(self.display, os.environ)

    @property
    def on_begun(self) -> Callable[[dict[str, Any]], None]:
        """Tells the command that detached us that the work is under way."""
        from amictl.cli import detaching

        return detaching.announcer_to_parent(os.environ)

    def open_named_store(self, region: str) -> "Store":
        """The store of a region by its name, for reading. Raises RegionNotFoundError."""
        from amictl.cli import regions
        from amictl.cli.seen_states import Watch

        store = regions.open_named_store(region, os.environ)
        _warn(Watch(store, os.environ), GlobalOptions(region=region))
        return store

    def open_bucket(self, text: str) -> "tuple[ObjectBucket, str]":
        """The bucket that a text means, and what the keys in it begin with: a folder, or nothing.

        Raises BucketNotFoundError, UsageError.
        """
        from amictl.cli import buckets

        return buckets.open_bucket(text, os.environ, self.display.note)

    def open_object(self, text: str) -> "ObjectSource":
        """The object or the file that a text means. Raises ObjectNotFoundError, UsageError."""
        from amictl.cli import buckets

        return buckets.open_object(text, os.environ, self.display.note)

    def detached(self) -> dict[str, Any] | None:
        """The result of a detached worker, which holds the moment; None if we are the worker."""
        from amictl.cli import detaching

        if detaching.is_worker(os.environ):
            return None
        with suppress(RegionNotFoundError):  # one that the worker makes
            self.open_store().close()  # the worker's warnings are not heard
        return detaching.run_detached(self.arguments, os.environ)

    def close(self) -> None:
        """Stop drawing, and forget the empty store."""
        self._scratch.close()
        self._scratch_folder = None
        if self._display is not None:
            self._display.close()
            self._display = None


def _warn(watch: "Watch", given: GlobalOptions) -> None:
    """Tell the user, even where nobody watches, that a store is not what it was."""
    from amictl.cli.failures import complain

    for place, message in watch.findings:
        complain(f"warning: the region went back in time: {place}: {message}")
    for message in watch.changes:
        complain(f"warning: {message}")
    if watch.findings:
        from amictl.cli.hints import in_region

        hint = "if it was meant to, accept it: amictl check-store --accept-state"
        complain(f"hint: {in_region(hint, given)}")


def is_terminal(stream: Any) -> bool:
    """Whether a person reads this stream; a closed one (None) has no reader."""
    return stream is not None and stream.isatty()
