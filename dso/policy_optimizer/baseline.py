"""The number that is subtracted from rewards before they move the policy.

Any number b that does not depend on the program drawn leaves the expected gradient the same,

    E[(r - b) grad log p] = E[r grad log p],    since E[grad log p] = 0,

but not its scatter. So b is near the rewards that are kept: their quantile, their mean, or moving
averages of these, which change less from one batch to the next.
"""

from __future__ import annotations

import numpy as np

from dso.policy_optimizer.risk import REWARD_LIMIT, clip_rewards

KINDS = ("ewma_R", "R_e", "ewma_R_e", "combined")
"""See the table of `Baseline`."""


class Baseline:
    """One baseline with its moving average, which lasts as long as the run.

    With kept rewards r, quantile q and moving average E (E <- alpha * x + (1 - alpha) * E):

    =========== ============== ==================
    kind        x              baseline
    =========== ============== ==================
    ewma_R      mean(r)        E
    R_e         (none)         q
    ewma_R_e    q              E
    combined    mean(r) - q    q + E
    =========== ============== ==================

    Parameters
    ----------
    kind : {"ewma_R", "R_e", "ewma_R_e", "combined"}
    alpha : float
        Weight of the newest value.
    b_jumpstart : bool
        Start the average at the first value (for ewma_R_e: at the smallest kept reward) instead of
        at 0.
    """

    def __init__(self, kind: str, *, alpha: float = 0.5, b_jumpstart: bool = False) -> None:
        if kind not in KINDS:
            raise ValueError(f"baseline is {kind!r}; allowed: {', '.join(KINDS)}")
        self.kind = kind
        self.alpha = alpha
        self.average: float | None = None if b_jumpstart else 0.0

    @property
    def ewma(self) -> float:
        """The moving average for the log; -1 where the kind has none."""
        return -1.0 if self.kind == "R_e" or self.average is None else self.average

    def update(self, rewards: np.ndarray, quantile: float) -> float:
        """Take in one iteration and return its baseline.

        Parameters
        ----------
        rewards : (B,) float64
            Of the kept rows; clipped here as in the loss.
        quantile : float
        """
        rewards = clip_rewards(rewards)
        quantile = min(max(quantile, -REWARD_LIMIT), REWARD_LIMIT)
        if self.kind == "R_e":
            return quantile
        if self.kind == "ewma_R":
            return self._average(float(rewards.mean()))
        if self.kind == "ewma_R_e":
            return self._average(quantile, first=float(rewards.min()))
        return quantile + self._average(float(rewards.mean()) - quantile)

    def _average(self, value: float, first: float | None = None) -> float:
        if self.average is None:
            self.average = value if first is None else first
        else:
            self.average = self.alpha * value + (1.0 - self.alpha) * self.average
        return self.average

    def state_dict(self) -> dict[str, float | None]:
        """Return the moving average."""
        return {"average": self.average}

    def load_state_dict(self, state: dict[str, float | None]) -> None:
        """Restore the moving average."""
        self.average = state["average"]
