"""Programs that enter the quantile with the probability that the policy gives them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from dso.native import _core
from dso.program.program_batch import ProgramBatch

if TYPE_CHECKING:
    from dso.policy import Policy

logger = logging.getLogger("dso")


class ProgramMemory:
    """Remember the last `capacity` different programs with their rewards.

    The distribution of rewards under the policy is estimated from memory and batch together: a
    remembered program counts with its present probability, and the batch, which speaks for all
    others, shares what is left (Liang et al., Memory augmented policy optimization, 2018).

    Parameters
    ----------
    policy : Policy
    capacity : int
    threshold : float, optional
        Once the memory holds more than this share of the probability, say so, one time: from then
        on the quantile hardly depends on what is sampled.
    """

    def __init__(self, policy: Policy, capacity: int, threshold: float | None = None) -> None:
        self.policy = policy
        self.capacity = capacity
        self.threshold = threshold
        self.programs = ProgramBatch.from_rows([])
        self.rewards = np.empty(0)
        self._is_told = False

    def __len__(self) -> int:
        return len(self.programs)

    def push(self, programs: ProgramBatch, rewards: np.ndarray) -> None:
        """Append programs (B) with rewards (B,), oldest first; a known one moves to the end.

        Only what the policy can write may be pushed.
        """
        programs = ProgramBatch.concatenate([self.programs, programs])
        rewards = np.concatenate([self.rewards, rewards])
        # The last of equal rows stays: the first one, seen from the end.
        is_last = _is_first(programs.keys()[::-1])[::-1]
        rows = np.flatnonzero(is_last)[-self.capacity :]
        self.programs, self.rewards = programs[rows], rewards[rows]

    def rescore(self, rewards_of: Callable[[ProgramBatch], np.ndarray]) -> None:
        """Reward what is remembered again, since rewards mean something else now."""
        if len(self):
            self.rewards = rewards_of(self.programs)

    def distribution(
        self, programs: ProgramBatch, rewards: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return rewards and their weights, from memory and from a batch that the policy drew.

        Parameters
        ----------
        programs : ProgramBatch
        rewards : (B,) float64

        Returns
        -------
        rewards, weights : (R,) float64
            Weights add up to 1 unless all of the batch is remembered.
        """
        keys = programs.keys()
        is_other = _is_first(keys) & ~np.isin(keys, self.programs.keys())
        weights = self._probabilities()
        share = weights.sum()
        self._tell(share)
        n_others = np.count_nonzero(is_other)
        rest = np.full(n_others, max(0.0, 1.0 - share) / max(n_others, 1))
        return np.append(self.rewards, rewards[is_other]), np.append(weights, rest)

    def _probabilities(self) -> np.ndarray:
        """Return the present probability of each program, (M,) float64."""
        import torch  # takes seconds to import; a policy has done so by now

        if len(self) == 0:
            return np.empty(0)
        with torch.no_grad():
            log_prob, _ = self.policy.log_prob_and_entropy(self.policy.replay(self.programs))
        return np.exp(log_prob.numpy().sum(axis=1, dtype=np.float64))

    def _tell(self, share: float) -> None:
        if self.threshold is None or self._is_told or share <= self.threshold:
            return
        self._is_told = True
        logger.warning(
            "training.memory_threshold: the %d programs of the memory hold %.3g of the policy's "
            "probability, more than %g.",
            len(self),
            share,
            self.threshold,
        )

    def state_dict(self) -> dict[str, Any]:
        """Return programs and rewards as arrays, oldest first."""
        return {
            **self.programs.state_dict(),
            "rewards": self.rewards,
            "is_told": self._is_told,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        programs, rewards = ProgramBatch.from_state_dict(state), state["rewards"]
        if rewards.shape != (len(programs),):
            raise ValueError(f"{rewards.shape} rewards of {len(programs)} programs")
        self.programs, self.rewards = programs, rewards
        self._is_told = bool(state["is_told"])


def _is_first(keys: np.ndarray) -> np.ndarray:
    """Tell which rows (B,) have a key that no row before them has."""
    return _core.first_rows(np.ascontiguousarray(keys)) == np.arange(len(keys))
