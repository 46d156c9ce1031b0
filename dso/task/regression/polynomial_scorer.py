"""A scorer that fits the polynomials of programs to its own rows before it measures them."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cached_property

import numpy as np

from dso.fitting.polynomial_fitter import PolynomialFitter, PolynomialOptions
from dso.program import ProgramBatch, has_poly
from dso.program.execute import Execution, Polynomials
from dso.task.regression.scorer import Scorer


@dataclass(frozen=True)
class PolynomialScorer(Scorer):
    """Rows of training data where programs may have a token `poly`.

    Attributes
    ----------
    options : PolynomialOptions
    """

    options: PolynomialOptions = field(default_factory=PolynomialOptions)

    @staticmethod
    def like(scorer: Scorer, options: PolynomialOptions) -> PolynomialScorer:
        """Make one of the rows of another scorer."""
        values = {each.name: getattr(scorer, each.name) for each in fields(Scorer)}
        return PolynomialScorer(**values, options=options)

    @cached_property
    def fitter(self) -> PolynomialFitter:
        """What fits polynomials to these rows."""
        return PolynomialFitter(
            self.library, self.columns, self.y, self.weights, self.protected, self.options
        )

    def mean_squared_error(
        self, programs: ProgramBatch, n_threads: int = 1, polynomials: Polynomials = None
    ) -> Execution:
        """Return the error of each program (B,), NaN where it is invalid."""
        with_poly = has_poly(self.library, programs)
        if polynomials is not None or not with_poly.any():
            return super().mean_squared_error(programs, n_threads, polynomials)
        plain = super().mean_squared_error(programs[~with_poly], n_threads)
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
        if polynomials is None:
            polynomials = self.fitter.polynomials(programs, n_threads)
        return super().predictions(programs, n_threads, polynomials)

    def _fraction(
        self,
        tolerance: tuple[float, ...],
        programs: ProgramBatch,
        n_threads: int,
        polynomials: Polynomials = None,
    ) -> Execution:
        if polynomials is None:
            polynomials = self.fitter.polynomials(programs, n_threads)
        return super()._fraction(tolerance, programs, n_threads, polynomials)
