"""The risk filter: learn from the best fraction of a batch only.

The expected reward is the wrong aim for a search, whose answer is one program. The aim is that of
the best share epsilon,

    E[r | r >= q],    q the (1 - epsilon) quantile of r,

whose gradient is that of the kept rows alone, compared with q.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from dso.memory import ProgramMemory
    from dso.program.program_batch import ProgramBatch

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
    memory : ProgramMemory, optional
        Takes part in the quantile, which is then that of `ProgramMemory.distribution`.
    """

    def __init__(self, epsilon: float | None, memory: ProgramMemory | None = None) -> None:
        epsilon = 1.0 if epsilon is None else epsilon
        if not 0.0 < epsilon <= 1.0:
            raise ValueError(f"epsilon is {epsilon}; allowed: 0 < epsilon <= 1, or None")
        self.epsilon = epsilon
        self.memory = memory

    def n_kept(self, n: int) -> int:
        """Return how many of n different rewards are kept."""
        return n - math.ceil((n - 1) * (1.0 - self.epsilon))

    def select(
        self, rewards: np.ndarray, programs: ProgramBatch | None = None
    ) -> tuple[np.ndarray, float]:
        """Choose the rows to learn from.

        Parameters
        ----------
        rewards : (B,) float64
            No NaN; infinities are allowed.
        programs : ProgramBatch, optional
            The rows themselves, which a memory needs.

        Returns
        -------
        kept : (B,) bool
        quantile : float
        """
        if np.isnan(rewards).any():
            raise ValueError("a reward is NaN; the evaluator must replace it before the quantile")
        if self.memory is not None:
            assert programs is not None
            quantile = weighted_quantile(
                *self.memory.distribution(programs, rewards), 1.0 - self.epsilon
            )
            # What is remembered may be better than all of the batch; its best stays, worth nothing.
            quantile = min(quantile, float(rewards.max()))
        else:
            rank = len(rewards) - self.n_kept(len(rewards))
            quantile = float(np.partition(rewards, rank)[rank])
        return rewards >= quantile, quantile


def weighted_quantile(values: np.ndarray, weights: np.ndarray, level: float) -> float:
    """Return the smallest value up to which at least `level` of all weight lies.

    Parameters
    ----------
    values, weights : (R,) float64
        Weights are not negative and not all zero.
    level : float
        In [0, 1].
    """
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(below, level * below[-1])])
