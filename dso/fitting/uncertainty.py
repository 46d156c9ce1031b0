"""How well the data determine the fitted constants of a program.

To first order, predictions move by J d where the constants move by d. With weights W, errors e,
n observations and k constants, their covariance at the least squares fit is

    s^2 (J'WJ)^-1,    s^2 = e'We / (n - k)

with weights scaled to the sum n. The inverse is had from the singular values of sqrt(W) J with
columns of length 1, so that directions that the data say nothing of are seen: there other constants
fit as well, and no error is stated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dso.program import FitData, ProgramBatch, execute
from dso.program.derivatives import derivatives_in_constants

MIN_SINGULAR = 1e-10
"""Singular value of the scaled Jacobian, relative to the greatest; less counts as none."""


@dataclass(frozen=True)
class ConstantErrors:
    """The fitted constants of a program with what is known of their errors.

    Attributes
    ----------
    values : (K,) float64
        In prefix order.
    covariance : (K, K) float64
        By linearisation at the fit, scaled by the scatter of the residuals; NaN where it is not
        known.
    is_determined : (K,) bool
        Whether the data determine a constant. Of a + b, say, they determine neither.
    degrees_of_freedom : int
        Rows less constants.
    """

    values: np.ndarray
    covariance: np.ndarray
    is_determined: np.ndarray
    degrees_of_freedom: int

    @property
    def standard_errors(self) -> np.ndarray:
        """Standard error of each constant, (K,) float64; NaN where it is not known."""
        return np.sqrt(np.diag(self.covariance))

    def intervals(self, level: float = 0.95) -> np.ndarray:
        """Return the confidence interval of each constant, (K, 2), by Student's distribution."""
        from scipy.stats import t  # half a second to import

        width = np.full(len(self.values), np.nan)
        if self.degrees_of_freedom > 0:
            factor = t.ppf(0.5 + level / 2, self.degrees_of_freedom)
            width = factor * self.standard_errors
        return np.column_stack([self.values - width, self.values + width])

    @property
    def statement(self) -> str:
        """What has to be said besides the numbers; empty where there is nothing."""
        if not len(self.values):
            return "there are no fitted constants"
        undetermined = [f"c{k + 1}" for k in np.flatnonzero(~self.is_determined)]
        if undetermined:
            verb = "is" if len(undetermined) == 1 else "are"
            return (
                f"{', '.join(undetermined)} {verb} not identifiable: other values fit as well, so "
                "there is no standard error"
            )
        if self.degrees_of_freedom <= 0:
            return "there are not more rows than constants, so there are no standard errors"
        return ""


def constant_errors(programs: ProgramBatch, b: int, data: FitData, n_rows: int) -> ConstantErrors:
    """Return the errors of the constants of program `b`.

    Parameters
    ----------
    programs : ProgramBatch
    b : int
    data : FitData
    n_rows : int
        Observations behind the rows, which is more than N where equal ones were merged. Weights
        say how rows compare; their scale has no effect.
    """
    row, library = programs.row(b), data.library
    n_constants = int((row == library.const_token).sum())
    values = programs.constants[b, :n_constants]
    if n_constants == 0:
        return ConstantErrors(values, np.empty((0, 0)), np.empty(0, dtype=bool), n_rows)
    with np.errstate(all="ignore"):
        slopes = derivatives_in_constants(library, row, values, data.columns)
    predictions = execute(library, programs[b : b + 1], data.columns, data.protected).values[0]
    weights = np.ones(len(data.y)) if data.weights is None else data.weights
    weights = weights * (n_rows / weights.sum())
    covariance, is_determined = _covariance(np.sqrt(weights)[:, None] * slopes)
    degrees = n_rows - n_constants
    scatter = np.sum(weights * (data.y - predictions) ** 2) / degrees if degrees > 0 else np.nan
    return ConstantErrors(values, scatter * covariance, is_determined, degrees)


def _covariance(slopes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Invert the normal matrix of (N, K) slopes; tell which of the K directions have an inverse."""
    n_constants = slopes.shape[1]
    unknown = np.full((n_constants, n_constants), np.nan)
    with np.errstate(over="ignore"):
        lengths = np.linalg.norm(slopes, axis=0)
    if not np.isfinite(lengths).all():
        return unknown, np.ones(n_constants, dtype=bool)
    scales = np.where(lengths > 0, lengths, 1.0)
    _, sizes, directions = np.linalg.svd(slopes / scales, full_matrices=False)
    is_known = sizes > MIN_SINGULAR * max(sizes.max(initial=0.0), np.finfo(float).tiny)
    missing = n_constants - len(sizes)
    # What is orthogonal to all known directions is not determined.
    known = directions[: len(sizes)][is_known]
    is_determined = np.abs(1 - np.sum(known**2, axis=0)) < 1e-6
    with np.errstate(all="ignore"):  # slopes may be as small as numbers get
        if missing or not is_known.all():
            inverse = (known.T / sizes[is_known] ** 2) @ known
            inverse[~is_determined] = inverse[:, ~is_determined] = np.nan
        else:
            inverse = (directions.T / sizes**2) @ directions
        return inverse / np.outer(scales, scales), is_determined
