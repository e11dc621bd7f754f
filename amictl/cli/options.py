"""Options that several commands have."""

from collections.abc import Callable, Sequence
from typing import Any

import click

from amictl.cli import shapes
from amictl.cli.invocation import Invocation
from amictl.cli.option_types import DurationType, IdsType, IdType, StructuresType
from amictl.cli.refusing import leave_out
from amictl.cli.words import CommandType, ListOption, ListType
from amictl.errors import UsageError

_NO_REBOOT = "amictl does not drive machines; stop the machine, or give --no-reboot"

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def list_option(name: str, item_type: ListType, **attributes: Any) -> Decorator:
    """An option that takes several words."""
    return click.option(name, cls=ListOption, item_type=item_type, **attributes)


def ids_option(name: str, kind: str, **attributes: Any) -> Decorator:
    """An option that takes identifiers: `--image-ids ami-… ami-…`."""
    return list_option(name, IdsType(kind), metavar="ID...", **attributes)


def id_option(name: str, kind: str, **attributes: Any) -> Decorator:
    """An option that takes one identifier."""
    return click.option(name, type=IdType(kind), metavar="ID", **attributes)


def yes_no(pair: str, **attributes: Any) -> Decorator:
    """A pair like `--dry-run/--no-dry-run`; None when neither is given."""
    return click.option(pair, default=None, **attributes)


def tag_specifications(resources: str) -> Decorator:
    """`--tag-specifications`; `resources` says of what, for the help."""
    return list_option(
        "--tag-specifications",
        StructuresType(shapes.TAG_SPECIFICATION),
        metavar="TAGS...",
        help=f"Tags for the {resources}; see the examples.",
    )


def tags_of(specifications: Sequence[dict[str, Any]], *kinds: str) -> tuple[dict[str, str], ...]:
    """The tags for each kind of resource. Raises UsageError for what EC2 would refuse, too."""
    from amictl.model.tags import require_tags

    pairs: dict[str, list[tuple[str, str]]] = {kind: [] for kind in kinds}
    for specification in specifications:
        kind = specification["ResourceType"]
        if kind not in pairs:
            raise UsageError(f"{kind!r} is not a resource that is made here: {', '.join(kinds)}")
        tags = specification.get("Tags")
        if not tags:
            raise UsageError("Tag specification must have at least one tag")
        pairs[kind].extend((tag["Key"], tag.get("Value", "")) for tag in tags)
    return tuple(require_tags(pairs[kind]) for kind in kinds)


def filters(names: str) -> Decorator:
    """`--filters`; `names` says which there are, for the help."""
    return list_option(
        "--filters",
        StructuresType(shapes.FILTER),
        metavar="FILTER...",
        help=f"Only what all of these match, as Name=NAME,Values=VALUE,...: {names}.",
    )


def dry_run() -> Decorator:
    """`--dry-run`, as in EC2: a success is the error DryRunOperation."""
    return yes_no(
        "--dry-run/--no-dry-run",
        help="Check everything and do nothing; status 17 says that it would be done.",
    )


def no_wait(reached: str = "the moment is secured") -> Decorator:
    """`--no-wait`; `reached` says for what is waited nevertheless."""
    return click.option(
        "--no-wait",
        is_flag=True,
        help=f"Return as soon as {reached}; a worker goes on in the background.",
    )


def freezing(function: Callable[..., Any]) -> Callable[..., Any]:
    """How the moment of a disk is secured: five options, for `freeze_request`."""
    for option in (
        click.option(
            "--freeze-timeout",
            type=DurationType(),
            metavar="SECONDS",
            default="30",
            show_default=True,
            help="The longest time between the two freeze commands.",
        ),
        click.option(
            "--post-freeze",
            type=CommandType(),
            metavar="COMMAND",
            help="Run this in a shell after it, in any case.",
        ),
        click.option(
            "--pre-freeze",
            type=CommandType(),
            metavar="COMMAND",
            help="Run this in a shell before the moment: freeze a file system, flush a database.",
        ),
        click.option(
            "--freeze",
            type=click.Choice(("auto", "reflink", "lease", "copy")),
            default="auto",
            show_default=True,
            help="How the moment is secured: clone the file, keep writers away, or copy it.",
        ),
        yes_no(
            "--no-reboot/--reboot",
            help="Accept a disk in use, as if the power had failed; or restart the machine.",
        ),
    ):
        function = option(function)
    return function


def freeze_request(options: dict[str, Any]) -> Any:
    """A FreezeRequest from the options of `freezing`, which are taken out of `options`."""
    from amictl.volumes.freezing import FreezeRequest

    no_reboot = options.pop("no_reboot")
    if no_reboot is False:
        invocation = click.get_current_context().ensure_object(Invocation)
        leave_out("--reboot", _NO_REBOOT, ignoring=invocation.ignores_unsupported)
    return FreezeRequest(
        method=options.pop("freeze"),
        no_reboot=bool(no_reboot),
        pre_freeze=options.pop("pre_freeze"),
        post_freeze=options.pop("post_freeze"),
        timeout_seconds=options.pop("freeze_timeout"),
    )
