"""Race: searches for smaller problems run alongside the search for y itself.

After the first iterations of a search, if these have not solved it, the data are asked for
reductions. Each is a hypothesis with a search of its own, and so is y as it is. In round r, after
`first * 3^r` iterations of the whole search, each hypothesis catches up with it in iterations; what
it has found is put back, in terms of the user's inputs, and takes part in the next iteration of the
whole search. There it is judged as any other program is, on y itself; so a reduction that does not
hold costs its time and nothing else. From the second round on only the best hypothesis goes on, and
the search by turns, if the target is a sum or a product of pieces (`turns`).

A race remembers nothing that its inputs do not say. So one that is made again in the middle, as
when a run goes on from a checkpoint, does what the first would have done.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dso.errors import UserError
from dso.library import Library
from dso.program import ProgramBatch, mean_squared_error
from dso.reduction.putting_back import put_back
from dso.reduction.reducer import EVALUATIONS_PER_MODEL, Reduced, Reducer
from dso.reduction.reduction import Reduction
from dso.reduction.running import MakeSearch, RunningSearch
from dso.reduction.separation import Separation
from dso.reduction.turns import Turns
from dso.units import Quantities

logger = logging.getLogger("dso")

GROWTH = 3
"""By what the number of iterations grows from round to round."""
MAX_HYPOTHESES = 2
MAX_MODEL_SHARE = 0.15
"""Of the budget that models of the data may cost."""


@dataclass
class Entrant:
    """A hypothesis with its search, and what that has found in terms of the user's inputs."""

    reduction: Reduction
    search: RunningSearch

    def put_back(self, library: Library) -> ProgramBatch:
        """Return what was found in tokens of the whole problem; see `put_back`."""
        return put_back(self.reduction, library, self.search.library.tokens, self.search.front())

    def advance(
        self, before: int, iteration: int, is_over: Callable[[int], bool], spent: int = 0
    ) -> int:
        """Let the search catch up.

        Parameters
        ----------
        before : int
            Iterations that have been counted, where it has to do some again.
        iteration : int
            Of the whole search.
        is_over : callable
            Given the evaluations so far, tells whether to stop.
        spent : int
            Evaluations of others before it.

        Returns
        -------
        int
            Evaluations with those of this search.
        """
        search = self.search
        while search.iteration < iteration and not search.is_over:
            n_before, is_new = search.n_evaluations, search.iteration >= before
            search.step()
            if is_new:
                spent += search.n_evaluations - n_before
                if is_over(spent):
                    break
        return spent


@dataclass
class Pieces(Entrant):
    """A hypothesis of several pieces."""

    search: Turns

    def put_back(self, library: Library) -> ProgramBatch:
        """See `Entrant`."""
        return self.search.put_back(library)


@dataclass(frozen=True)
class OnUsableRows:
    """Makes searches on the rows that may be used; without `weights` they have those of y.

    Attributes
    ----------
    make_search : callable
        See `MakeSearch`.
    weights : (N,) float64 or None
        Of y.
    n_samples : int
        Budget of the whole search.
    """

    make_search: MakeSearch
    weights: np.ndarray | None
    n_samples: int

    def __call__(
        self, Z: np.ndarray, t: np.ndarray, is_usable: np.ndarray, weights: np.ndarray | None = None
    ) -> RunningSearch:
        """Make a search for t (N,) by the columns of Z (N, K)."""
        weights = self.weights if weights is None else weights
        if weights is not None:
            weights = weights[is_usable] / weights[is_usable].max()
        return self.make_search(Z[is_usable], t[is_usable], weights, self.n_samples)


@dataclass
class Race:
    """Reductions of one table, and their searches.

    Attributes
    ----------
    X, y, weights
        The rows: (N, D), (N,), and (N,) or None.
    names : sequence of str
        Of the inputs.
    library : Library
        What programs are put back in.
    make_search : callable
        See `MakeSearch`.
    first : int
        Iterations before the first round.
    n_samples : int
        Budget of the whole search.
    seed : int
    translate : callable
        What makes programs on these rows programs of the whole search, which may see other units.
    quantities : Quantities or None
        The units of inputs and y.
    outer : Stopping, optional
        Of the whole search: its searches end within it.
    are_units_aside : bool
        Whether the problem as it is enters too. Units bind the search for y, but none of the race:
        so one that has wrong units finds no less than without them.
    found : Reduced or None
        What the data say; None before the first round.
    seconds : float
        Spent on models and searches.
    n_evaluations : int
    entrants : list of Entrant
    """

    X: np.ndarray
    y: np.ndarray
    weights: np.ndarray | None
    names: Sequence[str]
    library: Library
    make_search: MakeSearch
    first: int
    n_samples: int
    seed: int
    translate: Callable[[ProgramBatch], ProgramBatch] = lambda programs: programs
    quantities: Quantities | None = None
    outer: Any = None
    are_units_aside: bool = False
    found: Reduced | None = None
    seconds: float = 0.0
    n_evaluations: int = 0
    entrants: list[Entrant] = field(default_factory=list)

    @property
    def goes_on(self) -> bool:
        """Whether there are hypotheses, or may be."""
        return self.found is None or bool(self.entrants)

    def reached(self, iteration: int) -> int:
        """Return how far hypotheses are to have come after this many iterations."""
        if iteration < self.first:
            return 0
        reached = self.first
        while GROWTH * reached <= iteration:
            reached *= GROWTH
        return reached

    def is_due(self, iteration: int) -> bool:
        """Tell whether there is a round after this many iterations of the whole search."""
        return self.goes_on and self.reached(iteration) > self.reached(iteration - 1)

    def run(self, iteration: int, is_over: Callable[[int], bool]) -> tuple[ProgramBatch, int]:
        """Do the round that follows this many iterations of the whole search.

        Parameters
        ----------
        iteration : int
        is_over : callable
            Given the evaluations of this round so far, tells whether to stop.

        Returns
        -------
        programs : ProgramBatch
            What the searches have found, in tokens of the library and with constants.
        n_evaluations : int
            That the round has cost.
        """
        start = time.perf_counter()
        spent = 0
        if self.found is None:
            found = self.reducer().run(lambda: is_over(0))
            if iteration == self.first:  # else it has been counted
                spent += found.n_evaluations
            self.enter(found)
        batches = []
        before = self.reached(iteration - 1)
        for entrant in self.due(iteration):
            spent = entrant.advance(before, iteration, is_over, spent)
            batches.append(entrant.put_back(self.library))
            if entrant.search.has_succeeded or is_over(spent):
                break
        self.seconds += time.perf_counter() - start
        self.n_evaluations += spent
        self._tell()
        batches = [batch for batch in batches if len(batch)]
        if not batches:
            return ProgramBatch.from_rows([]), spent
        return self.translate(ProgramBatch.concatenate(batches)), spent

    def reducer(self) -> Reducer:
        """Return what looks for reductions."""
        return Reducer(
            self.X,
            self.y,
            self.names,
            self.weights,
            self.quantities,
            self.seed,
            int(MAX_MODEL_SHARE * self.n_samples / EVALUATIONS_PER_MODEL),
        )

    def enter(self, found: Reduced) -> None:
        """Begin a search for each hypothesis that follows from what the data say."""
        self.found = found
        hypotheses: list[Reduction | Separation] = [*_hypotheses(found.reductions)]
        if found.separation is not None:
            hypotheses.insert(1, found.separation)
        if self.are_units_aside:
            hypotheses.append(Reduction.none(self.names))
        for hypothesis in hypotheses:
            try:
                if isinstance(hypothesis, Separation):
                    self._enter_pieces(hypothesis)
                else:
                    self.entrants.append(self._entrant(hypothesis))
            except UserError as error:  # data that a search cannot use
                logger.info("No search for %s: %s", hypothesis.says(), error)
        if self.outer is not None:
            for entrant in self.entrants:
                entrant.search.end_within(self.outer)

    def _entrant(self, reduction: Reduction) -> Entrant:
        Z, t = reduction.inputs(self.X), reduction.target(self.X, self.y)
        assert self.found is not None
        weights = self.weights
        if self.found.is_noisy:
            # So that errors of t count as those of y that they are.
            slopes = reduction.slope(self.X, t) ** 2
            weights = slopes if weights is None else weights * slopes
        is_usable = np.isfinite(Z).all(axis=1) & np.isfinite(t)
        return Entrant(reduction, self._search(Z, t, is_usable, weights))

    def _enter_pieces(self, separation: Separation) -> None:
        turns = Turns(separation, self.X, self.y, self._search, self.first)
        if turns.can_begin:
            self.entrants.append(Pieces(separation.reduction, turns))

    @property
    def _search(self) -> OnUsableRows:
        return OnUsableRows(self.make_search, self.weights, self.n_samples)

    def due(self, iteration: int) -> list[Entrant]:
        """Return the hypotheses that take part in a round."""
        if iteration == self.first or len(self.entrants) < 2:
            return self.entrants
        for entrant in self.entrants:  # made again in the middle of a race
            entrant.advance(self.first, self.first, lambda spent: False)
        whole = [entrant for entrant in self.entrants if not isinstance(entrant, Pieces)]
        best = min(whole, key=self._loss) if whole else None
        return [e for e in self.entrants if e is best or isinstance(e, Pieces)]

    def _loss(self, entrant: Entrant) -> float:
        """Return the least squared error of y that a hypothesis has come to."""
        programs = entrant.put_back(self.library)
        if not len(programs):
            return np.inf
        losses = mean_squared_error(self.library, programs, self.X.T.copy(), self.y, self.weights)
        return float(np.nan_to_num(losses.values, nan=np.inf).min())

    def _tell(self) -> None:
        assert self.found is not None
        logger.info(
            "Reductions: %s. %.1f s and %d evaluations so far.",
            self.found.why,
            self.seconds,
            self.n_evaluations,
        )


def _hypotheses(reductions: Sequence[Reduction]) -> list[Reduction]:
    """Return what enters: the reduction that goes furthest, and one that goes half as far.

    Where the last step has left as many columns as there were, the one without it enters first.
    """
    n_columns = [len(reduction.columns) for reduction in reductions[:2]]
    if len(n_columns) == MAX_HYPOTHESES and n_columns[0] == n_columns[1]:
        return [reductions[1], reductions[0]]
    if len(reductions) < 2 * MAX_HYPOTHESES - 1:
        return list(reductions[:1])
    return [reductions[0], reductions[len(reductions) // 2]]
