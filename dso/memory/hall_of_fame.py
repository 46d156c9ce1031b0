"""The k best different programs of a run."""

from __future__ import annotations

import numpy as np

from dso.memory.scored_programs import ScoredPrograms


class HallOfFame:
    """Keep the best `size` different programs, best first.

    The ranking is that of `ScoredPrograms.ranked`. A program that is rewarded more than once (a
    stochastic task) stands with the best of its rewards.

    Parameters
    ----------
    size : int
        Programs kept.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.rows = ScoredPrograms.empty()

    def __len__(self) -> int:
        return len(self.rows)

    def update(self, scored: ScoredPrograms) -> bool:
        """Take in what is good enough; return whether anything changed.

        Rows with a reward of -inf are ignored.
        """
        is_full = len(self.rows) == self.size
        bar = self.rows.rewards[-1] if is_full else -np.inf
        candidates = np.flatnonzero(scored.rewards >= bar)
        candidates = candidates[~self._is_known(scored, candidates)]
        if len(candidates) == 0:
            return False
        before = self.rows
        self.rows = ScoredPrograms.concatenate([before, scored[candidates]]).ranked()[: self.size]
        return not self.rows.same_as(before)

    def _is_known(self, scored: ScoredPrograms, candidates: np.ndarray) -> np.ndarray:
        """Tell which candidates stand here already with at least that reward.

        What does not stand here counts as known with -inf, so invalid rows are out.
        """
        known = dict(zip(self.rows.programs.keys().tolist(), self.rows.rewards, strict=True))
        keys = scored.programs[candidates].keys().tolist()
        rewards = scored.rewards[candidates]
        return np.array(
            [known.get(key, -np.inf) >= reward for key, reward in zip(keys, rewards, strict=True)],
            dtype=bool,
        )

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return the rows as arrays."""
        return self.rows.state_dict()

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Restore the rows."""
        self.rows = ScoredPrograms.from_state_dict(state)
