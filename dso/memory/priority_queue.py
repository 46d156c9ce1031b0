"""The programs that priority queue training imitates."""

from __future__ import annotations

from typing import Any

from dso.memory.hall_of_fame import HallOfFame
from dso.program.program_batch import ProgramBatch
from dso.streams import Stream


class PriorityQueue(HallOfFame):
    """The best `size` different programs of those offered, to draw from.

    Only what the policy can write may be offered: its log-probability enters a loss.

    Parameters
    ----------
    size : int
        Programs kept.
    seed : int
        Of the draws.
    """

    def __init__(self, size: int, seed: int = 0) -> None:
        super().__init__(size)
        self.seed = seed
        self.n_draws = 0

    def sample(self, n: int) -> ProgramBatch:
        """Draw `n` programs uniformly, with replacement; none where there are none yet."""
        if len(self) == 0:
            return self.rows.programs
        random = Stream(self.seed, "queue", self.n_draws).generator()
        self.n_draws += 1
        return self.rows.programs[random.integers(len(self), size=n)]

    def state_dict(self) -> dict[str, Any]:
        """Return the rows as arrays, and how often was drawn."""
        return {**super().state_dict(), "n_draws": self.n_draws}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        super().load_state_dict(state)
        self.n_draws = int(state["n_draws"])
