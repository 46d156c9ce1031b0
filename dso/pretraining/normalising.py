"""From a user's rows to a table of order one, and the analytic way back.

An input whose numbers are large, small or far from zero for their spread is scaled, or shifted and
scaled; the target is standardised. What is found in such numbers is an expression in the numbers of
the user once they are put in, and the constants of the expression take them up. Without constants
to be fitted nothing could, so then the rows stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dso.pretraining.canonical import INPUT, Node, add, map_inputs, multiply, number
from dso.pretraining.tables import Tables, centre_and_spread, level_of, standardised
from dso.program import FitData
from dso.streams import Stream

MAX_ROWS = 160
"""Rows that the network reads; it has not been trained with more."""
USUAL_SIZE = (0.3, 20.0)
"""Of the largest number of an input; others are scaled."""
SCALED_SIZE = 3.0
NARROW = 0.05
"""An input that varies by less than this share of its size is shifted too."""
N_BINS = 8
LARGEST = 1e6


@dataclass(frozen=True)
class Normalised:
    """Rows as the network sees them.

    Attributes
    ----------
    columns : tuple of int
        Which inputs of the library are the first, second, ... of the network.
    x : (n, N) float64
        By column, of order one.
    y : (N,) float64
        Standardised where constants are fitted.
    shifts, scales : (n,) float64
        The inputs were ``shift + scale * x``.
    centre, spread : float
        The target was ``centre + spread * y``.
    is_fitted : bool
        Whether a factor and a summand are fitted.
    """

    columns: tuple[int, ...]
    x: np.ndarray
    y: np.ndarray
    shifts: np.ndarray
    scales: np.ndarray
    centre: float
    spread: float
    is_fitted: bool

    @property
    def is_scaled(self) -> bool:
        """Whether the inputs are others than those of the user."""
        return bool((self.shifts != 0).any() or (self.scales != 1).any())

    def table(self, n_inputs: int, allowed: np.ndarray, seed: int) -> Tables:
        """Return what the network reads; of many rows some are drawn.

        Parameters
        ----------
        n_inputs : int
            D of the network.
        allowed : (V,) bool
        seed : int
        """
        n_rows = len(self.y)
        rows = np.arange(n_rows)
        if n_rows > MAX_ROWS:
            generator = Stream(seed, "pretrained rows").generator()
            rows = np.sort(generator.choice(n_rows, MAX_ROWS, replace=False))
        x = np.zeros((1, len(rows), n_inputs), dtype=np.float32)
        x[0, :, : len(self.columns)] = np.clip(self.x[:, rows].T, -LARGEST, LARGEST)
        y, level = self.y[rows], (0.0, 0.0)
        if not self.is_fitted:
            centre, spread = centre_and_spread(y)
            y, level = standardised(y, centre, spread), level_of(centre, spread)
        y = np.clip(y, -50.0, 50.0)
        return Tables(x, y[None].astype(np.float32), np.array([level], np.float32), allowed[None])

    def way_back(self, tree: Node) -> Node:
        """Return the tree in the user's numbers of one in those of the network."""
        if not self.is_fitted:
            return tree
        in_inputs = map_inputs(tree, [self._input(k) for k in range(len(self.columns))])
        return add(multiply(number(self.spread), in_inputs), number(self.centre))

    def _input(self, k: int) -> Node:
        shift, scale = float(self.shifts[k]), float(self.scales[k])
        if shift == 0 and scale == 1:
            return (INPUT, k)
        return multiply(add((INPUT, k), number(-shift)), number(1 / scale))


def normalise(data: FitData, columns: tuple[int, ...], is_fitted: bool) -> Normalised:
    """Bring rows to order one.

    Parameters
    ----------
    data : FitData
    columns : tuple of int
        Of the inputs, those that the network gets.
    is_fitted : bool
        Whether constants can be fitted; without, nothing is changed.
    """
    x = data.columns[list(columns)]
    shifts, scales = np.zeros(len(columns)), np.ones(len(columns))
    centre, spread, y = 0.0, 1.0, data.y
    if is_fitted:
        for k, column in enumerate(x):
            shifts[k], scales[k] = _shift_and_scale(column)
        x = (x - shifts[:, None]) / scales[:, None]
        centre, spread = centre_and_spread(data.y)
        y = (data.y - centre) / spread
    return Normalised(columns, x, y, shifts, scales, centre, spread, is_fitted)


def _shift_and_scale(column: np.ndarray) -> tuple[float, float]:
    low, high = float(column.min()), float(column.max())
    size, width = max(abs(low), abs(high)), high - low
    if width == 0:
        return 0.0, 1.0
    if width < NARROW * size:
        return low, width / SCALED_SIZE
    least, most = USUAL_SIZE
    return 0.0, 1.0 if least <= size <= most else size / SCALED_SIZE


def most_relevant(data: FitData, inputs: Sequence[int], n: int) -> tuple[int, ...]:
    """Return the `n` inputs that tell most about the target alone, in the order of the columns.

    Parameters
    ----------
    data : FitData
    inputs : sequence of int
        Columns to choose from.
    n : int

    Notes
    -----
    An input tells as much as the share of the variance of the target's ranks that lies between
    the bins of its quantiles.
    """
    ranks = np.argsort(np.argsort(data.y, kind="stable"), kind="stable").astype(np.float64)
    shares = [_between_bins(data.columns[column], ranks) for column in inputs]
    best = np.argsort(-np.array(shares), kind="stable")[:n]
    return tuple(sorted(inputs[i] for i in best))


def _between_bins(column: np.ndarray, ranks: np.ndarray) -> float:
    if np.ptp(column) == 0:
        return 0.0
    edges = np.quantile(column, np.linspace(0, 1, N_BINS + 1)[1:-1])
    bins = np.searchsorted(edges, column, side="right")
    counts = np.bincount(bins, minlength=N_BINS)
    sums = np.bincount(bins, weights=ranks, minlength=N_BINS)
    is_used = counts > 0
    apart = sums[is_used] / counts[is_used] - ranks.mean()
    whole = np.square(ranks - ranks.mean()).sum()
    return float((counts[is_used] * apart**2).sum() / max(1e-300, whole))
