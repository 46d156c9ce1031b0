"""Regression: the best one, two or three of many columns, besides an offset, for a target.

Values t (N,) wanted in a hole are to be a + k s + l u + m v for entries s, u, v. So that a thousand
entries allow half a million pairs, and triples besides, none of them is solved: the error of the
least-squares fit follows from correlations alone. With weights w, let z_i be column i and z_t the
target, each less its weighted mean, times sqrt(w), and scaled to length 1. Then

    r_i = z_i z_t        G_ij = z_i z_j        U(S) = 1 - r_S' G_SS^-1 r_S

where U(S) is the share of the variance of t that a set S of columns leaves unexplained. So

    U(i)    = 1 - r_i^2
    U(i, j) = 1 - (r_i^2 + r_j^2 - 2 r_i r_j G_ij) / (1 - G_ij^2)
    U(S, k) = U(S) - (r_k - r_S' G_SS^-1 G_Sk)^2 / (1 - G_kS G_SS^-1 G_Sk)

The last is the partial correlation: what k adds to S is that part of it which S does not explain.
Triples are the best pairs with each third column. G takes one product of the table with its
transpose, once for all targets that share their weights; then each set costs a few operations.
Sets are compared by the information criterion and their cost, see `ranking`; only the few that are
kept are solved for their coefficients, from the columns themselves, which loses no digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dso.semantic.ranking import COST_WEIGHT, information

MIN_UNEXPLAINED = 1e-9
"""Share of a column that others must leave unexplained: with less, digits are lost."""
MIN_SPREAD = 1e-10
"""Deviation of a column from its mean, relative to its size: with less it is constant."""
N_THIRDS = 3
"""Third columns kept for each pair."""


class Combination(NamedTuple):
    """A set of columns with the coefficients of its fit.

    Attributes
    ----------
    score : float
        Information criterion and cost; the lower the better.
    columns : tuple of int
    coefficients : tuple of float
        Offset, then one per column.
    """

    score: float
    columns: tuple[int, ...]
    coefficients: tuple[float, ...]


class Regression:
    """Weighted least squares of targets on an offset and one to three of many columns.

    Parameters
    ----------
    columns : (n, N) float64
    costs : (n,) int
    weights : (N,) float64

    Attributes
    ----------
    n_scored : int
        Sets that were scored so far, for all targets.
    """

    def __init__(self, columns: np.ndarray, costs: np.ndarray, weights: np.ndarray) -> None:
        self.columns, self.costs = columns, costs
        self.weights = weights / weights.mean()
        self.roots = np.sqrt(self.weights)
        self.n_scored = 0
        total = self.weights.sum()
        centred = columns - (columns @ self.weights / total)[:, None]
        centred *= self.roots
        norms = np.linalg.norm(centred, axis=1)
        flat = norms <= MIN_SPREAD * np.abs(columns).max(axis=1, initial=0)
        self.Z = np.where(flat[:, None], 0, centred / np.where(norms > 0, norms, 1)[:, None])
        self.gram = self.Z @ self.Z.T
        self.pairs = np.triu_indices(len(columns), 1)
        g = self.gram[self.pairs]
        rest = 1 - g * g
        self.pair_products = 2 * g
        self.pair_scales = 1 / np.where(rest > MIN_UNEXPLAINED, rest, np.inf)
        self.pair_costs = costs[self.pairs[0]] + costs[self.pairs[1]]

    def best(self, target: np.ndarray, n_kept: int, n_extended: int = 0) -> list[Combination]:
        """Return the best sets of each size.

        Parameters
        ----------
        target : (N,) float64
        n_kept : int
            Sets of each size.
        n_extended : int
            Pairs that a third column is added to; without them there are no triples.
        """
        centred = self.roots * (target - target @ self.weights / self.weights.sum())
        size = float(np.linalg.norm(centred))
        if size == 0 or not len(self.Z):
            return []
        r = self.Z @ (centred / size)
        sets: list[tuple[int, ...]] = [
            (i,) for i in _lowest(self._scores(1 - r**2, 1, self.costs), n_kept)
        ]
        pairs = self._pairs(r, max(n_kept, n_extended))
        sets += pairs[:n_kept]
        if n_extended:
            sets += self._triples(r, pairs, n_kept)
        return [self._solved(chosen, target, size) for chosen in sets]

    def _scores(self, unexplained: np.ndarray, n_columns: int, costs: np.ndarray) -> np.ndarray:
        self.n_scored += unexplained.size
        n_rows = len(self.weights)
        scores = information(unexplained, n_rows, n_columns + 1, 1.0) + COST_WEIGHT * costs
        return np.where(np.isnan(scores), np.inf, scores)

    def _pairs(self, r: np.ndarray, n: int) -> list[tuple[int, ...]]:
        i, j = self.pairs
        if not len(i):
            return []
        a, b = r[i], r[j]
        explained = (a * a + b * b - a * b * self.pair_products) * self.pair_scales
        scores = self._scores(1 - explained, 2, self.pair_costs)
        return [(int(i[k]), int(j[k])) for k in _lowest(scores, n)]

    def _triples(
        self, r: np.ndarray, pairs: Sequence[tuple[int, ...]], n: int
    ) -> list[tuple[int, ...]]:
        found: dict[tuple[int, ...], float] = {}
        for i, j in pairs:
            two = [i, j]
            small = self.gram[np.ix_(two, two)]
            if np.linalg.det(small) <= MIN_UNEXPLAINED:
                continue
            project = np.linalg.solve(small, self.gram[two])  # (2, n)
            rest = 1 - (self.gram[two] * project).sum(axis=0)
            rest = np.where(rest > MIN_UNEXPLAINED, rest, np.inf)
            gain = (r - r[two] @ project) ** 2 / rest
            unexplained = 1 - r[two] @ np.linalg.solve(small, r[two])
            costs = self.costs[i] + self.costs[j] + self.costs
            scores = self._scores(unexplained - gain, 3, costs)
            for k in _lowest(scores, N_THIRDS):
                if k not in two:
                    found[tuple(sorted((i, j, k)))] = float(scores[k])
        return sorted(found, key=lambda chosen: found[chosen])[:n]

    def _solved(self, chosen: tuple[int, ...], target: np.ndarray, size: float) -> Combination:
        """Solve for the coefficients of a set, and score its true error."""
        table = np.vstack([np.ones(len(target)), self.columns[list(chosen)]]) * self.roots
        scale = np.maximum(np.linalg.norm(table, axis=1), 1e-300)
        wanted = target * self.roots
        solution = np.linalg.lstsq((table / scale[:, None]).T, wanted, rcond=None)[0]
        error = wanted - (solution / scale) @ table
        unexplained = float(error @ error) / size**2
        cost = int(self.costs[list(chosen)].sum())
        score = float(self._scores(np.array([unexplained]), len(chosen), np.array([cost]))[0])
        return Combination(score, chosen, tuple((solution / scale).tolist()))


def _lowest(scores: np.ndarray, n: int) -> list[int]:
    """Return where the n lowest scores stand, the lowest first."""
    n = min(n, scores.size)
    chosen = np.argpartition(scores, n - 1)[:n]
    return chosen[np.argsort(scores[chosen], kind="stable")].tolist()
