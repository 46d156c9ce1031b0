"""Reductions are exact: what goes in comes back, step after step."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dso.reduction.proposals import Drop, Factor, Move, Pair, Scaling, Term
from dso.reduction.reduction import Reduction

NAMES = ["a", "b", "c", "d"]
X = np.random.default_rng(0).uniform(0.5, 2.0, (50, 4))
Y = np.random.default_rng(1).uniform(-1.0, 1.0, 50)
MOVES: list[Move] = [
    Drop(0.0, (1,)),
    Factor(0.0, (0,), -2.0),
    Term(0.0, (1,), 1.5),
    Pair(0.0, (1, 0), ("add", 0, 1), True),
    Scaling(0.0, (0.5, 1.0), ((1.0, -1.0),)),
]


def _after(moves: list[Move]) -> Reduction:
    reduction = Reduction.none(NAMES)
    for move in moves:
        if len(reduction.columns) > max(move.inputs):
            reduction = move.applied(reduction)
    return reduction


@settings(deadline=None)
@given(st.lists(st.sampled_from(MOVES), max_size=4))
def test_back_undoes_forward(moves: list[Move]) -> None:
    reduction = _after(moves)
    t = reduction.target(X, Y)
    np.testing.assert_allclose(reduction.restored(X, t), Y, rtol=1e-9, atol=1e-9)
    step = 1e-6
    slope = np.abs(reduction.restored(X, t + step) - reduction.restored(X, t - step)) / (2 * step)
    np.testing.assert_allclose(reduction.slope(X, t), slope, rtol=1e-5)


@settings(deadline=None)
@given(st.lists(st.sampled_from(MOVES), max_size=4), st.sampled_from([np.sin, np.exp, np.square]))
def test_what_is_made_of_a_reduction_obeys_it(moves: list[Move], g: np.ufunc) -> None:
    reduction = _after(moves)

    def function(x: np.ndarray) -> np.ndarray:
        z = reduction.inputs(x)
        return reduction.restored(x, g(z.sum(axis=1) / 5) + 0.1 * z.prod(axis=1))

    assert reduction.is_obeyed(function, X)
    if len(reduction.columns) < len(NAMES):
        # Of its inputs none but the first is in this one.
        other = reduction.is_obeyed(lambda x: function(x) + np.sin(x) @ [0.3, 0.5, 0.7, 1.1], X)
        assert not other


def test_the_words_say_what_is_left() -> None:
    reduction = _after(
        [Factor(0.0, (0,), 1.0), Factor(0.0, (0,), -2.0), Pair(0.0, (0, 1), ("sub", 0, 1), True)]
    )
    assert str(reduction) == "y*b**2/a depends on c - d only"
    assert reduction.used_inputs == [0, 1, 2, 3]
    assert _after([Drop(0.0, (3,))]).says("v") == "v depends on a, b and c only"


@pytest.mark.parametrize(
    ("move", "text"),
    [
        (MOVES[0], "y does not depend on b"),
        (MOVES[1], "y is proportional to 1/a**2"),
        (MOVES[2], "y has the term 1.5*b"),
        (MOVES[3], "b and a enter as a + b only"),
        (Scaling(0.0, (1.0, 0.0), ((1.0, -1.0),)), "y is a times a function of a/b"),
        (Scaling(0.0, (0.0, 0.0), ((1.0, -1.0),)), "y depends on a/b only"),
    ],
)
def test_steps_say_what_they_are(move: Move, text: str) -> None:
    assert move.text(Reduction.none(NAMES)) == text
