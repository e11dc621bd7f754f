"""One target in a process of its own, for `tests.fuzz.__main__`; words after it are libFuzzer's."""

import resource
import sys
import time

import atheris

with atheris.instrument_imports(include=["amictl", "tomllib"]):
    from tests.fuzz.targets import TARGETS
    from tests.hostile import readers
    from tests.hostile.limits import CPU_SECONDS, MEMORY_BYTES

    readers.warm()


class TooSlowError(Exception):
    """One input took more processor time than any may."""


def main() -> None:
    name, *words = sys.argv[1:]
    read = TARGETS[name].read
    # What libFuzzer and the instruments take for themselves comes on top.
    bound = 2 * MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (bound, bound))

    def measured(data: bytes) -> None:
        before = time.process_time()
        read(data)
        if time.process_time() - before > CPU_SECONDS:
            raise TooSlowError(f"{len(data)} bytes took more than {CPU_SECONDS} seconds")

    atheris.Setup([sys.argv[0], *words], measured)
    atheris.Fuzz()


main()
