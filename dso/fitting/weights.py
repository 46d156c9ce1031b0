"""How weights enter sums over rows."""

from __future__ import annotations

import numpy as np


def weighted_variance(values: np.ndarray, weights: np.ndarray | None) -> float:
    """Return the variance of values (N,) under weights (N,)."""
    if weights is None:
        return float(np.var(values))
    mean = np.average(values, weights=weights)
    return float(np.average((values - mean) ** 2, weights=weights))
