"""Seeder: what the search by values finds in a run's data, with the run's rewards."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from dso.part import WHOLE, Part
from dso.program import ProgramBatch
from dso.program.batch import Batch, ScoredBatch
from dso.semantic.budget import SemanticLimits
from dso.semantic.search import SemanticResult, SemanticSearch
from dso.semantic.target import MAX_ROWS
from dso.streams import Stream

if TYPE_CHECKING:
    from dso.evaluation import Evaluator
    from dso.prior import JointPrior
    from dso.semantic.hole import OnlyHole


@dataclass(frozen=True)
class Seeds:
    """What one search has found, and what it has cost.

    Attributes
    ----------
    batch : ScoredBatch
        Off policy; the best first. May have no rows.
    n_vectors : int
        Candidates computed, those of the batch among them.
    n_lookups : int
    """

    batch: ScoredBatch
    n_vectors: int
    n_lookups: int

    @property
    def n_evaluations(self) -> int:
        """Vectors computed and looked up."""
        return self.n_vectors + self.n_lookups


class Seeder:
    """Searches the data of an evaluator's task by values.

    It searches some `MAX_ROWS` of them; rewards are on all that the evaluator has.

    Parameters
    ----------
    prior : JointPrior
        What every program that is found obeys; where there is a hole, what stands in it.
    evaluator : Evaluator
        Of a task with `fit_data`.
    limits : SemanticLimits
    seed : int
    hole : OnlyHole, optional
        Where programs have a form, the part of it that is searched for.
    form : JointPrior, optional
        What whole programs obey then.
    part : Part
        What is done here of the whole search.
    """

    def __init__(
        self,
        prior: JointPrior,
        evaluator: Evaluator,
        limits: SemanticLimits,
        seed: int,
        hole: OnlyHole | None = None,
        form: JointPrior | None = None,
        part: Part = WHOLE,
    ) -> None:
        self.prior = prior
        self.evaluator = evaluator
        self.limits = limits
        self.seed = seed
        self.hole = hole
        self.form = form
        self.part = part

    def seeds(
        self,
        iteration: int,
        max_seconds: float = math.inf,
        is_over: Callable[[], bool] = lambda: False,
        tell: Callable[[ScoredBatch], object] | None = None,
        *,
        max_bytes: float = math.inf,
    ) -> Seeds:
        """Search, and reward what was found.

        Of programs that are exact only the first is taken: it is defined in most places, and the
        shortest of those, while rewards of exact programs differ by rounding alone.

        Parameters
        ----------
        iteration : int
        max_seconds : float
            That may be spent at most.
        is_over : callable
            Asked between steps; a true answer ends the search.
        tell : callable, optional
            Called with what has been found in between, so that `is_over` may depend on it. What is
            found for a hole is told at the end alone.
        max_bytes : float
            Of memory for the library.
        """
        limits = replace(self.limits, max_seconds=min(self.limits.max_seconds, max_seconds))
        if max_bytes < math.inf:
            of_limits = math.inf if limits.max_bytes is None else limits.max_bytes
            limits = replace(limits, max_bytes=int(min(max_bytes, of_limits)))

        def tell_scored(programs: ProgramBatch) -> None:
            if tell is not None:
                tell(self._scored(programs, iteration, is_over))

        is_told = tell is not None and self.hole is None
        result = self._search(limits, is_over, tell_scored if is_told else None)
        if self.hole is not None and self.form is not None:
            result = self._whole(result, self.hole, self.form)
        n_exact = np.count_nonzero(result.is_exact)
        programs = result.programs[:1] if n_exact else result.programs
        return Seeds(
            self._scored(programs, iteration), result.n_vectors + len(programs), result.n_lookups
        )

    def _scored(
        self, programs: ProgramBatch, iteration: int, is_over: Callable[[], bool] | None = None
    ) -> ScoredBatch:
        """Reward programs, their constants fitted from those that they come with."""
        bare = Batch.off_policy(replace(programs, constants=np.empty((len(programs), 0))))
        return self.evaluator.evaluate(bare, iteration, programs.constants, is_over)

    def _search(
        self,
        limits: SemanticLimits,
        is_over: Callable[[], bool],
        tell: Callable[[ProgramBatch], object] | None,
    ) -> SemanticResult:
        task = self.evaluator.task
        data = task.fit_data
        assert data is not None
        if data.n_rows > MAX_ROWS:
            generator = Stream(self.seed, "semantic rows").generator()
            data = data.on_rows(np.sort(generator.choice(data.n_rows, MAX_ROWS, replace=False)))
        polynomials = task.polynomials
        if self.hole is not None:
            data, polynomials = self.hole.wanted(data), None  # polynomials are fitted to y alone
        return SemanticSearch(
            self.prior,
            data,
            limits=limits,
            polynomials=polynomials,
            seed=self.seed,
            part=self.part,
        ).run(is_over, tell)

    def _whole(self, result: SemanticResult, hole: OnlyHole, form: JointPrior) -> SemanticResult:
        """Return what was found for a hole as whole programs, as far as priors allow them."""
        programs = hole.whole(result.programs)
        is_allowed = form.allowed(programs)
        return replace(
            result,
            programs=programs[is_allowed],
            nmse=result.nmse[is_allowed],
            is_exact=result.is_exact[is_allowed],
        )
