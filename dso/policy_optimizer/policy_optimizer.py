"""PolicyOptimizer: turns a batch of kept programs into one update of the policy's weights.

    minimise    loss(log p, r, b) - weight mean(sum_t gamma^t H_t)

H_t is the entropy of the choice at position t. The bonus keeps the policy from settling on one
program. With gamma below 1 it counts for more at the first tokens, which decide the form, and whose
choice becomes certain too early.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import torch

from dso.errors import UserError
from dso.policy_optimizer.gradient_descent import GradientDescent
from dso.policy_optimizer.risk import clip_rewards
from dso.program.batch import ScoredBatch

if TYPE_CHECKING:
    from dso.memory import PriorityQueue
    from dso.policy import Policy, Replay


class PolicyOptimizer(ABC):
    """Descend on a loss of log-probabilities, rewards and entropy.

    The minimised objective is ``loss(...) - entropy_weight * mean(entropy)``, where the entropy of
    a program is the sum over positions t of ``entropy_gamma ** t`` times the entropy of the choice
    made there (Landajuela et al., Improving exploration in policy gradient search, 2021). A
    subclass defines `loss`.

    Parameters
    ----------
    policy : Policy
    learning_rate : float
    optimizer : {"adam", "rmsprop", "sgd"}
    entropy_weight : float
    entropy_gamma : float or None
        None is 1.

    Attributes
    ----------
    uses_queue : bool
        Whether `step` wants the queue of the best programs.
    """

    uses_queue = False

    def __init__(
        self,
        policy: Policy,
        *,
        learning_rate: float = 0.001,
        optimizer: str = "adam",
        entropy_weight: float = 0.005,
        entropy_gamma: float | None = 1.0,
    ) -> None:
        self.policy = policy
        self.entropy_weight = entropy_weight
        self.entropy_gamma = 1.0 if entropy_gamma is None else entropy_gamma
        self.descent = GradientDescent(optimizer, list(policy.parameters()), learning_rate)

    @abstractmethod
    def loss(
        self,
        log_prob: torch.Tensor,
        entropy: torch.Tensor,
        rewards: torch.Tensor,
        baseline: float,
    ) -> torch.Tensor:
        """Return the method's own term.

        Parameters
        ----------
        log_prob : (B,) float
            Log-probability of each program under the present weights.
        entropy : (B,) float
        rewards : (B,) float
        baseline : float
        """

    def step(
        self, batch: ScoredBatch, baseline: float, queue: PriorityQueue | None = None
    ) -> dict[str, float]:
        """Update the policy once.

        Parameters
        ----------
        batch : ScoredBatch
            The kept rows.
        baseline : float
        queue : PriorityQueue, optional
            The best programs so far, if `uses_queue`.

        Returns
        -------
        dict
            ``loss`` (all of it) and its two terms ``method_loss`` and ``entropy_loss``;
            ``entropy`` (mean over the batch).
        """
        log_prob, entropy = self.totals(self.policy.replay(batch.programs))
        loss = self.loss(log_prob, entropy, self.rewards(batch, log_prob), baseline)
        return self.descend(self._checked(loss), entropy)

    def _checked(self, loss: object) -> torch.Tensor:
        """Return a loss, once it is one finite number of torch."""
        name = f"{type(self).__name__}.loss"
        if not isinstance(loss, torch.Tensor):
            raise UserError(f"{name} returned {loss!r}; expected a scalar tensor.")
        if loss.ndim:
            raise UserError(f"{name} returned shape {tuple(loss.shape)}; expected a scalar tensor.")
        if not torch.isfinite(loss):
            raise UserError(
                f"{name} returned {loss.item()}; if the policy's weights grow, lower "
                "policy_optimizer.learning_rate."
            )
        return loss

    def totals(self, replay: Replay) -> tuple[torch.Tensor, torch.Tensor]:
        """Return log-probability and discounted entropy of each program, (B,) each."""
        log_prob, entropy = self.policy.log_prob_and_entropy(replay)  # (B, T) each
        return log_prob.sum(dim=1), entropy @ self._discounts(entropy)

    @staticmethod
    def rewards(batch: ScoredBatch, like: torch.Tensor) -> torch.Tensor:
        """Return the rewards (B,) as the loss sees them, of the type of `like`."""
        return torch.from_numpy(clip_rewards(batch.rewards)).to(like)

    def descend(self, method_loss: torch.Tensor, entropy: torch.Tensor) -> dict[str, float]:
        """Subtract the entropy bonus from the method's own term and update the weights."""
        mean_entropy = entropy.mean()
        loss = method_loss - self.entropy_weight * mean_entropy
        self.descent.step(loss)
        return {
            "loss": loss.item(),
            "method_loss": method_loss.item(),
            "entropy_loss": -self.entropy_weight * mean_entropy.item(),
            "entropy": mean_entropy.item(),
        }

    def _discounts(self, entropy: torch.Tensor) -> torch.Tensor:
        positions = torch.arange(entropy.shape[1], dtype=entropy.dtype, device=entropy.device)
        return self.entropy_gamma**positions  # (T,)

    def state_dict(self) -> dict[str, Any]:
        """Return what the update rule remembers; the weights belong to the policy."""
        return {"descent": self.descent.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what the update rule remembers."""
        self.descent.load_state_dict(state["descent"])
