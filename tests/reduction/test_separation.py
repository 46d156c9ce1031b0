"""Sums and products of functions of different columns are seen, and taken apart exactly."""

from collections.abc import Callable

import numpy as np
import pytest

from dso.reduction import Reduction, Separation, reduce
from dso.reduction.separation import separation
from dso.reduction.surrogate import Surrogate

X = np.random.default_rng(0).uniform(1.0, 3.0, (200, 3))
A, B, C = X.T
NONE = Reduction.none(["a", "b", "c"])


@pytest.mark.parametrize(
    ("y", "text"),
    [
        (np.sin(A * B) + np.exp(C) / C, "y is the sum of a function of a, b and one of c"),
        (np.sin(A * C) + np.exp(B) / B, "y is the sum of a function of a, c and one of b"),
        (np.exp(A / B) * np.cos(C), "y is the product of a function of a, b and one of c"),
    ],
)
def test_two_pieces_are_seen(y: np.ndarray, text: str) -> None:
    found = separation(NONE, Surrogate(X, y))
    assert found is not None
    assert found.says() == text


@pytest.mark.parametrize(
    "function",
    [
        lambda a, b, c: np.sin(a + b * c) + np.exp(a / b) / (1 + c**2),
        # Too weak to be called a piece of its own.
        lambda a, b, c: np.sin(a * b) + 1e-5 * a * c**2,
    ],
)
def test_what_does_not_separate(function: Callable) -> None:
    assert separation(NONE, Surrogate(X, function(*X.T))) is None


def test_on_a_surface_nothing_is_said() -> None:
    surface = np.column_stack([A, B, A + 0.3 * B])
    y = np.sin(A) + np.exp(B / 2)
    assert separation(NONE, Surrogate(surface, y)) is None


def test_on_a_curve_nothing_is_said() -> None:
    # The model is a plane, and so a sum; but off the curve nobody knows.
    curve = np.column_stack([A - 2, (A - 2) ** 2 - 0.5])
    pair = Reduction.none(["a", "b"])
    assert separation(pair, Surrogate(curve, curve.sum(axis=1))) is None
    square = np.column_stack([A - 2, B - 2])
    assert separation(pair, Surrogate(square, square.sum(axis=1))) is not None


def test_it_is_a_part_of_what_is_found() -> None:
    inputs = np.column_stack([X, np.random.default_rng(1).uniform(1.0, 3.0, 200)])
    found = reduce(inputs, inputs[:, 3] * (np.tanh(A * B) + np.exp(C) / C), list("abcd"))
    assert found.separation is not None
    assert found.separation.reduction == found.reductions[0]
    assert found.separation.says() in found.why
    assert "y/d is the sum" in found.why


def test_a_polynomial_stands_in_for_a_factor() -> None:
    x = np.random.default_rng(2).uniform(1.0, 3.0, (600, 3))
    f, g = np.sin(x[:, 0] * x[:, 1]), np.cos(x[:, 2])  # g is zero somewhere
    found = Separation(NONE, True, ((0, 1), (2,))).stand_ins(0, {}, x, f * g)
    assert found is not None
    ratio = (found.target / f)[found.is_usable & (np.abs(f) > 0.1)]
    np.testing.assert_allclose(ratio, np.median(ratio), rtol=1e-3)
    assert np.abs(g[~found.is_usable]).max() < 0.1 * np.abs(g).max()
    assert found.is_usable.mean() > 0.9


@pytest.mark.parametrize("k", [0, 1])
def test_a_polynomial_stands_in_for_a_term(k: int) -> None:
    x = np.random.default_rng(2).uniform(1.0, 3.0, (600, 3))
    terms = np.sin(x[:, 0] * x[:, 1]), np.cos(x[:, 2])
    found = Separation(NONE, False, ((0, 1), (2,))).stand_ins(k, {}, x, sum(terms))
    assert found is not None
    missed = found.target - terms[k]
    np.testing.assert_allclose(missed, np.mean(missed), atol=1e-5)
    assert missed.std() < 10 * found.rest * terms[k].std()
    assert found.is_usable.all()


def test_polynomials_that_miss_the_target_do_not_stand_in() -> None:
    pieces = Separation(NONE, False, ((0, 1), (2,)))
    assert pieces.stand_ins(0, {}, X, np.sin(A * B * C)) is None
    assert pieces.stand_ins(0, {}, X[:12], (A + C)[:12]) is None  # too few rows


@pytest.mark.parametrize("is_product", [False, True])
def test_without_one_piece_the_other_is_left_exactly(is_product: bool) -> None:
    f, g = np.sin(A * B), np.exp(C)
    whole = NONE.divided([((0,), 1.0)])
    y = A * (f * g if is_product else f + g)
    pieces = Separation(whole, is_product, ((0, 1), (2,)))
    left = pieces.without(1, {0: ("sin", "mul", 0, 1)})
    np.testing.assert_allclose(left.target(X, y), g, rtol=1e-12)
    np.testing.assert_array_equal(left.inputs(X), X[:, 2:])
    np.testing.assert_allclose(left.restored(X, g), y, rtol=1e-12)
    left = pieces.without(0, {0: (0,), 1: ("exp", 0)})  # what is known of itself does not count
    np.testing.assert_allclose(left.target(X, y), f, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(left.inputs(X), X[:, :2])
