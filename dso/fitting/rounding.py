"""Constants with as few digits as they need: 1 for 0.9999999999999998, and 0 for 5e-17.

A fit leaves digits that the data say nothing of. Of the numbers that give the same predictions, up
to `MAX_CHANGE` of their spread, or better ones, the one that is written with the fewest digits is
taken; for a rational number that is the one with the smallest denominator.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dso.program import FitData, ProgramBatch, execute
from dso.program.execute import VALID

MAX_CHANGE = 5e-11
"""Change of the predictions, in standard deviations of y, that rounding may make."""
MAX_RELATIVE_CHANGE = 1e-8
"""Relative change of constants that are rounded together, which has to make the fit better."""
MAX_ROUNDED_DIGITS = 10
"""More are not fewer than those of a fit."""
MAX_ROUNDING_ROWS = 2000
"""Of the data, evenly spaced, on which predictions are compared."""
MAX_DENOMINATOR = 12
"""Of the rational numbers that constants are snapped to."""


def rounded_constants(programs: ProgramBatch, data: FitData) -> ProgramBatch:
    """Return programs whose constants are rounded as far as the predictions stay the same.

    Where the rounded constant fits better it is taken in any case: a fit ends before the last
    digits. First all are rounded together, since the error of one may make up for that of another,
    then one after the other. One that needs more than `MAX_ROUNDED_DIGITS` digits is left as it is.

    Parameters
    ----------
    programs : ProgramBatch
    data : FitData
    """
    library = data.library
    if library.const_token is None:
        return programs
    constants = programs.constants.copy()
    limit = MAX_CHANGE * np.std(data.y)
    step = -(-len(data.y) // MAX_ROUNDING_ROWS)
    y = data.y[::step]
    weights = None if data.weights is None else data.weights[::step]
    columns = np.ascontiguousarray(data.columns[:, ::step])

    def predictions(b: int, trial: np.ndarray) -> np.ndarray:
        program = replace(programs[b : b + 1], constants=trial[None])
        values, cause, _ = execute(library, program, columns, data.protected)
        return values[0] if cause[0] == VALID else np.full(columns.shape[1], np.nan)

    def loss(values: np.ndarray) -> float:
        with np.errstate(over="ignore"):
            return float(np.average((values - y) ** 2, weights=weights))

    for b in range(len(programs)):
        is_there = ~np.isnan(constants[b])
        if not is_there.any():
            continue
        wanted = predictions(b, constants[b])
        together = np.array([_near(value) for value in constants[b]])
        values = predictions(b, together)
        if loss(values) < loss(wanted):
            constants[b], wanted = together, values
        for k in np.flatnonzero(is_there):
            for value in _candidates(constants[b, k]):
                trial = constants[b].copy()
                trial[k] = value
                values = predictions(b, trial)
                # False for NaN too.
                is_same = np.abs(values - wanted).max() <= limit
                if is_same or loss(values) < loss(wanted):
                    constants[b] = trial
                    break
    return replace(programs, constants=constants)


def _near(value: float) -> float:
    """Return the shortest rounding of a number that is all but the same."""
    near = (c for c in _candidates(value) if abs(c - value) <= MAX_RELATIVE_CHANGE * abs(value))
    return next(near, value)


def _candidates(value: float) -> list[float]:
    """Return roundings of a number, those with the fewest digits first."""
    digits = [float(f"{value:.{n}g}") for n in range(1, MAX_ROUNDED_DIGITS + 1)]
    return [0.0, *dict.fromkeys(digits)]


def nearest_rational(values: np.ndarray) -> np.ndarray:
    """Return for each number the nearest p / q with q up to `MAX_DENOMINATOR`."""
    denominators = np.arange(1, MAX_DENOMINATOR + 1)[:, None]
    candidates = np.round(values * denominators) / denominators  # (q, B)
    distance = np.abs(candidates - values)
    distance = np.where(np.isnan(distance), np.inf, distance)
    return candidates[distance.argmin(axis=0), np.arange(len(values))]
