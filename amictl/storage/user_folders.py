"""The folders of a user, as the XDG Base Directory Specification has them.

A library that does the same takes longer to load than many a command to run.
"""

from collections.abc import Mapping
from enum import Enum
from pathlib import Path


class UserFolder(Enum):
    """The variable that names a folder, and where it is without one."""

    CACHE = ("XDG_CACHE_HOME", "~/.cache")
    CONFIG = ("XDG_CONFIG_HOME", "~/.config")
    DATA = ("XDG_DATA_HOME", "~/.local/share")
    STATE = ("XDG_STATE_HOME", "~/.local/state")

    def of_program(self, environment: Mapping[str, str]) -> Path:
        """What amictl has there; it need not exist."""
        variable, usual = self.value
        given = environment.get(variable, "")
        return (Path(given) if given.strip() else Path(usual).expanduser()) / "amictl"
