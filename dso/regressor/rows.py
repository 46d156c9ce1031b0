"""Rows in canonical form, so that weights mean the same as repeated rows, to the last bit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

DIGITS = 32
"""Binary digits of a weight that count."""


@dataclass(frozen=True)
class CanonicalRows:
    """Different rows in ascending order.

    Attributes
    ----------
    X : (N, D) float64
    y : (N,) float64
    weights : (N,) float64 or None
        Positive, of mean 1 but for rounding; None where all are equal.
    n_observations : int
        Rows before equal ones were merged, without those of weight 0.
    """

    X: np.ndarray
    y: np.ndarray
    weights: np.ndarray | None
    n_observations: int

    @staticmethod
    def of(X: np.ndarray, y: np.ndarray, weights: np.ndarray | None) -> CanonicalRows:
        """Leave out rows of weight 0, sort the others, and merge those that are equal.

        Parameters
        ----------
        X : (M, D) float64
        y : (M,) float64
        weights : (M,) float64 or None
        """
        weights = np.ones(len(y)) if weights is None else weights
        counts = weights > 0
        X, y, weights = X[counts], y[counts], weights[counts]
        table = np.column_stack([X, y]) + 0.0  # -0.0 becomes 0.0
        order = np.lexsort(table.T[::-1])
        table = table[order]
        is_first = np.append(True, (table[1:] != table[:-1]).any(axis=1))
        starts = np.flatnonzero(is_first)
        merged = np.add.reduceat(weights[order], starts)
        table = table[starts]
        merged = _without_scale(merged)
        is_even = bool((merged == merged[0]).all())
        return CanonicalRows(
            np.ascontiguousarray(table[:, :-1]),
            table[:, -1].copy(),
            None if is_even else merged,
            len(y),
        )

    @staticmethod
    def as_given(X: np.ndarray, y: np.ndarray, weights: np.ndarray | None) -> CanonicalRows:
        """Return the rows in their order, for what may depend on it."""
        weights = None if weights is None or (weights == weights[0]).all() else weights
        return CanonicalRows(X, y, weights, len(y))

    @property
    def n_effective(self) -> int:
        """How many rows of equal weight say as much (Kish); alike for weights and repetitions."""
        if self.weights is None:
            return len(self.y)
        return round(float(self.weights.sum() ** 2 / np.square(self.weights).sum()))

    @property
    def is_constant(self) -> bool:
        """Whether y has one value."""
        return bool((self.y == self.y[0]).all())

    def same_as(self, other: CanonicalRows) -> bool:
        """Tell whether these are the same data."""
        mine, its = (r.weights if r.weights is not None else np.ones(1) for r in (self, other))
        pairs = ((self.X, other.X), (self.y, other.y), (mine, its))
        return all(np.array_equal(one, another) for one, another in pairs)


def _without_scale(weights: np.ndarray) -> np.ndarray:
    """Return the weights (N,) over their mean, so that 2.5 times the weights are the same weights.

    That holds to the last bit: what rounding makes of the factor is rounded away.
    """
    weights = weights / weights.max()  # whose sum is finite
    mantissas, exponents = np.frexp(weights / weights.mean())
    return np.ldexp(np.round(mantissas * 2.0**DIGITS) / 2.0**DIGITS, exponents)
