"""Sums, differences, products and quotients of two inputs, tried one by one on small models.

Where y oscillates, a few hundred rows in all of its inputs make a rough model, whose gradients show
no identity. But a wave in a - b needs far fewer rows where that is one column. So each plain pair is
modelled, on fewer rows; in the right one the error falls by more than half, in wrong ones it grows.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

from dso.reduction.formula import Formula, apply
from dso.reduction.proposals import Pair

OPERATIONS = ("sub", "add", "mul", "div")
MAX_COLUMNS = 6
"""With more there would be too many pairs to model."""
N_ROWS = 120
"""Of the small models."""
MAX_ERROR = 0.5
"""Share of the error without the pair that is left with it, both on the small models and after."""


@dataclass(frozen=True)
class PlainPair(Pair):
    """Two inputs enter as their sum, difference, product or quotient."""

    is_plain: bool = True
    rank = 7


def plain_pairs(n_columns: int) -> list[PlainPair]:
    """Return all of them; none where there are too many."""
    if n_columns > MAX_COLUMNS:
        return []
    found = []
    for i, j in combinations(range(n_columns), 2):
        columns: tuple[Formula, Formula] = (i,), (j,)
        found += [PlainPair(0.0, (i, j), apply(name, *columns)) for name in OPERATIONS]
    return found
