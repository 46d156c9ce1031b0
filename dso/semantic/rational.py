"""Rational targets: y Q = P has a solution in monomials where a null space says so."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from dso.program import ProgramBatch
from dso.semantic.ranking import Target
from dso.semantic.writing import Writer

NULL = 1e-11
"""Smallest singular value, relative to the greatest, that stands for zero."""
GAP = 1e-3
"""Of the smallest singular value to the next: more than one solution is none."""
SPARE_ROWS = 3
"""Least number of rows beyond the unknowns; others are kept back to confirm."""
MOST_DEGREE = 8
MOST_TERMS = 60
MOST_ROWS = 400
MOST = 1e12
"""Greatest size of a number in the data, whose powers are still told apart."""
MOST_INPUTS = 4
MULTIPLES = (1, 2, 3, 4, 5, 6, 8, 10, 12)
"""Common denominators of coefficients that are tried."""
WHOLE = 1e-5
"""Distance from a whole number that is rounding."""


def find_rational(data: Target, writer: Writer) -> ProgramBatch:
    """Return y as a quotient of polynomials with whole coefficients, of the lowest degree.

    Zero or more programs; they are not checked against priors.
    """
    rows = np.arange(len(data.y))[:: max(1, len(data.y) // MOST_ROWS)]
    X, y = data.columns[:, rows], data.y[rows]
    if not 0 < len(X) <= MOST_INPUTS or not np.isfinite(X).all() or np.ptp(y) == 0:
        return ProgramBatch.from_rows([])
    kept_back = np.arange(len(y)) % 5 == 4
    scale = np.maximum(np.abs(X).max(axis=1), 1e-300)
    if max(scale.max(), np.abs(y).max()) > MOST or scale.min() < 1 / MOST:
        return ProgramBatch.from_rows([])
    for top, bottom in degrees():
        P, Q = monomials(len(X), top), monomials(len(X), bottom)
        if len(P) + len(Q) > min(MOST_TERMS, (~kept_back).sum() - SPARE_ROWS):
            continue
        solution = solve(X / scale[:, None], y, P, Q, ~kept_back)
        if solution is None:
            continue
        p, q = solution
        tokens = write(p / np.prod(scale**P, axis=1), q / np.prod(scale**Q, axis=1), P, Q, writer)
        return ProgramBatch.from_rows([tokens] if tokens else [])
    return ProgramBatch.from_rows([])


def degrees() -> Iterator[tuple[int, int]]:
    """Yield degrees of numerator and denominator, the lowest sum first."""
    for total in range(1, 2 * MOST_DEGREE):
        for bottom in range(min(total, MOST_DEGREE) + 1):
            if total - bottom <= MOST_DEGREE:
                yield total - bottom, bottom


def monomials(n_inputs: int, degree: int) -> np.ndarray:
    """Return the exponents of all monomials up to a total degree, (terms, D)."""
    powers = np.array(list(product(range(degree + 1), repeat=n_inputs)))
    return powers[powers.sum(axis=1) <= degree]


def solve(
    X: np.ndarray, y: np.ndarray, P: np.ndarray, Q: np.ndarray, used: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the coefficients of P and Q with y Q = P, if there is one solution up to a factor."""
    used = np.flatnonzero(used)[: len(P) + len(Q) + SPARE_ROWS * 5]
    values = [np.prod(X[:, None, :] ** powers.T[:, :, None], axis=0).T for powers in (P, Q)]
    with np.errstate(all="ignore"):
        table = np.hstack([values[0], -y[:, None] * values[1]])  # (N, terms)
    with np.errstate(all="ignore"):
        norms = np.linalg.norm(table[used], axis=0)
    if not np.isfinite(table).all() or (norms == 0).any():
        return None
    _, sizes, basis = np.linalg.svd(table[used] / norms, full_matrices=False)
    if sizes[-1] > NULL * sizes[0] or sizes[-1] > GAP * sizes[-2]:
        return None
    solution = basis[-1] / norms
    error = np.abs(table @ solution)
    if error.max() > 1e3 * NULL * np.abs(table * solution).max():
        return None
    return solution[: len(P)], solution[len(P) :]


def write(
    p: np.ndarray, q: np.ndarray, P: np.ndarray, Q: np.ndarray, writer: Writer
) -> list[int] | None:
    """Write P / Q where its coefficients have a common denominator."""
    both = np.concatenate([p, q])
    if not np.isfinite(both).all() or not both.any():
        return None
    both = np.where(np.abs(both) < 1e-7 * np.abs(both).max(), 0, both)
    smallest = np.abs(both[both != 0]).min()
    for multiple in MULTIPLES:
        whole = both / smallest * multiple
        if (np.abs(whole - np.round(whole)) < WHOLE * np.maximum(np.abs(whole), 1)).all():
            break
    else:
        return None
    whole = np.round(whole).astype(int)
    if np.abs(whole).max() > 10**6:
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
