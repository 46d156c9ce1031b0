"""Separability: a target that is a sum or a product of functions of different columns.

    t = f(A) + g(B)    or    t = f(A) g(B)        A, B: groups of columns

*Which groups.* Columns i and j may stand in different groups where on rectangles, the corners of
which differ in these two columns only, a model h of the data obeys

    h_11 + h_22 = h_12 + h_21    or    h_11 h_22 = h_12 h_21

Only rectangles count whose corners have rows of the data near them. Where the rows lie on a curve
or a surface there are none, and nothing is said. Columns that may not be parted make up the groups.

*The pieces* are searched for by turns, each on y minus, or over, the piece found so far:

    t - q(B) -> f,    t - f(A) -> g,    t - g(B) -> f, ...        (or t / q(B) and so on)

The first time there is none. Then a polynomial q stands in, which is fitted to the data
together with one of A, by least squares. It is gone as soon as f is known: from then on what the
searches see is exact. See `halves` for the turns.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import NamedTuple

import numpy as np

from dso.reduction.formula import Formula, filled
from dso.reduction.reduction import Reduction
from dso.reduction.surrogate import Surrogate
from dso.reduction.threads import one_thread

Group = tuple[int, ...]

N_RECTANGLES, MIN_RECTANGLES = 200, 30
REACH = 2.0
"""A corner is near a row within this many times the distance that most rows have to neighbours."""
SLACK = 10.0
"""A rectangle may miss its identity by this many errors of the model on unseen rows, ..."""
MAX_MISS = 1e-2
"""... and by this share of what either column changes between its corners."""
ROUNDING = 1e-9
MAX_COLUMNS = 12
MAX_TERMS, ROWS_PER_TERM, MAX_DEGREE, MIN_DEGREE = 400, 3, 24, 3
"""Of polynomials that stand in."""
MAX_REST = 1e-3
"""Share of the scatter that polynomials may leave; where it is more a search would not know the
piece for what it is."""
MAX_TURNS, MAX_STEPS, CONVERGED = 4, 12, 1e-10
"""Of fits of the two polynomials of a product, by turns and together."""
MIN_SIZE = 0.05
"""Rows where the polynomial of a product is less than this share of its median are left out."""


class StandIn(NamedTuple):
    """Polynomial values of the second group.

    Attributes
    ----------
    values : (N,) float64
    is_usable : (N,) bool
        Rows on which they may be divided by.
    rest : float
        What the two polynomials together leave of the target, as a share of its scatter.
    """

    values: np.ndarray
    is_usable: np.ndarray
    rest: float


@dataclass(frozen=True)
class Separation:
    """The target of a reduction is a sum or a product of functions of two groups of its columns.

    Attributes
    ----------
    reduction : Reduction
    is_product : bool
    groups : tuple of two tuples of int
        Columns, the larger group first.
    """

    reduction: Reduction
    is_product: bool
    groups: tuple[Group, Group]

    def says(self) -> str:
        """Return it as a sentence."""
        texts = self.reduction.column_texts
        first, second = (", ".join(texts[j] for j in group) for group in self.groups)
        whole = "product" if self.is_product else "sum"
        return (
            f"{self.reduction.target_text()} is the {whole} of a function of {first} "
            f"and one of {second}"
        )

    def without(self, k: int, piece: Formula) -> Reduction:
        """Return the reduction to the other group where the piece of group k is known.

        Parameters
        ----------
        k : int
        piece : Formula
            In terms of the columns of that group.
        """
        piece = filled(piece, [(j,) for j in self.groups[k]])
        if self.is_product:
            reduction = self.reduction.divided([(piece, 1.0)])
        else:
            reduction = self.reduction.minus(1.0, piece)
        return reduction.onto([(j,) for j in self.groups[1 - k]])

    def stand_in(self, Z: np.ndarray, t: np.ndarray) -> StandIn | None:
        """Fit polynomials to columns (N, K) and target (N,); None where they do not say it."""
        bases = [_basis(Z[:, list(group)]) for group in self.groups]
        if bases[0] is None or bases[1] is None:
            return None
        fit = _product if self.is_product else _sum
        with one_thread():
            first, second = fit(bases[0], bases[1], t)
        rest = t - (first * second if self.is_product else first + second)
        share = float(rest.std() / t.std())
        if not share < MAX_REST:
            return None
        is_usable = np.ones(len(t), dtype=bool)
        if self.is_product:
            is_usable = np.abs(second) > MIN_SIZE * np.median(np.abs(second))
        return StandIn(second, is_usable, share)


def separation(reduction: Reduction, model: Surrogate) -> Separation | None:
    """Return how the target of a reduction separates, None where it does not.

    Parameters
    ----------
    reduction : Reduction
    model : Surrogate
        Of what it leaves.
    """
    n_columns = model.X.shape[1]
    if not 2 <= n_columns <= MAX_COLUMNS:
        return None
    rectangles = _Rectangles(model)
    for is_product in (False, True):
        groups = [{j} for j in range(n_columns)]
        for i, j in combinations(range(n_columns), 2):
            first, second = (next(g for g in groups if k in g) for k in (i, j))
            if first is not second and not rectangles.are_parted(i, j, is_product):
                first |= second
                groups.remove(second)
        if len(groups) > 1:
            largest = max(groups, key=len)
            others = set(range(n_columns)) - largest
            ordered = sorted((largest, others), key=len, reverse=True)
            return Separation(
                reduction, is_product, (tuple(sorted(ordered[0])), tuple(sorted(ordered[1])))
            )
    return None


class _Rectangles:
    """Rectangles among the rows of a model, from each row to another."""

    def __init__(self, model: Surrogate) -> None:
        from scipy.spatial import KDTree  # slow to import

        self.model = model
        order = np.random.default_rng(0).permutation(len(model.X))
        self.start, self.end = model.X[order], model.X[np.roll(order, 1)]
        self.start, self.end = self.start[:N_RECTANGLES], self.end[:N_RECTANGLES]
        self.error = float(np.median(model.errors))
        self.rows = KDTree(model.standardised(model.X))
        distances = self.rows.query(self.rows.data, k=2)[0][:, 1]
        self.reach = REACH * float(np.quantile(distances, 0.9))

    def are_parted(self, i: int, j: int, is_product: bool) -> bool:
        """Tell whether the identity of a sum or product holds in two columns."""
        corners = []
        for columns in ((), (i,), (j,), (i, j)):
            corner = self.start.copy()
            corner[:, columns] = self.end[:, columns]
            corners.append(corner)
        places = self.model.standardised(np.concatenate(corners))
        is_near = (self.rows.query(places)[0] <= self.reach).reshape(4, -1).all(axis=0)
        if is_near.sum() < MIN_RECTANGLES:
            return False
        h = [self.model.predict(corner[is_near]) for corner in corners]
        size = float(np.median(np.abs(h)))
        if is_product:
            miss = np.abs(h[0] * h[3] - h[1] * h[2]) / size
        else:
            miss = np.abs(h[0] + h[3] - h[1] - h[2])
        # What hardly matters could not be seen to matter together with something else.
        least = min(float(np.median(np.abs(h[k] - h[0]))) for k in (1, 2))
        limit = min(max(SLACK * self.error, ROUNDING * size), MAX_MISS * least)
        return bool(np.median(miss) <= limit)


def _basis(Z: np.ndarray) -> np.ndarray | None:
    """Return products of Chebyshev polynomials of columns (N, K), the constant first; (N, M)."""
    n_rows, n_columns = Z.shape
    max_terms = min(MAX_TERMS, n_rows // ROWS_PER_TERM)
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


def _sum(first: np.ndarray, second: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    n = first.shape[1]
    fitted = np.linalg.lstsq(np.hstack([first, second[:, 1:]]), t, rcond=None)[0]
    return first @ fitted[:n], second[:, 1:] @ fitted[n:]


def _product(first: np.ndarray, second: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit by turns first, then by Newton's linear equations, t + p q = p' q + p q'.

    One more equation, mean(q q') = 1, keeps the factor that could go from p to q where it is.
    """
    n, q = first.shape[1], np.ones(len(t))
    for _ in range(MAX_TURNS):
        p = first @ np.linalg.lstsq(first * q[:, None], t, rcond=None)[0]
        q = second @ np.linalg.lstsq(second * p[:, None], t, rcond=None)[0]
        q /= float(np.sqrt(np.mean(q**2)))
    for _ in range(MAX_STEPS):
        p = first @ np.linalg.lstsq(first * q[:, None], t, rcond=None)[0]
        size = float(np.sqrt(np.mean(t**2)))
        fixed = size * np.r_[np.zeros(n), second.T @ q / len(t)]
        design = np.vstack([np.hstack([first * q[:, None], second * p[:, None]]), fixed])
        fitted = np.linalg.lstsq(design, np.r_[t + p * q, size], rcond=None)[0]
        before, q = q, second @ fitted[n:]
        q /= float(np.sqrt(np.mean(q**2)))
        if np.abs(q - before).max() < CONVERGED:
            break
    return first @ np.linalg.lstsq(first * q[:, None], t, rcond=None)[0], q
