"""Where the folders of a user are."""

from pathlib import Path

import pytest

from amictl.storage.user_folders import UserFolder


@pytest.mark.parametrize(
    ("folder", "usual"),
    [
        (UserFolder.CACHE, ".cache"),
        (UserFolder.CONFIG, ".config"),
        (UserFolder.DATA, ".local/share"),
        (UserFolder.STATE, ".local/state"),
    ],
)
def test_a_folder_is_below_the_home_or_where_its_variable_says(
    folder: UserFolder, usual: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/of-somebody")
    variable = f"XDG_{folder.name}_HOME"
    assert folder.of_program({}) == Path("/home/of-somebody", usual, "amictl")
    assert folder.of_program({variable: " "}) == Path("/home/of-somebody", usual, "amictl")
    assert folder.of_program({variable: "/else/where"}) == Path("/else/where/amictl")
