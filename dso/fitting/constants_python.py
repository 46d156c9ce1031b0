"""Fits of the constants of one program, with SciPy: what the native fit cannot do.

Where a token can only be executed in Python, the squared error is lowered by least squares within
bounds, with exact derivatives (Branch, Coleman & Li, 1999).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dso.fitting.slots import start_points
from dso.program import FitData, ProgramBatch, execute, mean_squared_error
from dso.program.derivatives import derivatives_in_constants
from dso.program.execute import VALID


class _Free:
    """The constants of one program that are fitted; the others stay where they are."""

    def __init__(self, program: ProgramBatch, lower: np.ndarray, upper: np.ndarray) -> None:
        self.is_free = lower < upper
        self.low, self.high = lower[self.is_free], upper[self.is_free]
        self.start = program.constants[0]
        self.first = np.clip(self.start, lower, upper)[self.is_free]
        self.key = int(program.keys()[0])

    def whole(self, free: np.ndarray) -> np.ndarray:
        """Return all constants (K,)."""
        constants = self.start.copy()
        constants[self.is_free] = free
        return constants

    def points(self, n_starts: int) -> list[np.ndarray]:
        """Return where to start from."""
        return start_points(self.key, self.first, self.low, self.high, n_starts)


def least_squares_fit(
    program: ProgramBatch,
    data: FitData,
    lower: np.ndarray,
    upper: np.ndarray,
    *,
    n_starts: int,
    max_iterations: int,
) -> np.ndarray:
    """Return the constants (K,) of one program with the least squared error found.

    Parameters
    ----------
    program : ProgramBatch
        One row, with the constants to start from.
    data : FitData
    lower, upper : (K,) float64
        Bounds; a constant whose bounds are equal is held.
    n_starts, max_iterations : int
    """
    from scipy.optimize import least_squares  # takes a second to import

    free, library = _Free(program, lower, upper), data.library
    roots = 1.0 if data.weights is None else np.sqrt(data.weights)

    def at(values: np.ndarray) -> ProgramBatch:
        return replace(program, constants=free.whole(values)[None])

    def errors(values: np.ndarray) -> np.ndarray:
        found, cause, _ = execute(library, at(values), data.columns, data.protected)
        return np.where(cause[0] == VALID, roots * (found[0] - data.y), np.inf)

    def jacobian(values: np.ndarray) -> np.ndarray:
        slopes = derivatives_in_constants(library, program.row(0), free.whole(values), data.columns)
        return np.reshape(roots, (-1, 1)) * slopes[:, free.is_free]

    def mse(values: np.ndarray) -> float:
        arguments = data.columns, data.y, data.weights, data.protected
        value = mean_squared_error(library, at(values), *arguments).values[0]
        return value if np.isfinite(value) else np.inf

    best = free.first
    with np.errstate(all="ignore"):
        for point in free.points(n_starts):
            if not np.isfinite(errors(point)).all():
                continue
            try:
                found = least_squares(
                    errors,
                    point,
                    jacobian,
                    bounds=(free.low, free.high),
                    max_nfev=max_iterations,
                ).x
            except (ValueError, np.linalg.LinAlgError):  # derivatives that are not finite
                found = point
            best = min((best, point, found), key=mse)
    return free.whole(best)
