"""The batch: programs on their way from their sources to the learner."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from dso.program.columns import Columns
from dso.program.program_batch import ProgramBatch


@dataclass(frozen=True)
class Batch(Columns):
    """Programs to be scored.

    Attributes
    ----------
    programs : ProgramBatch
    on_policy : (B,) bool
        Whether the policy itself drew the row.
    withdrawn : int
        Rows that met a dead end on the way to this batch and were drawn again.
    """

    programs: ProgramBatch
    on_policy: np.ndarray
    withdrawn: int = field(default=0, kw_only=True, metadata={"joined": sum})

    @staticmethod
    def off_policy(programs: ProgramBatch) -> Batch:
        """Wrap programs that the policy did not draw."""
        return Batch(programs, np.zeros(len(programs), dtype=bool))


@dataclass(frozen=True)
class ScoredBatch(Batch):
    """Programs with their scores; their constants are those that the rewards belong to.

    Attributes
    ----------
    rewards : (B,) float64
        Never NaN or infinite.
    cause : (B,) uint8
        Index into `CAUSES`; 0 is valid.
    node : (B,) int32
        Position of the failing token, -1 for valid programs.
    operators : (B,) int16
        The failing token itself, -1 for valid programs.
    is_new : (B,) bool
        Seen for the first time, the first time in this batch.
    is_evaluated : (B,) bool
        Rewarded by the task now, not looked up.
    """

    rewards: np.ndarray
    cause: np.ndarray
    node: np.ndarray
    operators: np.ndarray
    is_new: np.ndarray
    is_evaluated: np.ndarray

    @property
    def n_evaluated(self) -> int:
        """How many programs the task rewarded."""
        return int(np.count_nonzero(self.is_evaluated))

    @property
    def valid_rewards(self) -> np.ndarray:
        """Rewards (B,), -inf where a program is invalid."""
        return np.where(self.cause == 0, self.rewards, -np.inf)
