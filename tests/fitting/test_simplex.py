"""Many simplices at once find what one finds alone, and what SciPy's does."""

import numpy as np
import pytest
from scipy.optimize import minimize

from dso.fitting.simplex import least

RANDOM = np.random.default_rng(0)


def rosenbrock(points: np.ndarray) -> np.ndarray:
    x, y = points.T
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def corners(points: np.ndarray) -> np.ndarray:
    """Return a loss with an edge, as that of absolute errors."""
    return np.abs(points - [0.3, -2.0]).sum(axis=1)


def undefined_left(points: np.ndarray) -> np.ndarray:
    return np.where(points[:, 0] > 0, ((points - 0.7) ** 2).sum(axis=1), np.inf)


def solve(function, starts: np.ndarray, low: float = -np.inf, high: float = np.inf):
    asked = []

    def loss(points: np.ndarray, rows: np.ndarray) -> np.ndarray:
        assert points.shape == (len(rows), starts.shape[1])
        asked.append(len(rows))
        return function(points)

    n = len(starts)
    found, losses = least(
        loss,
        starts,
        np.full(starts.shape, low),
        np.full(starts.shape, high),
        max_iterations=400,
        x_tolerance=np.full(n, 1e-8),
        f_tolerance=np.full(n, 1e-12),
    )
    np.testing.assert_array_equal(losses, function(found))
    return found, losses, asked


@pytest.mark.parametrize("function", [rosenbrock, corners, undefined_left])
def test_it_finds_what_scipy_finds(function) -> None:
    starts = RANDOM.uniform(0.2, 2, (20, 2))
    found, losses, _ = solve(function, starts)
    for b, start in enumerate(starts):
        options = {"xatol": 1e-8, "fatol": 1e-12, "maxiter": 400}
        with np.errstate(invalid="ignore"):
            alone = minimize(
                lambda x: function(x[None])[0], start, method="Nelder-Mead", options=options
            )
        assert losses[b] <= alone.fun + 1e-7
        np.testing.assert_allclose(found[b], alone.x, atol=1e-4)


def test_one_function_does_not_depend_on_the_others() -> None:
    starts = RANDOM.normal(size=(9, 2))
    together, _, asked = solve(rosenbrock, starts)
    for b in range(9):
        alone, _, _ = solve(rosenbrock, starts[b : b + 1])
        np.testing.assert_array_equal(alone[0], together[b])
    assert max(asked[1:]) <= 2 * 9


def test_bounds_hold_and_are_reached() -> None:
    found, _, _ = solve(corners, RANDOM.uniform(0.5, 1, (5, 2)), low=0.5, high=1.0)
    np.testing.assert_allclose(found, 0.5)


def test_one_constant_and_a_start_that_is_undefined() -> None:
    found, losses, _ = solve(lambda p: np.abs(p[:, 0] - 5), np.array([[0.0], [1.0]]))
    np.testing.assert_allclose(found, 5, atol=1e-6)
    start = np.array([[-1.0, 2.0]])
    found, losses, asked = solve(undefined_left, start)
    np.testing.assert_array_equal(found, start)
    assert np.isinf(losses[0])
    assert len(asked) == 1
