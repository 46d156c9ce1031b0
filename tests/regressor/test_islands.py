"""A fit as several searches that exchange their best equations."""

from typing import Any

import numpy as np
import pytest

from dso import DeepSymbolicRegressor
from dso.islands import Archipelago
from dso.regressor import fit
from tests.support.islands import engine_that_is_up

FUNCTIONS = ["add", "sub", "mul", "div", "sin", "const"]
GENERATOR = np.random.default_rng(3)
X = GENERATOR.uniform(0.5, 3, (40, 2))
Y = np.sin(1.3 * X[:, 0]) * X[:, 1] + 0.05 * GENERATOR.normal(size=40)


def fitted(**options: Any) -> DeepSymbolicRegressor:
    config = {
        "task": {"task_type": "regression", "function_set": ["add", "mul", "sin"]},
        "training": {"batch_size": 100},
        "islands": {"interval": 2},
        "prior": {"length": {"max_": 10}},
    }
    usual = {"n_islands": 2, "n_samples": 800, "n_jobs": 2, "random_state": 0, "verbosity": 0}
    return DeepSymbolicRegressor(config, **{**usual, **options}).fit(X, Y)


def workers() -> set[int]:
    """Return the workers of joblib's process pools, of which other tests may leave some."""
    psutil = pytest.importorskip("psutil")
    children = psutil.Process().children(recursive=True)
    return {child.pid for child in children if "popen_loky" in " ".join(child.cmdline())}


def test_islands_share_the_budget_and_start_no_process_for_a_short_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fit, "SECONDS_BEFORE_PROCESSES", 1e9)  # as long as this machine may take
    started: list[object] = []
    monkeypatch.setattr("joblib.externals.loky.ProcessPoolExecutor", started.append)
    model = fitted()
    search = model._searches[0].optimizer
    assert isinstance(search, Archipelago)
    assert len(search.islands) == 2
    assert all(400 <= island.standing.n_samples < 450 for island in search.islands)
    assert model.score(X, Y) > 0
    assert not started


def test_niterations_are_those_of_each_island() -> None:
    model = fitted(n_samples=None, niterations=5)
    islands = model._searches[0].optimizer.islands
    assert [island.standing.iteration for island in islands] == [5, 5]


@pytest.mark.slow
def test_processes_change_nothing_and_end_with_the_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    before, here = workers(), fitted(n_jobs=1)
    monkeypatch.setattr(fit, "island_engine", engine_that_is_up)
    there = fitted()
    shown = ["complexity", "loss", "equation"]
    assert here.equations_[shown].equals(there.equations_[shown])
    assert workers() <= before


def test_refuses_a_number_that_is_none() -> None:
    with pytest.raises(ValueError, match="n_islands: 0; expected a whole number >= 1"):
        fitted(n_islands=0)


@pytest.mark.slow
def test_what_the_data_say_is_told_in_the_columns_of_the_user() -> None:
    """Islands see columns divided by powers of ten."""

    def law(Z: np.ndarray) -> np.ndarray:
        return 2e-7 * Z[:, 0] + np.sin(Z[:, 1] * Z[:, 2]) * Z[:, 3]

    columns = np.random.default_rng(0).uniform(1.0, 3.0, (150, 4)) * [1e7, 1.0, 1.0, 1.0]
    config = {
        "task": {"task_type": "regression", "function_set": FUNCTIONS},
        "training": {"batch_size": 20},
        "reduce": {"on": True, "after": 1},
        "finishing": {"on": False},  # which would find it at once
    }
    model = DeepSymbolicRegressor(config, n_islands=2, n_jobs=1, random_state=0, verbosity=0)
    model.set_params(n_samples=1_000_000, callback=lambda so_far: True)
    model.fit(columns, law(columns))
    assert model._searches[0].scales is not None
    assert "e-07*x1" in model.reductions_.story()[0]  # y has this term
