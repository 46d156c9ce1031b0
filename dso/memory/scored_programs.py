"""ScoredPrograms: programs with reward and complexity, in the one order of rank."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


def complexity_measure(
    kind: str | None, token_complexities: np.ndarray
) -> Callable[[ProgramBatch], np.ndarray]:
    """Return the function (programs) -> (B,) float64 that the Pareto front is drawn over.

    Parameters
    ----------
    kind : {"token", "length", None}
        Sum of the tokens' complexities, to the nearest whole number; number of tokens; or 0 for
        every program.
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
        sums = table[programs.tokens[:, :longest]].sum(axis=1)
        # Halves go up, as under the limits of size; what is nearly one is one.
        return sums if is_whole else np.floor(sums + 0.5 + 1e-9)

    is_whole = bool((table == np.round(table)).all())
    return total
