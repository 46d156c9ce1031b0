"""The batch that travels from the policy through evaluation to the policy optimiser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dso.program.program_batch import ProgramBatch, Rows


@dataclass(frozen=True)
class Batch:
    """Programs with what is known of each.

    Attributes
    ----------
    programs : ProgramBatch
    on_policy : (B,) bool
        Whether the policy itself drew the row.
    rewards : (B,) float64 or None
        None until evaluated.
    withdrawn : int
        Rows that met a dead end on the way to this batch and were drawn again.
    """

    programs: ProgramBatch
    on_policy: np.ndarray
    rewards: np.ndarray | None = None
    withdrawn: int = 0

    def __len__(self) -> int:
        return len(self.programs)

    def __getitem__(self, rows: Rows) -> Batch:
        rewards = None if self.rewards is None else self.rewards[rows]
        return Batch(self.programs[rows], self.on_policy[rows], rewards, self.withdrawn)

    def with_rewards(self, rewards: np.ndarray) -> Batch:
        """Return the batch with `rewards` (B,) filled in."""
        return replace(self, rewards=np.asarray(rewards, dtype=np.float64))

    @staticmethod
    def concatenate(batches: Sequence[Batch]) -> Batch:
        """Join batches row by row; rewards survive only where every batch has them."""
        rewards = [batch.rewards for batch in batches if batch.rewards is not None]
        return Batch(
            ProgramBatch.concatenate([batch.programs for batch in batches]),
            np.concatenate([batch.on_policy for batch in batches]),
            np.concatenate(rewards) if len(rewards) == len(batches) else None,
            sum(batch.withdrawn for batch in batches),
        )
