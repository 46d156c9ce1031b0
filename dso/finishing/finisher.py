"""Finisher: optimises the constants of programs, and tries plainer programs next to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from dso.finishing.grammar import Grammar
from dso.finishing.neighbours import BLIND, Entries, neighbours
from dso.finishing.phases import with_small_phases
from dso.finishing.shorter import shorter_forms
from dso.finishing.steps import moved_steps, plain_steps, step_constants, step_tokens
from dso.finishing.ties import tied
from dso.fitting.least_squares import MAX_EXACT, least_squares
from dso.fitting.rounding import settled
from dso.fitting.slots import Bounds, bound_rows, constant_counts, widened
from dso.fitting.weights import weighted_variance
from dso.pacing import parts
from dso.program import (
    FitData,
    Program,
    ProgramBatch,
    Row,
    execute,
    has_poly,
    has_python_token,
    mean_squared_error,
)
from dso.program.execute import VALID
from dso.semantic.key_rows import choose_key_rows
from dso.semantic.target import Target
from dso.semantic.value_library import ValueLibrary
from dso.streams import Stream

if TYPE_CHECKING:
    from dso.prior import JointPrior

MAX_ROWS = 2000
"""Of data that forms are fitted to; what comes of it is scored on all of them."""
SAMPLE_ROWS = 120
"""Of these on which forms are compared first."""
N_ENTRIES = 1500
N_NEIGHBOURS = 80
"""Of a program that are fitted to the sample."""
N_FITTED = 10
"""Of these that are fitted to all rows."""
SAMPLE_ITERATIONS, STEP_ITERATIONS, MAX_ITERATIONS = 10, 20, 200
SAMPLE_SLACK = 2.0
"""A form may be this many times worse on the sample than what it has to beat is on all rows."""
MAX_ROUNDS = 4
"""How often what came out is improved again."""
MAX_NUMBERS = 50_000_000
"""Of constants times rows that are fitted once more at the end."""
MIN_GAIN = 1e-6
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
        if not loss < (1 - MIN_GAIN) * self(np.array([complexity]))[0]:
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
        self.all_rows = data
        self.data = _thinned(data, MAX_ROWS)
        self.sample = _thinned(data, SAMPLE_ROWS)
        self.prior = prior
        self.complexity = complexity
        self.bounds = bounds
        self.n_threads = n_threads
        self.seed = seed
        self.grammar = Grammar.of(data.library, complexity)
        with np.errstate(over="ignore"):
            self.floor = MAX_EXACT * weighted_variance(self.data.y, self.data.weights)
            self.blind = BLIND * float(np.mean(self.sample.y**2))
        self.has_steps = bool(step_tokens(data.library))
        self.n_looked_at = 0
        self._expanded: dict[int, float] = {}

    def on(self, data: FitData) -> Finisher:
        """Return the same for other data, e.g. the same in other units."""
        return Finisher(
            data,
            self.prior,
            self.complexity,
            bounds=self.bounds,
            n_threads=self.n_threads,
            seed=self.seed,
        )

    def state_dict(self) -> dict[str, Any]:
        """Return which programs were looked at, and how good they were."""
        return {
            "keys": np.array(list(self._expanded), dtype=np.uint64),
            "losses": np.array(list(self._expanded.values())),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._expanded = dict(zip(state["keys"].tolist(), state["losses"].tolist(), strict=True))

    # ---- fits ----------------------------------------------------------------------------------

    def fitted(
        self, programs: ProgramBatch, n_starts: int = 1, max_iterations: int = MAX_ITERATIONS
    ) -> tuple[ProgramBatch, np.ndarray]:
        """Return programs fitted from their constants, and their losses (B,), inf where invalid."""
        fitted, losses = self._fitted(self.data, programs, n_starts, max_iterations)
        if self.has_steps:
            for b in range(len(fitted)):
                self._move_steps(fitted, losses, b)
        return fitted, losses

    def _move_steps(self, programs: ProgramBatch, losses: np.ndarray, b: int) -> None:
        """Put each constant that moves a step where the loss is least, in place."""
        for slot, argument in step_constants(self.library, programs.row(b)):
            if losses[b] <= self.floor:
                return
            places = moved_steps(self.data, programs[b : b + 1], slot, argument)
            if not len(places):
                continue
            trials, reached = self._fitted(self.data, places, 1, STEP_ITERATIONS)
            best = int(reached.argmin())
            if reached[best] < losses[b]:
                programs.constants[b] = widened(trials.constants, programs.constants.shape[1])[best]
                losses[b] = reached[best]

    def _fitted(
        self, data: FitData, programs: ProgramBatch, n_starts: int, max_iterations: int
    ) -> tuple[ProgramBatch, np.ndarray]:
        width = int(constant_counts(self.library, programs).max(initial=0))
        constants = widened(programs.constants, width)
        lower, upper = self._limits(constants)
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

    def _limits(self, constants: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the bounds (B, K) of constants, NaN in unused slots."""
        low, high = bound_rows(self.bounds, constants.shape[1])
        is_there = ~np.isnan(constants)
        return np.where(is_there, low, np.nan), np.where(is_there, high, np.nan)

    # ---- plainer forms -------------------------------------------------------------------------

    def bar(self, programs: ProgramBatch) -> Bar:
        """Return the bar that a front sets.

        Parameters
        ----------
        programs : ProgramBatch
            With constants, in ascending order of complexity.
        """
        bar = Bar(self.floor)
        losses, complexities = self.losses(programs), self.complexity(programs)
        for complexity, loss in zip(complexities.tolist(), losses.tolist(), strict=True):
            bar.passes(complexity, loss)
        return bar

    def losses(self, programs: ProgramBatch) -> np.ndarray:
        """Return the losses (B,) of programs as they are, inf where one is not defined."""
        losses = np.full(len(programs), np.inf)
        rows = self.can_finish(programs)
        data = self.data
        losses[rows] = mean_squared_error(
            self.library, programs[rows], data.columns, data.y, data.weights, data.protected
        ).values
        return np.where(np.isnan(losses), np.inf, losses)

    def front(self, programs: ProgramBatch) -> ProgramBatch:
        """Return those of programs that no simpler one is as good as, the simplest first."""
        bar = Bar(self.floor)
        losses, complexities = self.losses(programs), self.complexity(programs)
        order = np.lexsort((losses, complexities)).tolist()
        return programs[[b for b in order if bar.passes(complexities[b], losses[b])]]

    def improved(
        self,
        programs: ProgramBatch,
        *,
        n_starts: int = 1,
        max_programs: int = 2**31,
        is_over: Callable[[], bool] = lambda: False,
    ) -> ProgramBatch:
        """Return what is better than a front: its programs, fitted, and plainer ones.

        Parameters
        ----------
        programs : ProgramBatch
            The front: with constants, in ascending order of complexity.
        n_starts : int
            Of the fits of these programs.
        max_programs : int
            Programs that are fitted, and whose neighbours are looked at. Those that were before
            and have not become better since do not count.
        is_over : callable
            Asked between programs; a true answer leaves it at what was found.
        """
        programs = programs[self.can_finish(programs)]
        bar = self.bar(programs)
        before = np.append(np.inf, bar(self.complexity(programs) - 1e-9))[1:]
        losses = np.maximum(self.losses(programs), self.floor)
        # The row that falls the most first: what is behind it is most likely the law.
        with np.errstate(divide="ignore", invalid="ignore"):
            order = np.argsort(losses / before, kind="stable")
        due = [b for b in order.tolist() if self._is_due(programs[b : b + 1], losses[b])]
        due = due[:max_programs]
        if not due or is_over():
            return programs[:0]
        fits = [
            self.fitted(programs[due[part]], n_starts) for part in parts(len(due), is_over, first=4)
        ]
        todo = ProgramBatch.concatenate([fitted for fitted, _ in fits])
        losses = np.concatenate([reached for _, reached in fits])
        todo, losses = todo[np.isfinite(losses)], losses[np.isfinite(losses)]
        found = [todo]
        for complexity, loss in zip(self.complexity(todo), losses, strict=True):
            bar.passes(complexity, loss)
        for _ in range(MAX_ROUNDS):
            todo, losses = todo[:max_programs], losses[:max_programs]
            max_programs -= len(todo)
            todo, losses = self._round(todo, losses, bar, is_over)
            if not len(todo):
                break
            found.append(todo)
        return ProgramBatch.concatenate(found)

    def can_finish(self, programs: ProgramBatch) -> np.ndarray:
        """Tell which programs (B,) the native machine executes alone."""
        return ~has_poly(self.library, programs) & ~has_python_token(self.library, programs)

    def _round(
        self,
        programs: ProgramBatch,
        losses: np.ndarray,
        bar: Bar,
        is_over: Callable[[], bool],
    ) -> tuple[ProgramBatch, np.ndarray]:
        """Return the neighbours of programs that are better than the front, and their losses."""
        rows: list[Row] = []
        for b in range(len(programs)):
            if is_over():
                break
            program = programs[b : b + 1]
            if self._is_due(program, losses[b]):
                self._expanded[int(program.keys()[0])] = max(losses[b], self.floor)
                self.n_looked_at += 1
                rows += neighbours(
                    self.sample, program, self.entries, self.grammar, bar, N_NEIGHBOURS
                )
                if self.has_steps:
                    rows += plain_steps(self.data, program)
        return self._best_of(rows, bar)

    def _is_due(self, program: ProgramBatch, loss: float) -> bool:
        """Tell whether neighbours of a program were never looked for while it was as good."""
        before = self._expanded.get(int(program.keys()[0]), np.inf)
        return max(loss, self.floor) < 0.99 * before

    def _best_of(self, rows: Sequence[Row], bar: Bar) -> tuple[ProgramBatch, np.ndarray]:
        """Fit rows, and return those that are better than the front, with their losses."""
        batch = self._allowed(rows)
        if not len(batch):
            return batch, np.empty(0)
        batch, losses = self._fitted(self.sample, batch, 1, SAMPLE_ITERATIONS)
        complexities = self.complexity(batch)
        wanted = bar(complexities)
        blind = max(self.floor, self.blind)
        with np.errstate(all="ignore"):
            ratio = np.maximum(losses, blind) / np.maximum(wanted, blind)
        is_promising = np.isfinite(losses) & (ratio < SAMPLE_SLACK)
        order = np.argsort(ratio + 1e-3 * complexities, kind="stable")
        chosen = order[is_promising[order]][: N_FITTED * max(1, len(rows) // N_NEIGHBOURS)]
        batch, losses = self.fitted(batch[chosen])
        complexities = self.complexity(batch)
        order = np.lexsort((losses, complexities))
        better = [b for b in order.tolist() if bar.passes(complexities[b], losses[b])]
        return batch[better], losses[better]

    def _allowed(self, rows: Sequence[Row]) -> ProgramBatch:
        """Return rows as programs, each once, without those that break a prior."""
        rows = list({tuple(tokens): (tokens, numbers) for tokens, numbers in rows}.values())
        rows = [row for row in rows if len(row[0]) <= self.prior.max_length]
        if not rows:
            return ProgramBatch.from_rows([])
        batch = ProgramBatch.from_rows(*zip(*rows, strict=True))
        return batch[self.prior.allowed(batch)]

    # ---- how programs are shown ----------------------------------------------------------------

    def simplified(self, programs: ProgramBatch) -> ProgramBatch:
        """Return the shorter forms that sympy knows of programs, with their constants.

        Those too that take two constants to be one; they are fitted.
        """
        rows: list[Row] = []
        rows_of_ties: list[Row] = []
        for b in range(len(programs)):
            row, constants = programs.row(b), programs.constants[b]
            constants = constants[~np.isnan(constants)]
            rows += shorter_forms(Program(self.library, row, constants))
            for numbers in tied(constants):
                rows_of_ties += shorter_forms(Program(self.library, row, numbers))
        forms = self._allowed(rows)
        if rows_of_ties:
            of_ties = self._allowed(rows_of_ties)
            of_ties = self.fitted(of_ties[self.can_finish(of_ties)])[0]
            forms = ProgramBatch.concatenate([forms, of_ties])
        lower, upper = self._limits(forms.constants)
        is_within = (lower <= forms.constants) & (forms.constants <= upper)
        return forms[(is_within | np.isnan(forms.constants)).all(axis=1)]

    def settled(self, programs: ProgramBatch, *, snap: bool = True) -> ProgramBatch:
        """Return programs as they are shown: at their own optimum on all rows, rounded.

        Parameters
        ----------
        programs : ProgramBatch
        snap : bool
            Whether constants become plain numbers where the data allow it; see
            `dso.fitting.rounding`.
        """
        rows = np.flatnonzero(self.can_finish(programs))
        part = programs[rows]
        if not len(part) or not part.constants.shape[1]:
            return programs
        part = with_small_phases(self.library, part, *self._limits(part.constants))
        if part.constants.size * self.all_rows.n_rows <= MAX_NUMBERS:
            part, _ = self._fitted(self.all_rows, part, 1, MAX_ITERATIONS)
        part = settled(part, self.all_rows, *self._limits(part.constants), snap=snap)
        constants = widened(programs.constants, part.constants.shape[1])
        constants[rows] = part.constants
        return replace(programs, constants=constants)

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
            bits=Target.of(sample, self.seed).key_bits,
            max_entries=N_ENTRIES,
            max_vectors=20 * N_ENTRIES,
            protected=sample.protected,
        )
        programs = values.programs(np.arange(len(values)))
        columns, cause, _ = execute(self.library, programs, sample.columns, sample.protected)
        columns[cause != VALID] = np.nan
        kept = np.flatnonzero(np.isfinite(columns).all(axis=1) & (np.ptp(columns, axis=1) > 0))
        expressions: list[Row] = [(programs.row(b).tolist(), []) for b in kept.tolist()]
        return Entries(expressions, columns[kept], self.complexity(programs[kept]))


def _thinned(data: FitData, n_rows: int) -> FitData:
    """Return at most this many rows, evenly chosen."""
    if data.n_rows <= n_rows:
        return data
    return data.on_rows(np.linspace(0, data.n_rows - 1, n_rows).astype(int))
