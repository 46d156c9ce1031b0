"""Scripts as PySR's users write them: the README of PySR, and one option after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dso.pysr import PySRRegressor, TemplateExpressionSpec, TensorBoardLoggerSpec

X = 2 * np.random.RandomState(0).randn(100, 5)
Y = 2.5382 * np.cos(X[:, 3]) + X[:, 0] ** 2 - 0.5


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
def test_the_quick_start_finds_the_law() -> None:
    model = PySRRegressor(
        maxsize=20,
        niterations=40,
        binary_operators=["+", "*"],
        unary_operators=["cos", "exp", "sin", "inv(x) = 1/x"],
        extra_sympy_mappings={"inv": lambda x: 1 / x},
        elementwise_loss="loss(prediction, target) = (prediction - target)^2",
    )
    model.fit(X, Y)
    assert model.get_best()["loss"] < 1e-10
    assert model.get_best()["complexity"] == 10
    np.testing.assert_allclose(model.predict(X), Y, atol=1e-5)
    model.predict(X, 3)


@pytest.mark.slow
def test_the_detailed_example_runs() -> None:
    model = PySRRegressor(
        populations=8,
        population_size=50,
        ncycles_per_iteration=500,
        niterations=10000000,
        early_stop_condition=("stop_if(loss, complexity) = loss < 1e-6 && complexity < 10"),
        timeout_in_seconds=10,
        maxsize=50,
        maxdepth=10,
        binary_operators=["*", "+", "-", "/"],
        unary_operators=["square", "cube", "exp", "cos2(x)=cos(x)^2"],
        constraints={"/": (-1, 9), "square": 9, "cube": 9, "exp": 9},
        nested_constraints={
            "square": {"square": 1, "cube": 1, "exp": 0},
            "cube": {"square": 1, "cube": 1, "exp": 0},
            "exp": {"square": 1, "cube": 1, "exp": 0},
        },
        complexity_of_operators={"/": 2, "exp": 3},
        complexity_of_constants=2,
        select_k_features=4,
        progress=True,
        weight_randomize=0.1,
        cluster_manager=None,
        precision=64,
        warm_start=True,
        turbo=True,
        extra_sympy_mappings={"cos2": lambda x: x},
    )
    model.fit(X, Y)
    assert model.selection_mask_.sum() == 4
    assert model.get_best()["loss"] < np.var(Y)


ONE_LINERS: list[dict[str, Any]] = [
    {"model_selection": "accuracy"},
    {"model_selection": "score"},
    {"binary_operators": ["+", "*", "/", "-"]},
    {"unary_operators": ["cos", "exp", "sin"]},
    {"binary_operators": None, "unary_operators": None, "operators": {1: ["cos"], 2: ["+", "*"]}},
    {"niterations": 1, "max_evals": None},
    {"populations": 20},
    {"population_size": 33},
    {"max_evals": 300},
    {"maxsize": 10},
    {"maxdepth": 4},
    {"warmup_maxsize_by": 0.2},
    {"timeout_in_seconds": 60},
    {"constraints": {"*": (-1, 3)}},
    {"constraints": {"cos": 3}},
    {"nested_constraints": {"cos": {"cos": 0}}},
    {"complexity_of_operators": {"cos": 2}},
    {"complexity_of_constants": 2},
    {"complexity_of_variables": [1, 2, 2, 1, 2]},
    {"complexity_mapping": lambda program: 3 * len(program.tokens)},
    {"parsimony": 0.0032},
    {"loss_scale": "linear"},
    {"elementwise_loss": "L1DistLoss()"},
    {"elementwise_loss": "loss(x, y) = abs(x - y)"},
    {"early_stop_condition": 1e-6},
    {"early_stop_condition": "f(loss, complexity) = (loss < 1e-4) && (complexity < 12)"},
    {"ncycles_per_iteration": 100},
    {"weight_optimize": 0.001},
    {"adaptive_parsimony_scaling": 1000.0},
    {"crossover_probability": 0.1},
    {"tournament_selection_n": 10},
    {"optimizer_nrestarts": 3},
    {"parallelism": "multithreading"},
    {"procs": 2},
    {"batching": True, "batch_size": 50},
    {"turbo": True, "bumper": True},
    {"precision": 64},
    {"deterministic": True, "random_state": 0, "parallelism": "serial"},
    {"warm_start": True},
    {"guesses": ["2.5*cos(x3) + x0^2"]},
    {"logger_spec": TensorBoardLoggerSpec(log_dir="logs", log_interval=10)},
    {"denoise": True},
    {"select_k_features": 2},
    {"output_jax_format": False, "output_torch_format": True},
    {"run_id": "mine", "output_directory": "here"},
    {
        "expression_spec": TemplateExpressionSpec(
            combine="f(x3) + g(x0)^2",
            expressions=["f", "g"],
            variable_names=["x0", "x1", "x2", "x3", "x4"],
        )
    },
]


def shown(option: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}"[:40] for name, value in option.items())


@pytest.mark.slow
@pytest.mark.parametrize("option", ONE_LINERS, ids=shown)
def test_one_option_does_what_a_reader_expects(option: dict[str, Any]) -> None:
    usual = {
        "binary_operators": ["+", "*"],
        "unary_operators": ["cos"],
        "max_evals": 3000,
        "random_state": 0,
        "verbosity": 0,
        "progress": False,
    }
    parameters = {**usual, **option}
    model = PySRRegressor(**parameters).fit(X, Y)
    assert model.equations_["loss"].min() < 0.5 * np.var(Y)
    assert np.isfinite(model.predict(X)).all()
    limit = parameters.get("maxsize", 30)
    assert model.equations_["complexity"].max() <= limit
    assert Path(str(model.output_directory_), str(model.run_id_), "hall_of_fame.csv").is_file()
