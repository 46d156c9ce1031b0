"""Plain functions of one input or two, tried one by one on small models.

Where y oscillates, a few hundred rows make a rough model, whose gradients show no identity. But a
wave in a - b needs far fewer rows where that is one column, and fewer still if cos(a - b) is one.
So each of these is modelled, on fewer rows: the right one lowers the error, wrong ones raise it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from dso.reduction.formula import Formula, apply
from dso.reduction.proposals import Pair
from dso.reduction.reduction import Reduction

OPERATIONS = ("sub", "add", "mul", "div")
WAVES = ("cos", "sin")
MIN_SPREAD = 2.0
"""Of an input, in radians, that waves are tried for: in less they are much like a parabola."""
MAX_COLUMNS = 6
"""With more there would be too many pairs to model."""
N_ROWS = 120
"""Of the small models."""
MAX_ERROR_LEFT = 0.5
"""Share of the error without the step that may be left with it, of small models and large ones."""


@dataclass(frozen=True)
class PlainPair(Pair):
    """Two inputs enter as their sum, difference, product or quotient."""

    is_plain: bool = True
    rank = 7


@dataclass(frozen=True)
class Wave:
    """An input enters as its cosine or sine."""

    residual: float
    inputs: tuple[int, ...]
    formula: Formula
    rank = 8

    def applied(self, reduction: Reduction) -> Reduction:
        """See `Move`."""
        columns: list[Formula] = [(k,) for k in range(len(reduction.columns))]
        columns[self.inputs[0]] = self.formula
        return reduction.onto(columns)

    def text(self, reduction: Reduction) -> str:
        """See `Move`."""
        return f"{reduction.text(self.inputs)} enters as {reduction.text(self.formula)} only"


def plain_pairs(Z: np.ndarray) -> list[PlainPair]:
    """Return all of them for columns (N, K); none where there are too many."""
    if Z.shape[1] > MAX_COLUMNS:
        return []
    pairs = combinations(range(Z.shape[1]), 2)
    return [
        PlainPair(0.0, pair, apply(name, *((j,) for j in pair)))
        for pair in pairs
        for name in OPERATIONS
    ]


def waves(Z: np.ndarray) -> list[Wave]:
    """Return all of them for columns (N, K)."""
    wide = np.flatnonzero(np.ptp(Z, axis=0) > MIN_SPREAD).tolist()
    return [Wave(0.0, (j,), (name, j)) for j in wide for name in WAVES]
