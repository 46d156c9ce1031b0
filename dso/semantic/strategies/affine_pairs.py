"""Pairs up to scale and offset: contexts that want a + k s t, or a + k s / t, for any numbers a, k.

t cannot be looked up given s, since neither number is known. But contexts are few: so the pairs
of the cheapest entries are computed, and each is looked up among all contexts by what neither scale
nor offset changes (see `affine`). That is done in native code: `native/semantic/affine.hpp`. What
matches on four rows is fitted to all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dso.native import _core
from dso.program import ProgramBatch, execute
from dso.semantic.budget import Budget
from dso.semantic.candidates import Start, fitted, inside
from dso.semantic.problem import Problem
from dso.semantic.strategies.strategy import Strategy
from dso.semantic.value_library import ValueLibrary

MAX_PAIRED = 5000
"""Entries, the cheapest, that are paired as far as the look-ups go."""
MAX_PAIRS = 200
"""That are fitted: where there are many, the data have hardly any values."""

MIN_OFFSET = 1e-8
"""Relative to what is wanted: less is rounding of none."""


@dataclass(frozen=True)
class AffinePairSearch(Strategy):
    """Looks up pairs of entries among contexts, up to scale and offset."""

    looks_up: ClassVar[bool] = True

    @classmethod
    def suits(cls, problem: Problem) -> bool:
        return problem.has_const

    def run(
        self, values: ValueLibrary, joins: _core.SemanticSearch, budget: Budget
    ) -> ProgramBatch:
        problem, writer = self.problem, self.problem.writer
        numbers, tokens, lengths, n_lookups = joins.affine_pairs(
            MAX_PAIRED, budget.lookups_left, MAX_PAIRS, budget.is_up
        )
        budget.count(lookups=n_lookups)
        pairs = ProgramBatch.from_arrays(tokens, lengths)
        frames = ProgramBatch.from_arrays(*joins.contexts(numbers))
        wanted = joins.context_values[numbers]
        key_columns = np.ascontiguousarray(problem.data.columns[:, values.rows])
        found, _, _ = execute(problem.library, pairs, key_columns, problem.data.protected)
        starts = []
        for b in range(len(pairs)):
            frame, pair = frames.row(b).tolist(), pairs.row(b).tolist()
            k = (wanted[b, 1] - wanted[b, 0]) / (found[b, 1] - found[b, 0])
            a = wanted[b, 0] - k * found[b, 0]
            whole, constants = writer.scaled(pair), [k]
            if abs(a) > MIN_OFFSET * abs(wanted[b, 0]):
                whole, constants = writer.sum(writer.const, whole), [a, k]
            if whole is not None:
                starts.append(inside(frame, Start(whole, constants)))
        return fitted(problem, [start for start in starts if start is not None], budget)
