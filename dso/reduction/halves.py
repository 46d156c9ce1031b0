"""Two searches, in turns, for the two pieces of a target that separates.

Turn 0 is for the piece f of the larger group, and a polynomial stands in for the other. In each
later turn one piece is known, the shortest program of the turn before that is about as good as the
best; y without it is the target of a search for the other:

    turn 0: t - q(B) -> f       turn 1: t - f(A) -> g       turn 2: t - g(B) -> f       ...

(or t / q(B), t / f(A), t / g(B)). The target of turn 0 is rounded to the digits that hold despite
the polynomials' errors, so that a search does not take these for a part of the form. What turn 1
and later turns find is put back as one program.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dso.errors import UserError
from dso.library import Library
from dso.program import ProgramBatch, mean_squared_error
from dso.reduction.formula import Formula
from dso.reduction.putting_back import formula_of, put_back
from dso.reduction.reduction import Reduction
from dso.reduction.running import RunningSearch
from dso.reduction.separation import Separation

MAX_TURNS = 6
ABOUT_AS_GOOD = 10.0
"""Squared errors up to this many times the least one; ..."""
EXACT = 1e-22
"""... and those below this share of the variance are all rounding."""

MIN_DIGITS, ENOUGH_DIGITS = 4, 10
"""Of the target of turn 0; a search takes numbers with this many right digits for exact."""
SAFETY = 4.0
"""By what errors of a target may exceed what the polynomials leave on average."""

Make = Callable[[np.ndarray, np.ndarray, np.ndarray], RunningSearch]
"""Given inputs (N, K), target (N,) and which rows (N,) may be used, makes a search."""


class Halves:
    """The turns; see the module. To a race it is one search.

    Parameters
    ----------
    separation : Separation
    X, y : (N, D) and (N,) float64
        The user's rows.
    make : callable
        See `Make`.
    n_iterations : int
        Of a turn, unless it succeeds before.

    Attributes
    ----------
    search : RunningSearch
        That of this turn.
    """

    def __init__(
        self, separation: Separation, X: np.ndarray, y: np.ndarray, make: Make, n_iterations: int
    ) -> None:
        self.separation, self.X, self.y = separation, X, y
        self._make, self._n_iterations = make, n_iterations
        self._turn = 0
        self._n_before = 0  # evaluations of searches before this one
        self._reduction: Reduction | None = None  # to what this turn looks for; None in the first
        self._found: list[tuple[Reduction, RunningSearch]] = []
        self._is_stuck = False
        Z = separation.reduction.inputs(X)
        t = separation.reduction.target(X, y)
        stand_in = separation.stand_in(Z, t)
        self.can_begin = stand_in is not None
        if stand_in is not None:
            q = stand_in.values
            target = t / q if separation.is_product else t - q
            target, error = _rounded(target, stand_in.rest, is_relative=separation.is_product)
            floor = error**2 * float(np.mean(target**2) / target.var())
            columns = list(separation.groups[0])
            self._begin(Z[:, columns], target, stand_in.is_usable, floor)

    def _begin(self, Z: np.ndarray, t: np.ndarray, is_usable: np.ndarray, floor: float) -> None:
        with np.errstate(all="ignore"):
            is_usable = is_usable & np.isfinite(Z).all(axis=1) & np.isfinite(t)
        self._Z, self._t, self._floor = Z[is_usable], t[is_usable], floor
        self.search = self._make(Z, t, is_usable)

    # ------------------------------------------------------------------------ as a running search

    @property
    def library(self) -> Library:
        """See `RunningSearch`."""
        return self.search.library

    @property
    def iteration(self) -> int:
        """Iterations for the piece that has had fewer; a turn that succeeds counts as a whole."""
        done = [(self._turn + 1) // 2 * self._n_iterations, self._turn // 2 * self._n_iterations]
        done[self._turn % 2] += min(self.search.iteration, self._n_iterations)
        return min(done)

    @property
    def n_evaluations(self) -> int:
        """See `RunningSearch`."""
        return self._n_before + self.search.n_evaluations

    @property
    def has_succeeded(self) -> bool:
        """See `RunningSearch`."""
        return self._turn > 0 and not self._is_stuck and self.search.has_succeeded

    @property
    def is_over(self) -> bool:
        """See `RunningSearch`."""
        is_last = self._turn == MAX_TURNS - 1 and self._is_turn_over
        return self._is_stuck or self.has_succeeded or is_last

    @property
    def _is_turn_over(self) -> bool:
        search = self.search
        return search.is_over or search.has_succeeded or search.iteration >= self._n_iterations

    def step(self) -> None:
        """See `RunningSearch`."""
        if self._is_turn_over:
            self._next_turn()
        if not self._is_stuck:
            self.search.step()

    def front(self) -> ProgramBatch:
        """See `RunningSearch`; of this turn's piece."""
        return self.search.front()

    # ------------------------------------------------------------------------------------- turns

    def _next_turn(self) -> None:
        piece, last = self._piece(), self.search
        if piece is None:
            self._is_stuck = True
            return
        reduction = self.separation.without(self._turn % 2, piece)
        Z, t = reduction.inputs(self.X), reduction.target(self.X, self.y)
        try:
            self._begin(Z, t, np.ones(len(t), dtype=bool), EXACT)
        except UserError:  # data that a search cannot use
            self._is_stuck = True
            return
        if self._reduction is not None:
            self._found.append((self._reduction, last))
        self._reduction = reduction
        self._n_before += last.n_evaluations
        self._turn += 1

    def _piece(self) -> Formula | None:
        """Return the shortest program of this turn that is about as good as the best one."""
        search, programs = self.search, self.search.front()
        if not len(programs):
            return None
        X = np.ascontiguousarray(self._Z.T)
        losses = mean_squared_error(search.library, programs, X, self._t).values / self._t.var()
        losses = np.nan_to_num(losses, nan=np.inf)
        limit = max(ABOUT_AS_GOOD * float(losses.min()), self._floor)
        good = np.flatnonzero(losses <= limit)
        if not len(good):
            return None
        b = good[np.argmin(programs.lengths[good])]
        return formula_of(search.library.tokens, programs.row(b), programs.constants[b])

    def put_back(self, library: Library) -> ProgramBatch:
        """Return what all turns but the first have found, in tokens of the whole problem."""
        found = list(self._found)
        if self._reduction is not None:
            found.append((self._reduction, self.search))
        batches = [
            put_back(reduction, library, search.library.tokens, search.front())
            for reduction, search in found
        ]
        batches = [batch for batch in batches if len(batch)]
        if not batches:
            return ProgramBatch.from_rows([])
        return ProgramBatch.concatenate(batches)


def _rounded(t: np.ndarray, rest: float, is_relative: bool) -> tuple[np.ndarray, float]:
    """Return numbers (N,) in the digits that an error leaves them, and how much that may change.

    Digits are counted from the first of each number, or from that of the greatest one.
    """
    error = max(SAFETY * rest, 10.0**-ENOUGH_DIGITS)
    digits = max(MIN_DIGITS, int(-np.log10(error)))
    if digits == ENOUGH_DIGITS:
        return t, error
    if is_relative:
        rounded = [float(f"{value:.{digits - 1}e}") for value in t.tolist()]
    else:
        places = digits - 1 - int(np.floor(np.log10(np.abs(t).max())))
        rounded = [round(value, places) for value in t.tolist()]
    return np.array(rounded), 10.0 ** (1 - digits)
