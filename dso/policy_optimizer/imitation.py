"""Imitation: before it first draws, a policy learns programs that something else has found.

The loss is -sum_i w_i log p(program i), where w_i is the reward of a program over the sum of all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from dso.policy_optimizer.gradient_descent import GradientDescent
from dso.policy_optimizer.risk import clip_rewards

if TYPE_CHECKING:
    from dso.policy import Policy
    from dso.program.batch import ScoredBatch


class Imitation:
    """Raises the likelihood of programs by their rewards.

    Parameters
    ----------
    policy : Policy
    n_steps : int
        Gradient steps; 0: none.
    learning_rate : float
        Of Adam, whose moments the policy optimiser does not see.
    """

    def __init__(self, policy: Policy, n_steps: int, learning_rate: float) -> None:
        self.policy, self.n_steps, self.learning_rate = policy, n_steps, learning_rate

    def learn(self, batch: ScoredBatch) -> None:
        """Imitate those programs of a batch that are valid and that the policy could write."""
        is_usable = (batch.cause == 0) & (batch.rewards > 0)
        is_usable &= self.policy.prior.allowed(batch.programs)
        if not (self.n_steps and is_usable.any()):
            return
        kept = batch[is_usable]
        replay = self.policy.replay(kept.programs)
        descent = GradientDescent("adam", list(self.policy.parameters()), self.learning_rate)
        rewards = torch.from_numpy(clip_rewards(kept.rewards))
        for _ in range(self.n_steps):
            log_prob = self.policy.log_prob_and_entropy(replay)[0].sum(dim=1)
            weights = (rewards / rewards.sum()).to(log_prob)
            descent.step(-(weights * log_prob).sum())
