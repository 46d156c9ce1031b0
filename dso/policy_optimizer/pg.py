"""Policy gradient on the kept programs."""

from __future__ import annotations

import torch

from dso.policy_optimizer.policy_optimizer import PolicyOptimizer


class PolicyGradient(PolicyOptimizer):
    """Risk-seeking policy gradient.

    With the risk filter before it and baseline R_e this is equation 4 of Petersen et al., Deep
    symbolic regression (ICLR 2021); the mean is over the kept rows.
    """

    def loss(
        self,
        log_prob: torch.Tensor,
        entropy: torch.Tensor,
        rewards: torch.Tensor,
        baseline: float,
    ) -> torch.Tensor:
        return -((rewards - baseline) * log_prob).mean()
