"""The options that every command takes, before or after its name, and their environment."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from amictl.errors import UsageError

if TYPE_CHECKING:
    from jmespath.parser import ParsedResult

OUTPUT_FORMATS = ("json", "table", "text", "yaml")


@dataclass(frozen=True, slots=True)
class GlobalOptions:
    """What was given for all commands; None where nothing was.

    `output` is one of OUTPUT_FORMATS, `progress` auto, json or none, `color` on, off or auto.
    """

    region: str | None = None
    store: Path | None = None
    output: str | None = None
    query: "ParsedResult | None" = None
    quiet: bool | None = None
    debug: bool | None = None
    progress: str | None = None
    no_progress: bool | None = None
    color: str | None = None
    ignore_unsupported: bool | None = None
    no_paginate: bool | None = None
    no_cli_pager: bool | None = None
    no_cli_auto_prompt: bool | None = None

    def updated(self, given: Mapping[str, Any]) -> "GlobalOptions":
        """With the members of `given` that are not None; raises UsageError if two contradict."""
        result = replace(
            self, **{name: value for name, value in given.items() if value is not None}
        )
        if result.region is not None and result.store is not None:
            raise UsageError(
                "--region and --store name two places", code="InvalidParameterCombination"
            )
        return result

    def with_environment(self, environment: Mapping[str, str]) -> "GlobalOptions":
        """Fill in what the command line left open. Raises UsageError for an unknown output."""
        result = self
        if self.region is None and self.store is None:
            if directory := environment.get("AMICTL_STORE"):
                result = replace(result, store=Path(directory))
            else:
                result = replace(result, region=environment.get("AMICTL_REGION") or None)
        if self.output is None and (output := environment.get("AMICTL_OUTPUT")):
            result = replace(result, output=_output_format(output))
        if self.color is None and environment.get("NO_COLOR"):
            result = replace(result, color="off")
        return result


GLOBAL_NAMES = frozenset(field.name for field in fields(GlobalOptions))


class GlobalOption(click.Option):
    """One of the options that every command has; help lists them apart from a command's own."""


class QueryType(click.ParamType["ParsedResult"]):
    """A JMESPath expression, compiled before anything is done."""

    name = "jmespath"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> "ParsedResult":
        import jmespath

        try:
            return jmespath.compile(value)
        except (jmespath.exceptions.JMESPathError, RecursionError) as error:
            reason = str(error).partition("\n")[0].rstrip(":").removesuffix(", for expression")
            raise UsageError(
                f"bad value for --query {value}: {reason}",
                hint="write JMESPath, for example 'Images[].ImageId'; jmespath.org describes it",
            ) from error


def global_options() -> list[GlobalOption]:
    """Fresh click parameters, for a group or a command."""
    return [
        _option("--region", metavar="NAME", help="Work in the region of this name."),
        _option(
            "--store",
            metavar="DIR",
            type=click.Path(path_type=Path),
            help="Work in this directory as a region without a name.",
        ),
        _option(
            "--output",
            type=click.Choice(OUTPUT_FORMATS),
            help="Form of the result; without it, a table on a terminal and JSON elsewhere.",
        ),
        _option(
            "--query",
            metavar="JMESPATH",
            type=QueryType(),
            help="Show only what this JMESPath expression selects from the result.",
        ),
        _option("--quiet", is_flag=True, help="Print identifiers only, and no notes or progress."),
        _option("--debug", is_flag=True, help="Show where in the program an error arose."),
        _option(
            "--progress",
            type=click.Choice(("auto", "json", "none")),
            help="auto: a bar when standard error is a terminal; json: lines of JSON on it.",
        ),
        _option("--no-progress", is_flag=True, help="The same as --progress none."),
        _option(
            "--color",
            type=click.Choice(("on", "off", "auto")),
            help="Colour in tables and in progress.",
        ),
        _option(
            "--ignore-unsupported",
            is_flag=True,
            help="Leave out EC2's options that have no meaning here, each with a warning.",
        ),
        _option("--no-paginate", is_flag=True, hidden=True),
        _option("--no-cli-pager", is_flag=True, hidden=True),
        _option("--no-cli-auto-prompt", is_flag=True, hidden=True),
    ]


def input_options() -> list[GlobalOption]:
    """Fresh click parameters, for every command but not for a group."""
    return [
        _eager(
            "--cli-input-json",
            _take_input,
            metavar="JSON",
            help="Take what is not on the command line from this JSON, or from file://PATH.",
        ),
        _eager("--cli-input-yaml", _take_input, metavar="YAML", help="The same in YAML."),
        _eager(
            "--generate-cli-skeleton",
            _show_skeleton,
            type=click.Choice(("input", "output", "yaml-input")),
            is_flag=False,
            flag_value="input",
            help="Show a sample of such JSON or YAML, or of the result, and do nothing.",
        ),
    ]


def _take_input(ctx: click.Context, parameter: click.Parameter, text: str | None) -> None:
    if text is not None and not ctx.resilient_parsing:
        from amictl.cli import skeletons

        skeletons.take_input(ctx, parameter.opts[0], text)


def _show_skeleton(ctx: click.Context, _: click.Parameter, kind: str | None) -> None:
    if kind is not None and not ctx.resilient_parsing:
        from amictl.cli import skeletons

        click.echo(skeletons.skeleton(ctx.command, kind), nl=False)
        ctx.exit()


def _eager(name: str, callback: Callable[..., None], **attributes: Any) -> GlobalOption:
    return _option(name, callback=callback, is_eager=True, expose_value=False, **attributes)


def _option(name: str, **attributes: Any) -> GlobalOption:
    return GlobalOption([name], default=None, **attributes)


def _output_format(text: str) -> str:
    if text not in OUTPUT_FORMATS:
        choices = ", ".join(OUTPUT_FORMATS)
        raise UsageError(f"AMICTL_OUTPUT is {text!r}", hint=f"it can be one of {choices}")
    return text
