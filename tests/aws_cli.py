"""The AWS CLI, driven in this process and without a network: what it makes of a command line.

`python -m tests.aws_cli amictl/cli/operations.json` writes what amictl knows about the options
and results of the operations that its commands are named after.
"""

import contextlib
import io
import json
import re
import shlex
import sys
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from unittest.mock import patch

from awscli.arguments import CLIArgument
from awscli.botocore.utils import ArgumentGenerator
from awscli.clidriver import CLIDriver, CLIOperationCaller, ServiceOperation, create_clidriver
from awscli.customizations.waiters import WaiterCaller

from amictl.cli.main import program
from tests.oracle import SERVICES, operation_model

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nonexistent",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
}


class _Sent(BaseException):
    """A request that would go to AWS now; no `except Exception` must catch it."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        super().__init__()
        self.parameters = parameters


def parameters_of(service: str, words: list[str]) -> dict[str, Any]:
    """What `aws SERVICE WORDS…` would send, by EC2's names.

    Raises ValueError with its complaint if it would send nothing.
    """
    complaint = io.StringIO()

    def send(
        _: CLIOperationCaller, __: str, ___: str, parameters: dict[str, Any], *____: Any
    ) -> None:
        raise _Sent(parameters)

    with (
        patch.dict("os.environ", ENVIRONMENT),
        patch.object(CLIOperationCaller, "invoke", send),
        patch.object(WaiterCaller, "invoke", send),
        contextlib.redirect_stderr(complaint),
        contextlib.redirect_stdout(complaint),
    ):
        try:
            _driver().main([service, *words])
        except _Sent as sent:
            return sent.parameters
        except SystemExit:
            pass
    raise ValueError(complaint.getvalue().strip())


@cache
def _driver() -> CLIDriver:
    return create_clidriver()


@cache
def _services() -> dict[str, Any]:
    return dict(_driver()._get_command_table())


@cache
def service_of(command: str) -> str | None:
    """The service that has an operation of this name, written as in a command line; or None."""
    for service in SERVICES:
        operation = _services()[service]._get_command_table().get(command)
        if isinstance(operation, ServiceOperation):
            return service
    return None


def examples(command: str) -> Iterator[list[str]]:
    """The words after `aws SERVICE COMMAND` of every example that the AWS CLI ships for it.

    A waiter is the command `wait NAME`.
    """
    path = command.split()
    service = "ec2" if path[0] == "wait" else service_of(command)
    page = files("awscli").joinpath("examples", str(service), *path[:-1], f"{path[-1]}.rst")
    if not page.is_file():
        return
    for block in re.findall(r"^ +aws (?:.*[\\^`]\n)*.*", page.read_text(), re.MULTILINE):
        with contextlib.suppress(ValueError):
            words = shlex.split(re.sub(r"[\\^`]\n", " ", block))
            if words[1 : 2 + len(path)] == [service, *path]:
                yield words[2 + len(path) :]


def operations() -> dict[str, Any]:
    """For each command that is named after an operation: its options and a sample of its result."""
    return {name: _operation(name) for name in sorted(program.table) if service_of(name)}


def _operation(command: str) -> dict[str, Any]:
    operation: ServiceOperation = _services()[service_of(command)]._get_command_table()[command]
    arguments = operation.arg_table.items()
    options = {
        f"--{name}": [argument._serialized_name, argument.cli_type_name]
        for name, argument in sorted(arguments)
        if isinstance(argument, CLIArgument)
    }
    model = operation_model(operation._operation_model.name)
    assert model is not None
    sample = {}
    if model.output_shape is not None:
        sample = ArgumentGenerator(use_member_names=True).generate_skeleton(model.output_shape)
    return {"operation": model.name, "options": options, "result": sample}


def operations_text() -> str:
    """The text of amictl/cli/operations.json."""
    lines = (
        f"{json.dumps(name)}: {json.dumps(value, sort_keys=True, default=_plain)}"
        for name, value in operations().items()
    )
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _plain(value: Any) -> str:
    """Times as text; content that goes to a file is named by what it is."""
    return value.isoformat() if hasattr(value, "isoformat") else "blob"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(operations_text(), encoding="utf-8")
