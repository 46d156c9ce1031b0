"""Trainer: one iteration after the other, one call per stage."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dso.errors import UserError
from dso.memory import HallOfFame, ParetoFront, PriorityQueue, ScoredPrograms
from dso.policy_optimizer import Baseline, RiskFilter
from dso.program.batch import Batch
from dso.streams import Stream
from dso.training.statistics import (
    COLUMNS,
    GP_COLUMNS,
    LOOKUP_COLUMN,
    SEMANTIC_COLUMNS,
    TrainStats,
)
from dso.training.stopping import DeadEndWatch, Standing

if TYPE_CHECKING:
    from collections.abc import Callable

    from dso.evaluation import Evaluator, RowBatches, Scores
    from dso.gp import GPController, Harvest
    from dso.library import Library
    from dso.memory.judge import Judge
    from dso.policy import Policy
    from dso.policy_optimizer.policy_optimizer import PolicyOptimizer
    from dso.program.program_batch import ProgramBatch
    from dso.semantic import Seeder, Seeds


@dataclass(frozen=True)
class Iteration:
    """What one step made, for whoever writes it down.

    Attributes
    ----------
    number : int
        1 for the first.
    batch : Batch
        All rows, rewards filled in.
    scores : Scores
        Of the same rows.
    kept : (B,) bool
        The rows that the risk filter kept.
    baseline : float
    statistics : dict
        What the policy optimiser's `step` returned; empty where there was nothing to learn.
    """

    number: int
    batch: Batch
    scores: Scores
    kept: np.ndarray
    baseline: float
    statistics: dict[str, float]


class Trainer:
    """Sample, evaluate, remember, learn.

    Parameters
    ----------
    policy : Policy
    evaluator : Evaluator
    policy_optimizer : PolicyOptimizer
    risk_filter : RiskFilter
    baseline : Baseline
    library : Library
    complexity : callable
        Programs -> (B,) float64; see `complexity_measure`.
    batch_size : int
    seed : int
        Of the run's random streams.
    hof : int
        Size of the hall of fame; 0 for none.
    n_candidates : int
        How many of the best programs are kept for the task's final choice; 0 for none.
    save_pareto_front : bool
        Whether a Pareto front is kept.
    queue : PriorityQueue, optional
        Is offered the best kept program of every iteration and handed to the policy optimiser.
    max_attempts : int, optional
        Sample up to so many times in an iteration, until `batch_size` programs are there that were
        never evaluated before (the evaluator must remember keys); the others that came up on the
        way are learned from and counted too. None samples once, whatever comes.
    gp : GPController, optional
        Breeds from every batch; its best offspring join the batch, all of them count.
    seeder : Seeder, optional
        Searches the data before the first iteration, whose batch what it finds joins; its
        evaluations count.
    judge : Judge, optional
        Rewards what is worth keeping on more rows of data than the search sees. Without it the
        rewards of the search are those that are kept.
    row_batches : RowBatches, optional
        Chooses the rows that the search sees.
    warm_start : int, optional
        Programs that are sampled, evaluated and counted before the first iteration to fill the
        memory of the risk filter, if that has one; None is `batch_size`.
    is_spent : callable, optional
        Tells before each generation of GP-meld whether so many evaluations use up the budget; the
        generations to come are left out then.
    is_success : callable, optional
        Tells of the best program, a batch of one row, whether the task is solved; called only when
        there is a new one. Without it no program is a success.
    masking_report : callable, optional
        Returns the table of which prior masked what, for runs that meet too many dead ends.
    """

    def __init__(
        self,
        *,
        policy: Policy,
        evaluator: Evaluator,
        policy_optimizer: PolicyOptimizer,
        risk_filter: RiskFilter,
        baseline: Baseline,
        library: Library,
        complexity: Callable[[ProgramBatch], np.ndarray],
        batch_size: int,
        seed: int,
        hof: int = 100,
        n_candidates: int = 0,
        save_pareto_front: bool = True,
        queue: PriorityQueue | None = None,
        max_attempts: int | None = None,
        warm_start: int | None = None,
        gp: GPController | None = None,
        seeder: Seeder | None = None,
        judge: Judge | None = None,
        row_batches: RowBatches | None = None,
        is_spent: Callable[[int], bool] | None = None,
        is_success: Callable[[ProgramBatch], bool] | None = None,
        masking_report: Callable[[ProgramBatch], str] = str,
    ) -> None:
        self.policy = policy
        self.evaluator = evaluator
        self.policy_optimizer = policy_optimizer
        self.risk_filter = risk_filter
        self.baseline = baseline
        self.complexity = complexity
        self.batch_size = batch_size
        self.seed = seed
        self.is_spent = is_spent
        self.is_success = is_success
        self.masking_report = masking_report
        self.hall_of_fame = HallOfFame(hof) if hof else None
        self.candidates = HallOfFame(n_candidates) if n_candidates else None
        self.pareto_front = ParetoFront() if save_pareto_front else None
        self.queue = queue
        self.max_attempts = max_attempts
        self.gp = gp
        self.seeder = seeder
        self.judge = judge
        self.row_batches = row_batches
        self.warm_start = batch_size if warm_start is None else warm_start
        self.stats = TrainStats(library.names)
        self.dead_ends = DeadEndWatch()
        self.standing = Standing()
        self.best: ScoredPrograms | None = None
        self.last: Iteration | None = None
        self.seeds: Seeds | None = None
        self.harvest: Harvest | None = None
        self._clock: float | None = None

    def step(self, override: Batch | None = None) -> dict[str, float]:
        """Do one iteration and return its row of the log.

        Parameters
        ----------
        override : Batch, optional
            Programs to learn from in place of what the policy would have drawn.
        """
        start = time.perf_counter()
        self._choose_rows()
        self._fill_memory()
        self._search()
        batch = self._sample() if override is None else override
        scores = self.evaluator.evaluate(batch.programs, self.standing.iteration, batch.on_policy)
        batch = self._with_scores(batch, scores)
        n_rows = len(batch)
        batch, scores = self._seeded(batch, scores)
        batch, scores = self._meld(batch, scores, n_rows)
        kept, quantile = self.risk_filter.select(scores.rewards, batch.programs)
        baseline = self.baseline.update(scores.rewards[kept], quantile)
        scored = self._scored(batch, scores)
        rows = kept & self._writable(batch, override is None)
        statistics = self._learn(batch, scored, rows, baseline)
        self._remember(scored)
        row = self.stats.row(batch, scores, kept)
        self.standing = self._advanced(n_rows, start)
        self.last = Iteration(self.standing.iteration, batch, scores, kept, baseline, statistics)
        self.dead_ends.update(
            batch.withdrawn, len(batch), lambda: self.masking_report(batch.programs)
        )
        return self._log_row(row, baseline, time.perf_counter() - start)

    def _parts(self) -> dict[str, Any]:
        """Return the parts that remember something; one with a state joins by its line."""
        parts = {
            "policy": self.policy,
            "policy_optimizer": self.policy_optimizer,
            "baseline": self.baseline,
            "memory": self.risk_filter.memory,
            "queue": self.queue,
            "gp": self.gp,
            "evaluator": self.evaluator,
            "judge": self.judge,
            "all_rows": None if self.judge is None else self.judge.task,
            "row_batches": self.row_batches,
            "task": self.evaluator.task,  # which row batches change
            "hall_of_fame": self.hall_of_fame,
            "pareto_front": self.pareto_front,
            "stats": self.stats,
            "dead_ends": self.dead_ends,
        }
        # Parts of users need no state.
        return {name: part for name, part in parts.items() if hasattr(part, "state_dict")}

    def state_dict(self) -> dict[str, Any]:
        """Return all that the next iteration depends on, part by part."""
        return {
            "standing": asdict(self.standing),
            "best": None if self.best is None else self.best.state_dict(),
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
                self._parts()[name].load_state_dict(state[name])
            except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
                raise UserError(f"the state of {name} does not fit: {error}") from None
        self.standing = Standing(**state["standing"])
        best = state["best"]
        self.best = None if best is None else ScoredPrograms.from_state_dict(best)
        self._clock = None

    def offer(self, programs: ProgramBatch) -> None:
        """Evaluate programs and remember them if they are good; the policy learns nothing.

        They are not counted as samples.
        """
        off_policy = np.zeros(len(programs), dtype=bool)
        scores = self.evaluator.evaluate(programs, self.standing.iteration, off_policy)
        programs = replace(programs, constants=scores.constants)
        rewards = np.where(scores.cause == 0, scores.rewards, -np.inf)
        self._remember(ScoredPrograms(programs, rewards, self.complexity(programs)))

    def pause(self) -> None:
        """Do not count the time from here to the next step."""
        self._clock = None

    def _search(self) -> None:
        """Before the first iteration, look for what the data themselves say."""
        self.seeds = None
        if self.seeder is not None and self.standing.iteration == 0:
            self.seeds = self.seeder.seeds(self.standing.iteration)
            if len(self.seeds.batch):
                self._remember(self._scored(self.seeds.batch, self.seeds.scores))

    def _seeded(self, batch: Batch, scores: Scores) -> tuple[Batch, Scores]:
        """Add what was found in the data, off policy."""
        if self.seeds is None or len(self.seeds.batch) == 0:
            return batch, scores
        return _joined(batch, scores, self.seeds)

    def _meld(self, batch: Batch, scores: Scores, n_rows: int) -> tuple[Batch, Scores]:
        """Add what genetic programming makes of a batch, off policy."""
        self.harvest = None
        n_before = self._n_evaluations(n_rows)
        is_solved = self.seeds is not None and self.standing.success
        if self.gp is None or is_solved:
            return batch, scores
        self._remember(self._scored(batch, scores))
        self.harvest = self.gp.step(
            batch,
            scores,
            self.standing.iteration,
            self._take_in,
            lambda n_bred: self.is_spent is not None and self.is_spent(n_before + n_bred),
        )
        return _joined(batch, scores, self.harvest)

    def _take_in(self, offspring: Batch, scores: Scores) -> bool:
        """Remember offspring; return whether the task is solved."""
        self._remember(self._scored(offspring, scores))
        return self.standing.success

    def _n_evaluations(self, n_rows: int) -> int:
        """Return those of the run so far, with the rows of this iteration and all else in it."""
        extra = (part.n_evaluations for part in (self.seeds, self.harvest) if part is not None)
        return self.standing.n_samples + n_rows + sum(extra)

    def _sample(self) -> Batch:
        if self.max_attempts is None:
            return self._draw(self.batch_size, 0)
        parts: list[Batch] = []
        novel: set[int] = set()
        while len(novel) < self.batch_size and len(parts) < self.max_attempts:
            parts.append(self._draw(self.batch_size - len(novel), len(parts)))
            novel |= self.evaluator.novel_keys(parts[-1].programs)
        return Batch.concatenate(parts)

    def _draw(self, n: int, attempt: int) -> Batch:
        name = f"sample again {attempt}" if attempt else "sample"
        return self.policy.sample(n, Stream(self.seed, name, self.standing.iteration))

    def _choose_rows(self) -> None:
        """Let the search see other rows where it is time to."""
        if self.row_batches is None or not self.row_batches.start(self.standing.iteration):
            return
        if self.risk_filter.memory is not None:
            self.risk_filter.memory.rescore(self.evaluator.rewards)
        if self.gp is not None:
            self.gp.rescore()

    def _fill_memory(self) -> None:
        """Before the first iteration, give a memory something to start from."""
        memory, n_rows = self.risk_filter.memory, self.warm_start
        if memory is None or self.standing.iteration > 0 or n_rows == 0:
            return
        batch = self.policy.sample(n_rows, Stream(self.seed, "warm start"))
        scores = self.evaluator.evaluate(batch.programs, 0, batch.on_policy)
        batch = self._with_scores(batch, scores)
        memory.push(batch.programs, scores.rewards)
        self._remember(self._scored(batch, scores))
        self.standing = replace(self.standing, n_samples=n_rows)

    @staticmethod
    def _with_scores(batch: Batch, scores: Scores) -> Batch:
        programs = batch.programs
        if scores.constants.shape[1]:
            programs = replace(programs, constants=scores.constants)
        return replace(batch, programs=programs).with_rewards(scores.rewards)

    def _scored(self, batch: Batch, scores: Scores) -> ScoredPrograms:
        rewards = np.where(scores.cause == 0, scores.rewards, -np.inf)
        return ScoredPrograms(batch.programs, rewards, self.complexity(batch.programs))

    def _writable(self, batch: Batch, is_drawn: bool) -> np.ndarray:
        """Tell which rows (B,) the policy could have written; others have no log-probability."""
        if is_drawn and batch.on_policy.all():
            return np.ones(len(batch), dtype=bool)
        return self.policy.prior.allowed(batch.programs)

    def _learn(
        self, batch: Batch, scored: ScoredPrograms, rows: np.ndarray, baseline: float
    ) -> dict[str, float]:
        """Teach the policy the chosen `rows` (B,); return the optimiser's statistics."""
        if not rows.any():
            return {}
        if self.queue is not None:
            best = scored[rows].best()
            if self.judge is not None:
                best = self.judge.judge(best, self.standing.iteration)
            self.queue.update(best)
        batch = batch[rows]
        statistics = self.policy_optimizer.step(batch, baseline, self.queue)
        if self.risk_filter.memory is not None:
            assert batch.rewards is not None
            self.risk_filter.memory.push(batch.programs, batch.rewards)
        return statistics

    def _remember(self, scored: ScoredPrograms) -> None:
        """Offer the batch to hall of fame and front, and look for a new best program."""
        if self.judge is not None:
            kept = self.hall_of_fame, self.pareto_front
            scored = self.judge.select(scored, *kept, self.standing.iteration)
        if self.hall_of_fame is not None:
            self.hall_of_fame.update(scored)
        if self.candidates is not None:
            self.candidates.update(scored)
        if self.pareto_front is not None:
            self.pareto_front.update(scored)
        if scored.rewards.max(initial=-np.inf) > self.standing.r_best:
            self._set_best(scored.best())

    def _set_best(self, best: ScoredPrograms) -> None:
        self.best = best
        self.standing = replace(
            self.standing,
            r_best=float(best.rewards[0]),
            r_train=np.inf if best.training is None else float(best.training[0]),
            best_iteration=self.standing.iteration + 1,
            success=self.is_success is not None and self.is_success(best.programs),
        )

    def _advanced(self, n_rows: int, start: float) -> Standing:
        """Return the standing after this iteration; time between iterations counts."""
        n_offspring = 0 if self.harvest is None else self.harvest.n_offspring
        now = time.perf_counter()
        seconds = now - (start if self._clock is None else self._clock)
        self._clock = now
        return replace(
            self.standing,
            iteration=self.standing.iteration + 1,
            n_samples=self._n_evaluations(n_rows),
            n_offspring=self.standing.n_offspring + n_offspring,
            seconds=self.standing.seconds + seconds,
        )

    def _log_row(self, row: dict[str, float], baseline: float, seconds: float) -> dict[str, float]:
        row.update(
            r_best=self.standing.r_best,
            ewma=self.baseline.ewma,
            baseline=baseline,
            time=seconds,
            nevals=self.standing.n_samples,
        )
        row = {name: row[name] for name in COLUMNS}
        if self.row_batches is not None:
            row["n_rows"] = self.row_batches.n_rows
        if self.gp is not None:
            row |= self._gp_columns()
        if self.seeder is not None:
            row |= self._semantic_columns()
        return row

    def _gp_columns(self) -> dict[str, float]:
        harvest = self.harvest
        counts = (harvest.n_offspring, harvest.n_novel, harvest.n_refused) if harvest else (0, 0, 0)
        columns: dict[str, float] = dict(zip(GP_COLUMNS, counts, strict=True))
        if self.gp is not None and self.gp.breeder.looks_up:
            columns[LOOKUP_COLUMN] = harvest.n_lookups if harvest else 0
        return columns

    def _semantic_columns(self) -> dict[str, float]:
        seeds = self.seeds
        counts = (seeds.n_vectors, seeds.n_lookups) if seeds else (0, 0)
        return dict(zip(SEMANTIC_COLUMNS, counts, strict=True))


def _joined(batch: Batch, scores: Scores, more: Seeds | Harvest) -> tuple[Batch, Scores]:
    return Batch.concatenate([batch, more.batch]), scores.concatenate([scores, more.scores])
