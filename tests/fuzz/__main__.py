"""`python -m tests.fuzz [TARGET …] [--seconds N | --runs N] [--seed N] [--keep FOLDER]`.

Runs each target from the seeds on, one for each processor at a time. What crashes one is put into
the folder `--keep`, and so is, by target, what reaches new code, to begin from the next time. Ends
with 1 after a crash.
"""

import argparse
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
INPUT_SIZE_MAX = 65_536
HANG_SECONDS = 60
_DONE = re.compile(r"Done (\d+) runs|stat::number_of_executed_units: +(\d+)")


@dataclass(frozen=True, slots=True)
class Ran:
    """How fuzzing a target ended: executions, and what was said of a crash."""

    executions: int
    crash: str | None


def fuzz(target: str, folder: Path, *bounds: str) -> Ran:
    """Run one target with libFuzzer's bounds, beginning with what is in `folder`/TARGET."""
    from tests.fuzz.targets import TARGETS

    inputs = folder / target
    inputs.mkdir(parents=True, exist_ok=True)
    for data in TARGETS[target].seed_bytes():
        (inputs / sha256(data).hexdigest()).write_bytes(data)
    words = [
        f"-artifact_prefix={folder}/{target}-",
        f"-max_len={INPUT_SIZE_MAX}",
        f"-timeout={HANG_SECONDS}",
        "-print_final_stats=1",
        *bounds,
    ]
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.one", target, *words, str(inputs)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    counts = [int(one or other) for one, other in _DONE.findall(done.stderr)]
    crash = None if done.returncode == 0 else done.stdout[-4000:] + done.stderr[-4000:]
    return Ran(max(counts, default=0), crash)


def main() -> int:
    from tests.fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", choices=[[], *TARGETS], metavar="TARGET")
    bound = parser.add_mutually_exclusive_group()
    bound.add_argument("--seconds", type=int, default=30)
    bound.add_argument("--runs", type=int)
    parser.add_argument("--seed", type=int, default=0, help="0: another one each time")
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    given = parser.parse_args()
    length = f"-runs={given.runs}" if given.runs else f"-max_total_time={given.seconds}"
    targets = given.targets or list(TARGETS)
    crashed = False
    with TemporaryDirectory() as temporary, ThreadPoolExecutor(os.cpu_count()) as pool:
        folder = given.keep or Path(temporary)
        runs = pool.map(lambda target: fuzz(target, folder, length, f"-seed={given.seed}"), targets)
        for target, ran in zip(targets, runs, strict=True):
            print(f"{target}: {ran.executions} executions, {'CRASH' if ran.crash else 'ok'}")
            if ran.crash:
                print(ran.crash)
                crashed = True
    return int(crashed)


if __name__ == "__main__":
    sys.exit(main())
