"""Programs against rows of data: execution and metric in one native call where that is possible."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from dso.library import Library
from dso.program import ProgramBatch, execute, fraction_within, mean_squared_error
from dso.program.execute import Execution
from dso.program.program_batch import Rows
from dso.task.regression.metrics import Metric
from dso.task.task import Rewards

PREDICTIONS_AT_ONCE = 4_000_000
"""Numbers held at once where the predictions themselves are needed: 32 MB."""


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

    def on_rows(self, rows: Rows) -> Scorer:
        """Return a scorer of some of the rows."""
        weights = None if self.weights is None else self.weights[rows]
        columns = np.ascontiguousarray(self.columns[:, rows])
        return replace(self, columns=columns, y=self.y[rows], weights=weights)

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
        if metric.is_of_mse and change is None:
            mse, cause, node = self.mean_squared_error(programs, n_threads)
            return Rewards(metric.from_mse(mse), cause, node)
        if metric.name == "fraction" and change is None:
            fraction, cause, node = self._fraction(metric.params, programs, n_threads)
            return Rewards(metric.from_fraction(fraction), cause, node)
        size = max(1, PREDICTIONS_AT_ONCE // len(self.y))
        parts = [
            self._of_predictions(metric, programs[start : start + size], n_threads, change)
            for start in range(0, max(1, len(programs)), size)
        ]
        return Rewards(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    def mean_squared_error(self, programs: ProgramBatch, n_threads: int = 1) -> Execution:
        """Return the error of each program (B,), NaN where it is invalid."""
        return mean_squared_error(
            self.library,
            programs,
            self.columns,
            self.y,
            self.weights,
            self.protected,
            n_threads,
        )

    def predictions(self, programs: ProgramBatch, n_threads: int = 1) -> Execution:
        """Return the predictions of each program, (B, N)."""
        return execute(self.library, programs, self.columns, self.protected, n_threads)

    def _fraction(
        self, tolerance: tuple[float, ...], programs: ProgramBatch, n_threads: int
    ) -> Execution:
        relative, absolute = tolerance
        return fraction_within(
            self.library,
            programs,
            self.columns,
            self.y,
            relative,
            absolute,
            self.weights,
            self.protected,
            n_threads,
        )

    def _of_predictions(
        self,
        metric: Metric,
        programs: ProgramBatch,
        n_threads: int,
        change: Callable[[np.ndarray], np.ndarray] | None,
    ) -> tuple[np.ndarray, ...]:
        predictions, cause, node = self.predictions(programs, n_threads)
        if change is not None:
            predictions = change(predictions)
        values = metric.from_predictions(self.y, predictions, self.weights)
        return np.where(cause == 0, values, metric.invalid_reward), cause, node
