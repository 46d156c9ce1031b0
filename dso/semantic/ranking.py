"""What programs found by their values are worth: do they match to the last digit, are they safe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dso.library import Library
from dso.program import FitData, ProgramBatch, execute, mean_squared_error
from dso.program.execute import VALID, Polynomials
from dso.streams import Stream

if TYPE_CHECKING:
    from dso.fitting.polynomial_fitter import PolynomialFitter

FULL_DIGITS = 13
LEAST_DIGITS = 4
EXACT_TOLERANCE = 1e-10
"""Relative difference of values that are the same to all digits of double precision."""
MOST_KEY_BITS = 18
EVIDENCE_BITS = 100.0
"""A match of so many bits is none by chance: billions of candidates are 30 to 40 bits."""
COST_WEIGHT, COST_PER_TOKEN = 3.0, 0.5
"""Of a unit of cost in scores, beside the Bayesian information criterion; of a token."""
N_SAMPLE = 200
N_PROBES = 256


@dataclass(frozen=True, kw_only=True)
class Target(FitData):
    """The rows of data, with what a search by values asks of them first.

    Attributes
    ----------
    sample, sample_y : (D, n), (n,)
        Some of the rows.
    n_digits : int
        Significant digits of y, at most `FULL_DIGITS`.
    polynomials : PolynomialFitter or None
        What fits a `poly` to the rows, where the library has one.
    """

    sample: np.ndarray
    sample_y: np.ndarray
    n_digits: int
    polynomials: PolynomialFitter | None = None

    @staticmethod
    def of(data: FitData, seed: int, polynomials: PolynomialFitter | None = None) -> Target:
        """Draw a sample of the rows, and count the digits of y in it."""
        rows = sample_rows(data.n_rows, seed)
        return Target(
            library=data.library,
            columns=data.columns,
            y=data.y,
            weights=data.weights,
            protected=data.protected,
            sample=np.ascontiguousarray(data.columns[:, rows]),
            sample_y=data.y[rows],
            n_digits=significant_digits(data.y[rows]),
            polynomials=polynomials,
        )

    def thinned(self, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return at most so many rows, evenly chosen: X (D, n), y (n,) and weights (n,)."""
        rows = np.linspace(0, len(self.y) - 1, min(len(self.y), most)).astype(int)
        weights = np.ones(len(rows)) if self.weights is None else self.weights[rows]
        return np.ascontiguousarray(self.columns[:, rows]), self.y[rows], weights

    @property
    def tolerance(self) -> float:
        """Relative difference up to which a value counts as that of y."""
        if self.n_digits >= FULL_DIGITS:
            return EXACT_TOLERANCE
        return max(EXACT_TOLERANCE, 0.6 * 10.0 ** (1 - self.n_digits))

    @property
    def key_bits(self) -> int:
        """Leading bits of values that a library compares."""
        return key_bits(self.n_digits)


def sample_rows(n_rows: int, seed: int) -> np.ndarray:
    """Return the rows (n,) that are asked first: at most `N_SAMPLE`, the same for a seed."""
    if n_rows <= N_SAMPLE:
        return np.arange(n_rows)
    return Stream(seed, "semantic-sample").generator().choice(n_rows, N_SAMPLE, False)


def key_bits(n_digits: int) -> int:
    """Return how many leading bits of values of so many digits can be relied upon."""
    return min(MOST_KEY_BITS, max(8, int((n_digits - 1) * np.log2(10)) - 3))


def significant_digits(y: np.ndarray) -> int:
    """Return how many decimal digits it takes to write the numbers down, at most `FULL_DIGITS`.

    Whole numbers are exact, however few digits they have.
    """
    if (y == np.round(y)).all():
        return FULL_DIGITS
    for digits in range(LEAST_DIGITS, FULL_DIGITS):
        if all(float(f"{value:.{digits - 1}e}") == value for value in y.tolist()):
            return digits
    return FULL_DIGITS


def is_enough_evidence(data: Target) -> bool:
    """Tell whether a match on all rows cannot be chance: distinct targets times their digits."""
    n_distinct = len(np.unique(data.sample_y))
    return n_distinct * np.log2(1 / data.tolerance) >= EVIDENCE_BITS


def ranked(
    library: Library, programs: ProgramBatch, data: Target
) -> tuple[ProgramBatch, np.ndarray, np.ndarray]:
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
    order = np.lexsort((programs.lengths, n_unsafe(library, programs, data, fitted), error))
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


def n_unsafe(
    library: Library, programs: ProgramBatch, data: Target, fitted: Polynomials
) -> np.ndarray:
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
        values, _, _ = execute(library, programs[b : b + 1], probes, True, 1, polynomials)
        bad[b] = (~np.isfinite(values[0])).sum()
    return bad
