"""Scoring programs on rows of data, in one native call if possible."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from dso.fitting.objective import FormulaLoss, Objective
from dso.fitting.polynomial_fitter import PolynomialFitter, PolynomialOptions
from dso.program import (
    FitData,
    ProgramBatch,
    execute,
    fraction_within,
    has_poly,
    mean_loss,
    mean_squared_error,
)
from dso.program.columns import Rows
from dso.program.execute import VALID, Execution, Polynomials
from dso.task.regression.metrics import Metric
from dso.task.task import Rewards


@dataclass(frozen=True)
class Scorer:
    """Measures programs against rows of data.

    Attributes
    ----------
    data : FitData
    options : PolynomialOptions, optional
        With them the polynomials of programs are fitted to these rows wherever none are given.
    objective : Objective, optional
        What is small for good predictions. Default: the mean squared error.
    predictions_at_once : int
        Numbers held at once where the predictions themselves are needed: 32 MB.
    """

    data: FitData
    options: PolynomialOptions | None = None
    objective: Objective | None = None
    predictions_at_once: int = 4_000_000

    @cached_property
    def fitter(self) -> PolynomialFitter | None:
        """What fits polynomials to these rows."""
        return None if self.options is None else PolynomialFitter(self.data, self.options)

    def on_rows(self, rows: Rows) -> Scorer:
        """Return a scorer of some of the rows."""
        return replace(self, data=self.data.on_rows(rows))

    def rewards(
        self,
        metric: Metric,
        programs: ProgramBatch,
        n_threads: int = 1,
        change: Callable[[np.ndarray], np.ndarray] | None = None,
        polynomials: Polynomials = None,
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
        polynomials : sequence of (FittedPolynomial or None), optional
            What `poly` stands for in each program.
        """
        if metric.is_of_mse and change is None:
            loss, cause, node = self.mean_loss(programs, n_threads, polynomials)
            return Rewards(metric.from_mse(loss), cause, node)
        if metric.name == "fraction" and change is None:
            fraction, cause, node = self._fraction(metric.params, programs, n_threads, polynomials)
            return Rewards(metric.from_fraction(fraction), cause, node)
        size = max(1, self.predictions_at_once // self.data.n_rows)
        parts = [
            self._of_predictions(
                metric,
                programs[start : start + size],
                n_threads,
                change,
                None if polynomials is None else polynomials[start : start + size],
            )
            for start in range(0, max(1, len(programs)), size)
        ]
        return Rewards(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    def mean_loss(
        self, programs: ProgramBatch, n_threads: int = 1, polynomials: Polynomials = None
    ) -> Execution:
        """Return the loss in force of each program (B,), NaN where it is invalid."""
        objective, data = self.objective, self.data
        if objective is None:
            return self.mean_squared_error(programs, n_threads, polynomials)
        fitted = self._fitted(programs, n_threads, polynomials)
        if isinstance(objective, FormulaLoss):
            return mean_loss(
                data.library,
                programs,
                data.native,
                data.columns,
                objective.native,
                lambda values: objective.means(values, data),
                data.protected,
                n_threads,
                fitted,
            )
        parts = []
        size = max(1, self.predictions_at_once // data.n_rows)
        for start in range(0, max(1, len(programs)), size):
            part = programs[start : start + size]
            given = None if fitted is None else fitted[start : start + size]
            values, cause, node = self.predictions(part, n_threads, given)
            is_valid = cause == VALID
            losses = np.full(len(part), np.nan)
            if is_valid.any():
                losses[is_valid] = objective.means(values[is_valid], data)
            parts.append((losses, cause, node))
        return Execution(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    def mean_squared_error(
        self, programs: ProgramBatch, n_threads: int = 1, polynomials: Polynomials = None
    ) -> Execution:
        """Return the error of each program (B,), NaN where it is invalid."""
        with_poly = has_poly(self.data.library, programs)
        if self.fitter is None or polynomials is not None or not with_poly.any():
            return self._mean_squared_error(programs, n_threads, polynomials)
        plain = self._mean_squared_error(programs[~with_poly], n_threads)
        fits = self.fitter.fit(programs[with_poly], n_threads)
        joined = []
        for others, fitted in zip(plain, (fits.mse, fits.cause, fits.node), strict=True):
            whole = np.empty(len(programs), dtype=others.dtype)
            whole[~with_poly], whole[with_poly] = others, fitted
            joined.append(whole)
        return Execution(*joined)

    def predictions(
        self, programs: ProgramBatch, n_threads: int = 1, polynomials: Polynomials = None
    ) -> Execution:
        """Return the predictions of each program, (B, N)."""
        data, fitted = self.data, self._fitted(programs, n_threads, polynomials)
        return execute(data.library, programs, data.columns, data.protected, n_threads, fitted)

    def _mean_squared_error(
        self, programs: ProgramBatch, n_threads: int, polynomials: Polynomials = None
    ) -> Execution:
        data = self.data
        return mean_squared_error(
            data.library,
            programs,
            data.columns,
            data.y,
            data.weights,
            data.protected,
            n_threads,
            polynomials,
        )

    def _fraction(
        self,
        tolerance: tuple[float, ...],
        programs: ProgramBatch,
        n_threads: int,
        polynomials: Polynomials = None,
    ) -> Execution:
        data, (relative, absolute) = self.data, tolerance
        return fraction_within(
            data.library,
            programs,
            data.columns,
            data.y,
            relative,
            absolute,
            data.weights,
            data.protected,
            n_threads,
            self._fitted(programs, n_threads, polynomials),
        )

    def _fitted(
        self, programs: ProgramBatch, n_threads: int, polynomials: Polynomials
    ) -> Polynomials:
        """Return the polynomials of programs: those given, else those fitted to these rows."""
        if polynomials is not None or self.fitter is None:
            return polynomials
        return self.fitter.polynomials(programs, n_threads)

    def _of_predictions(
        self,
        metric: Metric,
        programs: ProgramBatch,
        n_threads: int,
        change: Callable[[np.ndarray], np.ndarray] | None,
        polynomials: Polynomials,
    ) -> tuple[np.ndarray, ...]:
        predictions, cause, node = self.predictions(programs, n_threads, polynomials)
        if change is not None:
            predictions = change(predictions)
        if self.objective is not None and metric.is_of_mse:
            values = metric.from_mse(self.objective.means(predictions, self.data))
        else:
            values = metric.from_predictions(self.data.y, predictions, self.data.weights)
        return np.where(cause == 0, values, metric.invalid_reward), cause, node
