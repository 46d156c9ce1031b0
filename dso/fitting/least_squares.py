"""Least squares: the constants of many programs in one native call."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dso.native import _core
from dso.program import FitData, ProgramBatch

MAX_EXACT = 1e-20
"""A squared error below this share of the variance of y is none but for rounding."""


def least_squares(
    data: FitData,
    programs: ProgramBatch,
    lower: np.ndarray | None = None,
    upper: np.ndarray | None = None,
    *,
    max_iterations: int = 50,
    n_starts: int = 1,
    key: int = 0,
    n_threads: int = 1,
    loss: _core.Loss | None = None,
) -> tuple[ProgramBatch, np.ndarray]:
    """Fit the constants of programs that the native machine executes.

    Parameters
    ----------
    data : FitData
    programs : ProgramBatch
        The fit starts from their constants.
    lower, upper : (B, K) float64, optional
        Bounds; a constant whose bounds are equal stays.
    max_iterations : int
        Steps of Levenberg and Marquardt's method from each start.
    n_starts : int
        The constants given, then random ones.
    key, n_threads : int
        Of the random stream; in the core.
    loss : _core.Loss, optional
        What is made small instead of squared errors.

    Returns
    -------
    programs : ProgramBatch
    mse : (B,) float64
        Or the mean loss; NaN where no valid constants were found; those are the ones given.
    """
    constants, mse = _core.fit_constants(
        data.library.native,
        programs.native,
        data.native,
        lower=lower,
        upper=upper,
        max_iterations=max_iterations,
        n_starts=n_starts,
        key=key,
        n_threads=n_threads,
        loss=loss,
    )
    return replace(programs, constants=constants), mse
