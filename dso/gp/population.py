"""Population: the individuals of all islands, with what selection needs to know of them.

They stand island by island, best first: by reward, then complexity, then length. So the best of an
island are a slice, and a tournament is a draw of ranks. An individual is on the Pareto front where
none has a reward as high and a complexity as low: going through all of them from the best reward
down, where its complexity is below all before it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from dso.native import _core
from dso.program.columns import Columns
from dso.program.program_batch import ProgramBatch


@dataclass(frozen=True)
class Population(Columns):
    """B individuals.

    Attributes
    ----------
    programs : ProgramBatch
        With the constants that the rewards belong to.
    rewards : (B,) float64
    complexities : (B,) float64
    values : (B,) uint64
        The same for programs of equal values on the probe set.
    islands : (B,) int32
    """

    programs: ProgramBatch
    rewards: np.ndarray
    complexities: np.ndarray
    values: np.ndarray
    islands: np.ndarray

    @staticmethod
    def empty() -> Population:
        """Return zero individuals."""
        none = np.empty(0)
        return Population(
            ProgramBatch.from_rows([]), none, none, none.astype(np.uint64), none.astype(np.int32)
        )

    def on(self, island: int) -> Population:
        """Return copies of all on one island."""
        return replace(self, islands=np.full(len(self), island, dtype=np.int32))

    def order(self) -> np.ndarray:
        """Return the rows island by island, best first; ties by complexity, length and age.

        A row that stands before another is older.
        """
        return np.lexsort((self.programs.lengths, self.complexities, -self.rewards, self.islands))

    def unique(self) -> Population:
        """Return the ranked population with the first of those of equal values on each island."""
        ranked = self[self.order()]
        keys = ranked.values ^ (ranked.islands.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
        return ranked[_core.first_rows(keys) == np.arange(len(keys))]

    def pareto_front(self) -> Population:
        """Return those that no other beats in both reward and complexity, simplest first."""
        ranked = self[np.lexsort((self.programs.lengths, self.complexities, -self.rewards))]
        simplest = np.minimum.accumulate(ranked.complexities)
        is_on_front = np.append(True, ranked.complexities[1:] < simplest[:-1])[: len(ranked)]
        return ranked[np.flatnonzero(is_on_front)[::-1]]

    def best_of_each(self, capacities: np.ndarray) -> Population:
        """Return, of a ranked population, the best `capacities` (I,) of each island."""
        return self[self.places() < capacities[self.islands]]

    def places(self) -> np.ndarray:
        """Return the place of each row on its island, 0 for the first; islands stand together."""
        return np.arange(len(self)) - np.searchsorted(self.islands, self.islands)

    def offsets(self, n_islands: int) -> np.ndarray:
        """Return where each island begins, and the end, (n_islands + 1,)."""
        return np.searchsorted(self.islands, np.arange(n_islands + 1))

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return the arrays."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "programs"}
        return {**self.programs.state_dict(), **arrays}

    @staticmethod
    def from_state_dict(state: dict[str, np.ndarray]) -> Population:
        """Rebuild from `state_dict`."""
        programs = ProgramBatch.from_state_dict(state)
        others = [state[field.name] for field in fields(Population) if field.name != "programs"]
        return Population(programs, *others)
