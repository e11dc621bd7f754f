"""The one test command: `python -m tests`. Words after it go to pytest.

Runs every check and says at the end which ones failed; the last line is pytest's. Where a tool
is missing its check is left out, and says so; with CI=true that is a failure.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = Path(sys.executable).parent
IN_CI = os.environ.get("CI") == "true"


def main() -> int:
    os.chdir(ROOT)
    failed = [name for name, check in CHECKS.items() if not check()]
    closing_line, passed = run_pytest(sys.argv[1:])
    if not passed:
        failed.append("pytest")
    print(f"== failed: {', '.join(failed)}" if failed else "== all checks passed")
    print(closing_line)
    return 1 if failed else 0


def tool(name: str, *words: str) -> bool:
    """Run a tool of this environment on the whole project."""
    return run([sys.executable, "-m", name, *words])


def run(command: Sequence[str | Path]) -> bool:
    print(f"== {' '.join(Path(str(word)).name for word in command[:6])}", flush=True)
    done = subprocess.run(command, check=False).returncode == 0
    print("   ok" if done else "   FAILED", flush=True)
    return done


def check_manual() -> bool:
    """Every man page through groff, without a warning."""
    if shutil.which("groff") is None:
        print("== groff: left out, it is not installed", flush=True)
        return not IN_CI
    done = True
    for page in sorted(ROOT.glob("man/*.[157]")):
        command = ["groff", "-man", "-ww", "-Tutf8", "-z", str(page)]
        warnings = subprocess.run(command, capture_output=True, text=True, check=False).stderr
        if warnings:
            print(warnings.rstrip())
            done = False
    print(f"== groff -ww man/*\n   {'ok' if done else 'FAILED'}", flush=True)
    return done


def fuzz_readers() -> bool:
    """In CI half a minute for each reader of what comes from outside, from new places on."""
    if not IN_CI:
        print("== fuzzers: left out but for what pytest runs; python -m tests.fuzz", flush=True)
        return True
    return tool("tests.fuzz", "--seconds", "30")


def run_pytest(words: Sequence[str]) -> tuple[str, bool]:
    """Show pytest's output as it comes; its closing line, and whether all passed."""
    command = [sys.executable, "-m", "pytest", "-n", "2", "-q", "-rs"]
    command += ["--cov", "--cov-report=term:skip-covered", *words]
    print("== pytest", flush=True)
    closing_line = "0 passed, 1 failed"
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            if re.search(r"\d+ (passed|failed|error)", line):
                closing_line = line.strip("= \n")
    return closing_line, process.returncode == 0


CHECKS = {
    "ruff format": lambda: tool("ruff", "format", "--check", "."),
    "ruff check": lambda: tool("ruff", "check", "."),
    "mypy": lambda: tool("mypy"),
    "lint-imports": lambda: run([SCRIPTS / "lint-imports"]),
    "man pages": check_manual,
    "fuzzers": fuzz_readers,
}

if __name__ == "__main__":
    sys.exit(main())
