"""Parameters as JSON or YAML: `--cli-input-json`, `--cli-input-yaml`, `--generate-cli-skeleton`.

The members are EC2's; what amictl has beside them is named in the same style.
"""

import json
from collections.abc import Iterator
from typing import Any

import click

from amictl.cli import shapes
from amictl.cli.global_options import GlobalOption
from amictl.cli.operations import member_name, operation_of
from amictl.cli.option_types import StructuresType, StructureType
from amictl.cli.paging import PagingOption
from amictl.cli.parameter_files import text_or_file
from amictl.cli.words import ListOption, Words
from amictl.errors import UnsupportedError, UsageError


def take_input(ctx: click.Context, option: str, text: str) -> None:
    """Make what the JSON or YAML says the default of each parameter of the command.

    Raises UsageError that names the option for a text or a member that is wrong.
    """
    read = _from_yaml if option.endswith("yaml") else shapes.json_value
    try:
        members = read(text_or_file(text))
    except UsageError as error:
        raise UsageError(f"{option}: {error.message}") from error
    if not isinstance(members, dict):
        raise UsageError(f"{option}: expected an object with parameters")
    ctx.default_map = {**(ctx.default_map or {}), **_defaults(ctx, members)}


def _from_yaml(text: str) -> Any:
    import yaml

    try:
        return yaml.load(text, Loader=yaml.BaseLoader)  # makes nothing but text
    except (yaml.YAMLError, RecursionError) as error:
        raise UsageError(f"invalid YAML: {' '.join(str(error).split())}") from error


def _defaults(ctx: click.Context, members: dict[str, Any]) -> dict[str, Any]:
    """The words for each parameter, as if they stood on the command line."""
    parameters = {member_of(ctx.command, param): param for param in own_parameters(ctx.command)}
    refusals = Words.of(ctx.command, ctx).refusals
    result = {}
    for name, value in members.items():
        if value is None:
            continue
        if (param := parameters.get(name)) is not None:
            result[str(param.name)] = _words(param, value, name)
        elif (option := refusals.option_of(name)) is not None:
            refusals.leave_out(option)
        else:
            raise UsageError(
                f"Unknown parameter in input: {name!r}",
                hint=f"it must be one of {', '.join(parameters)}",
                code="UnknownParameter",
            )
    return result


def own_parameters(command: click.Command) -> Iterator[click.Parameter]:
    """The parameters of a command that the operation has: arguments, and options of its own."""
    for param in command.params:
        if not isinstance(param, GlobalOption) and param.expose_value:
            yield param


def member_of(command: click.Command, param: click.Parameter) -> str:
    """The name of a parameter in JSON: EC2's, or one in the same style."""
    return member_name(str(command.name), param.opts[0])


def _words(param: click.Parameter, value: Any, name: str) -> Any:
    if isinstance(param, click.Option) and param.is_flag:
        return _truth(value, name)
    if param.multiple or param.nargs != 1:
        if not isinstance(value, list):
            raise UsageError(f"{name}: expected a list, found {_shown(value)}")
        return [_word(item, f"{name}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, list) or (
        isinstance(value, dict) and not isinstance(param.type, StructureType)
    ):
        raise UsageError(f"{name}: expected one value, found {_shown(value)}")
    return _word(value, name)


def _truth(value: Any, name: str) -> bool:
    if value in (True, "true"):
        return True
    if value in (False, "false"):
        return False
    raise UsageError(f"{name}: expected true or false, found {_shown(value)}")


def _word(value: Any, name: str) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case dict():
            return json.dumps(value)
        case _:
            raise UsageError(f"{name}: expected a value, found {_shown(value)}")


def _shown(value: Any) -> str:
    return json.dumps(value)[:100]


def skeleton(command: click.Command, kind: str) -> str:
    """The sample that `--generate-cli-skeleton` shows: of kind input, yaml-input or output."""
    if kind == "yaml-input":
        import yaml

        return yaml.safe_dump(input_skeleton(command), sort_keys=False)
    value = output_skeleton(command) if kind == "output" else input_skeleton(command)
    return json.dumps(value, indent=4) + "\n"


def output_skeleton(command: click.Command) -> dict[str, Any]:
    """A sample of the operation's result. Raises UnsupportedError where EC2 has no operation."""
    operation = operation_of(str(command.name))
    if operation is None:
        raise UnsupportedError(
            f"there is no sample of the result of {command.name}", hint="see its man page"
        )
    return operation.result


def input_skeleton(command: click.Command) -> dict[str, Any]:
    """A sample of each parameter that is no secret of the help."""
    return {
        member_of(command, param): _sample_of(command, param)
        for param in own_parameters(command)
        if not isinstance(param, PagingOption) and not getattr(param, "hidden", False)
    }


def _sample_of(command: click.Command, param: click.Parameter) -> Any:
    if isinstance(param, click.Option) and param.is_flag:
        return True
    if isinstance(param.type, StructuresType):
        return [_sample(param.type.shape)]
    if isinstance(param.type, StructureType):
        return _sample(param.type.shape)
    if isinstance(param, ListOption) or param.nargs != 1:
        return [""]
    match param.type:
        case click.Choice(choices=choices):
            return str(choices[0])
        case click.IntRange(min=least):
            return least or 0
        case _:
            return _plain_sample(command, param)


def _plain_sample(command: click.Command, param: click.Parameter) -> str | int | float:
    if isinstance(param.default, str | int | float):
        return param.default
    operation = operation_of(str(command.name))
    _, kind = operation.options.get(param.opts[0], ("", "")) if operation else ("", "")
    samples: dict[str, str | int] = {"integer": 0, "timestamp": "1970-01-01T00:00:00Z"}
    return samples.get(kind, "")


def _sample(shape: shapes.Shape) -> Any:
    match shape:
        case shapes.Structure(members=members):
            return {name: _sample(member) for name, member in members.items()}
        case shapes.ListOf(item=item):
            return [_sample(item)]
        case shapes.Integer():
            return 0
        case shapes.Boolean():
            return True
        case _:
            return ""
