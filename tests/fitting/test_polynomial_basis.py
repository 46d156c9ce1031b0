"""Which monomials there are, how many the rows support, and their orthonormal form."""

import logging

import numpy as np
import pytest

from dso.errors import UserError
from dso.fitting.polynomial_basis import (
    MAX_NUMBERS,
    PolynomialBasis,
    exponents_up_to,
    n_monomials,
    supported_degrees,
    warn_of_degrees,
)


def test_order_of_the_monomials() -> None:
    expected = [[0, 0], [0, 1], [1, 0], [0, 2], [1, 1], [2, 0], [0, 3], [1, 2], [2, 1], [3, 0]]
    np.testing.assert_array_equal(exponents_up_to(2, 3), expected)
    assert len(exponents_up_to(10, 3)) == n_monomials(10, 3) == 286
    np.testing.assert_array_equal(exponents_up_to(4, 0), [[0, 0, 0, 0]])


@pytest.mark.parametrize(
    ("n_inputs", "n_rows", "degree", "expected"),
    [
        (2, 21, 3, (3, 3, 10)),
        (2, 20, 3, (2, 3, 9)),  # 10 monomials, more than 9 but fewer than 20
        (2, 10, 3, (1, 2, 4)),  # all 10 monomials would interpolate
        (10, 330, 3, (2, 3, 164)),
        (3, 1, 5, (0, 0, 1)),
        (1000, 1000, 3, (0, 0, 499)),
        (1000, 2100, 3, (1, 1, 1049)),
    ],
)
def test_degrees_that_rows_support(
    n_inputs: int,
    n_rows: int,
    degree: int,
    expected: tuple[int, int, int],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "dso"):
        assert supported_degrees(n_inputs, n_rows, degree) == expected
        warn_of_degrees(n_inputs, n_rows, degree)
    assert len(caplog.records) == (expected[0] < degree)


def test_an_explosion_is_refused_with_the_degree_that_is_possible() -> None:
    with pytest.raises(UserError, match=r"176851 monomials of 100 inputs; .* degree 1 \(101 mono"):
        supported_degrees(100, 10**6, 3)


def check(basis: PolynomialBasis) -> None:
    """Check that the columns are orthonormal polynomials with the coefficients given."""
    values, to_monomials, sizes = basis.arrays
    roots = np.ones(len(values)) if basis.weights is None else np.sqrt(basis.weights)
    scaled = roots[:, None] * values
    np.testing.assert_allclose(scaled.T @ scaled, np.eye(values.shape[1]), atol=1e-12)
    error = np.abs(basis.monomials @ to_monomials - values)
    assert (error <= 1e-11 * (np.abs(basis.monomials) @ np.abs(to_monomials))).all()
    np.testing.assert_allclose(sizes, np.abs(basis.monomials).max(axis=0))


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e8])
@pytest.mark.parametrize("shift", [0.0, 100.0])
def test_it_is_orthonormal(scale: float, shift: float) -> None:
    columns = scale * (shift + np.random.default_rng(0).uniform(0, 3, (3, 200)))
    check(PolynomialBasis(columns, None, 3))
    weights = np.random.default_rng(1).uniform(0, 2, 200)
    weights[:20] = 0
    check(PolynomialBasis(columns, weights, 2))


def test_dependent_columns_are_left_out() -> None:
    x = np.random.default_rng(0).uniform(0, 3, 100)
    binary = (x > 1).astype(float)
    basis = PolynomialBasis(np.stack([x, x, np.full(100, 2.0), binary]), None, 2)
    check(basis)
    assert basis.arrays[0].shape[1] == 5  # 1, x, x^2, b, x b


def test_powers_that_overflow_are_left_out() -> None:
    x = np.random.default_rng(0).uniform(-3, 3, 100)
    for size, rank in ((1e300, 2), (1e120, 3), (1e-200, 2)):
        basis = PolynomialBasis(size * x[None], None, 3)
        values, to_monomials, sizes = basis.arrays
        assert values.shape[1] == rank
        assert np.isfinite(to_monomials).all()
        assert np.isfinite(sizes).all()


def test_long_data_are_fitted_by_evenly_spread_rows() -> None:
    columns = np.random.default_rng(0).uniform(0, 3, (1, 2 * MAX_NUMBERS // 4 + 1000))
    basis = PolynomialBasis(columns, None, 3)
    assert basis.rows.step == 3
    assert basis.columns.shape[1] * len(basis.exponents) <= MAX_NUMBERS
