"""Separability: a target whose pieces are functions of fewer columns.

    t = f(A) + g(B)    or    t = f(A) g(B)    or    t = c_0(A) + c_1(A) m_1 + c_2(A) m_2

A and B are groups of columns, and m_k powers of a column that A lacks (see `polynomial`).

*Which groups.* Columns i and j may stand in different groups where on rectangles, the corners of
which differ in these two columns only, a model h of the data obeys

    h_11 + h_22 = h_12 + h_21    or    h_11 h_22 = h_12 h_21

Only rectangles count whose corners have rows of the data near them. Where the rows lie on a curve
or a surface there are none, and nothing is said. Columns that may not be parted make up the groups.

*The pieces* are searched for by turns, each on what the others leave of y:

    t - q(B) -> f,    t - f(A) -> g,    t - g(B) -> f, ...        (or t / q(B) and so on)

For a piece that is not known yet a polynomial q stands in (see `stand_ins`). It is gone as soon as
the piece is known: where all others are, what a search sees is exact. See `turns`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from dso.reduction.formula import (
    Formula,
    apply,
    as_text,
    combination,
    filled,
    inputs_of,
    values,
)
from dso.reduction.inside import Inside
from dso.reduction.reduction import Reduction
from dso.reduction.shortening import shorter
from dso.reduction.stand_ins import StandIns, of_product, of_sum
from dso.reduction.surrogate import Surrogate

Group = tuple[int, ...]

N_RECTANGLES = 200
SLACK = 10.0
"""An identity may be missed by this many errors of the model on unseen rows, ..."""
MAX_MISS = 1e-2
"""... and by this share of what either column changes between its corners."""
ROUNDING = 1e-9
MAX_COLUMNS = 12
ONE: Formula = (1.0,)
"""Without inputs; not to be compared with, as column 1 equals it."""


@dataclass(frozen=True)
class Separation:
    """The target of a reduction is a sum or a product of functions of groups of its columns.

    Attributes
    ----------
    reduction : Reduction
    is_product : bool
        Of two functions.
    groups : tuple of tuples of int
        Columns; those of a sum or a product of functions of different ones, the larger group first.
    factors : tuple of Formula
        In terms of the columns, what each function of a sum is multiplied by; empty for 1.
    """

    reduction: Reduction
    is_product: bool
    groups: tuple[Group, ...]
    factors: tuple[Formula, ...] = ()

    @property
    def n_pieces(self) -> int:
        """How many functions there are."""
        return len(self.groups)

    def says(self) -> str:
        """Return it as a sentence."""
        texts, target = self.reduction.column_texts, self.reduction.target_text()
        first, second = (", ".join(texts[j] for j in group) for group in self.groups[:2])
        if self.factors:
            return f"{target} is {self._sum_text()}, where each c is a function of {first}"
        whole = "product" if self.is_product else "sum"
        return f"{target} is the {whole} of a function of {first} and one of {second}"

    def _sum_text(self) -> str:
        """Return "c0 + c1*x", say."""
        reduction, terms = self.reduction, []
        for k, factor in enumerate(self.factors):
            function: Formula = (reduction.hole + k,)
            term = apply("mul", function, filled(factor, reduction.columns))
            terms.append((1.0, shorter(term)[0]))
        functions = [f"c{k}" for k in range(self.n_pieces)]
        return as_text(combination(terms), [*reduction.names, *functions])

    def without(self, k: int, pieces: Mapping[int, Formula]) -> Reduction:
        """Return the reduction to piece k where all others are known.

        Parameters
        ----------
        k : int
        pieces : mapping of int to Formula
            The others, and what else is known; each in terms of the columns of its group.
        """
        reduction = self.reduction
        for other, piece in pieces.items():
            term = self._term(other, piece)
            if other == k:
                continue
            if self.is_product:
                reduction = reduction.divided([(term, 1.0)])
            else:
                reduction = reduction.minus(1.0, term)
        if self._has_factor(k):
            reduction = reduction.divided([(self.factors[k], 1.0)])
        return reduction.onto([(j,) for j in self.groups[k]])

    def _term(self, k: int, piece: Formula) -> Formula:
        piece = filled(piece, [(j,) for j in self.groups[k]])
        return apply("mul", self.factors[k], piece) if self._has_factor(k) else piece

    def _has_factor(self, k: int) -> bool:
        return bool(self.factors) and bool(inputs_of(self.factors[k]))

    def stand_ins(
        self, k: int, pieces: Mapping[int, Formula], Z: np.ndarray, t: np.ndarray
    ) -> StandIns | None:
        """Return what polynomials for unknown pieces leave for piece k; see `stand_ins`.

        Parameters
        ----------
        k : int
        pieces : mapping of int to Formula
            Those that are known.
        Z, t : (N, K) and (N,) float64
            Columns and target.
        """
        unknown = [k, *(j for j in range(self.n_pieces) if j != k and j not in pieces)]
        columns = [Z[:, list(self.groups[j])] for j in unknown]
        if self.is_product:
            return of_product(t, columns)
        with np.errstate(all="ignore"):
            known = [values(self._term(j, piece), Z) for j, piece in pieces.items() if j != k]
            one = np.ones(len(t))
            factors = [values(self.factors[j], Z) if self.factors else one for j in unknown]
        return of_sum(t - sum(known), factors, columns)


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
    rectangles = _Rectangles(Inside(model))
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

    def __init__(self, inside: Inside) -> None:
        self.inside, X = inside, inside.model.X
        order = np.random.default_rng(0).permutation(len(X))
        self.start, self.end = X[order], X[np.roll(order, 1)]
        self.start, self.end = self.start[:N_RECTANGLES], self.end[:N_RECTANGLES]

    def are_parted(self, i: int, j: int, is_product: bool) -> bool:
        """Tell whether the identity of a sum or product holds in two columns."""
        corners = []
        for columns in ((), (i,), (j,), (i, j)):
            corner = self.start.copy()
            corner[:, columns] = self.end[:, columns]
            corners.append(corner)
        h = self.inside.values(corners)
        if h is None:
            return False
        size = float(np.median(np.abs(h)))
        if is_product:
            miss = np.abs(h[0] * h[3] - h[1] * h[2]) / size
        else:
            miss = np.abs(h[0] + h[3] - h[1] - h[2])
        # What hardly matters could not be seen to matter together with something else.
        least = min(float(np.median(np.abs(h[k] - h[0]))) for k in (1, 2))
        limit = min(max(SLACK * self.inside.error, ROUNDING * size), MAX_MISS * least)
        return bool(np.median(miss) <= limit)
