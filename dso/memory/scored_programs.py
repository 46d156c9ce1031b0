"""ScoredPrograms: programs with reward and complexity, in the one order of rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dso.errors import UserError
from dso.program.columns import Columns
from dso.program.program_batch import ProgramBatch


@dataclass(frozen=True)
class ScoredPrograms(Columns):
    """B programs worth remembering.

    Attributes
    ----------
    programs : ProgramBatch
    rewards : (B,) float64
        -inf marks a row that must never be remembered (an invalid program).
    complexities : (B,) float64
    training : (B,) float64, optional
        Rewards on the rows of data that programs are fitted to, where they are ranked by others.
        Default: `rewards`.
    """

    programs: ProgramBatch
    rewards: np.ndarray
    complexities: np.ndarray
    training: np.ndarray | None = None

    @staticmethod
    def empty() -> ScoredPrograms:
        """Return zero rows."""
        return ScoredPrograms(ProgramBatch.from_rows([]), np.empty(0), np.empty(0))

    @property
    def training_rewards(self) -> np.ndarray:
        """Rewards on the rows that programs are fitted to, (B,) float64."""
        return self.rewards if self.training is None else self.training

    @classmethod
    def concatenate(cls, parts: Sequence[ScoredPrograms]) -> ScoredPrograms:
        """Join row by row."""
        if any(part.training is not None for part in parts):
            parts = [replace(part, training=part.training_rewards) for part in parts]
        return super().concatenate(parts)

    def ranked(self) -> ScoredPrograms:
        """Return the rows best first, each token sequence once.

        The order is total, so it depends neither on the order of arrival nor on the machine: reward
        descending, then complexity, length and tokens ascending.
        """
        order = np.lexsort(
            (
                _sortable_tokens(self.programs.tokens),
                self.programs.lengths,
                self.complexities,
                -self.rewards,
            )
        )
        rows = self[order]
        _, first = np.unique(rows.programs.keys(), return_index=True)
        return rows[np.sort(first)]

    def best(self) -> ScoredPrograms:
        """Return the first of the ranking, one row."""
        return self[np.flatnonzero(self.rewards == self.rewards.max())].ranked()[:1]

    def same_as(self, other: ScoredPrograms) -> bool:
        """Tell whether the same programs stand in the same order with the same rewards."""
        return np.array_equal(self.rewards, other.rewards) and np.array_equal(
            self.programs.keys(), other.programs.keys()
        )

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return the arrays."""
        return {
            **self.programs.state_dict(),
            "rewards": self.rewards,
            "complexities": self.complexities,
            **({} if self.training is None else {"training": self.training}),
        }

    @staticmethod
    def from_state_dict(state: dict[str, np.ndarray]) -> ScoredPrograms:
        """Rebuild from `state_dict`."""
        programs = ProgramBatch.from_state_dict(state)
        numbers = [state["rewards"], state["complexities"]]
        if (training := state.get("training")) is not None:
            numbers.append(training)
        if any(n.dtype != np.float64 or n.shape != (len(programs),) for n in numbers):
            raise UserError("programs: rewards or complexities that do not fit them.")
        return ScoredPrograms(programs, *numbers)


def _sortable_tokens(tokens: np.ndarray) -> np.ndarray:
    """Turn each row into bytes whose order is that of its tokens; rows have equal lengths here."""
    n_rows, n_positions = tokens.shape
    big_endian = np.ascontiguousarray(tokens, dtype=">i2")
    return big_endian.view(f"S{2 * max(n_positions, 1)}").reshape(n_rows)
