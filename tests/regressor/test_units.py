"""Fits with the units of columns."""

import numpy as np
import pytest

from dso import DeepSymbolicRegressor
from dso.build.units_aside import are_much_better
from dso.errors import UserError

RANDOM = np.random.default_rng(0)
X = RANDOM.uniform(1, 4, (60, 3))  # mass, speed, height
ENERGY = X[:, 0] * (X[:, 1] ** 2 / 2 + 9.81 * X[:, 2])
UNITS = ["kg", "m/s", "m"]


def make(**arguments) -> DeepSymbolicRegressor:
    options = {"n_samples": 4000, "random_state": 0, "n_jobs": 1, "verbosity": 0}
    return DeepSymbolicRegressor(**(options | arguments))


def test_equations_are_consistent_and_show_their_units():
    model = make().fit(X, ENERGY, X_units=UNITS, y_units="J", variable_names=["m", "v", "h"])
    assert model.X_units_ == UNITS
    assert model.y_units_ == ["J"]
    frame = model.equations_
    assert frame["is_consistent"].all()
    assert frame.attrs["units"] == "y [J], m [kg], v [m/s], h [m]"
    assert frame["loss"].min() < 1e-12
    exact = int(frame["loss"].argmin())
    constants = model.constants(exact)
    by_value = dict(zip(constants["value"].round(2), constants["unit"], strict=True))
    assert by_value[9.81] == "m s^-2"
    assert r"y\;[\mathrm{J}] = " in model.latex_table()
    assert "equation of y [J], m [kg], v [m/s], h [m]" in repr(model)


def test_the_units_are_in_the_folder_of_the_fit(tmp_path):
    model = make(n_samples=500, output_directory=tmp_path)
    model.fit(X, ENERGY, X_units=UNITS, y_units="J")
    loaded = DeepSymbolicRegressor.from_file(tmp_path / model.run_id_)
    assert loaded.X_units_ == UNITS
    assert loaded.y_units_ == ["J"]
    assert loaded.equations_.attrs["units"] == model.equations_.attrs["units"]
    assert loaded.constants(0)["unit"].tolist() == model.constants(0)["unit"].tolist()


def test_each_target_has_its_unit():
    momentum = X[:, 0] * X[:, 1]
    y = np.column_stack([ENERGY, momentum])
    model = make(n_samples=500).fit(X, y, X_units=UNITS, y_units=["J", "kg m/s"])
    first, second = model.equations_
    assert first.attrs["units"].startswith("y [J]")
    assert second.attrs["units"].startswith("y [kg m/s]")
    assert first["is_consistent"].all()
    assert second["is_consistent"].all()


def test_without_constants_with_units_the_law_has_none():
    y = X[:, 0] * X[:, 1] ** 2 / 2
    model = make(dimensionless_constants_only=True).fit(X, y, X_units=UNITS, y_units="J")
    best = model.equations_["loss"].argmin()
    assert model.equations_["loss"][best] < 1e-12
    assert set(model.constants(int(best))["unit"]) <= {"1"}


def test_a_penalty_is_added_to_the_loss_of_what_is_not_consistent():
    y = X[:, 0] + X[:, 1]  # kg + m/s
    options = {"X_units": UNITS, "y_units": "kg"}
    soft = make(dimensional_constraint_penalty=7.0, dimensionless_constants_only=True)
    frame = soft.fit(X, y, **options).equations_
    broken = frame[~frame["is_consistent"]]
    assert (broken["loss"] >= 7.0).all()
    mild = make(dimensional_constraint_penalty=1e-3, dimensionless_constants_only=True)
    frame = mild.fit(X, y, **options).equations_
    last = frame.iloc[-1]
    assert not last["is_consistent"]
    assert last["loss"] == pytest.approx(1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"X_units": ["kg", "m"]}, "X_units: 2 of them; expected a list of 3"),
        ({"X_units": "kg"}, "X_units: 'kg'; expected a list of 3"),
        ({"X_units": ["kg", "m/s", "mm^^2"]}, r"X_units\[2\] \(x3\): 'mm\^\^2' cannot be read"),
        ({"y_units": "Jule"}, "y_units: unknown unit 'Jule'.* Did you mean"),
        ({"y_units": ["J", "J"]}, r"y_units: \['J', 'J'\]; expected the text of a unit"),
    ],
)
def test_units_that_cannot_be_read_are_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        make().fit(X, ENERGY, **arguments)


def test_the_number_of_units_of_targets_is_checked():
    with pytest.raises(UserError, match="y_units: 'J'; expected a list of 2 units"):
        make().fit(X, X[:, :2], y_units="J")


def test_units_that_cannot_match_are_refused_with_the_reason():
    model = make(function_set=["add", "mul"])
    with pytest.raises(UserError, match=r"no product of powers of x1 \[kg\].* of y \[K\]"):
        model.fit(X, ENERGY, X_units=UNITS, y_units="K")


@pytest.mark.parametrize("penalty", [-1, "much", True])
def test_a_penalty_that_is_none_is_refused(penalty):
    model = make(dimensional_constraint_penalty=penalty)
    with pytest.raises(UserError, match="dimensional_constraint_penalty: "):
        model.fit(X, ENERGY, X_units=UNITS, y_units="J")


def test_a_logarithm_has_no_unit():
    model = make(target_transform="log")
    with pytest.raises(UserError, match="'log' does not go with units"):
        model.fit(X, ENERGY, X_units=UNITS, y_units="J")


def test_a_mixture_of_systems_is_pointed_out(caplog):
    model = make(n_samples=500, verbosity=1, progress=False)
    model.fit(X, ENERGY, X_units=["g", "m/s", "m"], y_units="J")
    assert any("are not all of one system" in record.getMessage() for record in caplog.records)


def test_only_what_is_much_better_may_break_the_units():
    losses = np.array([2.0, 1.0, 0.6, 0.4, np.inf])
    is_consistent = np.array([True, True, False, False, True])
    better = are_much_better(losses, is_consistent, 1e-20)
    assert better.tolist() == [False, False, False, True, False]
    assert not are_much_better(losses, is_consistent, 1e-20, best=0.5).any()
    # What is exact but for rounding is not beaten.
    assert not are_much_better(np.array([1e-30, 0.0]), np.array([True, False]), 1e-20).any()


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [1.0, np.array([1e9, 1.0, 1e-6])])
def test_wrong_units_do_not_keep_the_law_from_being_found(caplog, sizes):
    y = X[:, 1] * np.exp(-X[:, 2] / X[:, 0])  # h/m has a unit
    options = {"n_samples": 60_000, "dimensionless_constants_only": True, "verbosity": 1}
    model = make(**options, progress=False)
    model.fit(X * sizes, y, X_units=UNITS, y_units="m/s", variable_names=["m", "v", "h"])
    best = model.get_best()
    assert best["loss"] < 1e-12
    assert not best["is_consistent"]
    said = [record.getMessage() for record in caplog.records]
    wrong = [text for text in said if "which fits best, are not consistent" in text]
    assert len(wrong) == 1
    assert wrong[0].endswith("they would be if m or h had another unit.")


@pytest.mark.slow
def test_noise_does_not_make_up_for_units(caplog):
    y = ENERGY * (1 + 0.05 * np.random.default_rng(2).standard_normal(60))
    model = make(n_samples=60_000, verbosity=1, progress=False)
    model.fit(X, y, X_units=UNITS, y_units="J")
    assert model.equations_["is_consistent"].all()
    assert "are not consistent" not in caplog.text
