"""Judge: rewards what a run keeps on more rows of data than the search sees."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dso.memory.hall_of_fame import HallOfFame
from dso.memory.pareto_front import ParetoFront
from dso.memory.scored_programs import ScoredPrograms
from dso.native import _core
from dso.program.batch import Batch

if TYPE_CHECKING:
    from dso.evaluation import Evaluator
    from dso.task import Task


class Judge:
    """Rewards programs on all training rows, and ranks them by the rows set aside if there are any.

    The search rewards thousands of programs; few of them are good enough to be kept. Only those are
    judged, each once: the ones that would improve the Pareto front or the hall of fame if their
    reward held, and of these the best: as many as `rows_per_iteration` rows allow.

    Parameters
    ----------
    task : Task
        With all training rows.
    evaluator : Evaluator or None
        Of all training rows; None where the search sees them all.
    rows_per_iteration, least_programs : int
        Bound what an iteration costs; some programs are judged however many rows there are.
    """

    def __init__(
        self,
        task: Task,
        evaluator: Evaluator | None,
        *,
        rows_per_iteration: int = 2_000_000,
        least_programs: int = 5,
    ) -> None:
        self.task = task
        self.evaluator = evaluator
        n_rows = task.n_validation_rows + (0 if evaluator is None else task.n_train_rows)
        self.max_programs = max(least_programs, rows_per_iteration // n_rows)
        self._judged = _core.KeySet()

    def select(
        self,
        scored: ScoredPrograms,
        hall_of_fame: HallOfFame | None,
        front: ParetoFront | None,
        iteration: int,
    ) -> ScoredPrograms:
        """Return the programs of a batch that are worth keeping, with the rewards to rank by."""
        ranked = scored[np.flatnonzero(scored.rewards > -np.inf)].ranked()
        ranked = ranked[~self._judged.contains(ranked.programs.keys())]
        on_front = np.flatnonzero(_improves_front(ranked, front))
        above_bar = np.flatnonzero(ranked.rewards >= _bar(hall_of_fame))
        rows = np.concatenate([on_front, np.setdiff1d(above_bar, on_front)])
        chosen = ranked[np.sort(rows[: self.max_programs])]
        self._judged.insert(chosen.programs.keys())
        return self.judge(chosen, iteration)

    def judge(self, scored: ScoredPrograms, iteration: int) -> ScoredPrograms:
        """Return the same programs, their constants fitted to all training rows, newly rewarded."""
        if len(scored) == 0:
            return scored
        return self.ranked_by_others(self._on_all_rows(scored, iteration))

    def ranked_by_others(self, scored: ScoredPrograms) -> ScoredPrograms:
        """Return programs, rewarded on all training rows, with the rewards to rank by."""
        if not self.task.n_validation_rows:
            return scored
        answer = self.task.validation_rewards(scored.programs)
        is_valid = (answer.cause == 0) & (scored.rewards > -np.inf)
        rewards = np.where(is_valid, answer.values, -np.inf)
        return replace(scored, rewards=rewards, training=scored.rewards)

    def _on_all_rows(self, scored: ScoredPrograms, iteration: int) -> ScoredPrograms:
        if self.evaluator is None:
            return scored
        programs = scored.programs
        bare = replace(programs, constants=np.empty((len(programs), 0)))
        counted = Batch(bare, np.ones(len(programs), dtype=bool))
        batch = self.evaluator.evaluate(counted, iteration, programs.constants)
        return replace(scored, programs=batch.programs, rewards=batch.valid_rewards)

    def state_dict(self) -> dict[str, Any]:
        """Return what was judged."""
        state: dict[str, Any] = {"judged": self._judged.sorted()}
        if self.evaluator is not None:
            state["evaluator"] = self.evaluator.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._judged = _core.KeySet()
        self._judged.insert(state["judged"])
        if self.evaluator is not None:
            self.evaluator.load_state_dict(state["evaluator"])


def _bar(hall_of_fame: HallOfFame | None) -> float:
    """Return the training reward from which on a program may enter the hall of fame."""
    if hall_of_fame is None or len(hall_of_fame) < hall_of_fame.size:
        return -np.inf
    return float(hall_of_fame.rows.training_rewards.min())


def _improves_front(ranked: ScoredPrograms, front: ParetoFront | None) -> np.ndarray:
    """Tell which of ranked programs (B,) no other of them, nor one of the front, dominates."""
    if front is None or len(ranked) == 0:
        return np.zeros(len(ranked), dtype=bool)
    simplest = np.minimum.accumulate(ranked.complexities)
    is_simplest = np.append(True, ranked.complexities[1:] < simplest[:-1])
    # The best training reward on the front at up to a row's complexity.
    best = np.append(-np.inf, np.maximum.accumulate(front.rows.training_rewards))
    rank = np.searchsorted(front.rows.complexities, ranked.complexities, side="right")
    return is_simplest & (ranked.rewards > best[rank])
