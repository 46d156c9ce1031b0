"""Plain functions of one input or two, tried on small models where y oscillates."""

import numpy as np
import pytest

from dso.reduction import Reduction, reduce
from dso.reduction.plain_columns import plain_pairs, waves

X = np.random.default_rng(0).uniform(0, 4.5, (160, 3))
A, B, C = X.T
START = Reduction.none(["a", "b", "c"])


@pytest.mark.parametrize(
    ("y", "text"),
    [
        (np.sin(A * B) + C, "y - sin(a*b) depends on c only"),
        (np.sqrt(1 + B**2 - 2 * B * np.cos(A)), "cos(a) and b only"),
        (np.exp(np.cos(2 * (A - B))) / (1.2 + C), "a - b"),
    ],
)
def test_they_are_found(y: np.ndarray, text: str) -> None:
    assert text in reduce(X, y, ["a", "b", "c"]).why


def test_noise_has_none() -> None:
    found = reduce(X, np.random.default_rng(1).standard_normal(160), ["a", "b", "c"])
    assert not found.reductions


def test_each_is_exactly_what_it_says() -> None:
    for move in (*plain_pairs(X), *waves(X)):
        after = move.applied(START)
        assert after.text((move.inputs[0],)) in move.text(START)
        assert np.isfinite(after.inputs(X)).all()
    assert plain_pairs(np.ones((4, 7))) == []


def test_waves_are_of_wide_inputs() -> None:
    assert [move.inputs for move in waves(X * [0.1, 1.0, 1e-9])] == [(1,), (1,)]
    # A wave of a wave would say nothing.
    assert waves(np.cos(X)) == []
