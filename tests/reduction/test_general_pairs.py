"""Pairs that enter as one of many small expressions."""

from collections.abc import Callable

import numpy as np
import pytest

from dso.reduction import Reduction, reduce
from dso.reduction.formula import values
from dso.reduction.general_pairs import expressions, general_pairs

X = np.random.default_rng(0).uniform(0.6, 2.0, (80, 3))
NAMES = ["a", "b", "c"]
Function = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def _gradients(function: Function) -> np.ndarray:
    steps = 1e-5 * np.eye(3)
    return np.column_stack(
        [(function(*(X + step).T) - function(*(X - step).T)) / 2e-5 for step in steps]
    )


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (lambda a, b, c: np.sin(a + a * b) * c, "a + a*b"),
        (lambda a, b, c: np.exp(-b / (1 + c)) + a * c + a * b, None),
        (lambda a, b, c: a + np.sqrt(b**2 / (1 + c)) * a, "b/sqrt(c + 1)"),
        (lambda a, b, c: np.cos(a * np.exp(-c)) + b * c * 0 + b * (a * np.exp(-c)), "c - log(a)"),
        (lambda a, b, c: b / (2 + np.sqrt(a) + c**2), "c**2 + sqrt(a)"),
    ],
)
def test_the_simplest_expression_of_a_direction_is_proposed(
    function: Function, text: str | None
) -> None:
    found = [pair for pair in general_pairs(X, _gradients(function)) if pair.residual < 1e-6]
    start = Reduction.none(NAMES)
    assert [start.text(pair.formula) for pair in found[:1]] == ([] if text is None else [text])
    if text is not None:
        assert f"enter as {text} only" in found[0].text(start)


def test_expressions_differ_in_direction_and_have_both_inputs() -> None:
    known = expressions()
    at = np.random.default_rng(1).uniform(0.6, 1.8, (2, 24))
    first = known._replace(programs=known.programs[:300])
    with np.errstate(all="ignore"):
        directions = first.directions(at, np.ones(2))
    assert (np.abs(directions) > 0).all()
    same = np.abs(np.einsum("pin,qin->pqn", directions, directions)).min(axis=-1)
    np.fill_diagonal(same, 0.0)
    assert same.max() < 1 - 1e-12
    # Each direction is the gradient of the formula that goes into a reduction.
    formula, step = known.formula(37, (0, 1)), 1e-6 * np.eye(2)
    slopes = np.stack([values(formula, at.T + s) - values(formula, at.T - s) for s in step])
    cross = slopes[0] * directions[37, 1] - slopes[1] * directions[37, 0]
    np.testing.assert_allclose(cross / np.linalg.norm(slopes, axis=0), 0, atol=1e-6)


def test_gradients_that_say_nothing_get_no_proposal() -> None:
    assert general_pairs(X, np.zeros((80, 3))) == []
    assert general_pairs(X, np.full((80, 3), np.nan)) == []
    # What hardly matters might do so in any way.
    weak = _gradients(lambda a, b, c: np.exp(a) + 1e-3 * np.sin(a * b) + c)
    assert not [pair for pair in general_pairs(X, weak) if pair.inputs == (0, 1)]


def test_a_general_pair_is_a_step() -> None:
    x = np.random.default_rng(1).uniform(1.0, 3.0, (200, 3))
    a, b, c = x.T
    h = a**2 / (1 + b)
    found = reduce(x, c * np.sin(h) + h * c**2, NAMES)
    assert found.reductions[0].says() == "y depends on a/sqrt(b + 1) and c only"


def test_expressions_of_nine_tokens_are_among_them() -> None:
    found = general_pairs(X, _gradients(lambda a, b, c: (a - b) / (1 + a * b)))
    start = Reduction.none(NAMES)
    assert start.text(found[0].formula) == "(a - b)/(1 + a*b)"
