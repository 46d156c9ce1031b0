"""Matches up to a factor or an offset: y = k E or y = c + E for any number k or c.

One unknown number in front blinds the look-up of values, but not that of what it leaves alone:

    y = k E    is    y_i / y_0 = E_i / E_0        on every row i
    y = c + E  is    y_i - y_0 = E_i - E_0

Ratios pass through products, quotients, powers and roots, and differences through sums. exp and log
lead from one to the other,

    y = k e^u    is    log y = u + log k

so that joins go on as they do for y itself (see `joins`), with entries looked up by ratios or by
differences of their values. The number is the same wherever it is found, and stands in front of the
whole. In native code a class of such vectors has one key: `native/semantic/sameness.hpp`.

What is wanted up to an offset is also compared with entries up to scale (see `affine`), which finds
the b in y = k t e^(b s).
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dso.native import _core
from dso.program import ProgramBatch, execute
from dso.program.execute import VALID
from dso.semantic.budget import Budget
from dso.semantic.candidates import Start, fitted, inside
from dso.semantic.problem import Problem
from dso.semantic.ranking import ranked
from dso.semantic.strategies.affine import matches
from dso.semantic.strategies.joins import first_hits, make_joins
from dso.semantic.strategies.strategy import Strategy
from dso.semantic.value_library import ValueLibrary
from dso.semantic.writing import Tokens

LOOKUPS_PER_CONTEXT = 20
"""To have left for each context that is made: contexts are of no use without them."""
MAX_START_ROWS = 200
"""Rows on which the number in front is worked out before it is fitted with the others."""


@dataclass(frozen=True)
class _NumberInFront(Strategy):
    """Joins what is the same up to a number, and fits that number."""

    sameness: ClassVar[str]
    looks_up: ClassVar[bool] = True

    @classmethod
    def suits(cls, problem: Problem) -> bool:
        return problem.has_const

    @abstractmethod
    def prefix(self) -> Tokens | None:
        """Return the tokens of the number, which stand before a program."""

    @abstractmethod
    def number(self, y: np.ndarray, values: np.ndarray) -> float:
        """Return the number with which values come nearest to y."""

    def run(
        self, values: ValueLibrary, joins: _core.SemanticSearch, budget: Budget
    ) -> ProgramBatch:
        prefix = self.prefix()
        if prefix is None:
            return ProgramBatch.from_rows([])
        joins = make_joins(
            self.problem,
            values,
            budget,
            max_contexts=min(joins.n_contexts, 1 + budget.lookups_left // LOOKUPS_PER_CONTEXT),
            sameness=self.sameness,
            prefix=prefix,
        )
        parts = self._with_inner_factor(values, joins, budget)
        programs = self._fitted(prefix, parts, budget)
        if ranked(programs[:1], self.problem.data)[2].any():
            return programs
        hits, _ = first_hits(self.problem, joins, budget, prefix)
        parts = [Start(hits.row(b).tolist()[len(prefix) :], []) for b in range(len(hits))]
        found = self._fitted(prefix, parts, budget)
        return ProgramBatch.concatenate([found, programs])

    def _with_inner_factor(
        self, values: ValueLibrary, joins: _core.SemanticSearch, budget: Budget
    ) -> list[Start]:
        """Return contexts filled with b s, where one wants that up to an offset."""
        numbers = np.flatnonzero(joins.knows_difference)
        budget.count(vectors=len(numbers))
        found = list(matches(values.values, joins.context_values[numbers]))
        wholes = ProgramBatch.from_arrays(*joins.contexts(numbers[[f.context for f in found]]))
        entries = values.programs(np.array([f.entries[0] for f in found], dtype=np.int64))
        parts = []
        for i, candidate in enumerate(found):
            part = self.problem.writer.scaled(entries.row(i).tolist())
            if part is not None:
                factor = candidate.coefficients[1]
                parts.append(inside(wholes.row(i).tolist(), Start(part, [factor])))
        return [part for part in parts if part is not None]

    def _fitted(self, prefix: Tokens, parts: list[Start], budget: Budget) -> ProgramBatch:
        """Put the number in front of programs, and fit them."""
        if not parts:
            return ProgramBatch.from_rows([])
        data = self.problem.data
        X, y, _ = data.thinned(MAX_START_ROWS)
        programs = ProgramBatch.from_rows(
            [part.tokens for part in parts], [part.constants for part in parts]
        )
        table, cause, _ = execute(data.library, programs, X, data.protected)
        starts = [
            Start([*prefix, *part.tokens], [self.number(y, row), *part.constants])
            for part, row, reason in zip(parts, table, cause, strict=True)
            if reason == VALID
        ]
        return fitted(self.problem, starts, budget)


@dataclass(frozen=True)
class ScaledSearch(_NumberInFront):
    """Looks for y = k E by ratios."""

    sameness: ClassVar[str] = "scale"

    def prefix(self) -> Tokens | None:
        return self.problem.writer.scaled([])

    def number(self, y: np.ndarray, values: np.ndarray) -> float:
        return float(values @ y / (values @ values))


@dataclass(frozen=True)
class ShiftedSearch(_NumberInFront):
    """Looks for y = c + E by differences."""

    sameness: ClassVar[str] = "shift"

    def prefix(self) -> Tokens | None:
        writer = self.problem.writer
        return writer.sum(writer.const, [])

    def number(self, y: np.ndarray, values: np.ndarray) -> float:
        return float((y - values).mean())
