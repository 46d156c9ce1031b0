"""Constants that may be one: k / u - 1.001 k / v is k (1 / u - 1 / v) with errors in the data."""

from __future__ import annotations

from itertools import combinations

import numpy as np

MAX_RATIO = 1.05
"""Of two constants that may be one; a fit tells."""
MAX_WHOLE = 100
MAX_TIES = 3
"""Pairs of a program that are tried, the nearest first."""


def tied(constants: np.ndarray) -> list[np.ndarray]:
    """Return constants (K,) with two of nearly one size made equal, or each other's negative.

    Small whole numbers stay as they are.
    """
    sizes = np.abs(constants)
    is_whole = (constants == np.round(constants)) & (sizes <= MAX_WHOLE)
    free = np.flatnonzero(~is_whole)
    with np.errstate(over="ignore", divide="ignore"):  # of the largest and the smallest numbers
        both = combinations(free.tolist(), 2)
        pairs = {(i, j): abs(np.log(sizes[i] / sizes[j])) for i, j in both}
    near = [pair for pair, distance in pairs.items() if 0 < distance <= np.log(MAX_RATIO)]
    found = []
    for pair in sorted(near, key=lambda pair: pairs[pair])[:MAX_TIES]:
        two, numbers = list(pair), constants.copy()
        numbers[two] = np.sign(constants[two]) * sizes[two].mean()
        found.append(numbers)
    return found
