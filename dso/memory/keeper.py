"""Keeper: what a run keeps of all the programs that it has seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from dso.memory.hall_of_fame import HallOfFame
from dso.memory.pareto_front import ParetoFront
from dso.memory.scored_programs import ScoredPrograms
from dso.program.batch import ScoredBatch
from dso.program.program_batch import ProgramBatch

if TYPE_CHECKING:
    from dso.memory.judge import Judge


class Keeper:
    """Keeps hall of fame, Pareto front, candidates for the final choice, and the best program.

    Parameters
    ----------
    complexity : callable
        Programs -> (B,) float64; see `complexity_measure`.
    hof : int
        Size of the hall of fame; 0 for none.
    n_candidates : int
        How many of the best programs are kept for the task's final choice; 0 for none.
    save_pareto_front : bool
        Whether a Pareto front is kept.
    judge : Judge, optional
        Rewards what is worth keeping on more rows of data than the search sees. Without it the
        rewards of the search are those that are kept.
    is_success : callable, optional
        Tells of the best program, a batch of one row, whether the task is solved; called only when
        there is a new one. Without it no program is a success.

    Attributes
    ----------
    best : ScoredPrograms or None
        The best program, one row.
    best_iteration : int
        Iteration (from 1) in which it was found; 0 before there is one.
    success : bool
        Whether the task calls it a success.
    """

    def __init__(
        self,
        complexity: Callable[[ProgramBatch], np.ndarray],
        *,
        hof: int = 100,
        n_candidates: int = 0,
        save_pareto_front: bool = True,
        judge: Judge | None = None,
        is_success: Callable[[ProgramBatch], bool] | None = None,
    ) -> None:
        self.complexity = complexity
        self.hall_of_fame = HallOfFame(hof) if hof else None
        self.candidates = HallOfFame(n_candidates) if n_candidates else None
        self.pareto_front = ParetoFront() if save_pareto_front else None
        self.judge = judge
        self.is_success = is_success
        self.best: ScoredPrograms | None = None
        self.best_iteration = 0
        self.success = False

    @property
    def r_best(self) -> float:
        """The reward of the best program, by which programs are ranked; -inf without one."""
        return -np.inf if self.best is None else float(self.best.rewards[0])

    @property
    def r_train(self) -> float:
        """Its reward on the training rows where others were set aside to rank by; else inf."""
        if self.best is None or self.best.training is None:
            return np.inf
        return float(self.best.training[0])

    def take_in(self, batch: ScoredBatch, iteration: int) -> None:
        """Offer a batch to hall of fame and front, and look for a new best program."""
        scored = self._scored(batch)
        if self.judge is not None:
            kept = self.hall_of_fame, self.pareto_front
            scored = self.judge.select(scored, *kept, iteration)
        for memory in (self.hall_of_fame, self.candidates, self.pareto_front):
            if memory is not None:
                memory.update(scored)
        if scored.rewards.max(initial=-np.inf) > self.r_best:
            self.best = scored.best()
            self.best_iteration = iteration + 1
            self.success = self.is_success is not None and self.is_success(self.best.programs)

    def best_of(self, batch: ScoredBatch, iteration: int) -> ScoredPrograms:
        """Return the best program of a batch, one row, with the reward that it is kept by."""
        best = self._scored(batch).best()
        return best if self.judge is None else self.judge.judge(best, iteration)

    def _scored(self, batch: ScoredBatch) -> ScoredPrograms:
        complexities = self.complexity(batch.programs)
        return ScoredPrograms(batch.programs, batch.valid_rewards, complexities)

    def parts(self) -> dict[str, Any]:
        """Return what has a state, by name."""
        return {
            "judge": self.judge,
            "all_rows": None if self.judge is None else self.judge.task,
            "hall_of_fame": self.hall_of_fame,
            "candidates": self.candidates,
            "pareto_front": self.pareto_front,
        }
