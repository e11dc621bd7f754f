"""What is in memory stays there."""

import subprocess
import sys
from pathlib import Path

import pytest

from amictl.content.sealing import derive
from amictl.store.lineages import new_lineage
from tests.keys.chest import Chest

PROGRAM = """
import ctypes, resource
from amictl.keys.process import shield
resource.setrlimit(resource.RLIMIT_CORE, resource.getrlimit(resource.RLIMIT_CORE)[1:] * 2)
shield()
print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""


def test_a_process_with_a_key_leaves_no_core_file_and_cannot_be_traced() -> None:
    finished = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert finished.stdout == "(0, 0) 0\n"


ACTIONS = """
import ctypes, sys
from pathlib import Path
from amictl.cli.passphrases import PassphraseOptions
from tests.keys.chest import Chest
chest = Chest(Path(sys.argv[1]))
EXAMPLE
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""


@pytest.mark.parametrize(
    "example",
    [
        "chest.create()",
        "chest.import_(Path(sys.argv[2]))",
        "chest.folder.identity(sys.argv[3])",
        "PassphraseOptions(file=Path(sys.argv[2])).read()",
    ],
)
def test_whatever_holds_a_secret_cannot_be_traced(tmp_path: Path, example: str) -> None:
    chest = Chest(tmp_path / "keys")
    key_id = chest.create()
    words = [chest.path, chest.file(key_id), key_id]
    if "import_" in example:
        words[0] = tmp_path / "elsewhere"
    finished = subprocess.run(
        [sys.executable, "-c", ACTIONS.replace("EXAMPLE", example), *map(str, words)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert finished.stdout == "0\n"


def test_what_holds_keys_does_not_show_them() -> None:
    keys = derive(bytes(range(32)), bytes(16))
    lineage = new_lineage(16_384, "ab" * 16, lambda count: bytes([7]) * count)
    assert "naming" not in repr(keys)
    assert repr(bytes([7]) * 4)[2:-1] not in repr(lineage)
