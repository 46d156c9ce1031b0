"""The rows and inputs that a model of the data is made of."""

from __future__ import annotations

import numpy as np

from dso.reduction.surrogate import MAX_INPUTS, MAX_POOL


def spread_out(X: np.ndarray, n: int, random: np.random.Generator) -> np.ndarray:
    """Return `n` rows of X (N, D) that are far from each other, ascending (n,).

    Half are drawn at random; each of the others is the one that is farthest from those before it.
    """
    if len(X) <= n:
        return np.arange(len(X))
    pool = random.permutation(len(X))[:MAX_POOL]
    columns = X[pool]
    low, high = columns.min(axis=0), columns.max(axis=0)
    # Halves first: the difference of two numbers may be more than the largest one.
    U = (columns / 2 - low / 2) / np.where(high > low, high / 2 - low / 2, 1.0)
    chosen = list(range(n // 2))
    distances = np.full(len(U), np.inf)
    for k in range(n - 1):
        last = U[chosen[k]]
        distances = np.minimum(distances, ((U - last) ** 2).sum(axis=1))
        if k + 1 >= len(chosen):
            chosen.append(int(distances.argmax()))
    return np.sort(pool[chosen])


def distinct_inputs(X: np.ndarray) -> tuple[list[int], list[str]]:
    """Return the columns that are neither constant nor equal to one before them, and the others.

    Nothing is said of columns that are not finite.

    Returns
    -------
    kept : list of int
    why : list of str
        What is wrong with each of the others, in their order: "{0} is constant", with the number
        of the column for the name.
    """
    kept: list[int] = []
    why: list[str] = []
    seen: dict[bytes, int] = {}
    for j, column in enumerate(X.T):
        key = np.ascontiguousarray(column).tobytes()
        if not np.isfinite(column).all():
            kept.append(j)
        elif (column == column[0]).all():
            why.append(f"{{{j}}} is constant")
        elif key in seen:
            why.append(f"{{{j}}} equals {{{seen[key]}}}")
        else:
            seen[key] = j
            kept.append(j)
    return kept, why


def strongest_inputs(X: np.ndarray, y: np.ndarray, n: int = MAX_INPUTS) -> np.ndarray:
    """Return the `n` columns of X (N, D) that say the most of y (N,) by themselves, ascending (n,).

    That is how much of the ranks of y the means of a dozen bins of a column explain.
    """
    if len(X.T) <= n:
        return np.arange(len(X.T))
    ranks = np.argsort(np.argsort(y)).astype(float)
    n_bins = min(12, max(2, len(y) // 8))
    bins = np.array_split(np.arange(len(y)), n_bins)
    order = np.argsort(X, axis=0, kind="stable")
    sorted_ranks = ranks[order]
    means = np.stack([sorted_ranks[rows].mean(axis=0) for rows in bins])
    return np.sort(np.argsort(-means.var(axis=0), kind="stable")[:n])
