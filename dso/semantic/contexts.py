"""Contexts on rows of data: what must stand in the hole for the whole to be y, row by row.

With noise, or constants still to be fitted, what stands in the hole only comes near the values
wanted there, h. An error e in the hole is an error e dy/dh of the whole, to first order. So squared
errors in the hole are weighted by

    (dy/dh)^2 = 1 / (dh/dy)^2,

the inverse variance of h where that of y is 1: the delta method. dh/dy is measured: y is moved by a
millionth of its scale, and the chain of inverses that gives h is worked out once more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dso.native import _core
from dso.program import ProgramBatch, execute
from dso.program.execute import VALID
from dso.semantic.forms import Forms, solved
from dso.semantic.target import Target
from dso.semantic.value_library import ValueLibrary

MAX_COMPARED_ROWS = 200
"""Rows that entries are compared on with what contexts want: enough to put them in order."""
STEP_OF_Y = 1e-6
"""In units of its scale, to measure dh/dy: half of the digits are left for the difference."""
SAME = 1e-9
"""By which a correlation may be short of 1 where transforms are equal up to scale and offset."""


@dataclass(frozen=True)
class Contexts:
    """The cheapest contexts, y itself first.

    Attributes
    ----------
    numbers : (C,) int64
        As `_core.SemanticSearch` counts them.
    values : (C, N) float64
        Wanted in the hole.
    weights : (C, N) float64
        Inverse variances of the wanted values where those of y are 1.
    n_partners : (C,) int64
        Entries outside the hole.
    is_transform : (C,) bool
        Whether these are numbers, so that the hole wants a function of y alone: 1 / y, say.
    """

    numbers: np.ndarray
    values: np.ndarray
    weights: np.ndarray
    n_partners: np.ndarray
    is_transform: np.ndarray

    def transforms(self, n: int) -> list[int]:
        """Return the first n transforms of y, of those that are equal up to scale and offset one.

        A sum of entries with an offset and factors has one fit for all of those.
        """
        centred = self.values - self.values.mean(axis=1, keepdims=True)
        with np.errstate(invalid="ignore"):  # a constant has no direction
            directions = centred / np.linalg.norm(centred, axis=1, keepdims=True)
        found: list[int] = []
        for i in np.flatnonzero(self.is_transform).tolist():
            if np.isnan(directions[i, 0]) or len(found) == n:
                continue
            if (np.abs(directions[found] @ directions[i]) < 1 - SAME).all():
                found.append(i)
        return found


@dataclass(frozen=True)
class Comparison:
    """The cheapest entries and contexts on the same rows.

    Attributes
    ----------
    y, weights : (N,) float64
        Of the rows.
    entries : ProgramBatch
        The first n.
    columns : (n, N) float64
        Their values, NaN where one is not valid on all rows.
    costs : (n,) int32
    contexts : Contexts
    """

    y: np.ndarray
    weights: np.ndarray
    entries: ProgramBatch
    columns: np.ndarray
    costs: np.ndarray
    contexts: Contexts

    @staticmethod
    def of(
        data: Target,
        values: ValueLibrary,
        joins: _core.SemanticSearch,
        *,
        n_entries: int,
        n_contexts: int,
    ) -> Comparison:
        """Execute the first entries, and work out the first contexts that have no others."""
        X, y, weights = data.thinned(MAX_COMPARED_ROWS)
        entries = values.programs(np.arange(min(n_entries, len(values))))
        columns, cause, _ = execute(data.library, entries, X, data.protected)
        columns[cause != VALID] = np.nan
        contexts = contexts_on_rows(joins, values.forms, n_contexts, columns, y)
        return Comparison(y, weights, entries, columns, values.costs[: len(entries)], contexts)


def contexts_on_rows(
    joins: _core.SemanticSearch,
    forms: Forms,
    n_contexts: int,
    entry_values: np.ndarray,
    y: np.ndarray,
) -> Contexts:
    """Work out the first contexts on rows.

    Parameters
    ----------
    joins : _core.SemanticSearch
    forms : Forms
    n_contexts : int
    entry_values : (n, N) float64
        Of the first entries, NaN where one is not valid; contexts with others are left out.
    y : (N,) float64
    """
    parents, others, numbers, slots = (column[:n_contexts] for column in joins.context_table)
    step = STEP_OF_Y * max(float(np.std(y)), 1e-12 * float(np.abs(y).max()))
    wanted = np.full((len(parents), len(y)), np.nan)
    moved = wanted.copy()
    n_partners = np.zeros(len(parents), dtype=np.int64)
    is_transform = np.ones(len(parents), dtype=bool)
    with np.errstate(all="ignore"):
        for i, (parent, other) in enumerate(zip(parents, others, strict=True)):
            if parent < 0:
                wanted[i], moved[i] = y, y + step
                continue
            if other >= len(entry_values):
                continue
            solution = forms.inverses[numbers[i]][slots[i]]
            assert solution is not None
            partner = entry_values[other] if other >= 0 else None
            n_partners[i] = n_partners[parent] + (other >= 0)
            is_number = partner is None or np.ptp(partner) == 0
            is_transform[i] = is_transform[parent] and is_number
            for table in (wanted, moved):
                table[i] = solved(solution, table[parent], partner)
        slopes = (moved - wanted) / step
        weights = 1 / slopes**2
    fits = np.isfinite(wanted).all(axis=1) & np.isfinite(weights).all(axis=1)
    fits &= (weights > 0).all(axis=1)
    kept = np.flatnonzero(fits)
    return Contexts(kept, wanted[kept], weights[kept], n_partners[kept], is_transform[kept])
