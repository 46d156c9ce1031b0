"""Thinning: long logs and clouds of rewards become a few hundred numbers that a page can draw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dso.runs.results import numbers

if TYPE_CHECKING:
    import pandas as pd

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
N_BINS = 28
MAX_VALUES = 2_000_000
"""Rewards that are read of one run; of more, evenly spread iterations."""

LAST = {"r_best", "nevals", "iteration", "seconds"}
GREATEST = {"r_max"}


def learning_curves(log: pd.DataFrame, n_points: int) -> dict[str, np.ndarray]:
    """Return every column of a log, thinned.

    Iterations are put together in groups of equal size. A group stands at its last iteration; it
    has the last value of what accumulates, the greatest of a maximum, else the mean.

    Returns
    -------
    dict of str to (n,) float64
        The log's columns, with ``iteration``, ``seconds`` since the start and the shares
        ``novel`` and ``unique`` of each batch.
    """
    if not len(log):
        return {}
    columns = {name: numbers(log, name) for name in log.columns}
    columns["iteration"] = np.arange(1, len(log) + 1, dtype=float)
    if "time" in columns:
        columns["seconds"] = np.nancumsum(columns["time"])
    if "nevals" in columns:
        n_drawn = np.diff(columns["nevals"], prepend=0.0)
        for share, count in (("novel", "n_novel_full"), ("unique", "n_unique_full")):
            if count in columns:
                columns[share] = columns[count] / np.where(n_drawn > 0, n_drawn, np.nan)
    starts = _group_starts(len(log), n_points)
    return {name: _thinned(values, starts, name) for name, values in columns.items()}


def _group_starts(n: int, n_groups: int) -> np.ndarray:
    return np.unique(np.linspace(0, n, min(n, n_groups), endpoint=False).astype(int))


def _thinned(values: np.ndarray, starts: np.ndarray, name: str) -> np.ndarray:
    if name in LAST:
        return values[np.append(starts[1:], len(values)) - 1]
    if name in GREATEST:
        return np.fmax.reduceat(values, starts)
    sizes = np.diff(np.append(starts, len(values)))
    with np.errstate(invalid="ignore"):
        return np.add.reduceat(values, starts) / sizes


def reward_distribution(rewards: np.ndarray, n_groups: int = 60) -> dict[str, Any] | None:
    """Return how the rewards (iterations, B) of a run were distributed, over time.

    Returns
    -------
    dict or None
        ``iteration`` (n,), the last one of each group; ``quantiles`` (n, 6) at `QUANTILES`;
        ``edges`` of the bins; ``shares`` (n, bins) of the samples of a group in each bin. None
        where no reward is finite.
    """
    n_iterations = len(rewards)
    starts = _group_starts(n_iterations, n_groups)
    ends = np.append(starts[1:], n_iterations)
    step = max(1, rewards.size // MAX_VALUES)
    groups = [_finite(rewards[start:end:step]) for start, end in zip(starts, ends, strict=True)]
    present = [i for i, group in enumerate(groups) if len(group)]
    if not present:
        return None
    low = min(groups[i].min() for i in present)
    high = max(groups[i].max() for i in present)
    # Metrics without a lower bound have outliers that would squeeze everything into one bin.
    low = max(low, float(np.median([np.quantile(groups[i], 0.02) for i in present])))
    edges = np.linspace(low, high if high > low else low + 1.0, N_BINS + 1)
    clipped = [np.clip(groups[i], edges[0], edges[-1]) for i in present]
    return {
        "iteration": ends[present],
        "quantiles": np.array([np.quantile(groups[i], QUANTILES) for i in present]),
        "edges": edges,
        "shares": np.array([np.histogram(group, edges)[0] / len(group) for group in clipped]),
    }


def _finite(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64).ravel()
    return values[np.isfinite(values)]
