"""Programs without constants that come near y: each hole gets the entry nearest to it.

With noise nothing matches, but the true form is among those that come nearest. What is least is the
squared error of an entry s, or its negative, in a hole that wants h, weighted by what it makes of y
(see `contexts`):

    sum v (h -+ s)^2  =  sum v h^2  -+  2 sum v h s  +  sum v s^2

so that all entries are compared with all contexts by two products of matrices. An error times
exp(c / n) counts as much as one whose criterion in `ranking` is c greater, for n rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dso.native import _core
from dso.program import ProgramBatch
from dso.semantic.budget import Budget
from dso.semantic.contexts import Comparison
from dso.semantic.problem import Problem
from dso.semantic.ranking import COST_PER_PARTNER, COST_WEIGHT
from dso.semantic.strategies.strategy import Strategy, Turn
from dso.semantic.value_library import ValueLibrary
from dso.semantic.writing import Tokens, filled

MAX_NEAR_ENTRIES, MAX_NEAR_CONTEXTS = 5000, 1000
"""The cheapest, that are compared."""
MAX_COMPARISONS = MAX_NEAR_ENTRIES * MAX_NEAR_CONTEXTS
"""Of all of them."""
N_NEAREST = 3
"""Entries of each context that are candidates: others are much like them."""
MAX_CANDIDATES = 300
"""Programs that are written, the most promising of all."""
N_TOGETHER = 50
"""Contexts that are compared with all entries at a time."""


@dataclass(frozen=True)
class NearestSearch(Strategy):
    """Looks for entries that nearly have the values that contexts want."""

    turn: ClassVar[Turn] = Turn.LAST

    @classmethod
    def suits(cls, problem: Problem) -> bool:
        return not problem.has_const

    @classmethod
    def reserve(cls, n_evaluations: int) -> int:
        return min(n_evaluations // 4, MAX_COMPARISONS)

    def run(
        self, values: ValueLibrary, joins: _core.SemanticSearch, budget: Budget
    ) -> ProgramBatch:
        # As many entries for each context as there are in the whole table.
        share = min(1.0, budget.vectors_left / MAX_COMPARISONS) ** 0.5
        compared = Comparison.of(
            self.problem.data,
            values,
            joins,
            n_entries=int(share * MAX_NEAR_ENTRIES),
            n_contexts=int(share * MAX_NEAR_CONTEXTS),
        )
        contexts = compared.contexts
        entries = np.flatnonzero(np.isfinite(compared.columns).all(axis=1))
        n_comparisons = len(contexts.numbers) * len(entries)
        if not n_comparisons:
            return ProgramBatch.from_rows([])
        budget.count(vectors=n_comparisons)
        number, best, is_negative = nearest(
            contexts.values,
            contexts.weights * (compared.weights / compared.weights.mean()),
            compared.columns[entries],
            np.exp(COST_PER_PARTNER / len(compared.y) * contexts.n_partners),
            np.exp(COST_WEIGHT / len(compared.y) * compared.costs[entries]),
        )
        frames = ProgramBatch.from_arrays(*joins.contexts(contexts.numbers[number]))
        parts = values.programs(entries[best])
        return self.problem.allowed(self._written(frames, parts, is_negative))

    def _written(
        self, frames: ProgramBatch, parts: ProgramBatch, is_negative: np.ndarray
    ) -> ProgramBatch:
        """Write entries, or their negatives, into the holes of contexts."""
        rows = []
        for i in range(len(parts)):
            part: Tokens | None = parts.row(i).tolist()
            if is_negative[i]:
                part = self.problem.writer.negative(part)
            if part is not None:
                rows.append(filled(frames.row(i).tolist(), part))
        return ProgramBatch.from_rows(rows)


def nearest(
    wanted: np.ndarray,
    weights: np.ndarray,
    columns: np.ndarray,
    row_factors: np.ndarray,
    column_factors: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which columns are nearest to what is wanted.

    Parameters
    ----------
    wanted, weights : (C, N) float64
    columns : (n, N) float64
    row_factors, column_factors : (C,) and (n,) float64
        Of the errors.

    Returns
    -------
    rows, columns : (P,) int
        The best pair first.
    is_negative : (P,) bool
        Whether the column's negative is meant.
    """
    n_kept = min(N_NEAREST, len(columns))
    squares = columns**2
    found = []
    for begin in range(0, len(wanted), N_TOGETHER):
        some = slice(begin, begin + N_TOGETHER)
        errors, is_negative = _errors(wanted[some], weights[some], columns, squares)
        errors *= row_factors[some, None] * column_factors
        best = np.argpartition(errors, n_kept - 1, axis=1)[:, :n_kept].ravel()
        row = np.repeat(np.arange(len(errors)), n_kept)
        found.append((errors[row, best], begin + row, best, is_negative[row, best]))
    errors, row, best, is_negative = map(np.concatenate, zip(*found, strict=True))
    order = np.argsort(errors, kind="stable")[:MAX_CANDIDATES]
    return row[order], best[order], is_negative[order]


def _errors(
    wanted: np.ndarray, weights: np.ndarray, columns: np.ndarray, squares: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return weighted sums of squared errors, and where a column's negative is meant, both (C, n).

    Parameters
    ----------
    wanted, weights : (C, N) float64
    columns, squares : (n, N) float64
        Of the columns.
    """
    products = (weights * wanted) @ columns.T
    errors = weights @ squares.T - 2 * np.abs(products)
    errors += (weights * wanted**2).sum(axis=1)[:, None]
    return np.maximum(errors, 0.0), products < 0
