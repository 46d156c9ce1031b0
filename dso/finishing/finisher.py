"""Finisher: programs at their own optimum, and the plainer ones next to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from dso.finishing.neighbours import Entries, Grammar, Row, neighbours
from dso.fitting.constants import EXACT, Bounds, bound_rows, constant_counts, widened
from dso.fitting.least_squares import least_squares
from dso.fitting.weights import weighted_variance
from dso.native import _core
from dso.program import FitData, ProgramBatch, has_poly, has_python_token
from dso.semantic.contexts import cheapest_on_rows
from dso.semantic.key_rows import choose_key_rows
from dso.semantic.ranking import key_bits, significant_digits
from dso.semantic.value_library import ValueLibrary
from dso.streams import Stream

if TYPE_CHECKING:
    from dso.prior import JointPrior

MAX_ROWS = 2000
"""Of data that forms are fitted to; what comes of it is scored on all of them."""
SAMPLE_ROWS = 200
"""Of these on which forms are compared first."""
N_ENTRIES = 600
N_NEIGHBOURS = 40
"""Of a program that are fitted to the sample."""
N_FITTED = 10
"""Of these that are fitted to all rows."""
SAMPLE_ITERATIONS, MAX_ITERATIONS = 10, 200
SAMPLE_SLACK = 2.0
"""A form may be so many times worse on the sample than what it has to beat is on all rows."""
MAX_ROUNDS = 4
"""How often what came out is improved again."""
LEAST_FALL = 1e-6
"""Share of a loss that counts as an improvement."""


@dataclass
class Bar:
    """The least loss known at up to each complexity.

    Attributes
    ----------
    floor : float
        Losses up to this are rounding, and all the same.
    complexities, losses : (n,) float64
        In ascending and strictly descending order.
    """

    floor: float
    complexities: np.ndarray = field(default_factory=lambda: np.empty(0))
    losses: np.ndarray = field(default_factory=lambda: np.empty(0))

    def __call__(self, complexities: np.ndarray) -> np.ndarray:
        """Return the least losses (n,) at up to these complexities."""
        rank = np.searchsorted(self.complexities, complexities, side="right")
        return np.append(np.inf, self.losses)[rank]

    def passes(self, complexity: float, loss: float) -> bool:
        """Tell whether a program is better than all that are as simple, and remember it if so."""
        loss = max(loss, self.floor)
        if not loss < (1 - LEAST_FALL) * self(np.array([complexity]))[0]:
            return False
        kept = (self.complexities < complexity) | (self.losses < loss)
        complexities = np.append(self.complexities[kept], complexity)
        losses = np.append(self.losses[kept], loss)
        order = np.argsort(complexities)
        self.complexities, self.losses = complexities[order], losses[order]
        return True


class Finisher:
    """Fits programs, and looks for plainer ones that are as good.

    It takes programs that the native machine executes; those with a polynomial or a token of the
    user's own are left alone.

    Parameters
    ----------
    data : FitData
        All rows.
    prior : JointPrior
        What every program that is returned obeys.
    complexity : callable
        Programs -> (B,) float64.
    bounds : pair, sequence of pairs or None
        Of constants; see `FitOptions`.
    n_threads, seed : int
    """

    def __init__(
        self,
        data: FitData,
        prior: JointPrior,
        complexity: Callable[[ProgramBatch], np.ndarray],
        *,
        bounds: Bounds = None,
        n_threads: int = 1,
        seed: int = 0,
    ) -> None:
        self.library = data.library
        self.data = _thinned(data, MAX_ROWS)
        self.sample = _thinned(data, SAMPLE_ROWS)
        self.prior = prior
        self.complexity = complexity
        self.bounds = bounds
        self.n_threads = n_threads
        self.seed = seed
        self.grammar = Grammar.of(data.library, complexity)
        variance = weighted_variance(self.data.y, self.data.weights)
        self.floor = EXACT * variance
        self.n_fits = 0
        self._expanded: dict[int, float] = {}

    # ---- fits ----------------------------------------------------------------------------------

    def fitted(
        self, programs: ProgramBatch, n_starts: int = 1, max_iterations: int = MAX_ITERATIONS
    ) -> tuple[ProgramBatch, np.ndarray]:
        """Return programs fitted from their constants, and their losses (B,), inf where invalid."""
        return self._fitted(self.data, programs, n_starts, max_iterations)

    def _fitted(
        self, data: FitData, programs: ProgramBatch, n_starts: int, max_iterations: int
    ) -> tuple[ProgramBatch, np.ndarray]:
        self.n_fits += len(programs)
        width = int(constant_counts(self.library, programs).max(initial=0))
        constants = widened(programs.constants, width)
        low, high = bound_rows(self.bounds, width)
        is_there = ~np.isnan(constants)
        lower = np.where(is_there, low, np.nan)
        upper = np.where(is_there, high, np.nan)
        start = replace(programs, constants=np.clip(constants, lower, upper))
        fitted, mse = least_squares(
            data,
            start,
            lower,
            upper,
            max_iterations=max_iterations,
            n_starts=n_starts,
            key=Stream(self.seed, "finishing").key,
            n_threads=self.n_threads,
        )
        return fitted, np.where(np.isnan(mse), np.inf, mse)

    # ---- plainer forms -------------------------------------------------------------------------

    def improved(self, programs: ProgramBatch, bar: Bar, n_starts: int = 1) -> ProgramBatch:
        """Return what is better than the front: these programs, fitted, and their neighbours.

        Parameters
        ----------
        programs : ProgramBatch
            With constants; the front or a part of it, the simplest first.
        bar : Bar
            Of the losses on the front, which is raised by what is found.
        n_starts : int
            Of the fits of the programs themselves.
        """
        programs = programs[self.can_finish(programs)]
        found: list[ProgramBatch] = []
        if len(programs):
            fitted, losses = self.fitted(programs, n_starts)
            complexities = self.complexity(fitted)
            for b in np.lexsort((losses, complexities)).tolist():
                bar.passes(complexities[b], losses[b])
            found.append(fitted[np.isfinite(losses)])
            todo = fitted[np.isfinite(losses)]
            losses = losses[np.isfinite(losses)]
            for _ in range(MAX_ROUNDS):
                todo, losses = self._round(todo, losses, bar)
                if not len(todo):
                    break
                found.append(todo)
        return ProgramBatch.concatenate(found) if found else programs

    def can_finish(self, programs: ProgramBatch) -> np.ndarray:
        """Tell which programs (B,) the native machine executes alone."""
        return ~has_poly(self.library, programs) & ~has_python_token(self.library, programs)

    def _round(
        self, programs: ProgramBatch, losses: np.ndarray, bar: Bar
    ) -> tuple[ProgramBatch, np.ndarray]:
        """Return the neighbours of programs that are better than the front, and their losses."""
        rows: list[Row] = []
        for b in range(len(programs)):
            if self._is_due(programs[b : b + 1], losses[b]):
                rows += neighbours(
                    self.sample,
                    programs[b : b + 1],
                    self.entries,
                    self.grammar,
                    bar,
                    N_NEIGHBOURS,
                )
        return self._best_of(rows, bar)

    def _is_due(self, program: ProgramBatch, loss: float) -> bool:
        """Tell whether neighbours of a program were never looked for while it was as good."""
        key = int(program.keys()[0])
        loss = max(loss, self.floor)
        if loss >= 0.99 * self._expanded.get(key, np.inf):
            return False
        self._expanded[key] = loss
        return True

    def _best_of(self, rows: Sequence[Row], bar: Bar) -> tuple[ProgramBatch, np.ndarray]:
        """Fit rows, and return those that are better than the front, with their losses."""
        batch = self.allowed(rows)
        if not len(batch):
            return batch, np.empty(0)
        batch, losses = self._fitted(self.sample, batch, 1, SAMPLE_ITERATIONS)
        complexities = self.complexity(batch)
        wanted = bar(complexities)
        blind = max(self.floor, 1e-13 * float(np.mean(self.sample.y**2)))
        ratio = np.maximum(losses, blind) / np.maximum(wanted, blind)
        is_promising = np.isfinite(losses) & (ratio < SAMPLE_SLACK)
        order = np.argsort(ratio + 1e-3 * complexities, kind="stable")
        chosen = order[is_promising[order]][: N_FITTED * max(1, len(rows) // N_NEIGHBOURS)]
        batch, losses = self.fitted(batch[chosen])
        complexities = self.complexity(batch)
        order = np.lexsort((losses, complexities))
        better = [b for b in order.tolist() if bar.passes(complexities[b], losses[b])]
        return batch[better], losses[better]

    def allowed(self, rows: Sequence[Row]) -> ProgramBatch:
        """Return rows as programs, each sequence of tokens once, without those that break a prior."""
        rows = list({tuple(tokens): (tokens, numbers) for tokens, numbers in rows}.values())
        rows = [row for row in rows if len(row[0]) <= self.prior.max_length]
        if not rows:
            return ProgramBatch.from_rows([])
        batch = ProgramBatch.from_rows([tokens for tokens, _ in rows])
        constants = np.full((len(rows), max(len(numbers) for _, numbers in rows)), np.nan)
        for slot, (_, numbers) in zip(constants, rows, strict=True):
            slot[: len(numbers)] = numbers
        batch = replace(batch, constants=constants)
        return batch[self.prior.allowed(batch)]

    @cached_property
    def entries(self) -> Entries:
        """The cheapest expressions of a library of values."""
        sample = self.sample
        rows = choose_key_rows(sample.columns, sample.y, Stream(self.seed, "entries").generator())
        values = ValueLibrary(
            self.library,
            self.prior,
            sample.columns,
            rows,
            bits=key_bits(significant_digits(sample.y)),
            max_entries=N_ENTRIES,
            max_vectors=20 * N_ENTRIES,
            protected=sample.protected,
        )
        programs, columns = cheapest_on_rows(
            self.library, values, len(values), sample.columns, sample.protected
        )
        is_usable = np.isfinite(columns).all(axis=1)
        return Entries(programs[is_usable], columns[is_usable])


def _thinned(data: FitData, n_rows: int) -> FitData:
    """Return at most so many rows, evenly chosen."""
    if data.n_rows <= n_rows:
        return data
    return data.on_rows(np.linspace(0, data.n_rows - 1, n_rows).astype(int))
