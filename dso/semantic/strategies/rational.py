"""Rational targets: y = P(x) / Q(x) for polynomials with whole coefficients.

That is linear in the coefficients p and q of the monomials: on every row

    P(x) - y Q(x) = 0,    so    [M_P | -y M_Q] (p, q) = 0

for the monomials M_P, M_Q of some degrees. With more rows than unknowns that table has a null space
only where y is such a quotient, and its last right singular vector is (p, q) up to a factor. If
there were two solutions, P / Q would have a common factor or y would be constant. So degrees are
tried from the lowest on, and one singular value must be zero, and the next one not. exp and sin are
as good as rational at degree 6 or 7; rows that are kept back, and whole coefficients, tell.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import numpy as np

from dso.native import _core
from dso.program import ProgramBatch
from dso.semantic.budget import Budget
from dso.semantic.strategies.strategy import Strategy, Turn
from dso.semantic.value_library import ValueLibrary
from dso.semantic.writing import Tokens, Writer

MAX_INPUTS, MAX_DEGREE = 4, 8
"""More make more unknowns than there may be, but for the lowest degrees."""
MAX_UNKNOWNS = 60
"""Coefficients of both polynomials."""
MAX_RATIONAL_ROWS = 400
"""Rows that are looked at: a null space of 60 unknowns is certain on far fewer."""
MIN_SPARE_ROWS, MAX_SPARE_ROWS = 3, 15
"""Rows beyond the unknowns; others are kept back to confirm."""
MAX_SIZE = 1e12
"""Of a number in the data, whose powers can still be told apart."""
MAX_NULL = 1e-11
"""Singular value, relative to the greatest, that stands for zero."""
MAX_GAP = 1e-3
"""Of the smallest singular value to the next: there is one solution, not more."""
MIN_COEFFICIENT = 1e-7
"""Relative to the greatest: less is rounding of zero."""
MULTIPLES = (1, 2, 3, 4, 5, 6, 8, 10, 12)
"""Of the smallest coefficient, that are tried so that all become whole."""
MAX_FRACTION = 1e-5
"""Distance from a whole number that is rounding, relative to numbers above 1."""
MAX_COEFFICIENT = 10**6
"""More is not meant: some denominator makes any numbers whole."""


@dataclass(frozen=True)
class RationalSearch(Strategy):
    """Looks for y as a quotient of polynomials of the lowest degree."""

    turn: ClassVar[Turn] = Turn.FIRST

    def run(
        self, values: ValueLibrary, joins: _core.SemanticSearch, budget: Budget
    ) -> ProgramBatch:
        tokens = self._found(budget)
        return self.problem.allowed(ProgramBatch.from_rows([tokens] if tokens else []))

    def _found(self, budget: Budget) -> Tokens | None:
        """Return the quotient; None where there is none in time, or the tokens cannot say it."""
        data = self.problem.data
        rows = np.arange(len(data.y))[:: max(1, len(data.y) // MAX_RATIONAL_ROWS)]
        X, y = data.columns[:, rows], data.y[rows]
        if not 0 < len(X) <= MAX_INPUTS or not np.isfinite(X).all() or np.ptp(y) == 0:
            return None
        scale = np.maximum(np.abs(X).max(axis=1), 1e-300)
        if max(scale.max(), np.abs(y).max()) > MAX_SIZE or scale.min() < 1 / MAX_SIZE:
            return None
        is_used = np.arange(len(y)) % 5 < 4
        for top, bottom in _degrees():
            if budget.seconds_left <= 0:
                break
            P, Q = _exponents(len(X), top), _exponents(len(X), bottom)
            if len(P) + len(Q) > min(MAX_UNKNOWNS, is_used.sum() - MIN_SPARE_ROWS):
                continue
            solution = _null_vector(X / scale[:, None], y, P, Q, is_used)
            if solution is not None:
                p = solution[: len(P)] / np.prod(scale**P, axis=1)
                q = solution[len(P) :] / np.prod(scale**Q, axis=1)
                return _written(self.problem.writer, p, q, P, Q)
        return None


def _degrees() -> Iterator[tuple[int, int]]:
    """Yield degrees of numerator and denominator, the lowest sum first."""
    for total in range(1, 2 * MAX_DEGREE):
        for bottom in range(min(total, MAX_DEGREE) + 1):
            if total - bottom <= MAX_DEGREE:
                yield total - bottom, bottom


def _exponents(n_inputs: int, degree: int) -> np.ndarray:
    """Return the exponents of all monomials up to a total degree, (terms, D)."""
    powers = np.array(list(product(range(degree + 1), repeat=n_inputs)))
    return powers[powers.sum(axis=1) <= degree]


def _null_vector(
    X: np.ndarray, y: np.ndarray, P: np.ndarray, Q: np.ndarray, is_used: np.ndarray
) -> np.ndarray | None:
    """Return the coefficients of P, then Q, with P = y Q, if one solution holds on every row."""
    used = np.flatnonzero(is_used)[: len(P) + len(Q) + MAX_SPARE_ROWS]
    tops, bottoms = (np.prod(X[:, None, :] ** E.T[:, :, None], axis=0).T for E in (P, Q))
    with np.errstate(all="ignore"):
        table = np.hstack([tops, -y[:, None] * bottoms])  # (N, terms)
        norms = np.linalg.norm(table[used], axis=0)
    if not np.isfinite(table).all() or (norms == 0).any():
        return None
    _, sizes, basis = np.linalg.svd(table[used] / norms, full_matrices=False)
    if sizes[-1] > MAX_NULL * sizes[0] or sizes[-1] > MAX_GAP * sizes[-2]:
        return None
    solution = basis[-1] / norms
    error = np.abs(table @ solution)
    if error.max() > 1e3 * MAX_NULL * np.abs(table * solution).max():
        return None
    return solution


def _written(
    writer: Writer, p: np.ndarray, q: np.ndarray, P: np.ndarray, Q: np.ndarray
) -> Tokens | None:
    """Write P / Q where its coefficients have a common denominator."""
    whole = _whole(np.concatenate([p, q]))
    if whole is None:
        return None
    top, bottom = whole[: len(p)], whole[len(p) :]
    if not top.any() or not bottom.any():
        return None
    if bottom[np.flatnonzero(bottom)[-1]] < 0:
        top, bottom = -top, -bottom
    numerator = writer.polynomial(P, top)
    if not bottom[Q.sum(axis=1) > 0].any() and bottom.sum() == 1:
        return numerator
    return writer.quotient(numerator, writer.polynomial(Q, bottom))


def _whole(numbers: np.ndarray) -> np.ndarray | None:
    """Return the smallest whole numbers in the same ratios, if there are any."""
    if not np.isfinite(numbers).all() or not numbers.any():
        return None
    numbers = np.where(np.abs(numbers) < MIN_COEFFICIENT * np.abs(numbers).max(), 0, numbers)
    smallest = np.abs(numbers[numbers != 0]).min()
    for multiple in MULTIPLES:
        ratios = numbers / smallest * multiple
        whole = np.round(ratios)
        if (np.abs(ratios - whole) < MAX_FRACTION * np.maximum(np.abs(ratios), 1)).all():
            return whole.astype(int) if np.abs(whole).max() <= MAX_COEFFICIENT else None
    return None
