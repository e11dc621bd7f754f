"""The shape of the house: sizes, names, docstrings. Who may import whom is for lint-imports."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "amictl"
MODULES = sorted(PACKAGE.rglob("*.py"))
FORBIDDEN_NAMES = {"utils", "helpers", "common", "base", "manager"}
MAX_LINES_OF_A_FILE = 400
MAX_LINES_OF_A_FUNCTION = 50

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(module: Path) -> Iterator[Function]:
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, Function):
            yield node


def lines_of_code(function: Function) -> int:
    """From the name to the last line: decorators and the docstring are not what a body does."""
    text = ast.get_docstring(function, clean=False)
    docstring = text.count("\n") + 1 if text else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def name_of(module: Path) -> str:
    return str(module.relative_to(PACKAGE))


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_a_file_has_at_most_400_lines(module: Path) -> None:
    assert len(module.read_text().splitlines()) <= MAX_LINES_OF_A_FILE


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_a_function_has_at_most_50_lines(module: Path) -> None:
    sizes = {function.name: lines_of_code(function) for function in functions(module)}
    assert {name: size for name, size in sizes.items() if size > MAX_LINES_OF_A_FUNCTION} == {}


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_a_module_says_what_it_is(module: Path) -> None:
    assert ast.get_docstring(ast.parse(module.read_text()))


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_every_public_class_says_what_it_is(module: Path) -> None:
    classes = [
        node for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, ast.ClassDef)
    ]
    public = [node for node in classes if not node.name.startswith("_")]
    assert [node.name for node in public if not ast.get_docstring(node)] == []


def test_no_module_is_a_drawer() -> None:
    assert FORBIDDEN_NAMES.isdisjoint(module.stem for module in MODULES)
