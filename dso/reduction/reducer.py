"""Reducer: steps to smaller problems, taken while the data do not become harder to model.

A model of the data proposes steps by its gradients. A step changes the columns and the target
exactly; then a new model is made, and the step stays if what that errs on unseen rows is not more.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import comb
from typing import NamedTuple

import numpy as np

from dso.errors import UserError
from dso.reduction.dimensions import unit_groups
from dso.reduction.formula import Formula
from dso.reduction.general_pairs import GeneralPair, general_pairs
from dso.reduction.plain_columns import (
    MAX_ERROR_LEFT,
    PlainPair,
    Wave,
    plain_pairs,
    waves,
)
from dso.reduction.plain_columns import N_ROWS as N_ROWS_OF_PLAIN
from dso.reduction.polynomial import polynomials
from dso.reduction.proposals import MAX_MIXED_RESIDUAL, MAX_RESIDUAL, Drop, MixedTerm, Move, moves
from dso.reduction.reduction import Reduction, Step
from dso.reduction.rows import distinct_inputs, spread_out, strongest_inputs
from dso.reduction.separation import Separation, separation
from dso.reduction.surrogate import MAX_INPUTS, MAX_ROWS, Surrogate
from dso.reduction.symmetry import exchanges
from dso.reduction.threads import one_thread
from dso.units import Quantities

MIN_ROWS = 20
FEWEST_ROWS, ROWS_PER_INPUT = 120, 40
"""Rows that are modelled: this many, and this many more for each input."""
MAX_ERROR = 0.2
"""Share of the scatter of y by which a model may err; data on which it errs more it cannot say
anything about."""
SLACK, NOISY_SLACK, UNSURE_SLACK = 1.5, 1.1, 0.7
"""By what factor a step may make the error larger; where gradients are rough, or one of thousands
of expressions suits them, it must fall."""
UNSURE, MAX_UNSURE_RESIDUAL = 4.0, 0.4
"""Residuals of true identities where gradients are rough: up to this many times the error of the
model, and up to this size."""
ROUNDING_ERROR = 1e-7
"""Share of the scatter of y below which errors are all the same."""
NOISY = 0.3
"""The noise of a model is noise of the data where it makes this share of its errors, ..."""
MIN_NOISE = 1e-4
"""... and this share of the scatter of y."""
MIN_WEIGHT = 1e-4
"""Of a row, as a share of the largest."""
MAX_TRIALS = 2
"""Steps of a kind that are tried one by one where they do not all hold together."""
SMOOTH = 3e-3
"""Share of the scatter of y up to which models of y itself are good enough, ..."""
VERY_SMOOTH = 1e-5
"""... and that of others where no step holds ..."""
SMOOTHER, SMOOTHEST = 0.2, 0.5
"""... and the share of their error that one of a function of y must not exceed, the first such
function and others."""
MAX_POLYNOMIALS = 3
"""Polynomials in one column that are modelled."""
MAX_STEPS = 12
MAX_MODELS = 40
MIN_MODELS = 3
"""With fewer it is useless to begin: the data as they are take two."""
EVALUATIONS_PER_MODEL = 10_000
"""Evaluations of a search that take about as long as making one model of `MAX_ROWS` rows."""
COST_OF_LEAST = 0.005
"""Of making a model of hardly any rows, in models of `MAX_ROWS` rows."""
COST_OF_PAIR = 0.07
"""Of comparing two columns with the library of small expressions, in models of `MAX_ROWS` rows."""
MAX_SIZE, MIN_SIZE = 1e150, 1e-150
"""Columns with larger numbers, or smaller ones alone, are not modelled: their squares are infinite,
or zero."""


class Outer(NamedTuple):
    """A function that y may be of something smoother.

    Attributes
    ----------
    formula, inverse : Formula
        Of input 0.
    low, high : float
        Between these y has to be.
    """

    formula: Formula
    inverse: Formula
    low: float
    high: float


OUTER = (
    Outer(("sqrt", 0), ("n2", 0), 0.0, np.inf),
    Outer(("div", 1.0, 0), ("div", 1.0, 0), 1e-150, np.inf),
    Outer(("div", 1.0, "sqrt", 0), ("div", 1.0, "n2", 0), 1e-75, np.inf),
    Outer(("arcsin", 0), ("sin", 0), -np.pi / 2, np.pi / 2),
    Outer(("arccos", 0), ("cos", 0), 0.0, np.pi),
)


class Reduced(NamedTuple):
    """What came of looking for reductions.

    Attributes
    ----------
    reductions : tuple of Reduction
        The one that goes furthest first; empty where there is none.
    why : str
        What was found, or why nothing was; a sentence.
    is_noisy : bool
        Whether y has noise.
    n_evaluations : int
        What it cost: the programs that could have been evaluated in the same time, about.
    separation : Separation or None
        How what the first of the reductions leaves, or y, is made of functions of fewer inputs.
    """

    reductions: tuple[Reduction, ...]
    why: str
    is_noisy: bool = False
    n_evaluations: int = 0
    separation: Separation | None = None

    def __str__(self) -> str:
        return "\n".join([self.why, *(f"- {sentence}" for sentence in self.story())])

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.why}>"

    def story(self) -> list[str]:
        """Return what was found in sentences: the steps, each with its evidence."""
        steps = self.reductions[0].steps if self.reductions else ()
        pieces = () if self.separation is None else (self.separation.says(),)
        return [*map(str, steps), *pieces]


@dataclass(frozen=True)
class _State:
    """A reduction with the model of its rows."""

    reduction: Reduction
    model: Surrogate
    Z: np.ndarray
    t: np.ndarray
    error: float

    @cached_property
    def pieces(self) -> Separation | None:
        """How the target is a sum or a product of pieces, if it is."""
        return separation(self.reduction, self.model)


def _never() -> bool:
    return False


def reduce(
    X: np.ndarray,
    y: np.ndarray,
    names: Sequence[str] | None = None,
    *,
    weights: np.ndarray | None = None,
    quantities: Quantities | None = None,
    seed: int = 0,
    max_models: int = MAX_MODELS,
    is_over: Callable[[], bool] = _never,
) -> Reduced:
    """Look for what the data say of the form of y = f(x).

    Parameters
    ----------
    X : (N, D) float64
    y : (N,) float64
    names : sequence of str, optional
        Of the inputs; default: x1, x2, ...
    weights : (N,) float64, optional
        Of the rows.
    quantities : Quantities, optional
        The units of inputs and y.
    seed : int
        Of the choice of rows.
    max_models : int
        Of the full number of rows that may be made of the data; smaller ones count less.
    is_over : callable, optional
        Asked between two models whether to go no further.

    Raises
    ------
    UserError
        If shapes do not go together.

    Examples
    --------
    >>> import numpy as np
    >>> from dso.reduction import reduce
    >>> X = np.random.default_rng(0).uniform(1, 3, (200, 3))
    >>> print(reduce(X, X[:, 0] * np.sin(X[:, 1] - X[:, 2])).reductions[0])
    y/x1 depends on x1 - x2 only
    """
    X, y = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if X.ndim != 2:
        raise UserError(f"X: shape {X.shape}; expected rows and inputs, (N, D).")
    names = [f"x{j + 1}" for j in range(X.shape[1])] if names is None else list(names)
    if len(names) != X.shape[1]:
        raise UserError(f"names: {len(names)} for {X.shape[1]} inputs.")
    y = y[:, 0] if y.shape[1:] == (1,) else y
    for name, column in (("y", y), ("weights", weights)):
        if column is not None and np.shape(column) != X.shape[:1]:
            raise UserError(f"{name}: shape {np.shape(column)}; expected ({len(X)},), as X has.")
    return Reducer(X, y, names, weights, quantities, seed, max_models).run(is_over)


class Reducer:
    """One look at one table, of which it keeps the rows that it models; see `reduce`.

    It can be pickled until it is run.
    """

    def __init__(
        self,
        X: np.ndarray,
        y: np.ndarray,
        names: Sequence[str],
        weights: np.ndarray | None,
        quantities: Quantities | None,
        seed: int,
        max_models: int,
    ) -> None:
        kept, why = distinct_inputs(X)
        steps = tuple(Step(text.format(*names)) for text in why)
        self.start = replace(Reduction.none(names).onto([(j,) for j in kept]), steps=steps)
        random = np.random.default_rng([seed, 0x5EDC])
        rows = spread_out(X, min(MAX_ROWS, FEWEST_ROWS + ROWS_PER_INPUT * X.shape[1]), random)
        self.X, self.y, self.names = X[rows], y[rows], names
        self.quantities = quantities
        self.weights = None if weights is None else weights[rows]
        self.scatter = 0.0
        self.cost_of_model = _cost_of_model(len(rows))
        self.max_cost = min(max_models, MAX_MODELS)
        self.cost = 0.0
        self.is_over: Callable[[], bool] = _never
        self.is_quick = False
        self.is_noisy = False

    def run(self, is_over: Callable[[], bool] = _never) -> Reduced:
        """Return what the data say."""
        self.is_over = is_over
        if (problem := self._problem()) is not None:
            return self._none(problem)
        with np.errstate(all="ignore"), one_thread():
            return self._search()

    def _none(self, why: str) -> Reduced:
        """Return what is known where the data say nothing: what units say, and equal columns."""
        start = self.start
        for move in self._unit_groups(start):
            reduction = move.applied(start)
            table = np.column_stack([reduction.inputs(self.X), reduction.target(self.X, self.y)])
            if reduction.columns and np.isfinite(table).all():
                steps = (*start.steps, Step(move.text(start)))
                by_units = replace(reduction, steps=steps)
                why = f"{by_units.says()} by the units; the data say no more, as {why}"
                found = (by_units, start) if start.steps else (by_units,)
                return Reduced(found, why, self.is_noisy, self._n_evaluations)
        if start.steps and start.columns:
            why = f"{start.says()}; the data say no more, as {why}"
            return Reduced((start,), why, self.is_noisy, self._n_evaluations)
        return Reduced((), f"none found, as {why}", self.is_noisy, self._n_evaluations)

    def _unit_groups(self, reduction: Reduction) -> Sequence[Move]:
        if self.quantities is None:
            return []
        return unit_groups(reduction, self.quantities, self.X, self.y)

    @property
    def _is_spent(self) -> bool:
        return self.cost >= self.max_cost or self.is_over()

    @property
    def _n_evaluations(self) -> int:
        return round(EVALUATIONS_PER_MODEL * self.cost)

    def _problem(self) -> str | None:
        """Return what keeps these data from being modelled, None where nothing does."""
        n_rows, n_inputs = self.X.shape
        if self.max_cost < MIN_MODELS * self.cost_of_model:
            return "the budget is too small for models of the data"
        if n_rows < MIN_ROWS:
            return f"{n_rows} rows are too few to model"
        if not n_inputs:
            return "there are no inputs"
        if not (np.isfinite(self.X).all() and np.isfinite(self.y).all()):
            return "not all data are finite"
        sizes = np.abs(np.column_stack([self.X, self.y])).max(axis=0)
        if sizes.max() > MAX_SIZE:
            return f"numbers beyond {MAX_SIZE:g} are too large to model"
        if sizes[sizes > 0].min(initial=1.0) < MIN_SIZE:
            return f"columns of numbers below {MIN_SIZE:g} are too small to model"
        if not np.ptp(self.y) > 0:
            return "y is constant"
        # That of most rows: a few that are far off would make any error look small.
        scatter = float(np.median(np.abs(self.y - np.median(self.y))))
        self.scatter = scatter if scatter > 0 else float(self.y.std())
        return None

    def _search(self) -> Reduced:
        if not self.start.columns:
            return self._none("all inputs are constant")
        Z = self.start.inputs(self.X)
        strongest = strongest_inputs(Z, self.y)
        start = self.start.onto([(int(k),) for k in strongest])
        if n_left := Z.shape[1] - len(strongest):
            text = f"{n_left} inputs say less of y than the {MAX_INPUTS} strongest"
            start = replace(start, steps=(*start.steps, Step(text)))
        state = self._state(start)
        if state is None:
            return self._none("no smooth model describes the data")
        states = [self._smoother(state)]
        while len(states) <= MAX_STEPS and not self._is_spent:
            # What a model misses looks like noise until the problem is small enough for it.
            self.is_noisy = self._has_noise(states[-1])
            further = self._further(states[-1]) or self._through(states[-1])
            if further is None:
                break
            states.append(further)
        if (error := states[-1].error) > MAX_ERROR:
            size = f"{error:.0%} of" if error < 1 else "more than"
            says = f"no smooth model describes the data (it errs by {size} the scatter of y)"
            return self._none(says)
        return self._chosen(states)

    def _through(self, state: _State) -> _State | None:
        """Where no step holds, return the model of a function of y; None if it is not better."""
        is_left = state.Z.shape[1] > 1 and state.error < MAX_ERROR
        smoother = self._smoother(state, VERY_SMOOTH) if is_left else state
        return None if smoother is state else smoother

    def _smoother(self, state: _State, enough: float = SMOOTH) -> _State:
        """Return the model of an inverse function of y where that is much better."""
        best, limit = state, SMOOTHER
        for outer in OUTER:
            if state.error < enough or self._is_spent:
                break
            if outer.low <= state.t.min() and state.t.max() <= outer.high:
                inner = state.reduction.through(outer.formula, outer.inverse)
                # Logarithms of powers of y are multiples of that of y, which has been modelled.
                other = self._state(inner, kinds=(False,))
                if other is not None and other.error < limit * best.error:
                    text = f"{inner.target_text()} is smoother than y"
                    step = Step(text, state.error, other.error)
                    reduction = replace(inner, steps=(*state.reduction.steps, step))
                    best, limit = replace(other, reduction=reduction), SMOOTHEST
        return best

    def _chosen(self, states: Sequence[_State]) -> Reduced:
        last = states[-1]
        pieces = last.pieces or self._polynomial(last)
        if len(states) == 1:
            known = self._none("the data show no form that leaves a smaller problem")
            if pieces is None or known.reductions:
                return known
            return known._replace(why=pieces.says(), separation=pieces)
        says = last.reduction.says()
        found = [state.reduction for state in reversed(states[1:])]
        if self.start.steps:
            found.append(self.start)
        return Reduced(
            tuple(found),
            says if pieces is None else f"{says}; {pieces.says()}",
            self.is_noisy,
            self._n_evaluations,
            pieces,
        )

    def _polynomial(self, state: _State) -> Separation | None:
        """Return the polynomial in one column that models of its form confirm, None without one."""
        likely = [] if self._is_spent else polynomials(state.model)[:MAX_POLYNOMIALS]
        slope = state.reduction.slope(self.X, state.t)
        weights = self._weights(state.t, slope, is_log=False)

        def error(Z: np.ndarray, likeness: np.ndarray | None = None) -> float:
            self.cost += self.cost_of_model
            return self._error(Surrogate(Z, state.t, weights, likeness=likeness), slope)

        if not likely:
            return None
        # Logarithms of sums are not sums.
        plain = error(state.Z) if state.model.is_log else state.error
        errors = {
            one: error(np.delete(state.Z, one.column, axis=1), one.likeness(state.Z))
            for one in likely
        }
        best = min(likely, key=lambda one: errors[one])
        if errors[best] > max(UNSURE_SLACK * plain, ROUNDING_ERROR):
            return None
        return best.separation(state.reduction)

    # ------------------------------------------------------------------------------------ models

    def _state(
        self,
        reduction: Reduction,
        before: _State | None = None,
        kinds: Sequence[bool] = (True, False),
    ) -> _State | None:
        """Model what a reduction leaves; None where it is not defined on all rows.

        The logarithm of the target (the kind true) is modelled where that is better; so it stays
        from one state to the next.
        """
        Z = reduction.inputs(self.X)
        t = reduction.target(self.X, self.y)
        if not (np.isfinite(Z).all() and np.isfinite(t).all()) or not np.ptp(t) > 0:
            return None
        if not len(Z.T) or (np.ptp(Z, axis=0) == 0).any():
            return None
        slope = reduction.slope(self.X, t)
        if before is not None:
            kinds = (before.model.is_log,)
        if not ((t > 0).all() or (t < 0).all()):
            kinds = (False,)
        best = None
        for is_log in kinds:
            weights = self._weights(t, slope, is_log)
            model = Surrogate(Z, t, weights, is_log=is_log, is_quick=self.is_quick)
            self.cost += self.cost_of_model
            error = self._error(model, slope)
            if best is None or error < best.error:
                best = _State(reduction, model, Z, t, error)
        return best

    def _error(self, model: Surrogate, slope: np.ndarray) -> float:
        """Return by what a model errs on unseen rows, where y changes so much with its target."""
        return float(np.sqrt(np.median((model.errors * slope) ** 2))) / self.scatter

    def _weights(self, t: np.ndarray, slope: np.ndarray, is_log: bool) -> np.ndarray | None:
        """Return the weights of rows of t, or of its logarithm, where the noise is that of y."""
        if not self.is_noisy:
            return self.weights
        weights = slope**2 * (t**2 if is_log else 1.0)
        weights = weights if self.weights is None else weights * self.weights
        return np.maximum(weights, MIN_WEIGHT * weights.max())

    def _has_noise(self, state: _State) -> bool:
        model = state.model
        slope = np.abs(state.t) if model.is_log else np.ones(len(state.t))
        noise = model.noise * float(np.median(slope)) / self.scatter
        return noise > MIN_NOISE and noise > NOISY * state.error

    # ------------------------------------------------------------------------------------- steps

    def _further(self, state: _State) -> _State | None:
        """Return the next state, None where no step holds.

        Of each kind of steps first all that change different columns are tried, then the likeliest.
        """
        for likely in self._likely(state):
            if not likely:
                continue
            trials = [_compatible(likely), *([move] for move in likely[:MAX_TRIALS])]
            for steps in trials[len(trials[0]) == 1 :]:
                if self._is_spent:
                    return None
                if (next_state := self._after(state, steps)) is not None:
                    is_plain = any(isinstance(move, PlainPair | Wave) for move in steps)
                    return self._smoother(next_state) if is_plain else next_state
        return None

    def _likely(self, state: _State) -> Iterator[Sequence[Move]]:
        """Yield the steps of each kind, those that cost the least to look for first."""
        if state.error > MAX_ERROR:
            yield from self._plain(state)
            return
        max_residual = float(np.clip(UNSURE * state.error, MAX_RESIDUAL, MAX_UNSURE_RESIDUAL))
        found: list[Move] = moves(state.Z, state.t, state.model.gradients, max_residual)
        found += self._unit_groups(state.reduction)
        for rank in sorted({move.rank for move in found}):
            yield [move for move in found if move.rank == rank]
        if state.error < SMOOTH and not self._is_spent:
            self.cost += comb(state.Z.shape[1], 2) * COST_OF_PAIR
            yield general_pairs(state.Z, state.model.gradients)
            # Sums and products of pieces say more than that these may be exchanged.
            if state.pieces is None:
                yield exchanges(state.model)
        if not self._is_spent:
            yield from self._plain(state)

    def _plain(self, state: _State) -> Iterator[Sequence[PlainPair | Wave]]:
        """Yield the plain columns with which small models are much better, the best first.

        Each is to be tried by itself: what a right one gains would hide what another one loses.
        """
        likely: list[PlainPair | Wave] = [*plain_pairs(state.Z)] if state.error > SMOOTH else []
        likely += waves(state.Z) if state.error > VERY_SMOOTH else []
        small = self._thinned(N_ROWS_OF_PLAIN)
        before = small._state(state.reduction, state) if likely else None
        if before is None:
            return
        found = []
        for move in likely:
            after = small._state(move.applied(state.reduction), state)
            if after is not None and after.error < MAX_ERROR_LEFT * before.error:
                found.append((after.error, move))
        self.cost += small.cost
        for _, move in sorted(found, key=lambda one: one[0])[:MAX_TRIALS]:
            yield [move]

    def _thinned(self, n_rows: int) -> Reducer:
        """Return one that has looked at nothing yet, with fewer of the rows."""
        small = copy.copy(self)
        rows = np.linspace(0, len(self.X) - 1, min(n_rows, len(self.X))).astype(int)
        small.X, small.y = self.X[rows], self.y[rows]
        small.weights = None if self.weights is None else self.weights[rows]
        small.cost, small.cost_of_model = 0.0, _cost_of_model(len(rows))
        small.is_quick = True
        return small

    def _slack(self, state: _State, move: Move) -> float:
        """Return by what factor a step may make the error larger."""
        if isinstance(move, PlainPair | Wave):
            return MAX_ERROR_LEFT
        sure = MAX_MIXED_RESIDUAL if isinstance(move, MixedTerm) else MAX_RESIDUAL
        if move.residual > sure or isinstance(move, GeneralPair):
            return UNSURE_SLACK
        return NOISY_SLACK if self.is_noisy or state.error > SMOOTH else SLACK

    def _after(self, state: _State, steps: Sequence[Move]) -> _State | None:
        """Return the state after steps that change different columns, None if they do not hold."""
        reduction = state.reduction
        said = [move.text(reduction) for move in steps]
        for move in sorted(steps, key=lambda move: -max(move.inputs)):
            reduction = move.applied(reduction)
        if not reduction.columns:
            return None
        after = self._state(reduction, state)
        slack = min(self._slack(state, move) for move in steps)
        if after is None or after.error > max(slack * state.error, ROUNDING_ERROR):
            return None
        notes = tuple(Step(text, state.error, after.error) for text in said)
        reduction = replace(reduction, steps=(*state.reduction.steps, *notes))
        is_drop = all(isinstance(move, Drop) for move in steps)
        error = after.error if is_drop else min(after.error, state.error)
        return replace(after, reduction=reduction, error=error)


def _cost_of_model(n_rows: int) -> float:
    """Return what making one costs, in models of `MAX_ROWS` rows."""
    return COST_OF_LEAST + (n_rows / MAX_ROWS) ** 3


def _compatible(found: Sequence[Move]) -> list[Move]:
    """Return the first moves that change different columns."""
    chosen: list[Move] = []
    used: set[int] = set()
    for move in found:
        if not used & set(move.inputs):
            chosen.append(move)
            used |= set(move.inputs)
    return chosen
