"""Polynomials in one column, with functions of the others for coefficients."""

from collections.abc import Callable

import numpy as np
import pytest

from dso.reduction import Reduction, Separation, reduce
from dso.reduction.polynomial import Polynomial, polynomials
from dso.reduction.surrogate import Surrogate

X = np.random.default_rng(0).uniform(1.0, 3.0, (160, 3))
A, B, C = X.T
NAMES = ["a", "b", "c"]
NONE = Reduction.none(NAMES)
QUADRATIC = Polynomial(0, -1.0, 2).separation(NONE)


@pytest.mark.parametrize(
    ("y", "text"),
    [
        (np.sin(B * C) + A * np.exp(B / C), "y is c0 + c1*a, where each c is a function of b, c"),
        (np.sin(A * C) + np.exp(A / C) / B, "y is c0 + c1/b, where each c is a function of a, c"),
        (
            np.sin(A * B) + C * np.exp(A / B) + C**2 / (A + B),
            "y is c0 + c1*c + c2*c**2, where each c is a function of a, b",
        ),
    ],
)
def test_a_polynomial_is_found(y: np.ndarray, text: str) -> None:
    found = reduce(X, y, NAMES)
    assert found.separation is not None
    assert found.separation.says() == text
    assert text in found.why


@pytest.mark.parametrize(
    "function",
    [
        lambda a, b, c: np.sin(a + b * c) + np.exp(a / b) / (1 + c**2),
        # Nearly straight along a, and along c.
        lambda a, b, c: np.sqrt(a + b**2) * np.exp(np.sqrt(c + a * b)),
    ],
)
def test_what_is_none(function: Callable) -> None:
    found = reduce(X, function(*X.T), NAMES)
    assert found.separation is None


def test_along_a_curve_nothing_is_said() -> None:
    curve = np.column_stack([A, A**2])
    assert polynomials(Surrogate(curve, np.sin(A))) == []
    assert polynomials(Surrogate(X, A * np.sin(B) + C)) != []


def test_a_row_is_as_much_like_itself_as_without_the_form() -> None:
    likeness = Polynomial(0, 1.0, 1).likeness(X)
    assert np.diag(likeness).mean() == pytest.approx(1.0)
    # Functions c0 + c1 a have covariances of rank two for given others.
    assert np.linalg.matrix_rank(likeness) == 2


def test_coefficients_are_left_exactly_where_the_others_are_known() -> None:
    y = np.sin(B) + np.exp(B / C) / A + C / A**2
    pieces = {0: ("sin", 0), 1: ("exp", "div", 0, 1), 2: (1,)}
    for k, wanted in enumerate([np.sin(B), np.exp(B / C), C]):
        left = QUADRATIC.without(k, {j: piece for j, piece in pieces.items() if j != k})
        np.testing.assert_allclose(left.target(X, y), wanted, rtol=1e-9, atol=1e-12)
        np.testing.assert_array_equal(left.inputs(X), X[:, 1:])
        np.testing.assert_allclose(left.restored(X, wanted), y, rtol=1e-12)


def test_polynomials_stand_in_for_all_coefficients_that_are_not_known() -> None:
    x = np.random.default_rng(2).uniform(1.0, 3.0, (600, 3))
    a, b, c = x.T
    terms = [np.sin(b), np.exp(b / c), c]
    y = terms[0] + terms[1] / a + terms[2] / a**2
    errors = []
    for known in ({}, {0: ("sin", 0)}):
        found = QUADRATIC.stand_ins(1, known, x, y)
        assert found is not None
        errors.append((found.target - terms[1]).std() / terms[1].std())
        assert 0.05 * errors[-1] < found.rest < 20 * errors[-1]
    assert errors[1] < errors[0]  # the fewer stand in the better


def test_without_a_factor_it_is_a_sum() -> None:
    plain = Separation(NONE, False, ((0, 1), (2,)))
    assert plain.says() == "y is the sum of a function of a, b and one of c"
