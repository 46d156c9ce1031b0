"""Errors in proportion to y: searches for log(y), rows weighed by 1 / y^2, and which of them."""

import logging
from pathlib import Path

import numpy as np
import pytest

from dso import DeepSymbolicRegressor
from dso.errors import UserError
from dso.regressor.noise import one_sign, spans_decades

RANDOM = np.random.default_rng(0)
X = np.exp(RANDOM.uniform(np.log(0.1), np.log(100), (40, 2)))
Y = 3e5 * X[:, 0] ** 1.7 / X[:, 1] * np.exp(0.1 * RANDOM.standard_normal(40))
OPERATORS = ["+", "*", "/", "log"]


def model(**options: object) -> DeepSymbolicRegressor:
    defaults = {"operators": OPERATORS, "n_samples": 1000, "random_state": 0, "verbosity": 0}
    return DeepSymbolicRegressor(**{**defaults, **options})


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_search_for_the_logarithm_shows_equations_of_y(sign: float, tmp_path: Path) -> None:
    fitted = model(target_transform="log", output_directory=tmp_path, run_id="log")
    table = fitted.fit(X, sign * Y).equations_
    assert len(table) > 2
    for i in table.index:
        predictions = fitted.predict(X, i)
        assert (sign * predictions > 0).all()
        loss = np.mean((np.log(Y) - np.log(sign * predictions)) ** 2)
        np.testing.assert_allclose(table["loss"][i], loss, rtol=1e-6)
        assert table["complexity"][i] == len(fitted._targets[0].program(i))
    assert (np.diff(table["loss"]) < 0).all()
    assert (np.diff(table["complexity"]) > 0).all()
    loaded = DeepSymbolicRegressor.from_file(tmp_path / "log")
    np.testing.assert_array_equal(loaded.predict(X), fitted.predict(X))
    assert str(loaded) == str(fitted)


def test_a_power_law_is_shown_as_such_with_the_errors_of_its_exponents() -> None:
    fitted = model(target_transform="log", n_samples=1, snap=False).fit(X, Y)
    programs = [fitted._targets[0].program(i) for i in fitted.equations_.index]
    row = next(i for i, program in enumerate(programs) if len(program.constants) == 3)
    assert "x1**1." in fitted.equations_["equation"][row]
    constants = fitted.constants(row)
    design = np.column_stack([np.ones(40), *np.log(X.T)])
    exponent = np.linalg.lstsq(design, np.log(Y), rcond=None)[0][1]
    k = int(np.abs(constants["value"].to_numpy() - exponent).argmin())
    assert constants["value"].iloc[k] == pytest.approx(exponent, rel=1e-6)
    scatter = np.sqrt(fitted.equations_["loss"][row] * 40 / 37)
    error = scatter * np.sqrt(np.linalg.inv(design.T @ design)[1, 1])
    assert constants["standard_error"].iloc[k] == pytest.approx(error, rel=1e-4)


def test_relative_errors_weigh_rows_by_the_square_of_y() -> None:
    fitted = model(loss="relative").fit(X, Y)
    weighed = model(loss="squared").fit(X, Y, sample_weight=(Y.min() / Y) ** 2)
    for column in ("complexity", "loss"):
        np.testing.assert_allclose(fitted.equations_[column], weighed.equations_[column], rtol=1e-6)


def test_what_has_neither_logarithm_nor_reciprocal_is_refused() -> None:
    for options, text in (
        ({"loss": "relative"}, "without zeros"),
        ({"target_transform": "log"}, "of one sign"),
        ({"loss": "relativ"}, "unknown loss 'relativ'.*Did you mean 'relative'"),
        ({"target_transform": "ln"}, "unknown target_transform 'ln'"),
        ({"loss": "relative", "target_transform": "log"}, "give one"),
    ):
        with pytest.raises(UserError, match=text):
            model(**options).fit(X, np.append(Y[1:], 0.0))


def test_signs_and_decades() -> None:
    assert [one_sign(np.array(y)) for y in ([1.0, 2.0], [-1.0, -2.0], [0.0, 1.0], [-1.0, 1.0])] == [
        1,
        -1,
        0,
        0,
    ]
    assert spans_decades(np.array([-1.0, -101.0]))
    assert not spans_decades(np.array([1.0, 99.0]))
    assert not spans_decades(np.array([0.0, 1e9]))
    assert spans_decades(np.array([5e-324, 1e308]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("errors", "expected"),
    [(lambda y: y * RANDOM.normal(1, 0.1, 40), "log"), (lambda y: y + 1e3, "squared")],
)
def test_a_first_front_decides(
    errors: object, expected: str, caplog: pytest.LogCaptureFixture
) -> None:
    exact = 3e5 * X[:, 0] ** 1.7 / X[:, 1]
    y = errors(exact)  # type: ignore[operator]
    if expected == "squared":
        y += 100 * np.random.default_rng(1).standard_normal(40)
    fitted = model(operators=[*OPERATORS, "^"], n_samples=40_000, verbosity=1, progress=False)
    with caplog.at_level(logging.WARNING, "dso"):
        fitted.fit(X, y)
    lines = [record.message for record in caplog.records if "decades" in record.message]
    assert fitted._searches[0].errors == expected
    assert len(lines) == (expected == "log")
    assert fitted.n_evaluations_ <= 1.2 * 40_000
