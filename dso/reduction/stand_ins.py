"""Polynomials that stand in for pieces of a target which are not known yet.

The pieces of a sum with known factors, or of a product, are polynomials of their columns,

    t = sum_k m_k p_k(Z_k)    or    t = p(Z_1) q(Z_2)

fitted to all rows by least squares. For one piece that leaves (t - sum of the other terms) / m, or
t / q, as the target of a search.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from typing import NamedTuple

import numpy as np

from dso.reduction.threads import one_thread

MAX_TERMS, ROWS_PER_TERM, MAX_DEGREE, MIN_DEGREE = 400, 1.5, 24, 3
"""All polynomials together have at most one term for this many rows. Each has limits besides."""
MAX_REST = 1e-3
"""Share of the scatter that polynomials may leave; where it is more a search would not know the
piece for what it is."""
MAX_TURNS, MAX_STEPS, CONVERGED = 4, 12, 1e-10
"""Of fits of the two polynomials of a product, by turns and together."""
MIN_SIZE = 0.05
"""Rows where what is divided by is less than this share of its median are left out."""


class StandIns(NamedTuple):
    """What polynomials in the place of the other pieces leave for one.

    Attributes
    ----------
    target : (N,) float64
    is_usable : (N,) bool
        Rows on which nothing small was divided by.
    rest : float
        By what the target may be wrong: as a share of its scatter, or of each value for a product.
    """

    target: np.ndarray
    is_usable: np.ndarray
    rest: float


def of_sum(
    t: np.ndarray, factors: Sequence[np.ndarray], columns: Sequence[np.ndarray]
) -> StandIns | None:
    """Return what is left for the first piece of a sum, None where polynomials do not say it.

    Parameters
    ----------
    t : (N,) float64
    factors : sequence of (N,) float64
        m of each piece.
    columns : sequence of (N, K) float64
        Z of each piece.
    """
    found = [_basis(Z, len(columns)) for Z in columns]
    bases = [basis for basis in found if basis is not None]
    if len(bases) < len(columns) or not np.isfinite(t).all():
        return None
    # Of pieces with the same factor one has the constant.
    terms = [
        m[:, None] * (basis[:, 1:] if any(m is other for other in factors[:k]) else basis)
        for k, (m, basis) in enumerate(zip(factors, bases, strict=True))
    ]
    design, n = np.hstack(terms), terms[0].shape[1]
    if not np.isfinite(design).all():
        return None
    with one_thread(), np.errstate(all="ignore"):
        fitted = np.linalg.lstsq(design, t, rcond=None)[0]
        rest = t - design @ fitted
        if not float(rest.std() / t.std()) < MAX_REST:
            return None
        is_usable = _is_usable(factors[0])
        target = (terms[0] @ fitted[:n] + rest) / factors[0]
        errors = np.maximum(np.abs(rest), _errors(design, n, rest)) / np.abs(factors[0])
        share = float(np.sqrt(np.mean(errors[is_usable] ** 2)) / target[is_usable].std())
    return StandIns(target, is_usable, share) if np.isfinite(share) else None


def _errors(design: np.ndarray, n: int, rest: np.ndarray) -> np.ndarray:
    """Return standard errors (N,) of the first n terms of a fit: what one term has too much of,
    others have too little of, without a trace in what is left."""
    from scipy.linalg import lapack  # slow to import

    n_rows, n_terms = design.shape
    first = np.where(np.arange(n_terms) < n, design, 0.0)
    # Rows of the first terms, in coordinates where coefficients are independent.
    lever, failed = lapack.dtrtrs(np.linalg.qr(design, mode="r"), first.T, trans=1)
    if failed:
        return np.full(n_rows, np.inf)
    scale = float(np.sqrt((rest @ rest) / max(n_rows - n_terms, 1)))
    return scale * np.sqrt((lever**2).sum(axis=0))


def of_product(t: np.ndarray, columns: Sequence[np.ndarray]) -> StandIns | None:
    """Return what is left for the first piece of a product; see `of_sum`."""
    first, second = (_basis(Z, len(columns)) for Z in columns)
    if first is None or second is None:
        return None
    # By a power of two, which changes no digit.
    size = 2.0 ** np.round(np.log2(t.std())) if t.std() else 1.0
    with one_thread(), np.errstate(all="ignore"):
        found = _product(first, second, t / size)
        if found is None:
            return None
        p, q = found
        rest = float((t / size - p * q).std() / (t / size).std())
        return StandIns(t / q, _is_usable(q), rest) if rest < MAX_REST else None


def _is_usable(divisor: np.ndarray) -> np.ndarray:
    return np.abs(divisor) > MIN_SIZE * np.median(np.abs(divisor))


def _basis(Z: np.ndarray, n_pieces: int) -> np.ndarray | None:
    """Return products of Chebyshev polynomials of columns (N, K), the constant first; (N, M)."""
    n_rows, n_columns = Z.shape
    max_terms = min(MAX_TERMS, int(n_rows / (ROWS_PER_TERM * n_pieces)))
    degrees = range(MIN_DEGREE, MAX_DEGREE + 1)
    degree = max((d for d in degrees if comb(d + n_columns, d) <= max_terms), default=0)
    if not degree:
        return None
    low, high = Z.min(axis=0), Z.max(axis=0)
    V = (2 * Z - low - high) / (high - low)
    terms = [(np.ones(n_rows), degree)]
    for v in V.T:
        single = np.polynomial.chebyshev.chebvander(v, degree)
        terms = [(term * single[:, e], left - e) for term, left in terms for e in range(left + 1)]
    return np.column_stack([term for term, _ in terms])


def _product(
    first: np.ndarray, second: np.ndarray, t: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Fit by turns first, then by Newton's linear equations, t + p q = p' q + p q'.

    One more equation, mean(q q') = 1, keeps the factor that could go from p to q where it is.
    """
    n, q = first.shape[1], np.ones(len(t))
    for _ in range(MAX_TURNS):
        p = first @ np.linalg.lstsq(first * q[:, None], t, rcond=None)[0]
        q = second @ np.linalg.lstsq(second * p[:, None], t, rcond=None)[0]
        q /= float(np.sqrt(np.mean(q**2)))
        if not np.isfinite(q).all():
            return None
    for _ in range(MAX_STEPS):
        p = first @ np.linalg.lstsq(first * q[:, None], t, rcond=None)[0]
        size = float(np.sqrt(np.mean(t**2)))
        fixed = size * np.r_[np.zeros(n), second.T @ q / len(t)]
        design = np.vstack([np.hstack([first * q[:, None], second * p[:, None]]), fixed])
        fitted = np.linalg.lstsq(design, np.r_[t + p * q, size], rcond=None)[0]
        before, q = q, second @ fitted[n:]
        q /= float(np.sqrt(np.mean(q**2)))
        if not np.isfinite(q).all():
            return None
        if np.abs(q - before).max() < CONVERGED:
            break
    return first @ np.linalg.lstsq(first * q[:, None], t, rcond=None)[0], q
