"""One rule picks the answer: of the estimator, of its folder, of a run on the same data."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dso import DeepSymbolicOptimizer, DeepSymbolicRegressor
from dso.report.collect import Collector
from dso.report.text import LogEval

RANDOM = np.random.default_rng(0)
X = RANDOM.uniform(-0.9, 5, (40, 1))
Y = np.log1p(X[:, 0]) + RANDOM.normal(0, 0.05, 40)
FUNCTIONS = ["add", "mul", "log", "sin", "const"]


def shown(folder: Path) -> dict:
    return Collector([folder]).collect()["runs"][0]["result"]


def test_an_estimators_folder_shows_what_it_picks(tmp_path: Path) -> None:
    model = DeepSymbolicRegressor(
        function_set=FUNCTIONS, n_samples=3000, random_state=0, verbosity=0,
        output_directory=tmp_path, run_id="fit",
    ).fit(X, Y)  # fmt: skip
    best = model.get_best()
    table = model.equations_
    assert table["criterion"].idxmin() == best.name
    assert best["loss"] > 1.01 * table["loss"].min()  # the rule matters here
    assert shown(tmp_path / "fit")["expression"] == best["equation"]
    assert str(model.sympy()) == str(best["sympy_format"])
    np.testing.assert_array_equal(model.program_.execute(X), model.predict(X))
    said = "\n".join(LogEval(tmp_path / "fit").lines())
    assert f"R={model.program_.r:.6f}" in said
    np.testing.assert_array_equal(model.predict(X), best["lambda_format"](X))
    line = next(line for line in str(model).splitlines() if ">>>>" in line)
    assert int(line.split()[0]) == best.name


def run(dataset: object, folder: Path, **task: object) -> tuple[dict, pd.DataFrame]:
    config = {
        "task": {"dataset": dataset, "function_set": FUNCTIONS, "task_type": "regression", **task},
        "training": {"n_samples": 3000, "batch_size": 500, "verbose": False},
        "experiment": {"seed": 0, "logdir": str(folder), "exp_name": "run"},
    }
    result = DeepSymbolicOptimizer(config).train()
    front = pd.read_csv(next((folder / "run").glob("*_pf.csv")))
    return result, front


@pytest.mark.parametrize("rule", ["auto", "accuracy"])
def test_a_run_on_data_gives_the_row_that_the_rule_chooses(rule: str, tmp_path: Path) -> None:
    result, front = run((X, Y), tmp_path, model_selection=rule)
    chosen = front.loc[front["criterion"].idxmin()]
    assert result["traversal"] == chosen["traversal"]
    assert result["r"] == pytest.approx(chosen["r"])
    assert result["r_best"] == pytest.approx(front["r"].max())
    assert (chosen["r"] == front["r"].max()) == (rule == "accuracy")
    assert shown(tmp_path / "run")["expression"] == chosen["expression"]


@pytest.mark.parametrize("task", [{"model_selection": "reward"}, {}])
def test_the_reward_decides_where_it_is_to_and_of_benchmarks(task: dict, tmp_path: Path) -> None:
    result, front = run((X, Y) if task else "Nguyen-7", tmp_path, **task)
    assert "criterion" not in front
    assert "r_best" not in result
    assert result["r"] == front["r"].max()
