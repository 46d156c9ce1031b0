"""The programs behind the keys of the reward cache, kept only if a run lists them."""

from __future__ import annotations

from typing import Any

import numpy as np

from dso.program import ProgramBatch


class ProgramArchive:
    """Remember programs with their keys and rewards.

    The reward cache knows a program by 8 bytes; this holds its tokens too, in memory without a
    bound, so a high `r_min` is worth having.

    Parameters
    ----------
    r_min : float or None
        Least reward of what is remembered; None for all.
    """

    def __init__(self, r_min: float | None = None) -> None:
        self.r_min = -np.inf if r_min is None else r_min
        self._parts: list[tuple[np.ndarray, ProgramBatch, np.ndarray]] = []

    def add(self, keys: np.ndarray, programs: ProgramBatch, rewards: np.ndarray) -> None:
        """Remember what is good enough.

        Parameters
        ----------
        keys : (B,) uint64
            Of the reward cache.
        programs : ProgramBatch
        rewards : (B,) float64
        """
        good = rewards >= self.r_min
        if good.any():
            self._parts.append((keys[good], programs[good], rewards[good]))

    def ranked(self) -> tuple[np.ndarray, ProgramBatch, np.ndarray]:
        """Return keys (n,), programs and rewards (n,), each program once.

        The best come first; among equals the one that came first.
        """
        if not self._parts:
            return np.empty(0, np.uint64), ProgramBatch.from_rows([]), np.empty(0)
        keys, programs, rewards = zip(*self._parts, strict=True)
        every_key = np.concatenate(keys)
        # The cache may forget a program and meet it again.
        first = np.sort(np.unique(every_key, return_index=True)[1])
        every_reward = np.concatenate(rewards)
        order = first[np.argsort(-every_reward[first], kind="stable")]
        return every_key[order], ProgramBatch.concatenate(programs)[order], every_reward[order]

    def clear(self) -> None:
        """Forget everything."""
        self._parts.clear()

    def state_dict(self) -> dict[str, Any]:
        """Return what is remembered as arrays, in the order in which it came."""
        if not self._parts:
            return {}
        keys, programs, rewards = zip(*self._parts, strict=True)
        joined = ProgramBatch.concatenate(programs)
        return {
            "keys": np.concatenate(keys),
            **joined.state_dict(),
            "rewards": np.concatenate(rewards),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Remember what `state_dict` returned."""
        self._parts = []
        if state:
            programs = ProgramBatch.from_state_dict(state)
            self._parts.append((state["keys"], programs, state["rewards"]))
