"""Reductions in a fit."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dso import DeepSymbolicRegressor
from dso.reduction import Reduced, Reduction
from dso.reduction.polynomial import Polynomial
from dso.regressor.run_files import _plain_reductions
from dso.regressor.saved import SavedReduced

RANDOM = np.random.default_rng(0)
FAST: dict[str, Any] = {"verbosity": 0, "n_jobs": 1, "random_state": 0}
PHYSICS = [
    *("add", "sub", "mul", "div", "sqrt", "square", "exp", "log"),
    *("sin", "cos", "tanh", "arcsin", "arccos", "const"),
]


def _gravity(n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    X = np.random.default_rng(1).uniform(1, 2, (n, 8))
    X[:, [3, 5, 7]] += 2
    m1, m2, x1, x2, y1, y2, z1, z2 = X.T
    return X, m1 * m2 / ((x2 - x1) ** 2 + (y2 - y1) ** 2 + (z2 - z1) ** 2)


@pytest.mark.slow
def test_gravity_is_found_by_its_differences() -> None:
    X, y = _gravity()
    model = DeepSymbolicRegressor(function_set=PHYSICS, **FAST).fit(X, y)
    assert isinstance(model.reductions_, Reduced)
    assert model.reductions_.reductions[0].used_inputs == list(range(8))
    found = model.equations_.iloc[-1]
    assert found["loss"] < 1e-20
    assert found["reductions"] == model.reductions_.reductions[0].says()
    assert model.equations_["reductions"].iloc[0] == ""


@pytest.mark.slow
def test_a_model_from_a_file_tells_the_same(tmp_path: Path) -> None:
    X, y = _gravity(200)
    model = DeepSymbolicRegressor(niterations=4, output_directory=tmp_path, **FAST)
    model.fit(np.column_stack([X, X[:, 0]]), y)
    assert model.reductions_.reductions
    again = DeepSymbolicRegressor.from_file(tmp_path / model.run_id_)
    assert again.reductions_ == model.reductions_
    assert again.equations_["reductions"].tolist() == model.equations_["reductions"].tolist()


@pytest.mark.slow
@pytest.mark.parametrize("unit", [1e-30, 1e12])
def test_it_is_found_in_other_units(unit: float) -> None:
    X, y = _gravity()
    units = np.array([unit, 1, *[1e9] * 6])
    model = DeepSymbolicRegressor(function_set=PHYSICS, **FAST).fit(X * units, unit * y)
    assert model.equations_["loss"].iloc[-1] < 1e-18 * np.var(unit * y)


@pytest.mark.slow
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_logarithms_of_y_have_the_reductions_of_y(sign: float) -> None:
    X, y = _gravity()
    model = DeepSymbolicRegressor(function_set=PHYSICS, target_transform="log", **FAST)
    model.fit(X, sign * y)
    assert model.equations_["loss"].iloc[-1] < 1e-18


@pytest.mark.slow
def test_without_it_nobody_asks_the_data() -> None:
    X, y = _gravity(100)
    model = DeepSymbolicRegressor(reduce=False, niterations=4, **FAST).fit(X, y)
    assert model.reductions_ is None
    assert (model.equations_["reductions"] == "").all()


@pytest.mark.slow
def test_a_fit_counts_what_reductions_cost() -> None:
    X, y = _gravity(150)
    model = DeepSymbolicRegressor(n_samples=250_000, **FAST).fit(X, y)
    assert model.reductions_ is not None
    race = model._searches[0].optimizer.race
    assert 0 < model.reductions_.n_evaluations < race.n_evaluations < model.n_evaluations_


@pytest.mark.slow
def test_a_product_of_two_pieces_is_found(tmp_path: Path) -> None:
    X = np.random.default_rng(2).uniform(1, [3, 3, 3, 2], (1000, 4))
    a, b, c, d = X.T
    y = a * np.exp(b) / (1 + b) * (np.sin(c * d / 2) / np.sin(c / 2)) ** 2
    model = DeepSymbolicRegressor(function_set=PHYSICS, output_directory=tmp_path, **FAST)
    model.fit(X, y)
    pieces = model.reductions_.separation
    assert pieces is not None
    assert pieces.is_product
    assert model.equations_["loss"].iloc[-1] < 1e-18
    again = DeepSymbolicRegressor.from_file(tmp_path / model.run_id_)
    assert again.reductions_.separation == pieces


@pytest.mark.slow
def test_units_do_not_keep_smaller_problems_from_being_searched() -> None:
    X, y = _gravity()
    units = ["kg", "kg", *["m"] * 6]
    model = DeepSymbolicRegressor(function_set=PHYSICS, **FAST)
    model.fit(X, y, X_units=units, y_units="kg^2/m^2")
    assert model.equations_["loss"].iloc[-1] < 1e-20
    assert model.equations_["reductions"].iloc[-1]


def test_pieces_with_factors_are_saved() -> None:
    whole = Reduction.none(["a", "b"])
    pieces = Polynomial(0, -1.0, 2).separation(whole)
    found = Reduced((whole,), "why", separation=pieces)
    plain = json.loads(json.dumps(_plain_reductions(found)))
    assert SavedReduced.model_validate(plain).rebuilt(["a", "b"]) == found
    for key, wrong in (("groups", [[1], [7], [1]]), ("factors", [[1.0], [5], [0]])):
        broken = {**plain, "separation": {**plain["separation"], key: wrong}}
        with pytest.raises(ValueError, match=r"groups|input"):
            SavedReduced.model_validate(broken).rebuilt(["a", "b"])


@pytest.mark.parametrize("target_transform", [None, "log"])
def test_rows_that_are_set_aside_take_no_part(target_transform: str | None) -> None:
    X, y = _gravity(40)
    config = {
        "task": {"task_type": "regression", "validation_fraction": 0.3},
        "training": {"batch_size": 5},
        "finishing": {"on": False},
    }
    options = {**FAST, "function_set": ["add", "log"], "reduce": True, "config": config}
    model = DeepSymbolicRegressor(n_samples=1, target_transform=target_transform, **options)
    search = model.fit(X[:, :2], y)._searches[0]
    race, data = search.optimizer.race, search.task.dataset
    assert len(race.y) == 28
    np.testing.assert_array_equal(race.X, data.X_train)
    np.testing.assert_allclose(np.log(race.y) if target_transform else race.y, data.y_train)


@pytest.mark.slow
def test_each_target_has_its_reductions() -> None:
    X = np.random.default_rng(3).uniform(1, 3, (200, 5))
    a, b, c, d, f = X.T
    first = a * (1.3 + np.cos(0.7 * (c - d))) / (b**2 * (0.37 + f**2))
    second = f * np.exp(-0.3 * (a - b) ** 2) / (0.6 + np.sqrt(c * d))
    model = DeepSymbolicRegressor(niterations=4, **FAST).fit(X, np.column_stack([first, second]))
    for found, table in zip(model.reductions_, model.equations_, strict=True):
        assert found is not None
        assert found.reductions
        told = set(table["reductions"]) - {""}
        assert told
        assert told <= {reduction.says() for reduction in found.reductions}
    assert "x3 - x4" in model.reductions_[0].why
    assert "x1 - x2" in model.reductions_[1].why


@pytest.mark.slow
def test_held_out_rows_and_reductions_go_together() -> None:
    X, y = _gravity(300)
    config = {
        "task": {"task_type": "regression", "validation_fraction": 0.25},
        "semantic": {"on": True},
        "gp_meld": {"run_gp_meld": True},
    }
    model = DeepSymbolicRegressor(
        config=config, reduce=True, function_set=PHYSICS, n_samples=300_000, **FAST
    ).fit(X, y)
    best = model.equations_.iloc[-1]
    assert best["loss"] < 1e-20
    assert best["reductions"] == model.reductions_.reductions[0].says()
