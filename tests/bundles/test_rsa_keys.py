"""Private keys of bundles are kept from others, like every other key."""

import subprocess
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

PROGRAM = """
import ctypes, resource, sys
from pathlib import Path
from amictl.bundles.rsa_keys import read_private_key
read_private_key(Path(sys.argv[1]))
print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""


def test_a_process_with_a_private_key_leaves_no_core_file_and_cannot_be_traced(
    tmp_path: Path,
) -> None:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    path = tmp_path / "key.pem"
    path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    finished = subprocess.run(
        [sys.executable, "-c", PROGRAM, path], capture_output=True, text=True, check=True
    )
    assert finished.stdout == "(0, 0) 0\n"
