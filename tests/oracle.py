"""What AWS's own tools say: the shapes of botocore, to compare ours with."""

import re
from functools import cache
from typing import Any

from awscli.botocore.loaders import Loader
from awscli.botocore.model import (
    ListShape,
    MapShape,
    OperationModel,
    ServiceModel,
    Shape,
    StringShape,
    StructureShape,
)

SERVICES = ("ec2", "ebs", "rbin", "kms")
OURS = "Amictl"

_ISO_8601 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_NUMBERS: dict[str, tuple[type, ...]] = {
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
}


@cache
def service_model(service: str) -> ServiceModel:
    """The model of a service: ec2, ebs, rbin or kms."""
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


@cache
def operation_model(operation: str) -> OperationModel | None:
    """The model of an operation, such as `DescribeImages`; None if no service has it."""
    for service in SERVICES:
        model = service_model(service)
        if operation in model.operation_names:
            return model.operation_model(operation)
    return None


def require_ec2_shape(operation: str, result: dict[str, Any]) -> None:
    """Raises AssertionError, naming the place, unless AWS's service could have answered this.

    `operation` is of EC2, EBS, the recycle bin or KMS, such as `DescribeImages`. Names, types and
    enumerated values must be those of the output shape; timestamps are text in ISO 8601. What
    stands in a member `Amictl`, at any depth, is ours and is not looked at.
    """
    model = operation_model(operation)
    assert model is not None, f"no service has the operation {operation}"
    shape = model.output_shape
    if shape is None:
        assert result.keys() <= {OURS}, f"{operation} has no result: {result}"
        return
    _require(shape, result, operation)


def _require(shape: Shape, value: Any, place: str) -> None:
    match shape:
        case StructureShape():
            _require_structure(shape, value, place)
        case ListShape():
            _require_type(value, (list,), place)
            for index, item in enumerate(value):
                _require(shape.member, item, f"{place}[{index}]")
        case MapShape():
            _require_type(value, (dict,), place)
            for key, item in value.items():
                _require(shape.value, item, f"{place}[{key!r}]")
        case StringShape():
            _require_type(value, (str,), place)
            known = shape.enum
            assert not known or value in known, f"{place}: {value!r} is not one of {known}"
        case _:
            _require_scalar(shape.type_name, value, place)


def _require_structure(shape: StructureShape, value: Any, place: str) -> None:
    _require_type(value, (dict,), place)
    for name, member in value.items():
        if name == OURS:
            continue
        assert name in shape.members, f"{place}: no member {name!r} in {sorted(shape.members)}"
        _require(shape.members[name], member, f"{place}.{name}")


def _require_scalar(type_name: str, value: Any, place: str) -> None:
    if type_name == "boolean":
        _require_type(value, (bool,), place)
    elif type_name in _NUMBERS:
        assert not isinstance(value, bool), f"{place}: {value!r} is no number"
        _require_type(value, _NUMBERS[type_name], place)
    elif type_name == "timestamp":
        _require_type(value, (str,), place)
        assert _ISO_8601.fullmatch(value), f"{place}: {value!r} is no time in ISO 8601"
    else:
        _require_type(value, (str,), place)


def _require_type(value: Any, types: tuple[type, ...], place: str) -> None:
    expected = " or ".join(item.__name__ for item in types)
    assert isinstance(value, types), f"{place}: expected {expected}, found {value!r}"
