"""Points between the rows of data, and whether a program behaves there."""

from __future__ import annotations

import numpy as np

from dso.program import FitData, ProgramBatch, execute
from dso.program.execute import VALID, Polynomials

MAX_POINTS = 2000
OVERSHOOT = 1.0
"""Spans of the predictions by which a value between the rows may leave their range."""


def between_rows(columns: np.ndarray, n_points: int = MAX_POINTS) -> np.ndarray:
    """Return points (D, n_points) in the convex hull of rows (D, N): mixtures of two of them.

    Rows and shares come from a low-discrepancy sequence, so the points are the same every time.
    """
    n_rows = columns.shape[1]
    steps = np.arange(1, n_points + 1)[:, None]
    # The powers of the plastic number's inverse: fractional parts that fill a cube evenly.
    fractions = (0.5 + steps * 0.8191725134 ** np.arange(1, 4)) % 1.0
    first, second = (fractions[:, :2] * n_rows).astype(int).T
    share = fractions[:, 2]
    return np.ascontiguousarray(share * columns[:, first] + (1 - share) * columns[:, second])


def is_tame(
    programs: ProgramBatch, data: FitData, points: np.ndarray, polynomials: Polynomials
) -> np.ndarray:
    """Tell which programs (B,) are defined between the rows of data, and have no pole there.

    A pole is taken to be where a value leaves the range of the predictions on the rows by more than
    `OVERSHOOT` times its width.

    Parameters
    ----------
    programs : ProgramBatch
    data : FitData
    points : (D, M) float64
        See `between_rows`.
    polynomials : sequence of (FittedPolynomial or None), optional
    """
    on_rows, between = (
        execute(data.library, programs, X, data.protected, 1, polynomials)
        for X in (data.columns, points)
    )
    low, high = on_rows.values.min(axis=1), on_rows.values.max(axis=1)
    # A program that hardly changes may do so between the rows: y sets the scale too.
    width = OVERSHOOT * np.maximum(high - low, np.ptp(data.y))
    with np.errstate(invalid="ignore"):
        stays = (between.values.min(axis=1) >= low - width) & (
            between.values.max(axis=1) <= high + width
        )
    return (between.cause == VALID) & (on_rows.cause == VALID) & stays
