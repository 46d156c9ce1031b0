"""Policy gradient on the kept programs (REINFORCE: Williams, 1992).

    loss = -mean((r - b) log p)

for rewards r, the baseline b and the probabilities p of the programs. Its gradient is an estimate
of that of the expected reward, from draws alone: rewards need no derivatives. Where only rewards
above a quantile are kept, and b is that quantile, it is the gradient of the expected reward of the
best share: the policy may draw many bad programs for a few that are better.
"""

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
