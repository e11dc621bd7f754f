"""The readers that the vectors go through, each the real one: bytes in, an error or nothing out."""

from collections.abc import Callable

from amictl.errors import KeyUnavailableError
from amictl.formats import config
from tests.golden.readers import AGAIN

Reader = Callable[[bytes], object]


def read_identity_file(data: bytes) -> None:
    """A key as `import-key` takes it; whoever is asked for a passphrase knows none."""
    from amictl.keys import identities
    from tests.keys.chest import Mute

    identities.identity_in(identities.unprotected(data, "here", _nobody_knows), "here", Mute())


def read_configuration(data: bytes) -> None:
    """`config.toml`, all of it."""
    text = data.decode()
    config.decode(text)
    config.decode_defaults(text)


def read_structure(data: bytes) -> None:
    """Block device mappings as they stand on a command line."""
    from amictl.cli import shapes

    shapes.read(data.decode(), shapes.BLOCK_DEVICE_MAPPING)


def _nobody_knows(place: str) -> str:
    raise KeyUnavailableError(f"nobody knows the passphrase of {place}")


READERS: dict[str, Reader] = {
    **AGAIN,
    "identity-file": read_identity_file,
    "configuration": read_configuration,
    "structure": read_structure,
}


def warm() -> None:
    """Import now what readers import when they are called."""
    import cryptography.hazmat.primitives.serialization
    import numpy
    import pyrage
    import tomlkit

    import amictl.cli.shapes
    import amictl.keys.identities

    assert all((cryptography, numpy, pyrage, tomlkit, amictl))
