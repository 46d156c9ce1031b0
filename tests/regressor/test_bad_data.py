"""Tables that reductions cannot make anything of, or hardly: a fit takes them, and says why."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest

from dso import DeepSymbolicRegressor

RANDOM = np.random.default_rng(3)
X = RANDOM.uniform(1, 3, (120, 4))
Y = X[:, 0] * (X[:, 1] - X[:, 2]) ** 2 * np.cos(X[:, 1] - X[:, 2]) / (1 + X[:, 3] ** 2)
ANGLES = np.linspace(0, 6, 150)
CURVE = np.column_stack([np.cos(ANGLES), np.sin(ANGLES), ANGLES, ANGLES**2])
WIDE = RANDOM.uniform(1, 2, (200, 1000))
SIGNED = RANDOM.normal(size=(150, 4))
WHOLE = RANDOM.integers(-5, 9, (150, 4))


def _hard(x: np.ndarray) -> np.ndarray:
    """Return what no search finds in its first iterations."""
    a, b, c, d = np.asarray(x, dtype=float).T[:4]
    return np.cos(a * b + c) / (1.3 + d**2) + np.exp(-((a + 0.7 * c) ** 2) / 30) * d


TABLES: dict[str, tuple[np.ndarray, np.ndarray, str]] = {
    "a constant column": (np.column_stack([X, np.full(120, 7.0)]), Y, r"y depends on .* only"),
    "columns twice": (np.column_stack([X, X]), Y, r"y depends on .* only"),
    "constant columns alone": (np.ones((50, 3)), RANDOM.normal(size=50), "inputs are constant"),
    "5 rows": (X[:5], Y[:5], "5 rows are too few to model"),
    "1 000 inputs": (WIDE, _hard(WIDE), "none found|only"),
    "both signs": (SIGNED, _hard(SIGNED), "none found|only"),
    "whole numbers": (WHOLE, _hard(WHOLE), "none found|only"),
    "large inputs": (1e300 * X, Y, r"beyond 1e\+150 are too large"),
    "one large input": (X * [1, 1, 1, 1e300], Y, r"beyond 1e\+150 are too large"),
    "small inputs": (1e-300 * X, Y, "below 1e-150 are too small"),
    "large y": (X, 1e150 * Y, "none found|only"),
    "small y": (X, 1e-150 * Y, "none found|only"),
    "a curve": (CURVE, _hard(CURVE), "none found|only"),
    "noise": (X, RANDOM.normal(size=120), "no smooth model"),
    "an outlier": (X, np.r_[1e12, Y[1:]], "no smooth model.*more than the scatter"),
    "the last digits": (X, 1 + 1e-14 * Y, "none found|only"),
    "every row often": (np.repeat(X[:10], 12, axis=0), np.repeat(Y[:10], 12), "too few"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
def test_a_fit_takes_them_and_says_what_it_makes_of_them(name: str) -> None:
    inputs, y, text = TABLES[name]
    model = DeepSymbolicRegressor(
        loss="squared", n_samples=120_000, niterations=4, random_state=0, n_jobs=1, verbosity=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        model.fit(inputs, y)
    assert len(model.equations_)
    assert model.reductions_ is not None
    assert re.search(text, model.reductions_.why), model.reductions_.why
