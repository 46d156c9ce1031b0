"""The simplex of Nelder & Mead (1965), for many functions at once.

It asks for nothing but values: a reward may have steps, as a share of points that are met has, and
derivatives would be zero there. In k dimensions a simplex has the corners x_0 ... x_k, the best
first, and c is the mean of all but the worst. In each step the worst corner becomes one of

    c + s (c - x_k),    s = 1, then 2 where that is the best of all, or 1/2 or -1/2 where it is poor

and where none of them is better, all corners come half as near to the best one. Every function has
a simplex of its own, and the values that a step of all of them needs are asked for together.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

FIRST_STEP, SMALLEST_STEP = 0.05, 0.00025
"""Size of the first simplex: a share of each coordinate, and what it is where that is 0."""

Loss = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Points (M, k) and the numbers of their functions (M,) -> losses (M,), inf where undefined."""


def least(
    loss: Loss,
    start: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    *,
    max_iterations: int,
    x_tolerance: np.ndarray,
    f_tolerance: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the best points found (n, k) and their losses (n,).

    Parameters
    ----------
    loss : callable
        See `Loss`.
    start : (n, k) float64
        A point for each function.
    low, high : (n, k) float64
        Bounds.
    max_iterations : int
    x_tolerance, f_tolerance : (n,) float64
        A function is done once its corners, and their losses, are no further apart than this.
    """
    x = _first_corners(start, low, high)
    n, n_corners, k = x.shape
    f = loss(x.reshape(-1, k), np.repeat(np.arange(n), n_corners)).reshape(n, n_corners)
    for _ in range(max_iterations):
        x, f = _in_order(x, f)
        with np.errstate(invalid="ignore"):
            is_wide = np.abs(x[:, 1:] - x[:, :1]).max(axis=(1, 2)) > x_tolerance
            is_wide |= f[:, -1] - f[:, 0] > f_tolerance
        rows = np.flatnonzero(is_wide & np.isfinite(f[:, 0]))
        if not len(rows):
            break
        x[rows], f[rows] = _moved(loss, x[rows], f[rows], rows, low[rows], high[rows])
    x, f = _in_order(x, f)
    return x[:, 0], f[:, 0]


def _first_corners(start: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return corners (n, k + 1, k): the start, and a step along each axis, within the bounds."""
    k = start.shape[1]
    corners = np.repeat(start[:, None], k + 1, axis=1)
    axes = np.arange(k)
    steps = np.where(start != 0, FIRST_STEP * start, SMALLEST_STEP)
    steps = np.where((start + steps > high) | (start + steps < low), -steps, steps)
    corners[:, axes + 1, axes] += steps
    return np.clip(corners, low[:, None], high[:, None])


def _in_order(x: np.ndarray, f: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(f, axis=1, kind="stable")
    return np.take_along_axis(x, order[:, :, None], axis=1), np.take_along_axis(f, order, axis=1)


def _moved(
    loss: Loss, x: np.ndarray, f: np.ndarray, rows: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the corners, which are in order, and their losses after a step."""
    center, worst = x[:, :-1].mean(axis=1), x[:, -1]

    def beyond(s: np.ndarray | float) -> np.ndarray:
        return np.clip(center + np.reshape(s, (-1, 1)) * (center - worst), low, high)

    first = beyond(1.0)
    f_first = loss(first, rows)
    is_best, is_poor = f_first < f[:, 0], ~(f_first < f[:, -2])
    second = beyond(np.where(is_best, 2.0, np.where(f_first < f[:, -1], 0.5, -0.5)))
    f_second = np.full(len(rows), np.inf)
    asked = is_best | is_poor
    if asked.any():
        f_second[asked] = loss(second[asked], rows[asked])
    takes_second = f_second < np.minimum(f_first, f[:, -1])
    shrinks = is_poor & ~takes_second
    moves = ~shrinks
    x[moves, -1] = np.where(takes_second[:, None], second, first)[moves]
    f[moves, -1] = np.where(takes_second, f_second, f_first)[moves]
    if shrinks.any():
        near = x[shrinks, :1] + 0.5 * (x[shrinks, 1:] - x[shrinks, :1])
        x[shrinks, 1:] = near
        k = x.shape[2]
        values = loss(near.reshape(-1, k), np.repeat(rows[shrinks], k))
        f[shrinks, 1:] = values.reshape(-1, k)
    return x, f
