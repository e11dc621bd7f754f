"""The bounds inside which any input is read, whatever it says: memory and processor time."""

import resource
import sys
import threading
from pathlib import Path

MEMORY_BYTES = 256 << 20
CPU_SECONDS = 2
STACK_BYTES = 1 << 20
"""Of a thread; what is set aside for stacks counts as memory."""

# Sets the limits and becomes the program: `-c` this, limit by limit, then the command.
_BECOME = (
    "import os, resource as r, sys\n"
    "for name, bound in zip(('STACK', 'DATA', 'CPU', 'CORE'), map(int, sys.argv[1:5])):\n"
    "    r.setrlimit(getattr(r, 'RLIMIT_' + name), (bound, bound))\n"
    "os.execv(sys.argv[5], sys.argv[5:])\n"
)


def limited(program: Path) -> list[str]:
    """The words that run a program inside the bounds; its own words go after them."""
    bounds = map(str, (STACK_BYTES, MEMORY_BYTES, CPU_SECONDS, 0))
    return [sys.executable, "-I", "-S", "-c", _BECOME, *bounds, str(program)]


def bind_this_process(*, file_bytes: int = resource.RLIM_INFINITY) -> None:
    """Put the bounds on this process, and one on the files that it writes.

    What counts for RLIMIT_DATA is the memory that a process has for itself, used or not.
    """
    threading.stack_size(STACK_BYTES)
    bounds = {
        resource.RLIMIT_DATA: MEMORY_BYTES,
        resource.RLIMIT_CPU: CPU_SECONDS,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: file_bytes,
    }
    for limit, bound in bounds.items():
        resource.setrlimit(limit, (bound, bound))
