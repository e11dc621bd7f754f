"""What amictl knows of the operations of EC2, EBS direct and the recycle bin by itself.

The names, options and results stand in operations.json, which `python -m tests.aws_cli` writes
from the AWS CLI: one entry for each command that is named after an operation.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple


class Operation(NamedTuple):
    """An operation as the AWS CLI knows it.

    `options` gives for each option its member in EC2's parameters and its type: `boolean` takes no
    word, `list` any number, and every other one. `result` is a sample with every member that EC2
    has.
    """

    name: str
    options: Mapping[str, tuple[str, str]]
    result: dict[str, Any]


def operation_of(command: str) -> Operation | None:
    """The operation that a command is named after, if there is one."""
    entry = _operations().get(command)
    if entry is None:
        return None
    options = {name: (member, kind) for name, [member, kind] in entry["options"].items()}
    return Operation(entry["operation"], options, entry["result"])


@cache
def _operations() -> dict[str, Any]:
    import json

    result = json.loads(Path(__file__).with_name("operations.json").read_bytes())
    assert isinstance(result, dict)
    return result


def member_name(command: str, option: str) -> str:
    """The name in EC2's parameters for an option, or one in the same style if it is ours alone."""
    operation = operation_of(command)
    if operation is not None and option in operation.options:
        return operation.options[option][0]
    words = option.removeprefix("--").replace("_", "-").split("-")
    return "".join(word[:1].upper() + word[1:] for word in words)
