"""SemanticSearch: asks all strategies in turn, with a small library of values, then a large one.

Each level of cost multiplies a library by 6 or 7, and most of what is found at all is found with
the small one, which takes a tenth of a second. So the large one is built only for what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from dso.native import _core
from dso.part import WHOLE, Part
from dso.prior import JointPrior
from dso.program import FitData, ProgramBatch
from dso.semantic.budget import Budget, SemanticLimits
from dso.semantic.key_rows import choose_key_rows
from dso.semantic.problem import Problem
from dso.semantic.ranking import is_enough_evidence, ranked
from dso.semantic.strategies import STRATEGIES, Strategy, Turn
from dso.semantic.strategies.joins import make_joins
from dso.semantic.value_library import ValueLibrary
from dso.streams import Stream

if TYPE_CHECKING:
    from dso.fitting.polynomial_fitter import PolynomialFitter

MAX_FIRST_ENTRIES = 30_000
"""Of the small library: it solves all of Nguyen, Livermore and R in a tenth of a second."""
MAX_FIRST_LOOKUPS = 1_500_000
"""With the small library: more find little that the large one does not find sooner."""
MAX_SHORTENING_LOOKUPS = 300_000
"""With a library where something exact is known, and all that is left to find is a shorter one."""
VECTORS_PER_ENTRY = 4
"""Vectors to have left for each entry: more than it takes, as a rule, to make one."""


@dataclass(frozen=True)
class SemanticResult:
    """What a search has found, and what it has cost.

    Attributes
    ----------
    programs : ProgramBatch
        The best first. All of them obey the priors.
    nmse : (B,) float64
        Mean squared error on the data over the variance of y.
    is_exact : (B,) bool
        Whether a program has the values of y on every row to all digits that y has, and these are
        too many to be met by chance.
    n_vectors, n_lookups : int
        Candidates computed and looked up; together they are the evaluations.
    n_bytes : int
        Of the largest library.
    seconds : float
    stopped_by : {"exact", "lookups", "seconds", "exhausted"}
    """

    programs: ProgramBatch
    nmse: np.ndarray
    is_exact: np.ndarray
    n_vectors: int
    n_lookups: int
    n_bytes: int
    seconds: float
    stopped_by: str

    @property
    def n_evaluations(self) -> int:
        """Vectors computed and looked up."""
        return self.n_vectors + self.n_lookups


@dataclass
class _Found:
    """What has been found so far.

    Attributes
    ----------
    problem : Problem
    tell : callable, optional
        Called with what is taken in.
    programs : list of ProgramBatch
    is_exact : bool
        Whether a program among them is.
    n_bytes : int
        Of the largest library.
    """

    problem: Problem
    tell: Callable[[ProgramBatch], object] | None = None
    programs: list[ProgramBatch] = field(default_factory=lambda: [ProgramBatch.from_rows([])])
    is_exact: bool = False
    n_bytes: int = 0

    def add(self, programs: ProgramBatch) -> None:
        """Take programs in."""
        self.programs.append(programs)
        self.is_exact |= bool(ranked(programs, self.problem.data)[2].any())
        if self.tell is not None and len(programs):
            self.tell(programs)

    def ranked(self) -> tuple[ProgramBatch, np.ndarray, np.ndarray]:
        """Return up to the wanted number of programs, each once; see `ranking.ranked`."""
        programs = ProgramBatch.concatenate(self.programs)
        programs = programs[np.unique(programs.keys(), return_index=True)[1]]
        programs, nmse, is_exact = ranked(programs, self.problem.data)
        kept = slice(self.problem.max_programs)
        return programs[kept], nmse[kept], is_exact[kept]


class SemanticSearch:
    """Looks for programs with the values of y.

    Parameters
    ----------
    prior : JointPrior
        What every program that is returned obeys.
    data : FitData
        What is exact is exact on every row, regardless of weights.
    limits : SemanticLimits, optional
    polynomials : PolynomialFitter, optional
        Of the same rows, or of more; without it `poly` takes no part.
    seed : int
        Of the choice of key rows.
    strategies : sequence of type
        In the order in which they are asked.
    part : Part
        What is done here of the whole search.
    """

    def __init__(
        self,
        prior: JointPrior,
        data: FitData,
        *,
        limits: SemanticLimits | None = None,
        polynomials: PolynomialFitter | None = None,
        seed: int = 0,
        strategies: Sequence[type[Strategy]] = STRATEGIES,
        part: Part = WHOLE,
    ) -> None:
        self.limits = limits or SemanticLimits()
        self.seed = seed
        self.problem = Problem.of(
            prior,
            data,
            seed=seed,
            max_programs=self.limits.max_programs,
            polynomials=polynomials,
            part=part,
        )
        self.strategies = [one(self.problem) for one in strategies if one.suits(self.problem)]

    def run(
        self,
        is_over: Callable[[], bool] = lambda: False,
        tell: Callable[[ProgramBatch], object] | None = None,
    ) -> SemanticResult:
        """Search until something exact is found, a limit is reached, or `is_over` says so.

        `tell` is called with what each strategy finds, before the next one begins.
        """
        budget, found = Budget.of(self.limits, is_over), _Found(self.problem, tell)
        with np.errstate(all="ignore"):  # values that are not finite are dropped
            self._search(budget, found)
            programs, nmse, is_exact = found.ranked()
        if found.is_exact:
            stopped_by = "exact"
        else:
            stopped_by = "seconds" if budget.seconds_left <= 0 else budget.stopped_by or "lookups"
        return SemanticResult(
            programs,
            nmse,
            is_exact & is_enough_evidence(self.problem.data),
            budget.n_vectors,
            budget.n_lookups,
            found.n_bytes,
            budget.seconds,
            stopped_by,
        )

    def _search(self, budget: Budget, found: _Found) -> None:
        sizes = self._library_sizes(budget)
        data = self.problem.data
        rows = choose_key_rows(data.columns, data.y, Stream(self.seed, "semantic").generator())
        last = self._of_this_part((Turn.LAST,))
        for i, max_entries in enumerate(sizes):
            turns = (Turn.EACH, Turn.LATER if i > 0 else Turn.FIRST)
            is_affordable = budget.evaluations_left >= VECTORS_PER_ENTRY * max_entries
            if i > 0 and not (is_affordable and (self._of_this_part(turns) or last)):
                break
            values = self._make_library(rows, max_entries, budget)
            found.n_bytes = max(found.n_bytes, values.n_bytes)
            joins = make_joins(self.problem, values, budget, max_contexts=self.limits.max_contexts)
            max_lookups = self.limits.max_lookups if i + 1 == len(sizes) else MAX_FIRST_LOOKUPS
            self._ask(turns, values, joins, budget, found, max_lookups)
            if found.is_exact or budget.seconds_left <= 0:
                break
        if sizes and last and not found.is_exact:
            self._ask((Turn.LAST,), values, joins, budget, found, self.limits.max_lookups)

    def _library_sizes(self, budget: Budget) -> list[int]:
        """Return how many entries the libraries have that are tried; nothing where none can be."""
        largest = self.limits.max_entries
        if self.limits.max_bytes is not None:
            largest = min(largest, ValueLibrary.entries_in(self.limits.max_bytes))
        affordable = budget.evaluations_left // VECTORS_PER_ENTRY
        if largest > 3 * MAX_FIRST_ENTRIES:
            sizes = [min(MAX_FIRST_ENTRIES, affordable), largest]
        else:
            sizes = [min(largest, affordable)]
        return sizes if sizes[0] else []

    def _make_library(self, rows: np.ndarray, max_entries: int, budget: Budget) -> ValueLibrary:
        """Build a value library within what is left of the budget, and count it."""
        data = self.problem.data
        values = ValueLibrary(
            data.library,
            self.problem.prior,
            data.columns,
            rows,
            bits=data.key_bits,
            max_entries=max_entries,
            max_vectors=budget.vectors_left,
            is_over=budget.is_up,
            protected=data.protected,
        )
        budget.count(vectors=values.n_vectors)
        return values

    def _ask(
        self,
        turns: Sequence[Turn],
        values: ValueLibrary,
        joins: _core.SemanticSearch,
        budget: Budget,
        found: _Found,
        max_lookups: int,
    ) -> None:
        """Run the strategies whose turn it is, until something exact is found."""
        total = budget.evaluations_left
        strategies = self._of_this_part(turns)
        last = self._of_this_part((Turn.LAST,))
        for i, strategy in enumerate(strategies):
            if found.is_exact and not strategy.shortens:
                continue
            if budget.seconds_left <= 0:
                return
            waiting = [*strategies[i + 1 :], *last]
            reserved = max((other.reserve(total) for other in waiting), default=0)
            left = min(max(0, budget.evaluations_left - reserved), budget.lookups_left)
            if strategy.looks_up:
                left //= 1 + sum(other.looks_up for other in waiting)
            if found.is_exact:
                left = min(left, MAX_SHORTENING_LOOKUPS)
            part = budget.part(max_lookups=min(left, max_lookups))
            found.add(strategy.run(values, joins, part))

    def _of_this_part(self, turns: Sequence[Turn]) -> list[Strategy]:
        """Return the strategies whose turn it is, of those that cannot be divided this part's.

        With the first library they are quick, and find most of what is found at all, so the first
        part has all of them. Later ones are dealt out from the last part backwards.
        """
        due = [strategy for strategy in self.strategies if strategy.turn in turns]
        whole = [strategy for strategy in due if not strategy.divides]
        part = self.problem.part
        if Turn.FIRST in turns:
            mine = whole if part.k == 0 else []
        else:
            mine = [one for j, one in enumerate(whole) if part.k == part.n - 1 - j % part.n]
        return [strategy for strategy in due if strategy.divides or strategy in mine]
