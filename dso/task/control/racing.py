"""Racing: programs that start clearly worse than the best so far do not play all their episodes.

All programs play the first rung of episodes; those whose forecast is within reach continue:

    forecast = mean of the episodes so far + o,   out where forecast + 2 d < q

q is a running quantile of whole means. o and d, mean and deviation of what the rest of the episodes
changed, are running figures of each rung. Since all programs play the same episodes, what makes an
episode hard or easy is in o, and d is small.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

FIRST_RUNG, GROWTH = 2, 2.5
"""Episodes of the first rung, and of each further one in terms of that before it."""
QUANTILE = 0.9
"""Of the mean returns of a batch; what is clearly below the running one is out."""
MEMORY = 0.8
"""Weight of the past in running figures."""
N_DEVIATIONS = 2.0
"""That count as clear."""
MIN_TO_LEARN = 5
"""Programs with whole means from which the figures of a rung are learned."""

Play = Callable[[np.ndarray, Sequence[int]], np.ndarray]
"""Rows and seeds to returns (n, E)."""


class Racing:
    """Plays rung by rung and drops what is clearly under the running quantile.

    The reward of a dropped program is its forecast. So rewards depend on what came before, and a
    batch that is split does not give the same. A program without returns, as time is over, is
    dropped too. It has the forecast from before, NaN if there is none, and such a race teaches
    nothing.

    Attributes
    ----------
    quantile : float or None
        The running q; None before the first batch.
    changes : dict
        Per rung, the running o and d.
    """

    def __init__(self) -> None:
        self.quantile: float | None = None
        self.changes: dict[int, tuple[float, float]] = {}

    def mean_returns(self, play: Play, n_programs: int, seeds: Sequence[int]) -> np.ndarray:
        """Return the mean returns (B,), forecasts for those that were dropped.

        Parameters
        ----------
        play : callable
            Rows and seeds to returns (n, E), NaN where time was over before.
        n_programs : int
            B
        seeds : sequence of int
        """
        rows, forecasts = np.arange(n_programs), np.full(n_programs, np.nan)
        is_whole = True
        played = np.empty((n_programs, 0))
        for rung in (*rungs(len(seeds)), len(seeds)):
            new = play(rows, seeds[played.shape[1] : rung])
            has_played = ~np.isnan(new).any(axis=1)
            is_whole &= bool(has_played.all())
            played = np.concatenate([played, new], axis=1)[has_played]
            rows = rows[has_played]
            if len(rows) == 0:
                return forecasts
            change, deviation = self.changes.get(rung, (0.0, np.inf))
            forecasts[rows] = played.mean(axis=1)
            if rung == len(seeds) or self.quantile is None or not np.isfinite(deviation):
                continue
            forecasts[rows] += change
            goes_on = forecasts[rows] + N_DEVIATIONS * deviation >= self.quantile
            rows, played = rows[goes_on], played[goes_on]
            if len(rows) == 0:
                return forecasts
        if is_whole:
            self._learn(forecasts, played)
        return forecasts

    def _learn(self, forecasts: np.ndarray, played: np.ndarray) -> None:
        """Learn from the means of a batch, and the returns (n, E) of those that played all."""
        is_first = self.quantile is None
        quantile = float(np.quantile(forecasts, QUANTILE))
        self.quantile = quantile if is_first else _running(self.quantile or 0.0, quantile)
        if len(played) < MIN_TO_LEARN:
            return
        order = np.argsort(-played.mean(axis=1), kind="stable")
        best = played[order[: max(MIN_TO_LEARN, len(order) // 2)]]  # those it is to be right for
        for rung in rungs(played.shape[1]):
            changes = best.mean(axis=1) - best[:, :rung].mean(axis=1)
            new = float(changes.mean()), float(changes.std())
            old = self.changes.get(rung, new)
            self.changes[rung] = _running(old[0], new[0]), _running(old[1], new[1])

    def state_dict(self) -> dict[str, Any]:
        """Return the running figures."""
        changes = {str(rung): list(pair) for rung, pair in self.changes.items()}
        return {"quantile": self.quantile, "changes": changes}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`."""
        self.quantile = state["quantile"]
        self.changes = {
            int(rung): (float(change), float(deviation))
            for rung, (change, deviation) in state["changes"].items()
        }


def rungs(n_episodes: int) -> list[int]:
    """Return after how many episodes programs may be dropped."""
    found, n = [], FIRST_RUNG
    while n < n_episodes:
        found.append(n)
        n = int(np.ceil(GROWTH * n))
    return found


def _running(old: float, new: float) -> float:
    return MEMORY * old + (1 - MEMORY) * new
