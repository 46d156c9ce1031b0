"""Every example config runs, or ends with the one sentence that says what is missing."""

from pathlib import Path

import pytest
from click.testing import CliRunner

import dso.run
from dso import DeepSymbolicOptimizer
from dso.config import load_config

EXAMPLES = Path(__file__).resolve().parents[2] / "config" / "examples"

RUNS = {
    "regression/Constant-7",
    "regression/Nguyen-2",
    "regression/PiecewiseFunction-1",
    "regression/Poly-1",
}
WITH_GP = {"regression/Nguyen-2-GPmeld"}
NOT_YET = {
    "control/Hopper": "task.anchor: none comes with dso for 'Hopper-v5'; give the path of a "
    "trained model. scripts/train_anchor.py trains one."
}


def test_every_example_has_a_case() -> None:
    found = {f"{path.parent.name}/{path.stem}" for path in EXAMPLES.rglob("*.json")}
    control = {f"control/{path.stem}" for path in (EXAMPLES / "control").iterdir()}
    assert found == RUNS | WITH_GP | control  # those have tests/task/control/test_examples.py


@pytest.mark.parametrize("name", sorted(RUNS))
def test_it_runs(name: str) -> None:
    config = load_config(EXAMPLES / f"{name}.json")
    config["training"].update(batch_size=50, n_samples=1000, early_stopping=False, verbose=False)
    config["experiment"]["logdir"] = None
    model = DeepSymbolicOptimizer(config)
    result = model.train()
    assert model.trainer is not None
    assert model.trainer.standing.iteration == 20
    assert result["n_samples"] == 1000
    assert 0 < result["r"] <= 1


@pytest.mark.parametrize(
    "path",
    ["examples/regression/Nguyen-2-GPmeld", "config_regression_gp", "config_regression_best"],
)
def test_it_runs_with_genetic_programming(path: str) -> None:
    config = load_config(EXAMPLES.parent / f"{path}.json")
    config["training"].update(n_samples=20_000, verbose=False)
    config["experiment"]["logdir"] = None
    result = DeepSymbolicOptimizer(config).train()
    assert result["success"]


@pytest.mark.parametrize("name", NOT_YET)
def test_it_says_what_is_missing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = CliRunner().invoke(dso.run.main, [str(EXAMPLES / f"{name}.json")])
    assert outcome.exit_code == 1
    assert outcome.output.splitlines()[-1].removeprefix("Error: ") == NOT_YET[name]
    assert list(tmp_path.iterdir()) == []
