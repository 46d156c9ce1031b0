"""The evidence of the data for and against each program of a front."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dso.fitting.least_squares import MAX_EXACT
from dso.fitting.weights import weighted_variance
from dso.library import FittedPolynomial
from dso.program import FitData, ProgramBatch, execute
from dso.program.columns import Columns
from dso.program.derivatives import derivatives_in_constants
from dso.program.execute import VALID
from dso.selection.hull import between_rows, is_tame

DEPENDENT = 1e-10
"""Singular values of the scaled Jacobian below this share of the greatest count as none."""
MAX_SLOPE = 1e150
"""Squares of larger ones are not finite."""
MAX_WHOLE = 1e6
POLE_FALL = 0.1
TOKEN = 2.0
"""Description length of a token in nats; measured, see docs/results.md."""
MAX_ROWS = 20_000


@dataclass(frozen=True)
class Evidence(Columns):
    """B programs before the data.

    Attributes
    ----------
    losses, complexities : (B,) float64
    left_out : (B, N) float64
        Weighted squared error of each row as predicted without it; see `left_out_errors`.
    n_numbers : (B,) int64
        Fitted numbers.
    number_lengths, form_lengths : (B,) float64
        Description lengths in nats: of the fitted numbers, of the tokens.
    is_tame : (B,) bool
        See `dso.selection.hull.is_tame`.
    n_rows : int
        Observations.
    variance : float
        The loss of the mean of y.
    degree : float
        How losses grow with the residuals: as their square, or another power.
    """

    losses: np.ndarray
    complexities: np.ndarray
    left_out: np.ndarray
    n_numbers: np.ndarray
    number_lengths: np.ndarray
    form_lengths: np.ndarray
    is_tame: np.ndarray
    n_rows: int
    variance: float
    degree: float = 2.0

    @property
    def log_losses(self) -> np.ndarray:
        """Logarithms of the losses (B,), of those below `MAX_EXACT` variances all the same.

        Of losses of another degree than 2 they are brought to it, as n / degree times the
        logarithm is what a likelihood with errors of unknown size makes of them.
        """
        least = MAX_EXACT * self.variance or np.finfo(float).tiny
        return np.log(np.maximum(self.losses, least)) * (2 / self.degree)

    @property
    def validated(self) -> np.ndarray:
        """Mean squared errors (B,) on rows that were left out."""
        return self.left_out.mean(axis=1)

    @property
    def standard_errors(self) -> np.ndarray:
        """Standard errors (B,) of `validated`."""
        n = self.left_out.shape[1]
        with np.errstate(all="ignore"):
            # By powers of two, which change no digit: squares of squared errors may be infinite.
            sizes = 2.0 ** np.floor(np.log2(self.left_out.max(axis=1)))
            sizes = np.where(np.isfinite(sizes) & (sizes > 0), sizes, 1.0)
            scatter = (self.left_out / sizes[:, None]).std(axis=1) * sizes
            return np.nan_to_num(scatter / np.sqrt(max(n - 1, 1)))

    @property
    def is_eligible(self) -> np.ndarray:
        """Tell which rows (B,) may be chosen.

        They are no worse than the mean of y, where there is such a row, and tame; a pole has to
        bring the loss below `POLE_FALL` of that of every tame row which is not more complex.
        """
        is_fair = self.losses <= self.variance * (1 + MAX_EXACT)
        is_fair = is_fair if is_fair.any() else np.isfinite(self.losses)
        tame = np.where(self.is_tame, self.losses, np.inf)
        is_sound = self.is_tame | (self.losses < POLE_FALL * np.minimum.accumulate(tame))
        return is_fair & is_sound if (is_fair & is_sound).any() else is_fair


@dataclass(frozen=True)
class RowLosses:
    """A loss of single rows other than the squared error.

    Attributes
    ----------
    of_rows : callable
        Of data and predictions (B, N); returns the losses (B, N) whose mean is the loss.
    baseline : float
        The loss of the mean of y.
    degree : float
        See `Evidence`.
    """

    of_rows: Callable[[FitData, np.ndarray], np.ndarray]
    baseline: float
    degree: float


def gather(
    programs: ProgramBatch,
    losses: np.ndarray,
    complexities: np.ndarray,
    data: FitData,
    n_rows: int,
    polynomials: Sequence[FittedPolynomial | None],
    held_out: FitData | None = None,
    loss: RowLosses | None = None,
) -> Evidence:
    """Return the evidence on B programs that are fitted to rows of data.

    Of more than `MAX_ROWS` rows, this many evenly spaced ones are asked.

    Parameters
    ----------
    programs : ProgramBatch
        With constants.
    losses, complexities : (B,) float64
    data : FitData
    n_rows : int
        Observations behind the rows, which is more than N where equal ones were merged.
    polynomials : sequence of (FittedPolynomial or None)
    held_out : FitData, optional
        Rows that nothing was fitted to; they take the place of what is left out row by row.
    loss : RowLosses, optional
        What is counted of each row instead of its squared error.
    """
    variance = weighted_variance(data.y, data.weights)
    data = data.on_rows(slice(None, None, -(-data.n_rows // MAX_ROWS)))
    predictions, weights = _predictions(programs, data, polynomials), _relative_weights(data)
    parts = [
        _of_one(programs, b, predictions[b], data, weights, n_rows, polynomials[b], variance)
        for b in range(len(programs))
    ]
    left_out, n_numbers, number_lengths = map(np.array, zip(*parts, strict=True))
    if held_out is not None:
        predictions, data_left = _predictions(programs, held_out, polynomials), held_out
        left_out = _relative_weights(held_out) * (predictions - held_out.y) ** 2
    else:
        data_left = data
    if loss is not None:
        misses = np.sqrt(left_out / _relative_weights(data_left))
        apart = np.where(predictions < data_left.y, -misses, misses)
        left_out = loss.of_rows(data_left, data_left.y + apart)
    return Evidence(
        losses,
        complexities,
        left_out,
        n_numbers,
        number_lengths,
        TOKEN * programs.lengths,
        is_tame(programs, data, between_rows(data.columns), polynomials),
        n_rows,
        variance if loss is None else loss.baseline,
        2.0 if loss is None else loss.degree,
    )


def _predictions(
    programs: ProgramBatch, data: FitData, polynomials: Sequence[FittedPolynomial | None]
) -> np.ndarray:
    """Return values (B, N), infinite where a program is not defined on all rows."""
    values, cause, _ = execute(data.library, programs, data.columns, data.protected, 1, polynomials)
    return np.where((cause == VALID)[:, None], values, np.inf)


def _relative_weights(data: FitData) -> np.ndarray:
    """Return weights (N,) of mean 1."""
    weights = np.ones(data.n_rows) if data.weights is None else data.weights
    return weights / weights.mean()


def _of_one(
    programs: ProgramBatch,
    b: int,
    predictions: np.ndarray,
    data: FitData,
    weights: np.ndarray,
    n_rows: int,
    polynomial: FittedPolynomial | None,
    variance: float,
) -> tuple[np.ndarray, int, float]:
    """Return what is left out, the number of fitted numbers, and their description length."""
    row = programs.row(b)
    n_constants = int((row == data.library.const_token).sum())
    constants = programs.constants[b, :n_constants]
    residuals = np.sqrt(weights) * (data.y - predictions)
    n_numbers = n_constants + (0 if polynomial is None else polynomial.n_terms)
    slopes = np.full((data.n_rows, n_constants), np.nan)
    if n_numbers == n_constants:
        with np.errstate(all="ignore"):
            slopes = derivatives_in_constants(data.library, row, constants, data.columns)
        slopes *= np.sqrt(weights)[:, None]
    if not np.isfinite(slopes).all():
        leverages = np.full(data.n_rows, min(1.0, n_numbers / data.n_rows))
        return left_out_errors(residuals, leverages), n_numbers, n_numbers * np.log(n_rows) / 2
    left_out = left_out_errors(residuals, leverages_of(slopes))
    noise = max(np.mean(residuals**2), MAX_EXACT * variance)
    with np.errstate(over="ignore"):  # a number that the data know to any digit
        information = np.sum(slopes**2, axis=0) * (n_rows / data.n_rows) / noise
    return left_out, n_numbers, float(np.sum(number_lengths(constants, information)))


def leverages_of(slopes: np.ndarray) -> np.ndarray:
    """Return the diagonal (N,) of the projection on the columns of slopes (N, K).

    It says how far the fitted value of each row follows its own y.
    """
    if not slopes.shape[1]:
        return np.zeros(len(slopes))
    largest = np.abs(slopes).max(axis=0)
    if largest.max() > MAX_SLOPE:
        slopes = slopes / np.where(largest > 0, largest, 1)
    lengths = np.linalg.norm(slopes, axis=0)
    left, sizes, _ = np.linalg.svd(slopes / np.where(lengths > 0, lengths, 1), full_matrices=False)
    is_known = sizes > DEPENDENT * max(sizes.max(initial=0.0), np.finfo(float).tiny)
    return np.sum(left[:, is_known] ** 2, axis=1)


def left_out_errors(residuals: np.ndarray, leverages: np.ndarray) -> np.ndarray:
    """Return the squared errors (N,) of rows as predicted by the fit to all others.

    By linearisation at the fit, with residual r and leverage h of a row: (r / (1 - h))^2. A row
    that decides its own prediction has an infinite error.
    """
    share = 1 - leverages
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = (residuals / share) ** 2
    return np.where(share > 1e-9, errors, np.inf)


def number_lengths(constants: np.ndarray, information: np.ndarray) -> np.ndarray:
    """Return description lengths (K,) of constants: to the digits that the data determine.

    A number with the standard error s takes log(abs(c) / s) - log(3) / 2 nats, at least none; a
    whole one log(1 + abs(c)), where that is less.
    """
    with np.errstate(divide="ignore"):
        digits = np.log(np.abs(constants)) + np.log(information) / 2 - np.log(3) / 2
    digits = np.maximum(digits, 0.0)
    is_whole = (constants == np.round(constants)) & (np.abs(constants) <= MAX_WHOLE)
    return np.where(is_whole, np.minimum(digits, np.log1p(np.abs(constants))), digits)
