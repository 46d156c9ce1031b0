"""Where the points of a benchmark lie: drawn at random, or on a grid.

The random stream and the order of the draws are those of the original benchmarks, so that their
data sets are reproduced to the last digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dso.errors import UserError

MAX_ROUNDS = 1000
MAX_EMPTY_ROUNDS = 100
MAX_ROWS = 10_000_000
MAX_CELLS = 50_000_000

Target = Callable[[np.ndarray], np.ndarray]
"""Maps X (N, D) to y (N,)."""


@dataclass(frozen=True)
class Draw:
    """Uniform random points.

    Attributes
    ----------
    n_rows : int
    ranges : tuple of (low, high), one per input
    """

    n_rows: int
    ranges: tuple[tuple[float, float], ...]

    def sample(
        self, target: Target, random: np.random.RandomState, y_limit: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw until `n_rows` points have a finite target within (-y_limit, y_limit).

        Returns
        -------
        X : (n_rows, D) float64
        y : (n_rows,) float64
        """
        _check_size(self.n_rows, len(self.ranges))
        X, y = np.empty((0, len(self.ranges))), np.empty(0)
        n_empty = 0
        for _ in range(MAX_ROUNDS):
            missing = self.n_rows - len(y)
            if not missing or n_empty == MAX_EMPTY_ROUNDS:
                break
            new_X = np.column_stack([random.uniform(*limits, missing) for limits in self.ranges])
            new_y = target(new_X)
            usable = np.isfinite(new_y) & (np.abs(new_y) < y_limit)
            n_empty = 0 if usable.any() else n_empty + 1
            X, y = np.concatenate([new_X[usable], X]), np.concatenate([new_y[usable], y])
        if len(y) < self.n_rows:
            raise UserError(
                f"only {len(y)} of {self.n_rows} points have a finite value within "
                f"+-{y_limit:g} in the ranges {self.ranges}"
            )
        return X, y


@dataclass(frozen=True)
class Axis:
    """`n_points` equally spaced values from `first` to `last`, both included."""

    first: float
    last: float
    n_points: int

    @staticmethod
    def with_step(start: float, stop: float, step: float) -> Axis:
        """Count steps from `start`; `stop` belongs to the axis where the steps meet it."""
        n_steps = (stop - start) / step
        if abs(n_steps - round(n_steps)) < 1e-6:
            return Axis(start, stop, round(n_steps) + 1)
        return Axis(start, start + int(n_steps) * step, int(n_steps) + 1)


@dataclass(frozen=True)
class Grid:
    """Every combination of the axes' values, the last input changing fastest."""

    axes: tuple[Axis, ...]

    def sample(
        self, target: Target, random: np.random.RandomState, y_limit: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return all points; neither `random` nor `y_limit` has a part in a grid."""
        _check_size(math.prod(axis.n_points for axis in self.axes), len(self.axes))
        values = [np.linspace(axis.first, axis.last, axis.n_points) for axis in self.axes]
        X = np.stack([mesh.ravel() for mesh in np.meshgrid(*values, indexing="ij")], axis=1)
        y = target(X)
        if not np.isfinite(y).all():
            raise UserError(f"the formula has no finite value at {X[~np.isfinite(y)][0].tolist()}")
        return X, y


Sampling = Draw | Grid


def _check_size(n_rows: int, n_inputs: int) -> None:
    if n_rows > MAX_ROWS:
        raise UserError(f"{n_rows} points are wanted; at most {MAX_ROWS} are allowed")
    if n_rows * n_inputs > MAX_CELLS:
        raise UserError(
            f"{n_rows} points of {n_inputs} inputs are {n_rows * n_inputs} numbers; at most "
            f"{MAX_CELLS} are allowed"
        )
