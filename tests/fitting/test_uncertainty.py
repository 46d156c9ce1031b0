"""Standard errors of constants against ordinary least squares, and what is not identifiable."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import curve_fit

from dso.fitting.rounding import rounded_constants
from dso.fitting.uncertainty import ConstantErrors, constant_errors
from dso.library import Library, create_tokens
from dso.program import FitData, ProgramBatch

LIBRARY = Library(create_tokens(1, ["add", "mul", "exp", "sin", "log", "const"]))
X = np.random.default_rng(0).uniform(0, 2, (60, 1))
NOISE = 0.1 * np.random.default_rng(1).standard_normal(60)


def errors(
    text: str,
    constants: list[float],
    y: np.ndarray,
    weights: np.ndarray | None = None,
    rows: slice = slice(None),
) -> ConstantErrors:
    batch = ProgramBatch.from_rows([LIBRARY.actionize(text)])
    programs = replace(batch, constants=np.array([constants]))
    data = FitData.of_rows(LIBRARY, X[rows], y[rows], weights)
    return constant_errors(programs, 0, data, len(y[rows]))


@pytest.mark.parametrize("is_weighted", [False, True])
def test_errors_are_those_of_scipy(is_weighted: bool) -> None:
    def model(x: np.ndarray, a: float, b: float, c: float) -> np.ndarray:
        return a + b * np.exp(c * x)

    y = model(X[:, 0], 1.0, 0.5, 0.8) + NOISE
    weights = np.random.default_rng(2).uniform(0.5, 2, 60) if is_weighted else None
    sigma = None if weights is None else weights**-0.5
    fitted, covariance = curve_fit(model, X[:, 0], y, [1, 0.5, 0.8], sigma=sigma)
    found = errors("add,const,mul,const,exp,mul,const,x1", fitted.tolist(), y, weights)
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-3)
    assert found.is_determined.all()
    assert found.statement == ""
    assert found.degrees_of_freedom == 57


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    random = np.random.default_rng(1)
    hits = 0
    for _ in range(200):
        y = 2 * X[:, 0] + 1 + random.normal(0, 0.3, 60)
        slope, offset = np.polyfit(X[:, 0], y, 1)
        intervals = errors("add,const,mul,const,x1", [offset, slope], y).intervals(0.9)
        hits += intervals[1, 0] <= 2 <= intervals[1, 1]
    assert 165 <= hits <= 195


def test_a_sum_of_constants_is_not_identifiable() -> None:
    found = errors("add,mul,const,x1,add,const,const", [2.0, 0.3, 0.7], 2 * X[:, 0] + 1 + NOISE)
    assert found.is_determined.tolist() == [True, False, False]
    assert np.isfinite(found.standard_errors[0])
    assert np.isnan(found.standard_errors[1:]).all()
    assert found.statement.startswith("c2, c3 are not identifiable")
    alone = errors("mul,const,x1", [2.0], 2 * X[:, 0] + NOISE)
    np.testing.assert_allclose(alone.standard_errors[0], 0.0113, rtol=0.3)


def test_a_constant_without_effect_is_not_identifiable() -> None:
    found = errors("add,x1,mul,const,log,exp,mul,const,x1", [0.0, 1.0], X[:, 0] + NOISE)
    assert found.is_determined.tolist() == [True, False]


def test_as_many_constants_as_rows() -> None:
    found = errors("add,const,mul,const,x1", [1.0, 2.0], 2 * X[:, 0] + 1, rows=slice(2))
    assert found.degrees_of_freedom == 0
    assert np.isnan(found.intervals()).all()
    assert "not more rows than constants" in found.statement
    fewer = errors("add,const,mul,const,x1", [1.0, 2.0], 2 * X[:, 0] + 1, rows=slice(1))
    assert not fewer.is_determined.any()
    assert errors("x1", [], X[:, 0]).statement == "there are no fitted constants"


@pytest.mark.parametrize(
    ("constants", "expected"),
    [
        ([0.9999999999999998, 2.5382000000000002], [1.0, 2.5382]),
        ([5e-17, -1.0000000000000002], [0.0, -1.0]),
        ([1.23456789876543, 2.0], [1.23456789876543, 2.0]),
    ],
)
def test_constants_have_no_more_digits_than_they_need(
    constants: list[float], expected: list[float]
) -> None:
    batch = ProgramBatch.from_rows([LIBRARY.actionize("add,const,mul,const,x1")])
    programs = replace(batch, constants=np.array([constants]))
    y = constants[0] + constants[1] * X[:, 0]
    data = FitData.of_rows(LIBRARY, X, y)
    rounded = rounded_constants(programs, data)
    np.testing.assert_array_equal(rounded.constants[0], expected)


def test_constants_whose_errors_make_up_for_each_other_are_rounded_together() -> None:
    rows = np.array(X)
    rows[:, 0] = 1 + 0.001 * rows[:, 0]
    y = 1 + 2.5382 * rows[:, 0]
    batch = ProgramBatch.from_rows([LIBRARY.actionize("add,const,mul,const,x1")])
    programs = replace(batch, constants=np.array([[1 + 3e-10, 2.5382 - 3e-10]]))
    rounded = rounded_constants(programs, FitData.of_rows(LIBRARY, rows, y))
    np.testing.assert_array_equal(rounded.constants[0], [1, 2.5382])
