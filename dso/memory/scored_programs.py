"""ScoredPrograms: programs with reward and complexity, in the one order of rank."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dso.program.program_batch import ProgramBatch, Rows


@dataclass(frozen=True)
class ScoredPrograms:
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

    def __len__(self) -> int:
        return len(self.programs)

    def __getitem__(self, rows: Rows) -> ScoredPrograms:
        training = None if self.training is None else self.training[rows]
        return ScoredPrograms(
            self.programs[rows], self.rewards[rows], self.complexities[rows], training
        )

    @property
    def training_rewards(self) -> np.ndarray:
        """Rewards on the rows that programs are fitted to, (B,) float64."""
        return self.rewards if self.training is None else self.training

    @staticmethod
    def concatenate(parts: Sequence[ScoredPrograms]) -> ScoredPrograms:
        """Join row by row."""
        return ScoredPrograms(
            ProgramBatch.concatenate([part.programs for part in parts]),
            np.concatenate([part.rewards for part in parts]),
            np.concatenate([part.complexities for part in parts]),
            None
            if all(part.training is None for part in parts)
            else np.concatenate([part.training_rewards for part in parts]),
        )

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
            "tokens": self.programs.tokens,
            "lengths": self.programs.lengths,
            "constants": self.programs.constants,
            "rewards": self.rewards,
            "complexities": self.complexities,
            "training": self.training_rewards,
        }

    @staticmethod
    def from_state_dict(state: dict[str, np.ndarray]) -> ScoredPrograms:
        """Rebuild from `state_dict`."""
        programs = ProgramBatch(state["tokens"], state["lengths"], state["constants"])
        return ScoredPrograms(
            programs, state["rewards"], state["complexities"], state.get("training")
        )


def _sortable_tokens(tokens: np.ndarray) -> np.ndarray:
    """Turn each row into bytes whose order is that of its tokens; rows have equal lengths here."""
    n_rows, n_positions = tokens.shape
    big_endian = np.ascontiguousarray(tokens, dtype=">i2")
    return big_endian.view(f"S{2 * max(n_positions, 1)}").reshape(n_rows)


def complexity_measure(
    kind: str | None, token_complexities: np.ndarray
) -> Callable[[ProgramBatch], np.ndarray]:
    """Return the function (programs) -> (B,) float64 that the Pareto front is drawn over.

    Parameters
    ----------
    kind : {"token", "length", None}
        Sum of the tokens' complexities, number of tokens, or 0 for every program.
    token_complexities : (L,)
    """
    if kind is None:
        return lambda programs: np.zeros(len(programs))
    if kind == "length":
        return lambda programs: programs.lengths.astype(np.float64)
    if kind != "token":
        raise ValueError(f"complexity is {kind!r}; allowed: 'token', 'length', None")
    # The last entry answers for PAD, which is index -1.
    table = np.append(np.asarray(token_complexities, dtype=np.float64), 0.0)

    def total(programs: ProgramBatch) -> np.ndarray:
        longest = int(programs.lengths.max(initial=0))
        return table[programs.tokens[:, :longest]].sum(axis=1)

    return total
