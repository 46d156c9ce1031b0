"""Noise on rewards, to study noisy searches. The data set adds noise to data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dso.errors import UserError, unknown
from dso.streams import Stream

KINDS = ("r", "y_hat")
RECOVERED = 1e6
"""Reward under "r" noise of a program that has recovered the target: above any noisy one."""


@dataclass(frozen=True)
class RewardNoise:
    """What to add, and where.

    Attributes
    ----------
    scale : float
        Standard deviation on the reward (kind "r"), or on the predictions in units of the root
        mean square of y (kind "y_hat"). 0 means no noise.
    kind : str
        One of `KINDS`.
    normalize_variance : bool
        Whether noisy rewards are divided by ``sqrt(1 + 12 scale**2)``, which keeps the variance of
        uniformly distributed ones.
    """

    scale: float = 0.0
    kind: str = "r"
    normalize_variance: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown("kind of noise", self.kind, KINDS, "task.reward_noise_type")
        if not 0 <= self.scale < np.inf:
            raise UserError(f"task.reward_noise: {self.scale!r}; expected a finite number >= 0.")

    def generator(self, n_calls: int) -> np.random.Generator:
        """Return the random numbers of one call of the task; each call has its own."""
        return Stream(0, "reward noise", n_calls).generator()

    def added_to_rewards(self, rewards: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Return rewards (B,) with noise."""
        noisy = rewards + random.normal(0.0, self.scale, rewards.shape)
        return noisy / np.sqrt(1 + 12 * self.scale**2) if self.normalize_variance else noisy

    def added_to_predictions(
        self,
        predictions: np.ndarray,
        *,
        y: np.ndarray,
        random: np.random.Generator,
        weights: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return predictions (B, N) with noise in proportion to the size of the targets (N,)."""
        unit = np.sqrt(np.average(y**2, weights=weights))
        return predictions + random.normal(0.0, self.scale * unit, predictions.shape)
