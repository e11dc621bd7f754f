"""A machine for the tests that run the program."""

from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.conftest import Home
from tests.hostile.identity_files import RIGHT
from tests.hostile.machine import Machine
from tests.hostile.program import Program


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    home = Home(tmp_path_factory.mktemp("hostile") / "home")
    (home.folder / "bucket").mkdir(parents=True)
    (home.folder.parent / "canary").write_text("nobody writes here")
    key = home.folder / "key.txt"
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    (home.folder / "key.pem").write_bytes(
        private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    key.write_bytes(RIGHT)
    with Program(home) as program:
        assert program("import-key", key, "--alias", "alias/aws/ebs").status == 0
        yield Machine(home, program)
