"""Choosing inputs, taking noise away, test rows, and columns that hold no numbers."""

from __future__ import annotations

import pickle
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dso import DeepSymbolicRegressor
from dso.errors import UserError
from dso.regressor.preparation import denoised, rank_inputs

RANDOM = np.random.default_rng(0)
X = RANDOM.uniform(-2, 2, (80, 6))
CLEAN = 3 * X[:, 4] + X[:, 1] ** 2
Y = CLEAN + RANDOM.normal(0, 0.3, 80)
NAMES = list("pqrstu")


def estimator(**given: Any) -> DeepSymbolicRegressor:
    usual = {"n_samples": 1000, "random_state": 0, "verbosity": 0, "n_jobs": 1}
    return DeepSymbolicRegressor(operators=["+", "*"], **{**usual, **given})


def test_inputs_are_ranked() -> None:
    selected, ranking = rank_inputs(X, Y[:, None], None, NAMES, 2, 0)
    assert selected.tolist() == [name in "qt" for name in NAMES]
    assert ranking["input"].tolist()[:2] == ["t", "q"]
    assert ranking["selected"].tolist() == [True, True, False, False, False, False]
    assert ranking["importance"].sum() == pytest.approx(1)


def test_a_gaussian_process_takes_noise_away() -> None:
    places, y = denoised(X[:, [1, 4]], Y[:, None], None, 0)
    assert np.mean((y[:, 0] - CLEAN) ** 2) < 0.5 * np.mean((Y - CLEAN) ** 2)
    _, there = denoised(X[:, [1, 4]], Y[:, None], places[:7], 0)
    np.testing.assert_allclose(there, y[:7])
    with pytest.raises(UserError, match="denoise: 5001 rows"):
        denoised(np.zeros((5001, 1)), np.zeros((5001, 1)), None, 0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> DeepSymbolicRegressor:
    folder = tmp_path_factory.mktemp("fit")
    options = {"output_directory": str(folder), "run_id": "first", "select_k_features": 2}
    model = estimator(**options, complexity_of_variables=[1, 1, 1, 1, 2, 1])
    frame = pd.DataFrame(X, columns=NAMES)
    return model.fit(frame, Y, X_test=frame[:9], y_test=Y[:9])


def test_selected_inputs_take_all_columns(model: DeepSymbolicRegressor, tmp_path: Path) -> None:
    assert model.selection_mask_.tolist() == [name in "qt" for name in NAMES]
    assert model.input_ranking_["input"].tolist()[:2] == ["t", "q"]
    frame = pd.DataFrame(X, columns=NAMES)
    wanted = model.predict(frame)
    assert np.mean((wanted - CLEAN) ** 2) < 0.3
    assert {symbol.name for symbol in model.sympy().free_symbols} == {"q", "t"}
    row = model.get_best()
    np.testing.assert_array_equal(row["lambda_format"](frame), wanted)
    np.testing.assert_array_equal(row["lambda_format"](X), wanted)
    namespace: dict[str, Any] = {}
    exec(model.numpy_code(), namespace)
    np.testing.assert_allclose(namespace["predict"](X), wanted)
    assert model.get_best()["complexity"] >= 1
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(frame), wanted)
    folder = Path(str(model.output_directory_), str(model.run_id_))
    again = DeepSymbolicRegressor.from_file(folder)
    np.testing.assert_array_equal(again.predict(frame), wanted)
    assert again.program_.complexity == model.program_.complexity


def test_test_rows_are_reported(model: DeepSymbolicRegressor) -> None:
    table = model.equations_
    frame = pd.DataFrame(X, columns=NAMES)
    for i in table.index:
        wanted = np.mean((model.predict(frame, i)[:9] - Y[:9]) ** 2)
        assert table["test_loss"][i] == pytest.approx(wanted)
    without = estimator(select_k_features=2, complexity_of_variables=[1, 1, 1, 1, 2, 1]).fit(X, Y)
    np.testing.assert_array_equal(without.equations_["loss"], table["loss"])
    assert "test_loss" not in without.equations_


@pytest.mark.parametrize(
    ("parameters", "given", "words"),
    [
        ({}, {"X_test": X}, "give both, or neither"),
        ({}, {"X_test": X, "y_test": Y[:3]}, r"y_test has the shape \(3,\)"),
        ({}, {"Xresampled": X}, "belongs to denoise=True"),
        ({"denoise": True}, {"Xresampled": X, "weights": np.ones(80)}, "have no weights"),
        ({"select_k_features": 0}, {}, "select_k_features: 0; expected a whole number >= 1"),
        ({"batching": "some"}, {}, "unknown value 'some' in batching"),
        ({"batch_size": 1}, {}, "batch_size: 1; expected a whole number >= 2"),
        ({}, {"variable_names": list("pqrstp")}, "variable_names: 'p' is there more than once"),
    ],
)
def test_what_means_nothing_is_refused(
    parameters: dict[str, Any], given: dict[str, Any], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        estimator(**parameters).fit(X, Y, **given)


def test_columns_that_hold_no_numbers() -> None:
    frame = pd.DataFrame(
        {"a": X[:, 0], "kind": ["u", "v"] * 40, "grade": pd.Categorical([1, 2] * 40)}
    )
    with pytest.raises(UserError, match=r"'kind' holds .*'u', 'v'.*; so do 'grade'.*get_dummies"):
        estimator().fit(frame, Y)
    frame = pd.DataFrame({"a": X[:, 0], "at": pd.date_range("2020", periods=80)})
    with pytest.raises(UserError, match=r"'at' holds datetime64.* seconds since the first"):
        estimator().fit(frame, Y)
    whole = pd.DataFrame({"a": np.arange(80), "is_b": [True, False] * 40, "c": pd.array([1] * 80)})
    y = 2 * whole["a"] + 5 * whole["is_b"]
    assert estimator().fit(whole, y).equations_["loss"].min() < 1e-9


@pytest.mark.slow
def test_rows_are_batched_where_that_is_asked_for() -> None:
    model = estimator(batching=True, batch_size=20).fit(X, Y)
    search = model._searches[0]
    assert search.optimizer.task.n_search_rows == 20
    assert search.optimizer.evaluator.task.fit_data.n_rows == 20
    assert estimator().fit(X, Y)._searches[0].optimizer.task.n_search_rows == 80


def test_what_comes_before_the_search_counts_for_the_limit_of_time(monkeypatch) -> None:
    model = DeepSymbolicRegressor(timeout_in_seconds=60.0, n_samples=200, verbosity=0, n_jobs=1)
    clock = time.monotonic
    begun = [clock() - 45.0]  # as if the preparation had taken that long
    monkeypatch.setattr("time.monotonic", lambda: begun.pop() if begun else clock())
    X = np.random.default_rng(0).normal(size=(30, 2))
    model.fit(X, X[:, 0] ** 3)
    assert model._searches[0].config["training"]["max_seconds"] == pytest.approx(15, abs=10)
