"""Inputs that may be exchanged."""

from collections.abc import Callable

import numpy as np
import pytest

from dso.reduction import Reduction, reduce
from dso.reduction.race import _hypotheses
from dso.reduction.surrogate import Surrogate
from dso.reduction.symmetry import Exchange, exchanges

X = np.random.default_rng(0).uniform(1.0, 3.0, (160, 3))
NAMES = ["a", "b", "c"]
NONE = Reduction.none(NAMES)
Function = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def _pairs(function: Function, x: np.ndarray = X) -> set[tuple[int, ...]]:
    return {one.inputs for one in exchanges(Surrogate(x, function(*x.T)))}


@pytest.mark.parametrize(
    ("function", "pairs"),
    [
        (lambda a, b, c: np.sqrt(a + b + c * a * b) * np.exp(-c), {(0, 1)}),
        (lambda a, b, c: np.sqrt(a + c + b * a * c) * np.exp(-b), {(0, 2)}),
        (lambda a, b, c: np.sqrt(a * b + b * c + c * a) + a * b * c, {(0, 1), (0, 2), (1, 2)}),
        (lambda a, b, c: np.sqrt(a + 1.1 * b + c * a * b) * np.exp(-c), set()),
        # What hardly matters could be exchanged for anything.
        (lambda a, b, c: np.exp(c) + 1e-6 * a * b**2, set()),
    ],
)
def test_inputs_that_may_be_exchanged_are_seen(function: Function, pairs: set) -> None:
    assert _pairs(function) == pairs


def test_inputs_of_other_ranges_are_not_compared() -> None:
    apart = X + np.array([0.0, 10.0, 0.0])
    assert (0, 1) in _pairs(lambda a, b, c: np.sin(a * b / 10) + a + b + c)
    assert (0, 1) not in _pairs(lambda a, b, c: np.sin(a * b / 10) + a + b + c, apart)


def test_the_columns_are_those_of_every_symmetric_function() -> None:
    after = Exchange(0.0, (0, 2)).applied(NONE)
    a, b, c = X.T
    np.testing.assert_allclose(after.inputs(X), np.column_stack([a + c, b, a * c]))
    total, _, whole = after.inputs(X).T
    np.testing.assert_allclose(a**3 + c**3, total**3 - 3 * total * whole)


def test_more_is_seen_in_sums_and_products() -> None:
    a, b, c = X.T
    found = reduce(X, np.sin(a * b) / (a + b) + c * np.exp(a + b) / 9, NAMES)
    steps = [step.text for step in found.reductions[0].steps]
    assert "a and b may be exchanged, so they enter as a + b and a*b" in steps
    # Sums of two pieces are symmetric too, but that they are sums says more.
    found = reduce(X, np.log(1 + np.exp(a)) + np.log(1 + np.exp(b)) + c, NAMES)
    assert found.separation is not None
    assert not any("exchanged" in step.text for step in found.reductions[0].steps)


def test_in_a_race_it_does_not_take_the_place_of_what_was_known() -> None:
    known = NONE.without(2)
    prior = Exchange(0.0, (0, 1)).applied(known)
    assert _hypotheses([prior, known]) == [known, prior]
    assert _hypotheses([prior]) == [prior]
    assert _hypotheses([known, NONE]) == [known]
