"""Tables: rows of data as the network sees them, scaled to order one, and how they were scaled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FAR = 50.0
"""Standardised targets beyond this are cut off: a pole must not drown the rest."""
LOW_SHARE, HIGH_SHARE = 0.16, 0.84
"""Between these quantiles lie two standard deviations of a normal distribution."""


@dataclass(frozen=True)
class Tables:
    """B tables of N rows.

    Attributes
    ----------
    x : (B, N, D) float32
        Inputs; columns that a table does not have are 0.
    y : (B, N) float32
        Targets, standardised by median and spread.
    level : (B, 2) float32
        Where only exact values will do, median over spread and logarithm of the spread, both
        squashed; 0 where a factor and a summand are fitted.
    allowed : (B, V) bool
        Tokens that may be written; an input that is not there may not.
    """

    x: np.ndarray
    y: np.ndarray
    level: np.ndarray
    allowed: np.ndarray

    def __len__(self) -> int:
        return len(self.x)


def centre_and_spread(y: np.ndarray) -> tuple[float, float]:
    """Return median and spread of targets (N,); a few outliers cannot move either."""
    low, centre, high = np.quantile(y, (LOW_SHARE, 0.5, HIGH_SHARE))
    size = float(np.abs(y).max()) or 1.0  # whose square may be beyond what a number can hold
    spread, deviation = (high - low) / 2, size * float(np.std(y / size))
    if not spread > 1e-9 * deviation:  # most targets are equal
        spread = deviation
    return float(centre), float(spread) if spread > 0 else 1.0


def standardised(y: np.ndarray, centre: float, spread: float) -> np.ndarray:
    """Return targets (N,) of order one."""
    return np.clip((y - centre) / spread, -FAR, FAR)


def level_of(centre: float, spread: float) -> tuple[float, float]:
    """Return what says where standardised targets come from."""
    return float(np.arcsinh(centre / spread)), float(np.clip(np.log(spread), -12, 12) / 3)
