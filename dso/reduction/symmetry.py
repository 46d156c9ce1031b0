"""Inputs that may be exchanged: y = g(a, b, ...) = g(b, a, ...) is a function of a + b and a b.

So is every function of a + b and a b symmetric: with these for columns a search writes no others.
There are no fewer columns than before, so that it is a prior for the search rather than a smaller
problem. A model is asked for its values at rows with the two exchanged, where rows are near.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from dso.reduction.formula import Formula, apply
from dso.reduction.inside import Inside
from dso.reduction.reduction import Reduction
from dso.reduction.separation import MAX_COLUMNS, MAX_MISS, ROUNDING, SLACK
from dso.reduction.surrogate import Surrogate


@dataclass(frozen=True)
class Exchange:
    """Two inputs may be exchanged."""

    residual: float
    inputs: tuple[int, ...]
    rank = 6

    def applied(self, reduction: Reduction) -> Reduction:
        """See `Move`."""
        columns: list[Formula] = [(k,) for k in range(len(reduction.columns))]
        i, j = self.inputs
        columns[i], columns[j] = self._columns
        return reduction.onto(columns)

    @property
    def _columns(self) -> tuple[Formula, Formula]:
        first, second = ((k,) for k in self.inputs)
        return apply("add", first, second), apply("mul", first, second)

    def text(self, reduction: Reduction) -> str:
        """See `Move`."""
        first, second = (reduction.text((k,)) for k in self.inputs)
        total, whole = map(reduction.text, self._columns)
        return f"{first} and {second} may be exchanged, so they enter as {total} and {whole}"


def exchanges(model: Surrogate) -> list[Exchange]:
    """Return the pairs of columns that may be exchanged as far as a model can tell."""
    n_columns = model.X.shape[1]
    if not 2 <= n_columns <= MAX_COLUMNS:
        return []
    inside = Inside(model)
    found = [_exchange(inside, i, j) for i, j in combinations(range(n_columns), 2)]
    return sorted(filter(None, found), key=lambda one: one.residual)


def _exchange(inside: Inside, i: int, j: int) -> Exchange | None:
    X = inside.model.X
    exchanged, moved = X.copy(), X.copy()
    exchanged[:, [i, j]] = X[:, [j, i]]
    moved[:, i] = X[:, j]
    h = inside.values([X, exchanged, moved])
    if h is None:
        return None
    miss = float(np.median(np.abs(h[1] - h[0])))
    # What changes where one of them alone changes.
    least = float(np.median(np.abs(h[2] - h[0])))
    size = float(np.median(np.abs(h)))
    if miss > min(max(SLACK * inside.error, ROUNDING * size), MAX_MISS * least):
        return None
    return Exchange(miss / least if least else np.inf, (i, j))
