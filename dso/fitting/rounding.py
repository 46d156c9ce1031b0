"""Constants with as few digits as they need: 1 for 0.9999999999999998, and 0 for 5e-17.

There is one list of numbers that a constant may become, those that take the least to say first
(`plain_numbers`). It becomes the first that changes nothing. Where the data have errors, a number
that they do not tell from a plain one, and that is too near for chance, is that one; the others are
fitted again then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from dso.fitting.least_squares import MAX_EXACT, least_squares
from dso.fitting.uncertainty import constant_errors
from dso.fitting.weights import weighted_variance
from dso.library import FittedPolynomial
from dso.program import FitData, ProgramBatch, execute, has_poly
from dso.program.execute import VALID, Polynomials
from dso.program.plain_numbers import is_evident, roundings

MAX_CHANGE = 5e-11
"""Change of the predictions, in standard deviations of y, that rounding may make."""
MAX_LOSS_CHANGE = 1e-7
"""Share of the loss that rounding one constant may add."""
MAX_RELATIVE_CHANGE = 1e-8
"""Relative change of constants that are rounded together, which has to make the fit better; and
greatest distance of a number that is neither whole nor decimal."""
MAX_ROUNDING_ROWS = 2000
"""Of the data, evenly spaced, on which predictions are compared."""
MAX_DENOMINATOR = 12
"""Of the rational numbers that constants are snapped to where `const_params.snap` says so."""
MAX_DEVIATIONS = 2.5
"""By which a constant may be off a plain number."""


def settled(
    programs: ProgramBatch,
    data: FitData,
    lower: np.ndarray | None = None,
    upper: np.ndarray | None = None,
    *,
    snap: bool = True,
) -> ProgramBatch:
    """Return programs with constants as they are shown: snapped where that is evident, and rounded.

    Parameters
    ----------
    programs : ProgramBatch
        Fitted. The native machine executes them.
    data : FitData
    lower, upper : (B, K) float64, optional
        Bounds of the constants.
    snap : bool
        Whether a constant that has errors may become a plain number.
    """
    if snap and programs.constants.shape[1]:
        rows = [
            snapped(
                programs[b : b + 1],
                data,
                None if lower is None else lower[b : b + 1],
                None if upper is None else upper[b : b + 1],
            )
            for b in range(len(programs))
        ]
        programs = ProgramBatch.concatenate(rows) if rows else programs
    return rounded_constants(programs, data, lower, upper)


def snapped(
    program: ProgramBatch,
    data: FitData,
    lower: np.ndarray | None = None,
    upper: np.ndarray | None = None,
) -> ProgramBatch:
    """Return one program, its constants made plain numbers one after the other.

    The one that is the least likely to be so by chance comes first, and the others are fitted after
    each. With n rows, n log(loss / least loss) may rise by the square of `MAX_DEVIATIONS`.
    """
    n_constants = int((~np.isnan(program.constants[0])).sum())
    if n_constants == 0:
        return program
    if lower is None or upper is None:
        lower = np.where(np.isnan(program.constants), np.nan, -np.inf)
        upper = np.where(np.isnan(program.constants), np.nan, np.inf)
    n_rows = _effective_rows(data)
    program, least = least_squares(data, program, lower, upper, max_iterations=5)
    exact = MAX_EXACT * weighted_variance(data.y, data.weights)
    limit = max(float(least[0]) * np.exp(MAX_DEVIATIONS**2 / n_rows), exact)
    free = set(range(n_constants))
    while free and np.isfinite(limit):
        for k, number in _evident(program, data, free, int(n_rows)):
            held, low, high = program.constants.copy(), lower.copy(), upper.copy()
            held[0, k] = low[0, k] = high[0, k] = number
            if not lower[0, k] <= number <= upper[0, k]:
                continue
            trial, loss = least_squares(
                data, replace(program, constants=held), low, high, max_iterations=20
            )
            if loss[0] <= limit:
                program, lower, upper = trial, low, high
                free.remove(k)
                break
        else:
            break
    return program


def _evident(
    program: ProgramBatch, data: FitData, free: set[int], n_rows: int
) -> list[tuple[int, float]]:
    """Return which constants may be which plain numbers, the most evident first."""
    errors = constant_errors(program, 0, data, n_rows)
    with np.errstate(all="ignore"):
        deviations = np.where(errors.is_determined, errors.standard_errors, np.inf)
    found = []
    for k in free:
        value, deviation = float(program.constants[0, k]), float(deviations[k])
        if value == 0 or not np.isfinite(deviation):
            continue
        distance = max(MAX_DEVIATIONS * deviation / abs(value), 1e-12)
        for number, bits in roundings(value, min(distance, 0.5)):
            is_near = abs(number - value) <= distance * abs(value)
            if number != 0 and is_near and is_evident(value, number, bits, deviation):
                doubt = np.log2(max(abs(number - value), deviation / 2, 1e-300)) + bits
                found.append((doubt - np.log2(abs(value)), k, number))
                break  # of the fewest bits
    return [(k, number) for _, k, number in sorted(found)]


def _effective_rows(data: FitData) -> float:
    """Return how many rows of equal weight say as much (Kish)."""
    if data.weights is None:
        return float(data.n_rows)
    return float(data.weights.sum() ** 2 / np.square(data.weights).sum())


def rounded_constants(
    programs: ProgramBatch,
    data: FitData,
    lower: np.ndarray | None = None,
    upper: np.ndarray | None = None,
) -> ProgramBatch:
    """Return programs whose constants are rounded as far as predictions or loss stay the same.

    Where the rounded constant fits better it is taken in any case: a fit ends before the last
    digits. First all are rounded together, since the error of one may make up for that of another,
    then one after the other. One that needs many digits is left as it is.

    Parameters
    ----------
    programs : ProgramBatch
    data : FitData
    lower, upper : (B, K) float64, optional
        Bounds of the constants.
    """
    if data.library.const_token is None:
        return programs
    comparison = _Comparison(data)
    constants = programs.constants.copy()
    low = np.full(constants.shape, -np.inf) if lower is None else lower
    high = np.full(constants.shape, np.inf) if upper is None else upper
    with_poly = has_poly(data.library, programs)
    for b in range(len(programs)):
        is_there = ~np.isnan(constants[b])
        if with_poly[b] or not is_there.any():
            continue
        row = programs[b : b + 1]

        def predictions(
            numbers: np.ndarray, row: ProgramBatch = row, is_there: np.ndarray = is_there
        ) -> np.ndarray:
            whole = row.constants.copy()
            whole[0, is_there] = numbers
            return comparison.predictions(replace(row, constants=whole))

        limits = low[b, is_there], high[b, is_there]
        constants[b, is_there] = _rounded(constants[b, is_there], predictions, comparison, *limits)
    return replace(programs, constants=constants)


def rounded_polynomial(
    program: ProgramBatch, polynomial: FittedPolynomial, data: FitData
) -> FittedPolynomial:
    """Return the polynomial of one program with its coefficients rounded in the same way."""
    comparison = _Comparison(data)

    def predictions(coefficients: np.ndarray) -> np.ndarray:
        return comparison.predictions(program, [replace(polynomial, coefficients=coefficients)])

    limits = np.full(polynomial.n_terms, np.inf)
    coefficients = _rounded(polynomial.coefficients, predictions, comparison, -limits, limits)
    return replace(polynomial, coefficients=coefficients)


def _rounded(
    numbers: np.ndarray,
    predictions: Callable[[np.ndarray], np.ndarray],
    comparison: _Comparison,
    low: np.ndarray,
    high: np.ndarray,
) -> np.ndarray:
    """Return numbers (K,) rounded one after the other, all within their bounds."""
    wanted = predictions(numbers)
    together = np.clip([_near(value) for value in numbers], low, high)
    values = predictions(together)
    if comparison.loss(values) < comparison.loss(wanted):
        numbers, wanted = together, values
    limit = (1 + MAX_LOSS_CHANGE) * comparison.loss(wanted)
    for k in range(len(numbers)):
        for value in _candidates(numbers[k]):
            if not low[k] <= value <= high[k]:
                continue
            trial = numbers.copy()
            trial[k] = value
            values = predictions(trial)
            # False for NaN too.
            is_same = np.abs(values - wanted).max() <= comparison.limit
            if is_same or comparison.loss(values) <= limit:
                numbers = trial
                limit = max(limit, (1 + MAX_LOSS_CHANGE) * comparison.loss(values))
                break
    return numbers


class _Comparison:
    """Predictions and losses on some of the rows."""

    def __init__(self, data: FitData) -> None:
        step = -(-data.n_rows // MAX_ROUNDING_ROWS)
        self.data = data.on_rows(slice(None, None, step))
        self.limit = MAX_CHANGE * np.std(data.y)

    def predictions(self, program: ProgramBatch, polynomials: Polynomials = None) -> np.ndarray:
        data = self.data
        values, cause, _ = execute(
            data.library, program, data.columns, data.protected, polynomials=polynomials
        )
        return values[0] if cause[0] == VALID else np.full(data.n_rows, np.nan)

    def loss(self, values: np.ndarray) -> float:
        with np.errstate(over="ignore"):
            return float(np.average((values - self.data.y) ** 2, weights=self.data.weights))


def _near(value: float) -> float:
    """Return the rounding of a number that is all but the same and takes the least to say."""
    near = (c for c in _candidates(value) if abs(c - value) <= MAX_RELATIVE_CHANGE * abs(value))
    return next(near, value)


def _candidates(value: float) -> list[float]:
    """Return roundings of a number, those that take the least to say first."""
    return [0.0, *dict.fromkeys(number for number, _ in roundings(value, MAX_RELATIVE_CHANGE))]


def nearest_rational(values: np.ndarray) -> np.ndarray:
    """Return for each number the nearest p / q with q up to `MAX_DENOMINATOR`."""
    denominators = np.arange(1, MAX_DENOMINATOR + 1)[:, None]
    candidates = np.round(values * denominators) / denominators  # (q, B)
    distance = np.abs(candidates - values)
    distance = np.where(np.isnan(distance), np.inf, distance)
    return candidates[distance.argmin(axis=0), np.arange(len(values))]
