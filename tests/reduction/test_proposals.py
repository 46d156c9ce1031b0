"""What gradients say of a form, for gradients that are exact."""

from collections.abc import Callable

import numpy as np
import pytest

from dso.reduction.proposals import Drop, Factor, MixedTerm, Move, Pair, Scaling, Term, moves
from dso.reduction.reduction import Reduction

RANDOM = np.random.default_rng(0)
X = RANDOM.uniform(0.5, 2.0, (60, 3))
NAMES = ["a", "b", "c"]
Function = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def _moves(function: Function, x: np.ndarray = X) -> list[Move]:
    gradients = np.empty_like(x)
    for j in range(3):
        step = 1e-5 * np.eye(3)[j]
        gradients[:, j] = (function(*(x + step).T) - function(*(x - step).T)) / 2e-5
    return moves(x, function(*x.T), gradients)


def _said(function: Function, kind: type) -> list[str]:
    start = Reduction.none(NAMES)
    found = [move for move in _moves(function) if isinstance(move, kind)]
    return [move.text(start) for move in found if move.residual < 1e-6]


@pytest.mark.parametrize(
    ("kind", "function", "text"),
    [
        (Drop, lambda a, b, c: a * np.sin(b), "y does not depend on c"),
        (Factor, lambda a, b, c: np.sqrt(a) * np.sin(b - c), "y is proportional to sqrt(a)"),
        (Factor, lambda a, b, c: np.exp(b * c) / c / a**3, "y is proportional to 1/a**3"),
        (Term, lambda a, b, c: np.sin(a * b) - 2.5 * c, "y has the term -2.5*c"),
        (
            MixedTerm,
            lambda a, b, c: 0.5 * a * b**2 / c + np.sin(b * c),
            "y has the term 0.5*a*b**2/c, and a enters nowhere else",
        ),
        (
            MixedTerm,
            lambda a, b, c: np.exp(a * b) - 2.5 * b * c**2,
            "y has the term -2.5*b*c**2, and c enters nowhere else",
        ),
        (Pair, lambda a, b, c: np.exp(-a) * np.cos(b - c), "b and c enter as b - c only"),
        (Pair, lambda a, b, c: a + np.sin(2 * b + c), "b and c enter as 2*b + c only"),
        (Pair, lambda a, b, c: a + np.sin(b**2 + c**2), "b and c enter as b**2 + c**2 only"),
        (Pair, lambda a, b, c: a + np.sin(b + c**2), "b and c enter as b + c**2 only"),
        (Pair, lambda a, b, c: np.exp(a) + np.sin(b / c), "b and c enter as c/b only"),
        (Pair, lambda a, b, c: np.exp(a) + np.sin(b * c**2), "b and c enter as sqrt(b)*c only"),
        (Pair, lambda a, b, c: a + np.exp(1 / b - 1 / c), "b and c enter as 1/b - 1/c only"),
        (Pair, lambda a, b, c: a + np.exp(b * np.cos(c)), "b and c enter as b*cos(c) only"),
        (
            Scaling,
            lambda a, b, c: a * np.sin(b / a + np.log(c / a)),
            "y is a times a function of b/a, c/a",
        ),
    ],
)
def test_a_form_is_proposed(kind: type, function: Function, text: str) -> None:
    assert text in _said(function, kind)


def test_what_has_no_form_gets_no_proposal_with_a_small_residual() -> None:
    found = _moves(lambda a, b, c: np.sin(a + b * c) + np.exp(a * b) / (1 + c))
    assert not [move for move in found if move.residual < 1e-2]


def test_columns_of_both_signs_are_not_bases_of_fractional_powers() -> None:
    x = RANDOM.uniform(-1.0, 1.0, (60, 3))
    found = _moves(lambda a, b, c: a * np.abs(b) ** 1.5 * np.exp(c), x)
    exponents = {move.inputs: move.exponent for move in found if isinstance(move, Factor)}
    assert exponents == {(0,): 1.0}


def test_gradients_that_are_not_finite_say_nothing() -> None:
    assert moves(X, np.full(60, np.nan), np.full((60, 3), np.nan)) == []
    assert isinstance(moves(X, np.zeros(60), np.zeros((60, 3))), list)
