"""Matches up to scale and offset: contexts that want a + k s for an entry s and any numbers a, k.

Two vectors of values v and w are equal up to scale and offset where they have the same

    (v_2 - v_0) / (v_1 - v_0)    and    (v_3 - v_0) / (v_1 - v_0),

which neither scale nor offset changes. Entries are sorted by the first, so that the matches of a
context are found by bisection; of those with the same second, k = (w_1 - w_0) / (s_1 - s_0) and
a = w_0 - k s_0. So two constants are seen through at the price of a look-up, wherever in a chain of
functions they stand. What matches on four rows is fitted to all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dso.native import _core
from dso.program import ProgramBatch
from dso.semantic.budget import Budget
from dso.semantic.candidates import Candidate, fitted, written
from dso.semantic.problem import Problem
from dso.semantic.strategies.strategy import Strategy, Turn
from dso.semantic.value_library import ValueLibrary

MAX_MATCHES = 400
"""That are fitted, or little more: where there are many, the data have hardly any values."""
FIRST_TOLERANCE, SECOND_TOLERANCE = 1e-8, 1e-7
"""Difference of two keys that is rounding, relative to keys above 1."""
MIN_STEP = 1e-9
"""Of v_1 - v_0, relative to the values: less is what rounding has left."""


@dataclass(frozen=True)
class AffineSearch(Strategy):
    """Fits what agrees on the key rows up to scale and offset.

    With the first library `LinearSearch` asks it, and goes on where nothing is exact.
    """

    turn: ClassVar[Turn] = Turn.LATER

    @classmethod
    def suits(cls, problem: Problem) -> bool:
        return problem.has_const

    def run(
        self, values: ValueLibrary, joins: _core.SemanticSearch, budget: Budget
    ) -> ProgramBatch:
        entries, wanted = values.values, joins.context_values
        budget.count(vectors=len(wanted))
        starts = written(self.problem, values, joins, list(matches(entries, wanted)))
        return fitted(self.problem, starts, budget)


def matches(entries: np.ndarray, wanted: np.ndarray) -> Iterator[Candidate]:
    """Yield which entries (n, 4) and wanted values (C, 4) agree up to scale and offset."""
    keys, queries = affine_keys(entries), affine_keys(wanted)
    order = np.argsort(keys[:, 0], kind="stable")
    keys = keys[order]
    margin = FIRST_TOLERANCE * np.maximum(np.abs(queries[:, 0]), 1)
    first = np.searchsorted(keys[:, 0], queries[:, 0] - margin)
    last = np.searchsorted(keys[:, 0], queries[:, 0] + margin)
    n_found = 0
    for i in np.flatnonzero(first < last):
        block = slice(first[i], last[i])
        limit = SECOND_TOLERANCE * max(abs(queries[i, 1]), 1)
        for j in order[block][np.abs(keys[block, 1] - queries[i, 1]) <= limit]:
            k = (wanted[i, 1] - wanted[i, 0]) / (entries[j, 1] - entries[j, 0])
            yield Candidate(-np.inf, int(i), (int(j),), (wanted[i, 0] - k * entries[j, 0], k))
            n_found += 1
        if n_found >= MAX_MATCHES:
            return


def affine_keys(values: np.ndarray) -> np.ndarray:
    """Return what of value vectors (n, 4) depends on neither scale nor offset, (n, 2)."""
    with np.errstate(all="ignore"):
        steps = values[:, 1:] - values[:, :1]
        keys = steps[:, 1:] / steps[:, :1]
        size = np.abs(values).max(axis=1, keepdims=True)
    bad = ~np.isfinite(keys).all(axis=1) | (np.abs(steps[:, :1]) < MIN_STEP * size)[:, 0]
    return np.where(bad[:, None], np.nan, keys)
