"""Ranking of programs that were found by their values.

Programs that match y come first: those defined in most places, then the shortest. The others are in
order of the Bayesian information criterion (Schwarz 1978), with a price for size:

    n log(mse / var y) + k log n + COST_WEIGHT cost

for n rows and k fitted constants. Differences of the criterion are twice the logarithm of odds, so
an expression that costs a step more must be e^1.5, about 4.5 times, as likely.
"""

from __future__ import annotations

import numpy as np

from dso.program import ProgramBatch, execute, mean_squared_error
from dso.program.execute import VALID, Polynomials
from dso.semantic.target import Target
from dso.streams import Stream

MIN_EVIDENCE_BITS = 100.0
"""Bits of a match that is not chance: billions of candidates are 30 to 40 bits."""
COST_WEIGHT = 3.0
"""Of a unit of cost in the criterion: what a step of an expression must gain."""
COST_PER_PARTNER = 2 * COST_WEIGHT
"""In the criterion, of an entry in a context outside its hole: its operator, and itself."""
COST_PER_TOKEN = 0.5
"""Units of cost: programs have no cost of their own, and a step takes about two tokens."""
N_PROBES = 256
"""Points where a program should be defined: one that is not on a hundredth of them is found out."""


def is_enough_evidence(data: Target) -> bool:
    """Tell whether a match on all rows cannot be chance: distinct targets times their digits."""
    n_distinct = len(np.unique(data.sample_y))
    return n_distinct * np.log2(1 / data.tolerance) >= MIN_EVIDENCE_BITS


def ranked(programs: ProgramBatch, data: Target) -> tuple[ProgramBatch, np.ndarray, np.ndarray]:
    """Sort programs: matches by domain safety and length, then the others by error and size.

    Returns
    -------
    programs : ProgramBatch
    nmse : (B,) float64
    matches : (B,) bool
        Within the tolerance on every row.
    """
    if not len(programs):
        return programs, np.empty(0), np.empty(0, dtype=bool)
    library = data.library
    fitted = None if data.polynomials is None else data.polynomials.polynomials(programs)
    mse = mean_squared_error(
        library, programs, data.columns, data.y, data.weights, data.protected, 1, fitted
    ).values
    scale = np.var(data.y) or np.mean(data.y**2) or 1.0
    nmse = np.where(np.isnan(mse), np.inf, mse / scale)
    values, cause, _ = execute(library, programs, data.sample, data.protected, 1, fitted)
    limit = data.tolerance * (np.abs(data.sample_y) + 0.01 * np.abs(data.y).max())
    matches = (cause == VALID) & (np.abs(values - data.sample_y) <= limit).all(axis=1)
    matches &= np.sqrt(nmse * scale) <= data.tolerance * np.sqrt(np.mean(data.y**2)) * 2
    error = np.where(matches, -np.inf, score(programs, mse, data.y))
    order = np.lexsort((programs.lengths, n_unsafe(programs, data, fitted), error))
    return programs[order], nmse[order], matches[order]


def information(
    mse: np.ndarray, n_rows: int, n_constants: np.ndarray | int, scale: float
) -> np.ndarray:
    """Return the Bayesian information criterion of mean squared errors."""
    unexplained = np.maximum(mse / (scale or 1.0), 1e-30)
    return n_rows * np.log(unexplained) + n_constants * np.log(max(n_rows, 2))


def score(programs: ProgramBatch, mse: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return how good programs are, size considered, (B,); the lower the better."""
    n_constants = (~np.isnan(programs.constants)).sum(axis=1)
    bits = information(mse, len(y), n_constants, float(np.var(y)))
    bits += COST_PER_TOKEN * COST_WEIGHT * programs.lengths
    return np.where(np.isfinite(mse), bits, np.inf)


def n_unsafe(programs: ProgramBatch, data: Target, fitted: Polynomials) -> np.ndarray:
    """Return on how many probes each program is invalid, (B,), with what stands for its `poly`.

    Probes lie between the least and greatest values of the inputs; among them are those where
    removable singularities usually are, which random points never touch.
    """
    low, high = data.columns.min(axis=1), data.columns.max(axis=1)
    generator = Stream(0, "semantic-probes").generator()
    probes = generator.uniform(low[:, None], high[:, None], (len(low), N_PROBES))
    for k, special in enumerate((0.0, 1.0, -1.0, 0.5)):
        inside = (low <= special) & (special <= high)
        probes[inside, k] = special
        for d in np.flatnonzero(inside)[: N_PROBES // 8]:
            probes[d, 4 + 4 * d + k] = special
    bad = np.empty(len(programs), dtype=np.int64)
    for b in range(len(programs)):
        polynomials = None if fitted is None else fitted[b : b + 1]
        values, _, _ = execute(data.library, programs[b : b + 1], probes, True, 1, polynomials)
        bad[b] = (~np.isfinite(values[0])).sum()
    return bad
