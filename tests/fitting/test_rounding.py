"""Plain numbers: which there are, and when a fitted number is one."""

import math

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from dso.fitting.least_squares import least_squares
from dso.fitting.rounding import rounded_polynomial, settled
from dso.library import FittedPolynomial, Library, create_tokens
from dso.program import FitData, ProgramBatch, from_str_tokens
from dso.program.plain_numbers import is_evident, near, recognised, roundings
from dso.program.shown_numbers import with_plain_numbers

LIBRARY = Library(create_tokens(2, ["add", "mul", "poly", "const"]))
LINE = from_str_tokens("add,mul,1.0,x1,mul,1.0,x2", LIBRARY).batch


def data(a: float, b: float, n: int, noise: float, seed: int = 0) -> FitData:
    random = np.random.default_rng(seed)
    X = random.uniform(0.5, 3, (n, 2))
    y = a * X[:, 0] + b * X[:, 1]
    return FitData.of_rows(LIBRARY, X, y + noise * np.std(y) * random.standard_normal(n))


def fitted(rows: FitData) -> ProgramBatch:
    return least_squares(rows, LINE)[0]


@pytest.mark.parametrize(
    ("a", "b", "n", "noise"),
    [
        (3.0, 2.0, 80, 0.01),
        (2 / 3, -4.0, 1000, 0.01),
        (2 * math.pi, 0.5, 1000, 0.001),
        (math.pi**2, 1 / 3, 200, 0.0),
        (math.sqrt(2), math.e, 200, 0.0),
        (1 / math.sqrt(2 * math.pi), 2.5382, 200, 0.0),
    ],
)
def test_plain_numbers_are_seen(a: float, b: float, n: int, noise: float) -> None:
    rows = data(a, b, n, noise)
    shown = settled(fitted(rows), rows).constants[0]
    np.testing.assert_allclose(shown, [a, b], rtol=1e-14 if noise else 1e-12)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.floats(0.5, 9), st.floats(0.5, 9), st.integers(0, 1000))
def test_what_is_shown_fits_as_well(a: float, b: float, seed: int) -> None:
    rows = data(a, b, 60, 0.05, seed)
    start = fitted(rows)
    _, before = least_squares(rows, start)
    shown = settled(start, rows)
    _, after = least_squares(rows, shown, shown.constants, shown.constants)
    assert after[0] <= before[0] * math.exp(2 * 2.5**2 / 60)
    plain = settled(start, rows, snap=False)
    _, after = least_squares(rows, plain, plain.constants, plain.constants)
    assert after[0] <= before[0] * (1 + 1e-6)


def test_few_numbers_are_plain_by_chance() -> None:
    values = np.random.default_rng(0).uniform(0.5, 20, 2000)
    n_plain = sum(
        any(is_evident(v, n, bits, 0.01 * v) for n, bits in roundings(v, 0.025)) for v in values
    )
    assert n_plain < 0.05 * len(values)


def test_a_number_is_recognised_to_its_last_digits() -> None:
    for value in (3.0, 2 / 7, 4 * math.pi, 1 / (2 * math.pi), math.sqrt(3 / 2), math.pi**2 / 6):
        found = recognised(value)
        assert found is not None
        assert found.value == pytest.approx(value, rel=1e-15)
        assert recognised(value * (1 + 1e-12)) is None
    assert next(iter(near(0.5, 1e-12))).fraction == (1, 2)


def test_numbers_are_shown_as_people_write_them() -> None:
    x = sympy.Symbol("x")
    shown = with_plain_numbers(sympy.Float(4 * math.pi) * x + sympy.Float(1 / 3))
    assert shown == 4 * sympy.pi * x + sympy.Rational(1, 3)
    assert with_plain_numbers(sympy.Float(0.25) * x) == sympy.Float(0.25) * x
    assert with_plain_numbers(sympy.sin(x + sympy.Float(math.pi / 2))) == sympy.cos(x)
    folded = sympy.Pow(sympy.Float(1.0), x, evaluate=False) * sympy.Float(1.0) * x
    assert with_plain_numbers(folded) == x


def test_coefficients_of_polynomials_are_rounded_too() -> None:
    rows = data(2.0, 0.5, 50, 0.0)
    program = from_str_tokens("poly", LIBRARY).batch
    polynomial = FittedPolynomial(
        np.array([[1, 0], [0, 1], [1, 1]], dtype=np.int32),
        np.array([1.9999999999999996, 0.5000000000000001, 3e-17]),
    )
    rounded = rounded_polynomial(program, polynomial, rows)
    np.testing.assert_array_equal(rounded.coefficients, [2.0, 0.5, 0.0])
