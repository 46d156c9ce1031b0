"""Programs with fitted constants: the values wanted are linear in one, two or three entries.

Where y = f(a + k s + l u + m v) for entries s, u, v and a context f, regression of what stands in
the hole of f finds all of them, for any numbers; see `regression`. Errors in the hole are
weighted by what they make of y; see `contexts`. With noise, the best pairs and triples are a front
of candidates. Half a million of them are scored by correlations alone, and the best are fitted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from math import isqrt
from typing import ClassVar

import numpy as np

from dso.native import _core
from dso.program import ProgramBatch
from dso.semantic.budget import Budget
from dso.semantic.candidates import Candidate, fitted, written
from dso.semantic.contexts import Comparison
from dso.semantic.inner import with_inner_factors
from dso.semantic.problem import Problem
from dso.semantic.ranking import COST_PER_PARTNER, ranked
from dso.semantic.regression import Regression
from dso.semantic.strategies.affine import AffineSearch
from dso.semantic.strategies.strategy import Strategy, Turn
from dso.semantic.value_library import ValueLibrary


@dataclass(frozen=True)
class LinearLimits:
    """How much is combined and fitted.

    Attributes
    ----------
    max_entries : int
        Of pairs and triples in transforms of y: 500 miss terms, 5 000 fit the noise.
    max_transforms : int
        Functions of y alone, y itself among them, in which those are sought.
    max_extended : int
        Pairs of each of these that a third entry is tried with.
    max_kept : int
        Of each of these, sets of each size that are fitted.
    max_contexts : int
        In all.
    max_partnered_entries, max_partnered_kept : int
        The same for pairs in contexts with a partner, which are many.
    max_fitted : int
        Candidates that are fitted, the most promising first.
    evaluations_per_fit : int
        Evaluations that the budget must have for each candidate that is fitted.
    """

    max_entries: int = 1500
    max_transforms: int = 8
    max_extended: int = 300
    max_kept: int = 25
    max_contexts: int = 500
    max_partnered_entries: int = 120
    max_partnered_kept: int = 3
    max_fitted: int = 1500
    evaluations_per_fit: int = 100


@dataclass(frozen=True)
class LinearSearch(Strategy):
    """Fits linear combinations of the cheapest entries, which are those of any library.

    Matches up to scale and offset come first: where one is exact, nothing is left to be combined.
    """

    limits: LinearLimits = LinearLimits()
    turn: ClassVar[Turn] = Turn.FIRST
    divides: ClassVar[bool] = True

    @classmethod
    def suits(cls, problem: Problem) -> bool:
        return problem.has_const

    @classmethod
    def reserve(cls, n_evaluations: int) -> int:
        return n_evaluations // 2

    def run(
        self, values: ValueLibrary, joins: _core.SemanticSearch, budget: Budget
    ) -> ProgramBatch:
        problem, limits, part = self.problem, self.limits, self.problem.part
        n_allowed = part.n * budget.vectors_left  # in all parts
        if part.k == 0:
            affine = AffineSearch(problem).run(values, joins, budget)
            if ranked(affine[:1], problem.data)[2].any():
                return affine
        compared = Comparison.of(
            problem.data,
            values,
            joins,
            # So that their pairs in all transforms of y take half of what is allowed.
            n_entries=min(limits.max_entries, isqrt(n_allowed // limits.max_transforms)),
            n_contexts=limits.max_contexts,
        )
        columns = compared.columns
        usable = np.isfinite(columns).all(axis=1) & (np.ptp(columns, axis=1) > 0)
        numbers = np.flatnonzero(usable)
        candidates = list(self._combinations(compared, numbers, budget))
        candidates.sort(key=lambda candidate: candidate.score)
        n_fitted = n_allowed // limits.evaluations_per_fit
        n_candidates = part.share(min(limits.max_fitted, n_fitted))
        starts = written(problem, values, joins, candidates[:n_candidates])
        factored = islice(with_inner_factors(problem.writer, compared, numbers), n_fitted)
        starts += part.of(list(factored))
        return fitted(problem, starts, budget)

    def _combinations(
        self, compared: Comparison, numbers: np.ndarray, budget: Budget
    ) -> Iterator[Candidate]:
        """Yield the best combinations of entries in each context, as long as the budget lasts."""
        limits, contexts = self.limits, compared.contexts
        few = numbers[: limits.max_partnered_entries]
        shared = Regression(compared.columns[few], compared.costs[few], compared.weights)
        of_all = contexts.transforms(limits.max_transforms)
        with_partners = np.setdiff1d(np.flatnonzero(contexts.n_partners > 0), of_all).tolist()
        part = self.problem.part
        transforms, others = part.of(of_all), part.of(with_partners)
        for n, i in enumerate((*transforms, *others)):
            if budget.is_spent:
                return
            is_transform = n < len(transforms)
            chosen, regression = few, shared
            if is_transform:
                weights = contexts.weights[i] * compared.weights
                chosen = numbers
                regression = Regression(compared.columns[chosen], compared.costs[chosen], weights)
            n_before = regression.n_scored
            combinations = regression.best(
                contexts.values[i],
                limits.max_kept if is_transform else limits.max_partnered_kept,
                limits.max_extended if is_transform else 0,
            )
            budget.count(vectors=regression.n_scored - n_before)
            for score, columns, coefficients in combinations:
                yield Candidate(
                    score + COST_PER_PARTNER * contexts.n_partners[i],
                    int(contexts.numbers[i]),
                    tuple(int(chosen[j]) for j in columns),
                    coefficients,
                )
