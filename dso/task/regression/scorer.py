"""Programs against rows of data: execution and metric in one native call where that is possible."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dso.library import Library
from dso.native import _core
from dso.program.execute import execute
from dso.program.program_batch import ProgramBatch
from dso.task.regression.metrics import Metric
from dso.task.task import Rewards

PREDICTIONS_AT_ONCE = 4_000_000
"""Numbers held at once where the predictions themselves are needed: 32 MB."""

Summary = tuple[np.ndarray, np.ndarray, np.ndarray]
"""One number per program (B,) float64, cause (B,) uint8 and node (B,) int32."""


@dataclass(frozen=True)
class Scorer:
    """Rows of data that programs of one library are measured against.

    Attributes
    ----------
    library : Library
    columns : (D, N) float64
        Inputs, one row of memory per input.
    y : (N,) float64
    weights : (N,) float64 or None
    protected : bool
    """

    library: Library
    columns: np.ndarray
    y: np.ndarray
    weights: np.ndarray | None = None
    protected: bool = False

    @staticmethod
    def of_rows(
        library: Library,
        X: np.ndarray,
        y: np.ndarray,
        weights: np.ndarray | None = None,
        protected: bool = False,
    ) -> Scorer:
        """Make a scorer from inputs (N, D)."""
        return Scorer(library, np.ascontiguousarray(X.T), y, weights, protected)

    def rewards(
        self,
        metric: Metric,
        programs: ProgramBatch,
        n_threads: int = 1,
        change: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> Rewards:
        """Reward programs.

        Parameters
        ----------
        metric : Metric
        programs : ProgramBatch
            B programs.
        n_threads : int
        change : callable, optional
            Applied to predictions (b, N) before they are measured.
        """
        needs_predictions = change is not None or self.library.has_python_tokens
        if metric.is_of_mse and not needs_predictions:
            mse, cause, node = self.mean_squared_error(programs, n_threads)
            return Rewards(metric.from_mse(mse), cause, node)
        if metric.name == "fraction" and not needs_predictions:
            return Rewards(*self._fraction(metric, programs, n_threads))
        parts = [
            self._rewards_of_predictions(metric, programs[rows], n_threads, change)
            for rows in self._chunks(len(programs))
        ]
        return Rewards(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    def mean_squared_error(self, programs: ProgramBatch, n_threads: int = 1) -> Summary:
        """Return the error of each program, NaN where it is invalid, and why it is."""
        return _core.mean_squared_error(
            self.library.native,
            programs.tokens,
            programs.lengths,
            programs.constants,
            self.columns,
            self.y,
            self.weights,
            self.protected,
            n_threads,
        )

    def predictions(self, programs: ProgramBatch, n_threads: int = 1) -> Summary:
        """Return predictions (B, N) in place of one number per program."""
        return execute(self.library, programs, self.columns.T, self.protected, n_threads)

    def _fraction(self, metric: Metric, programs: ProgramBatch, n_threads: int) -> Summary:
        relative, absolute = metric.params
        fraction, cause, node = _core.fraction_within(
            self.library.native,
            programs.tokens,
            programs.lengths,
            programs.constants,
            self.columns,
            self.y,
            relative,
            absolute,
            self.weights,
            self.protected,
            n_threads,
        )
        return metric.from_fraction(fraction), cause, node

    def _rewards_of_predictions(
        self,
        metric: Metric,
        programs: ProgramBatch,
        n_threads: int,
        change: Callable[[np.ndarray], np.ndarray] | None,
    ) -> Summary:
        predictions, cause, node = self.predictions(programs, n_threads)
        if change is not None:
            predictions = change(predictions)
        values = metric.from_predictions(self.y, predictions, self.weights)
        return np.where(cause == 0, values, metric.invalid_reward), cause, node

    def _chunks(self, n_programs: int) -> list[slice]:
        size = max(1, PREDICTIONS_AT_ONCE // len(self.y))
        return [slice(start, start + size) for start in range(0, n_programs, size)]
