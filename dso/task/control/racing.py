"""Racing: programs that start badly do not play all their episodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

N_HEATS = 2
"""Episodes that every program plays."""
QUANTILE = 0.9
"""Of the mean returns of a batch; what is clearly below the running one is out."""
MEMORY = 0.8
"""Weight of the past in running figures."""
N_DEVIATIONS = 2.0
"""Standard errors of the mean of the heats that count as clear."""


class Racing:
    """Plays two episodes first and drops what is clearly under the running quantile.

    The reward of a dropped program is that of its two episodes. So rewards depend on what came
    before, and a batch that is split does not give the same.
    """

    def __init__(self) -> None:
        self.quantile: float | None = None
        self.deviation = 0.0

    def mean_returns(
        self,
        play: Callable[[np.ndarray, Sequence[int]], np.ndarray],
        n_programs: int,
        seeds: Sequence[int],
    ) -> np.ndarray:
        """Return the mean returns (B,).

        Parameters
        ----------
        play : callable
            Rows and seeds to returns (n, E).
        n_programs : int
            B
        seeds : sequence of int
        """
        rows = np.arange(n_programs)
        heats = play(rows, seeds[:N_HEATS])
        means = heats.mean(axis=1)
        if len(seeds) <= N_HEATS:
            return means
        goes_on = np.ones(n_programs, dtype=bool)
        if self.quantile is not None:
            error = self.deviation / np.sqrt(N_HEATS)
            goes_on = means >= self.quantile - N_DEVIATIONS * error
        if goes_on.any():
            rest = play(rows[goes_on], seeds[N_HEATS:])
            whole = np.concatenate([heats[goes_on], rest], axis=1)
            means[goes_on] = whole.mean(axis=1)
            self._learn(means, whole)
        return means

    def _learn(self, means: np.ndarray, whole: np.ndarray) -> None:
        quantile = float(np.quantile(means, QUANTILE))
        deviation = float(whole.std(axis=1).mean())
        weight = 0.0 if self.quantile is None else MEMORY
        self.quantile = weight * (self.quantile or 0.0) + (1 - weight) * quantile
        self.deviation = weight * self.deviation + (1 - weight) * deviation

    def state_dict(self) -> dict[str, Any]:
        """Return the running figures."""
        return {"quantile": self.quantile, "deviation": self.deviation}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`."""
        self.quantile, self.deviation = state["quantile"], state["deviation"]
