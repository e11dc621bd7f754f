"""The hostile corpus: small inputs with one fault each, and the error that each must end in.

A module of vectors has `vectors()`. Whoever builds a reader of something foreign adds a module to
`MODULES`, and the reader to `tests.hostile.readers`. Bytes are made when they are asked for: by
code where the fault says it all; from `vectors/` where bytes matter and cannot be made again.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module

MODULES = (
    "golden_vectors",
    "identity_files",
    "configurations",
    "command_values",
    "archive_tar_vectors",
    "archive_document_vectors",
    "archive_table_vectors",
    "archive_member_vectors",
    "archive_frame_vectors",
    "archive_seal_vectors",
    "disk_image_vectors",
    "bundle_vectors",
)


@dataclass(frozen=True, slots=True)
class Vector:
    """One input. `reader` is a key of `READERS`, `fault` says in a few words what is wrong.

    `error` is the class that the reader raises, and `reason` a part of its message; None for the
    right input that the faults are made of, which is read.
    """

    reader: str
    fault: str
    error: str | None
    reason: str
    make: Callable[[], bytes]

    @property
    def name(self) -> str:
        return f"{self.reader}.{self.fault}"


def corpus(*modules: str) -> Iterator[Vector]:
    """The vectors of these modules, or all."""
    for module in modules or MODULES:
        yield from import_module(f"tests.hostile.{module}").vectors()


def by_name() -> dict[str, Vector]:
    """All vectors; no name is given twice."""
    vectors = list(corpus())
    named = {vector.name: vector for vector in vectors}
    assert len(named) == len(vectors)
    return named
