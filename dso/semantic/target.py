"""Target: the rows of data, and how precise the values of y are.

How many digits y has decides how values are compared. One counts as that of y where it differs by
little more than half a unit of the last digit; keys have 18 bits of a value, or fewer where y has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dso.program import FitData
from dso.streams import Stream

if TYPE_CHECKING:
    from dso.fitting.polynomial_fitter import PolynomialFitter

MAX_ROWS = 20_000
"""Rows that are searched by and fitted to: more take longer and decide nothing else."""
MAX_SAMPLE_ROWS = 200
"""Rows that are asked first: most wrong programs fail there."""
MIN_DIGITS, MAX_DIGITS = 4, 13
"""Decimal digits of y: fewer are not told apart from noise, more from rounding."""
MIN_TOLERANCE = 1e-10
"""Relative difference of values that are the same to all digits of double precision."""
MIN_KEY_BITS, MAX_KEY_BITS = 8, 18
"""Bits of each value that are compared: four rows of 18 tell 2^72 vectors apart."""


@dataclass(frozen=True, kw_only=True)
class Target(FitData):
    """The rows of data, with what a search by values asks of them first.

    Attributes
    ----------
    sample, sample_y : (D, n), (n,)
        Some of the rows.
    n_digits : int
        Significant digits of y, at most `MAX_DIGITS`.
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

    def thinned(self, max_rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return at most this many rows, evenly chosen: X (D, n), y (n,) and weights (n,)."""
        rows = np.linspace(0, len(self.y) - 1, min(len(self.y), max_rows)).astype(int)
        weights = np.ones(len(rows)) if self.weights is None else self.weights[rows]
        return np.ascontiguousarray(self.columns[:, rows]), self.y[rows], weights

    @property
    def tolerance(self) -> float:
        """Relative difference up to which a value counts as that of y."""
        if self.n_digits >= MAX_DIGITS:
            return MIN_TOLERANCE
        return max(MIN_TOLERANCE, 0.6 * 10.0 ** (1 - self.n_digits))

    @property
    def key_bits(self) -> int:
        """Leading bits of values that a library compares."""
        return key_bits(self.n_digits)


def sample_rows(n_rows: int, seed: int) -> np.ndarray:
    """Return the rows (n,) that are asked first, the same for a seed."""
    if n_rows <= MAX_SAMPLE_ROWS:
        return np.arange(n_rows)
    return Stream(seed, "semantic-sample").generator().choice(n_rows, MAX_SAMPLE_ROWS, False)


def key_bits(n_digits: int) -> int:
    """Return how many leading bits of values of this many digits are reliable."""
    return min(MAX_KEY_BITS, max(MIN_KEY_BITS, int((n_digits - 1) * np.log2(10)) - 3))


def significant_digits(y: np.ndarray) -> int:
    """Return how many decimal digits it takes to write the numbers down, at most `MAX_DIGITS`.

    Whole numbers are exact, however few digits they have.
    """
    if (y == np.round(y)).all():
        return MAX_DIGITS
    for digits in range(MIN_DIGITS, MAX_DIGITS):
        if all(float(f"{value:.{digits - 1}e}") == value for value in y.tolist()):
            return digits
    return MAX_DIGITS
