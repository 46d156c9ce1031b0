"""Programs without constants that come near y: in the hole of a context the entry nearest to it."""

from __future__ import annotations

import numpy as np

from dso.library import Library
from dso.native import _core
from dso.program import ProgramBatch
from dso.semantic.contexts import MOST_ROWS, cheapest_on_rows, contexts_on_rows
from dso.semantic.ranking import COST_WEIGHT, Target
from dso.semantic.value_library import ValueLibrary
from dso.semantic.writing import Tokens, Writer

N_ENTRIES, N_CONTEXTS = 5000, 1000
MOST_NEAR = N_ENTRIES * N_CONTEXTS
"""Comparisons of all of them."""
N_KEPT = 3
"""Entries of each context that are candidates: others are much like them."""
N_CANDIDATES = 300
"""Programs that are written, the most promising of all."""
N_TOGETHER = 50
"""Contexts that are compared with all entries at a time."""


class NearestSearch:
    """Looks for entries that nearly have the values that contexts want.

    Parameters
    ----------
    library : Library
    values : ValueLibrary
    search : _core.SemanticSearch
        Over the same values; its contexts are used.
    data : Target
    writer : Writer
    max_evaluations : int
        Comparisons of an entry with what a context wants.

    Attributes
    ----------
    n_evaluations : int
        Comparisons made.
    """

    def __init__(
        self,
        library: Library,
        values: ValueLibrary,
        search: _core.SemanticSearch,
        data: Target,
        writer: Writer,
        *,
        max_evaluations: int,
    ) -> None:
        self.library, self.values, self.search = library, values, search
        self.data, self.writer = data, writer
        self.max_evaluations = max_evaluations
        self.n_evaluations = 0

    def run(self) -> ProgramBatch:
        """Return the most promising programs, the best first."""
        X, y, row_weights = self.data.thinned(MOST_ROWS)
        # As many entries for each context as there are in the whole table.
        share = min(1.0, self.max_evaluations / MOST_NEAR) ** 0.5
        n_entries, n_contexts = int(share * N_ENTRIES), int(share * N_CONTEXTS)
        n_entries = min(n_entries, len(self.values))
        _, columns = cheapest_on_rows(self.library, self.values, n_entries, X, self.data.protected)
        contexts = contexts_on_rows(self.search, self.values.forms, n_contexts, columns, y)
        entries = np.flatnonzero(np.isfinite(columns).all(axis=1))
        self.n_evaluations = len(contexts.numbers) * len(entries)
        if not self.n_evaluations:
            return ProgramBatch.from_rows([])
        # The information criterion and costs, as factors of the errors.
        unit = COST_WEIGHT / len(y)
        number, best, negative = _nearest(
            contexts.values,
            contexts.weights * (row_weights / row_weights.mean()),
            columns[entries],
            np.exp(unit * 2 * contexts.n_partners),
            np.exp(unit * self.values.costs[entries]),
        )
        return self._written(contexts.numbers[number], entries[best], negative)

    def _written(
        self, contexts: np.ndarray, entries: np.ndarray, negative: np.ndarray
    ) -> ProgramBatch:
        """Write entries, or their negatives, into the holes of contexts."""
        tokens, lengths = self.search.contexts(contexts)
        parts = self.values.programs(entries)
        rows = []
        for i in range(len(contexts)):
            part: Tokens | None = parts.row(i).tolist()
            if negative[i]:
                part = self.writer.negative(part)
            if part is not None:
                frame = tokens[i, : lengths[i]].tolist()
                rows.append(_filled(frame, part))
        return ProgramBatch.from_rows(rows)


def _nearest(
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
    negative : (P,) bool
        Whether the column's negative is meant.
    """
    n_kept = min(N_KEPT, len(columns))
    squares = columns**2
    found = []
    for begin in range(0, len(wanted), N_TOGETHER):
        some = slice(begin, begin + N_TOGETHER)
        errors, negative = _errors(wanted[some], weights[some], columns, squares)
        errors *= row_factors[some, None] * column_factors
        best = np.argpartition(errors, n_kept - 1, axis=1)[:, :n_kept].ravel()
        row = np.repeat(np.arange(len(errors)), n_kept)
        found.append((errors[row, best], begin + row, best, negative[row, best]))
    errors, row, best, negative = map(np.concatenate, zip(*found, strict=True))
    order = np.argsort(errors, kind="stable")[:N_CANDIDATES]
    return row[order], best[order], negative[order]


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


def _filled(frame: Tokens, part: Tokens) -> Tokens:
    return [t for token in frame for t in (part if token == _core.HOLE else [token])]
