"""Contexts on rows of data: what must stand in the hole for the whole to be y, row by row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dso.library import OPERATORS, Library
from dso.native import _core
from dso.program import ProgramBatch, execute
from dso.program.execute import VALID
from dso.semantic.forms import Forms
from dso.semantic.value_library import ValueLibrary

MOST_ROWS = 200
"""Rows that entries are compared on with what contexts want."""
STEP = 1e-6
"""Of the scale of y, to tell how a context's value depends on it."""


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
        Entries beside the hole.
    """

    numbers: np.ndarray
    values: np.ndarray
    weights: np.ndarray
    n_partners: np.ndarray


def cheapest_on_rows(
    library: Library, values: ValueLibrary, n: int, X: np.ndarray, protected: bool
) -> tuple[ProgramBatch, np.ndarray]:
    """Return the first n entries and their values on rows (n, N), NaN where one is not valid."""
    entries = values.programs(np.arange(n))
    columns, cause, _ = execute(library, entries, X, protected)
    columns[cause != VALID] = np.nan
    return entries, columns


def contexts_on_rows(
    search: _core.SemanticSearch,
    forms: Forms,
    n_contexts: int,
    entry_values: np.ndarray,
    y: np.ndarray,
) -> Contexts:
    """Work out the first contexts on rows.

    Parameters
    ----------
    search : _core.SemanticSearch
    forms : Forms
    n_contexts : int
    entry_values : (n, N) float64
        Of the first entries, NaN where one is not valid; contexts with others are left out.
    y : (N,) float64
    """
    parents, others, numbers, slots = (column[:n_contexts] for column in search.context_table)
    step = STEP * max(float(np.std(y)), 1e-12 * float(np.abs(y).max()))
    wanted = np.full((len(parents), len(y)), np.nan)
    moved = wanted.copy()
    n_partners = np.zeros(len(parents), dtype=np.int64)
    with np.errstate(all="ignore"):
        for i, (parent, other) in enumerate(zip(parents, others, strict=True)):
            if parent < 0:
                wanted[i], moved[i] = y, y + step
                continue
            if other >= len(entry_values):
                continue
            solution = forms.inverses[numbers[i]][slots[i]]
            assert solution is not None
            beside = entry_values[other] if other >= 0 else None
            n_partners[i] = n_partners[parent] + (other >= 0)
            for table in (wanted, moved):
                table[i] = _solve(solution, table[parent], beside)
        slopes = (moved - wanted) / step
        weights = 1 / slopes**2
    fits = np.isfinite(wanted).all(axis=1) & np.isfinite(weights).all(axis=1)
    fits &= (weights > 0).all(axis=1)
    kept = np.flatnonzero(fits)
    return Contexts(kept, wanted[kept], weights[kept], n_partners[kept])


def _solve(solution: tuple[str, ...], y: np.ndarray, beside: np.ndarray | None) -> np.ndarray:
    """Return the argument that an operator's row of the table is solved for."""
    name, *operands = solution
    return OPERATORS[name].numpy(*(y if operand == "y" else beside for operand in operands))
