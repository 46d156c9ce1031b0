"""Trainer: one iteration after the other, one call per stage."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dso.errors import UserError
from dso.memory import Keeper, ScoredPrograms
from dso.policy_optimizer.learner import Lesson
from dso.program.batch import Batch, ScoredBatch
from dso.training.sources import Given, Proposal, Source
from dso.training.states import check_form
from dso.training.statistics import ALL_COLUMNS, COLUMNS, TrainStats
from dso.training.stopping import DeadEndWatch, Standing

if TYPE_CHECKING:
    import numpy as np

    from dso.evaluation import Evaluator, RowBatches
    from dso.policy_optimizer.learner import Learner
    from dso.program.program_batch import ProgramBatch


@dataclass(frozen=True)
class Iteration:
    """What one step made, for those that record it.

    Attributes
    ----------
    standing : Standing
        Where the run stands after it.
    batch : ScoredBatch
        All rows.
    lesson : Lesson
        What the policy learned from them.
    proposals : dict of Proposal
        What each source added, by its name.
    row : dict
        Of the log.
    """

    standing: Standing
    batch: ScoredBatch
    lesson: Lesson
    proposals: dict[str, Proposal]
    row: dict[str, float]

    @property
    def number(self) -> int:
        """1 for the first."""
        return self.standing.iteration


class Trainer:
    """Ask the sources, keep the best, learn.

    Parameters
    ----------
    sources : sequence of Source
        In the order in which they are asked. One of them draws from the policy.
    evaluator : Evaluator
    learner : Learner
    keeper : Keeper
    stats : TrainStats
    dead_ends : DeadEndWatch
    row_batches : RowBatches, optional
        Chooses the rows of data that the search sees.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        evaluator: Evaluator,
        learner: Learner,
        keeper: Keeper,
        *,
        stats: TrainStats,
        dead_ends: DeadEndWatch,
        row_batches: RowBatches | None = None,
    ) -> None:
        self.sources = {source.name: source for source in sources}
        self.evaluator = evaluator
        self.learner = learner
        self.keeper = keeper
        self.row_batches = row_batches
        self.stats = stats
        self.dead_ends = dead_ends
        self.standing = Standing()
        self._clock: float | None = None
        self._unfinished: dict[str, Any] | None = None

    def step(self, override: Batch | None = None) -> Iteration:
        """Do one iteration.

        Parameters
        ----------
        override : Batch, optional
            Programs to learn from in place of what the policy would have drawn.
        """
        start, iteration = time.perf_counter(), self.standing.iteration
        self._choose_rows()
        proposals, whole = self._ask(override)
        batch = whole.batch
        assert batch is not None  # the policy always draws something
        lesson = self.learner.learn(batch, iteration, is_drawn=override is None)
        self.keeper.take_in(batch, iteration)
        columns = {**whole.columns, **self.stats.row(batch, lesson.kept)}
        self.standing = self._advanced(whole, start)
        self.dead_ends.update(batch)
        row = self._log_row(columns, lesson.baseline, time.perf_counter() - start)
        return Iteration(self.standing, batch, lesson, proposals, row)

    def _choose_rows(self) -> None:
        """Let the search see other rows where it is time to."""
        if self.row_batches is not None and self.row_batches.start(self.standing.iteration):
            for source in self.sources.values():
                source.rescore()

    def _ask(self, override: Batch | None) -> tuple[dict[str, Proposal], Proposal]:
        """Return what each source proposes, and all of it together."""
        iteration = self.standing.iteration
        n_before = sum(source.start(iteration) for source in self.sources.values())
        so_far = Proposal(n_evaluations=self.standing.n_samples + n_before)
        proposals = {}
        for name, source in self.sources.items():
            if source.draws and override is not None:
                proposal = Proposal(self.evaluator.evaluate(override, iteration), len(override))
            else:
                proposal = source.propose(iteration, so_far)
            proposals[name] = proposal
            so_far = so_far.joined(proposal, first=source.draws)
        return proposals, so_far

    def offer(self, programs: ProgramBatch, first_constants: np.ndarray | None = None) -> None:
        """Evaluate programs and keep them if they are good; the policy learns nothing.

        They are not counted as samples.

        Parameters
        ----------
        programs : ProgramBatch
        first_constants : (B, K) float64, optional
            Where the fits of their constants start. Default: ones.
        """
        iteration = self.standing.iteration
        batch = Batch.off_policy(programs)
        scored = self.evaluator.evaluate(batch, iteration, first_constants)
        self.keeper.take_in(scored, iteration)
        self.standing = self._with_best(self.standing)

    def suggest(self, programs: ProgramBatch) -> None:
        """Let programs take part in the next iteration; they count as evaluations."""
        given = self.sources[Given.name]
        assert isinstance(given, Given)
        given.add(programs)

    def spend(self, n_evaluations: int) -> None:
        """Count evaluations that were made for this run elsewhere."""
        n_samples = self.standing.n_samples + n_evaluations
        self.standing = replace(self.standing, n_samples=n_samples)

    def gather(self, programs: ProgramBatch, standing: Standing) -> Iteration:
        """Keep what others found in an iteration of theirs; the policy learns nothing.

        Parameters
        ----------
        programs : ProgramBatch
        standing : Standing
            What they have spent, and how far they have come.
        """
        start = time.perf_counter()
        batch = self.evaluator.evaluate(Batch.off_policy(programs), self.standing.iteration)
        self.keeper.take_in(batch, self.standing.iteration)
        self.standing = self._with_best(standing)
        lesson = Lesson(np.ones(len(batch), dtype=bool), 0.0, {})
        columns = dict.fromkeys(COLUMNS, np.nan)
        if len(batch):
            columns = self.stats.row(batch, lesson.kept)
        row = self._log_row(columns, lesson.baseline, time.perf_counter() - start)
        return Iteration(self.standing, batch, lesson, {}, row)

    def finish(self) -> None:
        """Do what belongs at the end of a run; a longer run continues from the state before it."""
        if self._unfinished is None:
            self._unfinished = self.keeper.snapshot()
        for source in self.sources.values():
            source.finish(self.standing.iteration)
        self.standing = self._with_best(self.standing)

    def pause(self) -> None:
        """Do not count the time from here to the next step, and take back what `finish` did."""
        self._clock = None
        if self._unfinished is not None:
            self.keeper.restore(self._unfinished)
            self._unfinished = None
            for source in self.sources.values():
                source.go_on()
            self.standing = self._with_best(self.standing)

    def _with_best(self, standing: Standing) -> Standing:
        keeper = self.keeper
        return replace(
            standing,
            r_best=keeper.r_best,
            r_train=keeper.r_train,
            best_iteration=keeper.best_iteration,
            success=keeper.success,
        )

    def _advanced(self, whole: Proposal, start: float) -> Standing:
        """Return the standing after this iteration; time between iterations counts."""
        now = time.perf_counter()
        seconds = now - (start if self._clock is None else self._clock)
        self._clock = now
        standing = replace(
            self.standing,
            iteration=self.standing.iteration + 1,
            n_samples=whole.n_evaluations,
            n_offspring=self.standing.n_offspring + int(whole.columns.get("n_offspring", 0)),
            seconds=self.standing.seconds + seconds,
        )
        return self._with_best(standing)

    def _log_row(
        self, columns: dict[str, float], baseline: float, seconds: float
    ) -> dict[str, float]:
        columns = {
            **columns,
            "r_best": self.standing.r_best,
            "ewma": self.learner.baseline.ewma,
            "baseline": baseline,
            "time": seconds,
            "nevals": self.standing.n_samples,
        }
        if self.row_batches is not None:
            columns["n_rows"] = self.row_batches.n_rows
        return {name: columns[name] for name in ALL_COLUMNS if name in columns}

    def _parts(self) -> dict[str, Any]:
        """Return the parts that remember something, by name."""
        parts = {
            **self.learner.parts(),
            **{name: part for one in self.sources.values() for name, part in one.parts().items()},
            "evaluator": self.evaluator,
            **self.keeper.parts(),
            "row_batches": self.row_batches,
            "task": self.evaluator.task,  # which row batches change
            "stats": self.stats,
            "dead_ends": self.dead_ends,
        }
        # Parts of users need no state.
        return {name: part for name, part in parts.items() if hasattr(part, "state_dict")}

    def state_dict(self) -> dict[str, Any]:
        """Return all that the next iteration depends on, part by part."""
        best = self.keeper.best
        return {
            "standing": asdict(self.standing),
            "best": None if best is None else best.state_dict(),
            **{name: part.state_dict() for name, part in self._parts().items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken.

        Raises
        ------
        UserError
            Naming the part that the state does not fit.
        """
        names = list(self._parts())
        if wrong := set(names) ^ (set(state) - {"standing", "best"}):
            raise UserError(f"the runs differ in their parts: {', '.join(sorted(wrong))}.")
        for name in names:
            try:
                part = self._parts()[name]
                check_form(state[name], part.state_dict(), name)
                part.load_state_dict(state[name])
            except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
                raise UserError(f"the state of {name} does not fit: {error}") from None
        check_form(state["standing"], asdict(Standing()), "standing")
        self.standing = Standing(**state["standing"])
        best, keeper = state["best"], self.keeper
        keeper.best = None if best is None else ScoredPrograms.from_state_dict(best)
        keeper.best_iteration = self.standing.best_iteration
        keeper.success = self.standing.success
        self._clock = None
