"""Obvious versions of ranking and Pareto front, and what the memory tests build rows with."""

import numpy as np

from dso.memory import ScoredPrograms
from dso.program.program_batch import ProgramBatch


def scored(rows, rewards, complexities=None):
    programs = ProgramBatch.from_rows(rows)
    complexities = programs.lengths if complexities is None else complexities
    return ScoredPrograms(
        programs,
        np.asarray(rewards, dtype=np.float64),
        np.asarray(complexities, dtype=np.float64),
    )


def rows_of(kept):
    return [kept.programs.row(i).tolist() for i in range(len(kept))]


def random_scored(rng, n_rows):
    rows = [rng.integers(0, 3, size=rng.integers(1, 6)).tolist() for _ in range(n_rows)]
    # A few levels only, so that ties are common; the reward is a function of the row.
    rewards = [(sum(row) * 7 + len(row)) % 5 / 5 for row in rows]
    return scored(rows, rewards, [sum(row) % 4 for row in rows])


def obvious_ranking(kept):
    entries = {}
    for i in range(len(kept)):
        row = kept.programs.row(i).tolist()
        entries[tuple(row)] = (-kept.rewards[i], kept.complexities[i], len(row), row)
    return [list(row) for row, _ in sorted(entries.items(), key=lambda item: item[1])]


def obvious_front(everything):
    """Rows that no other row beats; of equal ones the first by length and tokens."""
    entries = {}
    for i in range(len(everything)):
        row = tuple(everything.programs.row(i).tolist())
        entries[row] = (everything.complexities[i], everything.rewards[i])
    front = {}
    for row, (complexity, reward) in entries.items():
        is_beaten = any(
            c <= complexity and r >= reward and (c, r) != (complexity, reward)
            for c, r in entries.values()
        )
        if not is_beaten:
            rank = (len(row), row)
            front[complexity] = min(front.get(complexity, rank), rank)
    return [list(front[complexity][1]) for complexity in sorted(front)]
