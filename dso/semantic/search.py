"""SemanticSearch: solves for the missing half of an expression by looking up its values."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dso.native import _core
from dso.prior import JointPrior
from dso.program import FitData, ProgramBatch
from dso.semantic.fitted import FittedSearch
from dso.semantic.key_rows import choose_key_rows
from dso.semantic.nearest import MOST_NEAR, NearestSearch
from dso.semantic.polynomials import PolynomialSearch
from dso.semantic.ranking import Target, is_enough_evidence, ranked
from dso.semantic.rational import find_rational
from dso.semantic.value_library import ValueLibrary
from dso.semantic.writing import Writer
from dso.streams import Stream

if TYPE_CHECKING:
    from dso.fitting.polynomial_fitter import PolynomialFitter

FIRST_ENTRIES = 30_000
"""A library of this size comes first: most of what is found at all is found with it."""
FIRST_LOOKUPS = 1_500_000
SOLVED_LOOKUPS = 300_000
VECTORS_PER_ENTRY, VECTORS_PER_CONTEXT = 4, 6
"""More than it takes, as a rule, to make one."""
MOST_HITS = 64
FIRST_PARTNERS, SECOND_PARTNERS = 2000, 60
"""Cheapest entries that y is combined with, and what comes of that."""
MOST_CONTEXT_COST = 12


@dataclass(frozen=True)
class SemanticLimits:
    """What a search may cost.

    Attributes
    ----------
    max_entries : int
        Of the value library, about 90 bytes each.
    max_bytes : int or None
        Of memory for it.
    max_lookups : int
    max_vectors : int
        Candidates computed.
    max_evaluations : int
        Look-ups and vectors together.
    max_seconds : float
        The only limit that results depend on in a way that cannot be repeated.
    max_contexts : int
        Parts of an expression that are solved for.
    max_programs : int
        That are returned.
    """

    max_entries: int = 300_000
    max_bytes: int | None = None
    max_lookups: int = 200_000_000
    max_vectors: int = 50_000_000
    max_evaluations: int = 2**62
    max_seconds: float = math.inf
    max_contexts: int = 12_000
    max_programs: int = 50


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


class SemanticSearch:
    """Looks for programs with the values of y.

    Parameters
    ----------
    prior : JointPrior
        What every program that is returned obeys.
    data : FitData
        What is exact is so on every row, whatever its weight.
    limits : SemanticLimits, optional
    polynomials : PolynomialFitter, optional
        Of the same rows, or of more; without it `poly` takes no part.
    seed : int
        Of the choice of key rows.
    """

    def __init__(
        self,
        prior: JointPrior,
        data: FitData,
        *,
        limits: SemanticLimits | None = None,
        polynomials: PolynomialFitter | None = None,
        seed: int = 0,
    ) -> None:
        self.library = data.library
        self.prior = prior
        self.limits = limits or SemanticLimits()
        self.data = Target.of(data, seed, polynomials)
        self.writer = Writer(data.library, data.columns, data.protected)
        self.seed = seed
        self.n_vectors = self.n_lookups = self.n_bytes = 0
        self._start = 0.0

    def run(self) -> SemanticResult:
        """Search until something exact is found or a limit is reached."""
        self._start = time.perf_counter()
        self.n_vectors = self.n_lookups = self.n_bytes = 0
        with np.errstate(all="ignore"):  # whatever the data hold; what is not finite is dropped
            found, stopped_by = self._search()
            return self._result(found, stopped_by)

    def _search(self) -> tuple[list[ProgramBatch], str]:
        found: list[ProgramBatch] = []
        stages = self._stages()
        if not stages:
            return found, "lookups"
        generator = Stream(self.seed, "semantic").generator()
        rows = choose_key_rows(self.data.columns, self.data.y, generator)
        is_solved = self._keep(found, self._allowed(find_rational(self.data, self.writer)))
        stopped_by = "exhausted"
        for stage, max_entries in enumerate(stages):
            if stage and self._evaluations_left() < VECTORS_PER_ENTRY * max_entries:
                break
            values = self.make_library(rows, max_entries)
            search = self._make_search(values)
            lookups = self._lookups(max_entries == stages[-1])
            if is_solved:  # all that is left to find is a shorter one
                lookups = min(lookups, SOLVED_LOOKUPS)
            hits, stopped_by = self._join(search, lookups)
            is_solved |= self._keep(found, hits)
            if not is_solved and self.data.polynomials is not None and stage == 0:
                is_solved = self._keep(found, self._with_polynomial(values))
            if not is_solved and self.library.const_token is not None:
                # The cheapest entries, which regression goes by, are those of any library.
                fitted = self._fitted(values, search, with_regression=stage == 0)
                is_solved = self._keep(found, fitted)
            if is_solved:
                return found, "exact"
            if self._seconds_left() <= 0:
                stopped_by = "seconds"
                break
        if self.library.const_token is None and self._keep(found, self._near(values, search)):
            stopped_by = "exact"
        return found, stopped_by

    def _keep(self, found: list[ProgramBatch], programs: ProgramBatch) -> bool:
        """Add programs to those found; return whether one of them is exact."""
        found.append(programs)
        return bool(ranked(self.library, programs, self.data)[2].any())

    def make_library(self, rows: np.ndarray, max_entries: int) -> ValueLibrary:
        """Build a value library within what is left of the limits, and count it."""
        values = ValueLibrary(
            self.library,
            self.prior,
            self.data.columns,
            rows,
            bits=self.data.key_bits,
            max_entries=max_entries,
            max_vectors=self._vectors_left(),
            max_seconds=self._seconds_left(),
            protected=self.data.protected,
        )
        self.n_vectors += values.n_vectors
        self.n_bytes = max(self.n_bytes, values.n_bytes)
        return values

    def _stages(self) -> list[int]:
        """Return the sizes of the libraries to try, as far as the evaluations allow any."""
        largest = self.limits.max_entries
        if self.limits.max_bytes is not None:
            largest = min(largest, ValueLibrary.entries_in(self.limits.max_bytes))
        affordable = self._evaluations_left() // VECTORS_PER_ENTRY
        if largest > 3 * FIRST_ENTRIES:
            stages = [min(FIRST_ENTRIES, affordable), largest]
        else:
            stages = [min(largest, affordable)]
        return stages if stages[0] else []

    def _lookups(self, is_last: bool) -> int:
        """Return how many look-ups a library is for, the last of them or not."""
        left = self._evaluations_left()
        # What is fitted or only comes near wants its part.
        is_fitted = self.library.const_token is not None or self.data.polynomials is not None
        left -= left // 2 if is_fitted else min(left // 4, MOST_NEAR)
        left = min(left, max(0, self.limits.max_lookups - self.n_lookups))
        return left if is_last else min(left, FIRST_LOOKUPS)

    def _evaluations_left(self) -> int:
        return max(0, self.limits.max_evaluations - self.n_vectors - self.n_lookups)

    def _vectors_left(self) -> int:
        return min(self._evaluations_left(), max(0, self.limits.max_vectors - self.n_vectors))

    def _seconds_left(self) -> float:
        return max(0.0, self.limits.max_seconds - (time.perf_counter() - self._start))

    def _make_search(self, values: ValueLibrary) -> _core.SemanticSearch:
        data = self.data
        search = _core.SemanticSearch(
            values.native,
            self.library.native,
            self.prior.rules,
            data.y[values.rows],
            _core.Data(data.sample, data.sample_y, protected=data.protected),
            data.native,
            tolerance=data.tolerance,
            max_contexts=min(
                self.limits.max_contexts, 1 + self._vectors_left() // VECTORS_PER_CONTEXT
            ),
            first_partners=FIRST_PARTNERS,
            second_partners=SECOND_PARTNERS,
            max_cost=MOST_CONTEXT_COST,
        )
        self.n_vectors += search.n_vectors
        return search

    def _fitted(
        self, values: ValueLibrary, search: _core.SemanticSearch, with_regression: bool
    ) -> ProgramBatch:
        """Return programs with fitted constants, the most promising of them."""
        fitted = FittedSearch(
            self.library,
            self.prior,
            values,
            search,
            self.data,
            self.writer,
            max_evaluations=self._vectors_left(),
            seconds=self._seconds_left(),
        ).run(with_regression)
        self.n_vectors += fitted.n_evaluations
        return fitted.programs[: self.limits.max_programs]

    def _near(self, values: ValueLibrary, search: _core.SemanticSearch) -> ProgramBatch:
        """Return programs without constants that come near y."""
        near = NearestSearch(
            self.library,
            values,
            search,
            self.data,
            self.writer,
            max_evaluations=self._vectors_left(),
        )
        programs = self._allowed(near.run())
        self.n_vectors += near.n_evaluations
        return programs

    def _with_polynomial(self, values: ValueLibrary) -> ProgramBatch:
        """Return programs with a fitted polynomial that are exact."""
        search = PolynomialSearch(
            self.library,
            self.prior,
            values,
            self.data,
            max_evaluations=self._vectors_left(),
            seconds=self._seconds_left(),
        )
        found = search.run()
        self.n_vectors += search.n_evaluations
        return found

    def _join(self, search: _core.SemanticSearch, max_lookups: int) -> tuple[ProgramBatch, str]:
        """Join entries, cost by cost, until programs with the target's values are found."""
        cost, stopped_by = 0, "exhausted"
        hits = ProgramBatch.from_rows([])
        while not len(hits) and search.has_layer(cost):
            complete, tokens, lengths = search.run_layer(
                cost, max_lookups, self._seconds_left(), MOST_HITS
            )
            hits = self._allowed(ProgramBatch.from_arrays(tokens, lengths))
            cost += 1
            if not complete:
                stopped_by = "seconds" if self._seconds_left() <= 0 else "lookups"
                break
        self.n_lookups += search.n_lookups
        return hits, stopped_by

    def _allowed(self, programs: ProgramBatch) -> ProgramBatch:
        return programs[self.prior.allowed(programs)] if len(programs) else programs

    def _result(self, found: Sequence[ProgramBatch], stopped_by: str) -> SemanticResult:
        programs = ProgramBatch.concatenate(found) if found else ProgramBatch.from_rows([])
        programs = programs[np.unique(programs.keys(), return_index=True)[1]]
        programs, nmse, matches = ranked(self.library, programs, self.data)
        kept = slice(self.limits.max_programs)
        return SemanticResult(
            programs[kept],
            nmse[kept],
            matches[kept] & is_enough_evidence(self.data),
            self.n_vectors,
            self.n_lookups,
            self.n_bytes,
            time.perf_counter() - self._start,
            stopped_by,
        )
