"""The risk filter: learn from the best fraction of a batch only."""

from __future__ import annotations

import math

import numpy as np

REWARD_LIMIT = 1e6
"""Rewards that enter the loss are clipped to this magnitude."""


def clip_rewards(rewards: np.ndarray) -> np.ndarray:
    """Return rewards as the loss sees them, so that no single one can destroy the weights."""
    return np.clip(rewards, -REWARD_LIMIT, REWARD_LIMIT)


class RiskFilter:
    """Keep the rows at or above the (1 - epsilon) quantile of the rewards.

    Petersen et al., Deep symbolic regression (ICLR 2021), equation 3. The quantile is the smallest
    reward of the batch that is not below the exact quantile, and every row that ties with it is
    kept. Without risk-seeking (`epsilon` None or 1) all rows are kept and the quantile is the
    smallest reward, which is what the quantile tends to as epsilon goes to 1; so every baseline
    is defined.

    Parameters
    ----------
    epsilon : float or None
        Fraction kept, in (0, 1].
    """

    def __init__(self, epsilon: float | None) -> None:
        epsilon = 1.0 if epsilon is None else epsilon
        if not 0.0 < epsilon <= 1.0:
            raise ValueError(f"epsilon is {epsilon}; allowed: 0 < epsilon <= 1, or None")
        self.epsilon = epsilon

    def select(self, rewards: np.ndarray) -> tuple[np.ndarray, float]:
        """Choose the rows to learn from.

        Parameters
        ----------
        rewards : (B,) float64
            No NaN; infinities are allowed.

        Returns
        -------
        kept : (B,) bool
        quantile : float
        """
        if np.isnan(rewards).any():
            raise ValueError("a reward is NaN; the evaluator must replace it before the quantile")
        rank = math.ceil((len(rewards) - 1) * (1.0 - self.epsilon))
        quantile = float(np.partition(rewards, rank)[rank])
        return rewards >= quantile, quantile
