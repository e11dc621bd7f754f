"""What is in memory stays there."""

import subprocess
import sys

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
