"""Targets that are polynomials in a power u = x^p of one column, with functions of all others:

    t = c_0(others) + c_1(others) u    or    t = c_0(others) + c_1(others) u + c_2(others) u^2

Along a line on which all others stay as they are, a model h of the data at points that are equally
far apart in u then has next to no second, or third, difference:

    h_0 - 2 h_1 + h_2 = 0    or    h_0 - 3 h_1 + 3 h_2 - h_3 = 0

That proposes it. The data confirm it if a model of that form,

    k(x, x') = (1 + u u')^n k(others, others')        n: the degree

errs much less on unseen rows. The coefficients are found as the pieces of any sum are: see
`separation`.
"""

from __future__ import annotations

from math import comb
from typing import NamedTuple

import numpy as np

from dso.reduction.formula import Formula, power, product
from dso.reduction.inside import Inside
from dso.reduction.reduction import Reduction
from dso.reduction.separation import MAX_COLUMNS, ONE, Separation
from dso.reduction.surrogate import Surrogate

POWERS = (1.0, 2.0, -1.0, -2.0, 0.5)
"""p."""
DEGREES = (1, 2)
N_LINES = 200
MIN_LENGTH = 0.3
"""Of a line, as a share of the range of u: on shorter ones everything is straight."""
MAX_MISS = 0.02
"""Share of what the target changes along a line by which a difference may miss zero."""


class Polynomial(NamedTuple):
    """A polynomial in a power of one column.

    Attributes
    ----------
    column : int
    power : float
    degree : int
    """

    column: int
    power: float
    degree: int

    def likeness(self, Z: np.ndarray) -> np.ndarray:
        """Return how it makes rows (N, D) alike, (N, N)."""
        u = Z[:, self.column] ** self.power
        u = (u - u.mean()) / u.std()
        return ((1 + np.outer(u, u)) / 2) ** self.degree

    def separation(self, reduction: Reduction) -> Separation:
        """Return the pieces of the target of a reduction."""
        others = tuple(k for k in range(len(reduction.columns)) if k != self.column)
        exponents = [self.power * e for e in range(1, self.degree + 1)]
        factors = (ONE, *(_power(self.column, exponent) for exponent in exponents))
        return Separation(reduction, False, (others,) * (self.degree + 1), factors)


def polynomials(model: Surrogate) -> list[Polynomial]:
    """Return the polynomials that what a model says is near to, the likeliest of each degree first.

    Those of a lower degree come first.
    """
    n_columns = model.X.shape[1]
    if not 2 <= n_columns <= MAX_COLUMNS:
        return []
    inside = Inside(model)
    misses = {
        one: _miss(inside, one)
        for degree in DEGREES
        for j in range(n_columns)
        for p in POWERS
        if p == 1 or model.X[:, j].min() > 0
        for one in [Polynomial(j, p, degree)]
    }
    likely = [one for one, miss in misses.items() if miss < MAX_MISS]
    return sorted(likely, key=lambda one: (one.degree, misses[one]))


def _power(j: int, exponent: float) -> Formula:
    return power((j,), exponent) if exponent > 0 else product([((j,), exponent)])


def _miss(inside: Inside, one: Polynomial) -> float:
    """Return the difference that ought to be zero, as a share of what the target changes."""
    X, j, p = inside.model.X, one.column, one.power
    first = np.random.default_rng(0).permutation(len(X))
    last = np.roll(first, 1)
    u = X[:, j] ** p
    lines = np.flatnonzero(np.abs(u[last] - u[first]) > MIN_LENGTH * np.ptp(u))[:N_LINES]
    first, last = first[lines], last[lines]
    corners = []
    for share in np.linspace(0, 1, one.degree + 2):
        corner = X[first].copy()
        corner[:, j] = ((1 - share) * u[first] + share * u[last]) ** (1 / p)
        corners.append(corner)
    h = inside.values(corners)
    if h is None:
        return np.inf
    signs = [(-1) ** k * comb(one.degree + 1, k) for k in range(one.degree + 2)]
    miss = float(np.median(np.abs(np.tensordot(signs, h, axes=1))))
    change = float(np.median(np.ptp(h, axis=0)))
    return miss / change if change else np.inf
