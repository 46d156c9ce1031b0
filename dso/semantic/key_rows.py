"""Key rows: the few rows of data that distinguish expressions.

Four rows fill one register, and with 18 bits of each value tell 2^72 vectors apart: a library of
millions has hardly any two entries that only seem equal. But at 0, 1 and -1 many expressions are
(x, x^2, 1 / x), and inverses are not defined where y is zero. So rows are chosen that avoid these,
each as far as may be from those before it.
"""

from __future__ import annotations

import numpy as np

from dso.native import _core

N_KEY_ROWS: int = _core.KEY_ROWS
"""Four: one vector register of doubles."""
MAX_KEY_CANDIDATES = 500
"""Rows to choose from: enough that some of them are good."""
SPECIAL = (0.0, 1.0, -1.0)
"""Numbers at which different expressions often agree, and inverses are undefined."""
MAX_SPECIAL_DISTANCE = 0.02
"""Of the scale of a column, within which a number is as good as special."""


def choose_key_rows(X: np.ndarray, y: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Choose rows where y is not tiny, no input is special, and which lie far apart.

    Parameters
    ----------
    X : (D, N) float64
    y : (N,) float64
    generator : np.random.Generator
        Thins out what is more than some hundreds of rows.

    Returns
    -------
    (4,) int
        Repeats rows where there are fewer than four.
    """
    n_rows = len(y)
    candidates = np.arange(n_rows)
    if n_rows > MAX_KEY_CANDIDATES:
        candidates = np.sort(generator.choice(n_rows, MAX_KEY_CANDIDATES, replace=False))
    points = np.vstack([X, y])[:, candidates]  # (D + 1, n)
    scales = np.maximum(np.median(np.abs(points), axis=1), 1e-300)[:, None]
    badness = np.zeros(len(candidates))
    for special in SPECIAL:
        badness += (np.abs(X[:, candidates] - special) <= MAX_SPECIAL_DISTANCE * scales[:-1]).sum(
            axis=0
        )
    badness += 3 * (np.abs(points[-1]) <= MAX_SPECIAL_DISTANCE * scales[-1])
    spread = np.clip(points / scales, -10, 10)
    chosen = [int(np.lexsort((-np.abs(spread).sum(axis=0), badness))[0])]
    distance = np.full(len(candidates), np.inf)
    for _ in range(N_KEY_ROWS - 1):
        step = np.abs(spread - spread[:, chosen[-1:]]).min(axis=0)
        step += 0.1 * np.abs(spread - spread[:, chosen[-1:]]).mean(axis=0)
        distance = np.minimum(distance, step)
        chosen.append(int(np.argmax(np.where(distance > 0, distance / (1 + badness), 0))))
    return candidates[chosen]
