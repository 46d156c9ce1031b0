"""The programs that no other program beats in both reward and complexity."""

from __future__ import annotations

import numpy as np

from dso.memory.scored_programs import ScoredPrograms


class ParetoFront:
    """Keep the non-dominated programs in ascending order of complexity (and so of reward).

    A program is dominated where another one has at least its reward at no more than its
    complexity. Of programs equal in both, the first in the order of `ScoredPrograms.ranked`
    stays.
    """

    def __init__(self) -> None:
        self.rows = ScoredPrograms.empty()

    def __len__(self) -> int:
        return len(self.rows)

    def update(self, scored: ScoredPrograms) -> bool:
        """Take in what is not dominated; return whether anything changed.

        Rows with a reward of -inf are ignored.
        """
        candidates = np.flatnonzero(self._may_enter(scored))
        if len(candidates) == 0:
            return False
        before = self.rows
        ranked = ScoredPrograms.concatenate([before, scored[candidates]]).ranked()
        # Best reward first: a row is on the front if it is simpler than all before it.
        simplest = np.minimum.accumulate(ranked.complexities)
        is_on_front = np.append(True, ranked.complexities[1:] < simplest[:-1])
        self.rows = ranked[np.flatnonzero(is_on_front)[::-1]]
        return not self.rows.same_as(before)

    def _may_enter(self, scored: ScoredPrograms) -> np.ndarray:
        """Rule out, in one pass over the batch, all that is strictly dominated, (B,) bool."""
        if len(self.rows) == 0:
            return scored.rewards > -np.inf
        # The best reward on the front at up to a row's complexity.
        rank = np.searchsorted(self.rows.complexities, scored.complexities, side="right") - 1
        rewards, complexities = self.rows.rewards[rank], self.rows.complexities[rank]
        is_tie = (scored.rewards == rewards) & (scored.complexities == complexities)
        is_better = (scored.rewards > rewards) | is_tie | (rank < 0)
        return is_better & (scored.rewards > -np.inf)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return the rows as arrays."""
        return self.rows.state_dict()

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Restore the rows."""
        self.rows = ScoredPrograms.from_state_dict(state)
