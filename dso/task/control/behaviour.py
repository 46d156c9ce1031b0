"""Programs that act alike race once.

Many programs are the same policy: they are beyond the bounds of the action most of the time, or
equal but for rounding. Returns in the first rung of a race tell. They are sums of hundreds of
rewards; programs whose returns are equal to the last bit took the same actions in hundreds of
states. So a program runs on if no earlier one had its returns, and otherwise has the reward of that
one. Returns that are whole numbers, as where each step counts 1, tell nothing.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dso.task.control.racing import FIRST_RUNG, Play, Racing

N_PROBES = FIRST_RUNG
"""Episodes that tell whether programs act alike."""


class Behaviours:
    """Remembers the mean return of each way to act.

    Attributes
    ----------
    means : dict
        By the bytes of the returns in the first episodes.
    """

    def __init__(self) -> None:
        self.means: dict[bytes, float] = {}

    def mean_returns(
        self, racing: Racing, play: Play, n_programs: int, seeds: Sequence[int]
    ) -> np.ndarray:
        """Return the mean returns (B,), as `Racing.mean_returns` does."""
        everyone = np.arange(n_programs)
        if len(seeds) <= N_PROBES:
            return racing.mean_returns(play, n_programs, seeds)
        probes = play(everyone, seeds[:N_PROBES])  # (B, N_PROBES)
        # NaN, for want of time, tells nothing.
        is_played = ~np.isnan(probes).any(axis=1)
        tells = (is_played & (probes % 1 != 0).any(axis=1)).tolist()
        keys: list[Any] = [row.tobytes() if tells[i] else i for i, row in enumerate(probes)]
        new = {key: i for i, key in reversed([*enumerate(keys)]) if key not in self.means}
        rows = np.array(sorted(new.values()), dtype=np.intp)

        def of_rows(chosen: np.ndarray, of_seeds: Sequence[int]) -> np.ndarray:
            is_first = of_seeds[0] == seeds[0]  # the rung that all have played
            return probes[rows[chosen]] if is_first else play(rows[chosen], of_seeds)

        found = racing.mean_returns(of_rows, len(rows), seeds) if len(rows) else np.empty(0)
        means = dict(zip((keys[row] for row in rows), found.tolist(), strict=True))
        self.means |= {key: mean for key, mean in means.items() if isinstance(key, bytes)}
        known: Mapping[Any, float] = ChainMap(means, self.means)
        return np.array([known[key] for key in keys])

    def state_dict(self) -> dict[str, Any]:
        """Return what it remembers."""
        keys = np.frombuffer(b"".join(self.means), dtype=np.float64).reshape(-1, N_PROBES)
        return {"returns": keys, "means": np.array(list(self.means.values()))}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`."""
        keys = np.asarray(state["returns"], dtype=np.float64)
        means = np.asarray(state["means"]).tolist()
        self.means = {row.tobytes(): mean for row, mean in zip(keys, means, strict=True)}
