"""Learner: turns the batch of an iteration into one update of the policy."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass, replace
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from dso.errors import UserError
from dso.policy_optimizer.baseline import Baseline
from dso.policy_optimizer.risk import RiskFilter
from dso.program.batch import ScoredBatch

if TYPE_CHECKING:
    from dso.memory import Keeper, PriorityQueue
    from dso.policy import Policy
    from dso.policy_optimizer.policy_optimizer import PolicyOptimizer


def _checked(statistics: Any, policy_optimizer: PolicyOptimizer) -> dict[str, float]:
    """Return what a policy optimiser's `step` did, once it is a dict of numbers."""
    is_dict = isinstance(statistics, dict)
    if not is_dict or not all(isinstance(value, Real) for value in statistics.values()):
        raise UserError(
            f"{type(policy_optimizer).__name__}.step returned {reprlib.repr(statistics)}; expected "
            "a dict of numbers, {} at least."
        )
    return statistics


@dataclass(frozen=True)
class Lesson:
    """What was learned from a batch.

    Attributes
    ----------
    kept : (B,) bool
        The rows that the risk filter kept.
    baseline : float
    statistics : dict
        What the policy optimiser's `step` returned; empty where there was nothing to learn.
    """

    kept: np.ndarray
    baseline: float
    statistics: dict[str, float]


class Learner:
    """Keep the best share, subtract the baseline, take a gradient step.

    Parameters
    ----------
    policy : Policy
    policy_optimizer : PolicyOptimizer
    risk_filter : RiskFilter
        Its memory, if it has one, takes in what was learned from.
    baseline : Baseline
    keeper : Keeper
        Knows what a program is worth that the queue is offered.
    queue : PriorityQueue, optional
        Is offered the best kept program of every iteration and handed to the policy optimiser.
    parsimony : float
        What a step of complexity costs, in units of the reward.
    """

    def __init__(
        self,
        policy: Policy,
        policy_optimizer: PolicyOptimizer,
        risk_filter: RiskFilter,
        baseline: Baseline,
        keeper: Keeper,
        queue: PriorityQueue | None = None,
        parsimony: float = 0.0,
    ) -> None:
        self.policy = policy
        self.policy_optimizer = policy_optimizer
        self.risk_filter = risk_filter
        self.baseline = baseline
        self.keeper = keeper
        self.queue = queue
        self.parsimony = parsimony

    def learn(self, batch: ScoredBatch, iteration: int, *, is_drawn: bool = True) -> Lesson:
        """Teach the policy the best rows of a batch.

        Parameters
        ----------
        batch : ScoredBatch
        iteration : int
        is_drawn : bool
            Whether the policy did draw the rows that are called so. Where others are among them,
            only those that it could have written are learned from: others have no log-probability.
        """
        if self.parsimony:
            price = self.parsimony * self.keeper.complexity(batch.programs)
            batch = replace(batch, rewards=batch.rewards - price)
        kept, quantile = self.risk_filter.select(batch.rewards, batch.programs)
        baseline = self.baseline.update(batch.rewards[kept], quantile)
        rows = kept
        if not (is_drawn and batch.on_policy.all()):
            rows = kept & self.policy.prior.allowed(batch.programs)
        return Lesson(kept, baseline, self._step(batch[rows], baseline, iteration))

    def _step(self, batch: ScoredBatch, baseline: float, iteration: int) -> dict[str, float]:
        if len(batch) == 0:
            return {}
        if self.queue is not None:
            self.queue.update(self.keeper.best_of(batch, iteration))
        statistics = _checked(
            self.policy_optimizer.step(batch, baseline, self.queue), self.policy_optimizer
        )
        if self.risk_filter.memory is not None:
            self.risk_filter.memory.push(batch.programs, batch.rewards)
        return statistics

    def parts(self) -> dict[str, Any]:
        """Return what has a state, by name."""
        return {
            "policy": self.policy,
            "policy_optimizer": self.policy_optimizer,
            "baseline": self.baseline,
            "memory": self.risk_filter.memory,
            "queue": self.queue,
        }
