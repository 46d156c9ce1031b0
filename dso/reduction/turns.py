"""Searches, by turns, for the pieces of a target that separates.

In each turn one piece is searched for, and the others are what is known of them: the shortest
program of their last turn that is about as good as the best. In the first turns polynomials stand
in for those that nobody has looked for yet:

    turn 0: t - q(B) -> f       turn 1: t - f(A) -> g       turn 2: t - g(B) -> f       ...

(or t / q(B), t / f(A), t / g(B); of three pieces two are unknown at first, then one). A target with
polynomials is rounded to the digits that hold despite their errors, so that a search does not take
these for a part of the form. What turns without them find is put back as one program.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dso.errors import UserError
from dso.library import Library
from dso.program import ProgramBatch, mean_squared_error
from dso.reduction.formula import Formula
from dso.reduction.putting_back import formula_of, put_back
from dso.reduction.reduction import Reduction
from dso.reduction.running import RunningSearch
from dso.reduction.separation import Separation

MAX_ROUNDS = 3
"""Turns of each piece."""
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


class Turns:
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
    can_begin : bool
        Whether polynomials can stand in for pieces. Without them no search begins.
    """

    search: RunningSearch

    def __init__(
        self, separation: Separation, X: np.ndarray, y: np.ndarray, make: Make, n_iterations: int
    ) -> None:
        self.separation, self.X, self.y = separation, X, y
        self._make, self._n_iterations = make, n_iterations
        self._turn = 0
        self._n_before = 0  # evaluations of searches before this one
        self._pieces: dict[int, Formula] = {}
        self._reduction: Reduction | None = None  # to what this turn looks for, if it is exact
        self._found: list[tuple[Reduction, RunningSearch]] = []
        self._is_stuck = False
        self._outer: Any = None
        self.can_begin = self._begin_turn()

    def _begin_turn(self) -> bool:
        """Begin the turn, and tell whether there is one."""
        k, pieces = self._k, self._pieces
        self._reduction = None
        if len(pieces.keys() - {k}) == self.separation.n_pieces - 1:
            reduction = self.separation.without(k, pieces)
            Z, t = reduction.inputs(self.X), reduction.target(self.X, self.y)
            self._begin(Z, t, np.ones(len(t), dtype=bool), EXACT)
            self._reduction = reduction
            return True
        whole, is_product = self.separation.reduction, self.separation.is_product
        Z, t = whole.inputs(self.X), whole.target(self.X, self.y)
        found = self.separation.stand_ins(k, pieces, Z, t)
        if found is None:
            return False
        target, error = _rounded(found.target, found.rest, is_relative=is_product)
        usable = target[found.is_usable]
        floor = error**2 * float(np.mean(usable**2) / usable.var())
        self._begin(Z[:, list(self.separation.groups[k])], target, found.is_usable, floor)
        return True

    def _begin(self, Z: np.ndarray, t: np.ndarray, is_usable: np.ndarray, floor: float) -> None:
        with np.errstate(all="ignore"):
            is_usable = is_usable & np.isfinite(Z).all(axis=1) & np.isfinite(t)
        self._Z, self._t, self._floor = Z[is_usable], t[is_usable], floor
        self.search = self._make(Z, t, is_usable)
        if self._outer is not None:
            self.search.end_within(self._outer)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_outer": None}  # it belongs to the process that it is in

    # ------------------------------------------------------------------------ as a running search

    @property
    def library(self) -> Library:
        """See `RunningSearch`."""
        return self.search.library

    @property
    def _k(self) -> int:
        """The piece of this turn."""
        return self._turn % self.separation.n_pieces

    @property
    def iteration(self) -> int:
        """Iterations for the piece that has had fewest; a turn that succeeds counts as a whole."""
        n, turn = self.separation.n_pieces, self._turn
        done = [len(range(k, turn, n)) * self._n_iterations for k in range(n)]
        done[self._k] += min(self.search.iteration, self._n_iterations)
        return min(done)

    @property
    def n_evaluations(self) -> int:
        """See `RunningSearch`."""
        return self._n_before + self.search.n_evaluations

    @property
    def has_succeeded(self) -> bool:
        """See `RunningSearch`."""
        is_exact = self._reduction is not None
        return is_exact and not self._is_stuck and self.search.has_succeeded

    @property
    def is_over(self) -> bool:
        """See `RunningSearch`."""
        n_turns = MAX_ROUNDS * self.separation.n_pieces
        is_last = self._turn == n_turns - 1 and self._is_turn_over
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

    def end_within(self, outer: Any) -> None:
        """See `RunningSearch`."""
        self._outer = outer
        self.search.end_within(outer)

    def front(self) -> ProgramBatch:
        """See `RunningSearch`; of this turn's piece."""
        return self.search.front()

    # ------------------------------------------------------------------------------------- turns

    def _next_turn(self) -> None:
        piece, last, reduction = self._piece(), self.search, self._reduction
        if piece is None:
            self._is_stuck = True
            return
        self._pieces[self._k] = piece
        self._turn += 1
        try:
            self._is_stuck = not self._begin_turn()
        except UserError:  # data that a search cannot use
            self._is_stuck = True
        if reduction is not None:
            self._found.append((reduction, last))
        if not self._is_stuck:
            self._n_before += last.n_evaluations

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
        """Return what all exact turns have found, in tokens of the whole problem."""
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
