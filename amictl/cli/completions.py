"""Writes the shells' completion scripts: `python -m amictl.cli.completions completions`."""

import sys
from pathlib import Path

from click.shell_completion import get_completion_class

from amictl.cli.main import COMPLETION_VARIABLE, PROGRAM, program

FILES = {"bash": "amictl.bash", "zsh": "_amictl", "fish": "amictl.fish"}


def scripts() -> dict[str, str]:
    """The text of every script by its file name."""
    return {name: _script(shell) for shell, name in FILES.items()}


def _script(shell: str) -> str:
    completion_class = get_completion_class(shell)
    assert completion_class is not None
    completion = completion_class(program, {}, PROGRAM, COMPLETION_VARIABLE)
    text = completion.source_template % completion.source_vars()
    return "".join(f"{line.rstrip()}\n" for line in text.rstrip().splitlines())


def write(folder: Path) -> None:
    """Write all scripts to a folder."""
    for name, text in scripts().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
