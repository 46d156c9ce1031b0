"""Proximal policy optimisation: several small steps on one batch, none of them far.

    loss = -mean(min(q A, clip(q, 1 - c, 1 + c) A)),    A = r - b,    q = p / p_old

p_old is a program's probability before the first step. Once q has moved by c in the direction that
A asks for, the term is constant and pushes no further. So a batch, whose rewards were dear, can be
learned from several times without leaving the policy that it was drawn from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from dso.policy_optimizer.policy_optimizer import PolicyOptimizer
from dso.program.batch import ScoredBatch
from dso.streams import Stream

if TYPE_CHECKING:
    from dso.memory import PriorityQueue
    from dso.policy import Policy


class ProximalPolicyOptimization(PolicyOptimizer):
    """Ascend on the clipped ratio of new to old probabilities.

    With advantages A = reward - baseline and ratios r of a program's probability to the one it had
    before the first pass, the term is ``-mean(min(r A, clip(r, 1 - c, 1 + c) A))`` (Schulman et
    al., Proximal policy optimization algorithms, 2017, equation 7).

    Parameters
    ----------
    policy : Policy
    ppo_clip_ratio : float
        c.
    ppo_n_iters : int
        Passes over the batch.
    ppo_n_mb : int
        Minibatches per pass; fewer where the batch has fewer rows.
    seed : int
        Of the order of rows.
    **section
        See `PolicyOptimizer`.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        ppo_clip_ratio: float = 0.2,
        ppo_n_iters: int = 10,
        ppo_n_mb: int = 4,
        seed: int = 0,
        **section: Any,
    ) -> None:
        super().__init__(policy, **section)
        self.ppo_clip_ratio = ppo_clip_ratio
        self.ppo_n_iters = ppo_n_iters
        self.ppo_n_mb = ppo_n_mb
        self.seed = seed
        self.n_steps = 0

    def loss(
        self,
        log_prob: torch.Tensor,
        entropy: torch.Tensor,
        rewards: torch.Tensor,
        baseline: float,
    ) -> torch.Tensor:
        """Return the clipped objective; `log_prob` is relative to the old one, zero at first."""
        ratio, advantage = log_prob.exp(), rewards - baseline
        clipped = ratio.clamp(1.0 - self.ppo_clip_ratio, 1.0 + self.ppo_clip_ratio)
        return -torch.minimum(ratio * advantage, clipped * advantage).mean()

    def step(
        self, batch: ScoredBatch, baseline: float, queue: PriorityQueue | None = None
    ) -> dict[str, float]:
        """Update the policy `ppo_n_iters` times `ppo_n_mb` times; see `PolicyOptimizer.step`.

        The statistics are means over the updates.
        """
        replay = self.policy.replay(batch.programs)
        with torch.no_grad():
            old, _ = self.totals(replay)
        rewards = self.rewards(batch, old)
        updates = []
        for rows in self._minibatches(len(batch)):
            log_prob, entropy = self.totals(replay[rows])
            loss = self.loss(log_prob - old[rows], entropy, rewards[rows], baseline)
            updates.append(self.descend(loss, entropy))
        return {name: float(np.mean([u[name] for u in updates])) for name in updates[0]}

    def _minibatches(self, n_rows: int) -> list[np.ndarray]:
        """Return the rows of every update."""
        random = Stream(self.seed, "ppo", self.n_steps).generator()
        self.n_steps += 1
        n_parts = min(self.ppo_n_mb, n_rows)
        return [
            rows
            for _ in range(self.ppo_n_iters)
            for rows in np.array_split(random.permutation(n_rows), n_parts)
        ]

    def state_dict(self) -> dict[str, Any]:
        """Return what the update rule remembers, and how many steps were done."""
        return {**super().state_dict(), "n_steps": self.n_steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        super().load_state_dict(state)
        self.n_steps = int(state["n_steps"])
