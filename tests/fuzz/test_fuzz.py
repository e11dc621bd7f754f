"""Each target runs from its seeds on, a bounded number of times, the same in every run."""

from pathlib import Path

import pytest

from tests.fuzz.__main__ import fuzz
from tests.fuzz.targets import SLOW, TARGETS

RUNS, RUNS_OF_SLOW = 5_000, 500


@pytest.mark.needs("atheris")
@pytest.mark.parametrize("target", sorted(TARGETS))
def test_nothing_but_errors_of_ours_comes_of_changed_bytes(target: str, tmp_path: Path) -> None:
    runs = RUNS_OF_SLOW if target in SLOW else RUNS
    ran = fuzz(target, tmp_path, f"-runs={runs}", "-seed=1")
    assert ran.crash is None, ran.crash
    assert ran.executions >= runs


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_every_target_has_seeds(target: str) -> None:
    assert sum(1 for _ in TARGETS[target].seed_bytes()) >= 10
