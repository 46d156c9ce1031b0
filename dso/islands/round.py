"""What is done in a round, each by a pure function: an island's iterations, and a hypothesis's.

With S(k) the state of island k, G(k) its guests, and P(k) the front and the best programs that it
has found:

    S(k), P(k)  <-  some iterations of island k from S(k), with G(k) as a source of programs
"""

from __future__ import annotations

import copy
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dso.core import DeepSymbolicOptimizer
from dso.memory import ScoredPrograms
from dso.messages import muted
from dso.program import ProgramBatch
from dso.program.columns import PAD
from dso.runs.disk import write_text
from dso.training.stopping import Standing, Stopping

if TYPE_CHECKING:
    from dso.library import Library
    from dso.memory import Keeper
    from dso.reduction import Entrant, Reduced, Reducer
    from dso.task.regression import Dataset


@dataclass(frozen=True)
class Limits:
    """What ends a round early, wherever it is done.

    Attributes
    ----------
    until : float or None
        The time of the day, as `time.time` tells it on any machine.
    stop : Path or None
        A file that appears where somebody asks for the end.
    cuts : bool
        Whether that ends iterations under way, too.
    number : int
        Of the call within its round. Where one before it has found what is searched for, it is of
        no use any more.
    """

    until: float | None = None
    stop: Path | None = None
    cuts: bool = True
    number: int = 0

    @property
    def are_reached(self) -> bool:
        """Whether there is to be no further iteration."""
        return self._is_requested or self._is_of_no_use

    @property
    def _is_requested(self) -> bool:
        return self.stop is not None and self.stop.exists()

    @property
    def _is_of_no_use(self) -> bool:
        try:
            return self.stop is not None and int(self._goal.read_text()) < self.number
        except FileNotFoundError:
            return False

    @property
    def _goal(self) -> Path:
        assert self.stop is not None
        return self.stop.with_suffix(".goal")

    def note_goal(self) -> None:
        """Tell the calls after this one that it has found what is searched for."""
        if self.stop is not None and self.stop.parent.is_dir():  # not on another machine
            write_text(self._goal, str(self.number))  # at once, as others read it

    def stopping(self) -> Stopping:
        """Return what ends the searches that are made within it."""
        stopping = Stopping(n_samples=np.iinfo(np.int64).max)
        if self.until is not None:
            stopping.end_in(self.until - time.time())
        stopping.is_enough = lambda: (self.cuts and self._is_requested) or self._is_of_no_use
        return stopping


@dataclass(frozen=True)
class Travellers:
    """Programs on their way between searches whose libraries may differ.

    Attributes
    ----------
    names : list of str
        Of the tokens of the library that the programs are written in.
    programs : ProgramBatch
    """

    names: list[str]
    programs: ProgramBatch

    def in_library(self, library: Library) -> ProgramBatch:
        """Return those that can be written in another library."""
        if self.names == library.names:
            return self.programs
        places = {name: i for i, name in enumerate(library.names)}
        # The last entry is for PAD, which is index -1; MISSING is not a token.
        table = np.array([places.get(name, MISSING) for name in self.names] + [PAD], np.int16)
        tokens = table[self.programs.tokens]
        moved = replace(self.programs, tokens=tokens)
        return moved[~(tokens == MISSING).any(axis=1)]

    def state_dict(self) -> dict[str, Any]:
        """Return it as plain values and arrays."""
        return {"names": self.names, "programs": self.programs.state_dict()}

    @staticmethod
    def from_state_dict(state: dict[str, Any]) -> Travellers:
        """Return what `state_dict` was taken of."""
        return Travellers(state["names"], ProgramBatch.from_state_dict(state["programs"]))


MISSING = np.iinfo(np.int16).min


@dataclass(frozen=True)
class Island:
    """One of the searches.

    Attributes
    ----------
    config : dict
    state : bytes or None
        A checkpoint; None before its first round.
    standing : Standing
    stop_reason : str or None
        Why it ended; None while it lasts.
    """

    config: dict[str, Any]
    state: bytes | None = None
    standing: Standing = field(default_factory=Standing)
    stop_reason: str | None = None


@dataclass(frozen=True)
class Stay:
    """What one round of an island has made of it.

    Attributes
    ----------
    island : Island
    found : Travellers
        Front and best programs.
    is_goal : bool
        Whether they are what is searched for.
    """

    island: Island
    found: Travellers
    is_goal: bool = False


def do_round(
    island: Island,
    data: Dataset | None,
    guests: Sequence[Travellers],
    n_iterations: int,
    n_best: int,
    limits: Limits,
) -> Stay:
    """Let an island do some iterations.

    Parameters
    ----------
    island : Island
    data : Dataset, optional
        See `DeepSymbolicOptimizer`.
    guests : sequence of Travellers
        Programs of other islands, which take part in the first iteration.
    n_iterations : int
    n_best : int
        Programs of the hall of fame that are returned with the front.
    limits : Limits
        There is one iteration at least.
    """
    model = DeepSymbolicOptimizer(island.config, data)
    with muted():  # the home of all islands has said it
        model.setup()
    model.stopping.within = limits.stopping()
    if limits.until is not None:
        model.stopping.end_in(limits.until - time.time())
    if island.state is not None:
        model.run.saved.from_bytes(island.state)
    for travellers in guests:
        programs = travellers.in_library(model.library)
        programs = programs[model.prior.allowed(programs)] if len(programs) else programs
        if len(programs):
            model.trainer.suggest(programs)
    for _ in range(n_iterations):
        model.iterate()
        if model.stop_reason is not None or limits.are_reached:
            break
    is_goal = model.stopping.goal(model.trainer.standing) is not None
    if is_goal:
        limits.note_goal()
    state = model.run.saved.to_bytes()  # before the files are closed, whose lengths belong to it
    model.journal.close()
    done = replace(
        island, state=state, standing=model.trainer.standing, stop_reason=model.stop_reason
    )
    found = Travellers(model.library.names, _found(model.trainer.keeper, n_best))
    return Stay(done, found, is_goal)


def cut_log(island: Island, data: Dataset | None) -> None:
    """Take back what a round that does not count may have written of an island."""
    model = DeepSymbolicOptimizer(island.config, data)
    with muted():
        model.setup()
    if island.state is not None:
        model.run.saved.from_bytes(island.state)
    elif model.folder is not None:
        shutil.rmtree(model.folder.path, ignore_errors=True)
    model.journal.close()


def _found(keeper: Keeper, n_best: int) -> ProgramBatch:
    """Return the front and the best programs, each once."""
    front, hall_of_fame = keeper.pareto_front, keeper.hall_of_fame
    kept = [ScoredPrograms.empty() if keeper.best is None else keeper.best]
    if front is not None:
        kept.append(front.rows)
    if hall_of_fame is not None:
        kept.append(hall_of_fame.rows[:n_best])
    return ScoredPrograms.concatenate(kept).ranked().programs


@dataclass(frozen=True)
class Advance:
    """What one round of a hypothesis has made of it.

    Attributes
    ----------
    entrant : Entrant
    programs : ProgramBatch
        What it has found, in tokens of the whole problem.
    n_evaluations : int
        Spent in this round.
    """

    entrant: Entrant
    programs: ProgramBatch
    n_evaluations: int


def do_hypothesis(
    entrant: Entrant,
    library: Library,
    before: int,
    iteration: int,
    n_samples: int,
    limits: Limits,
) -> Advance:
    """Let the search of a hypothesis catch up.

    Parameters
    ----------
    entrant : Entrant
        Left as it is.
    library : Library
        Of the whole problem.
    before, iteration
        See `Entrant.advance`.
    n_samples : int
        Evaluations that it may spend.
    limits : Limits
    """
    if limits.are_reached:
        return Advance(entrant, ProgramBatch.from_rows([]), 0)
    entrant, outer = copy.deepcopy(entrant), limits.stopping()
    entrant.search.end_within(outer)

    def is_over(n_evaluations: int) -> bool:
        return n_evaluations >= n_samples or outer.is_over or limits.are_reached

    spent = entrant.advance(before, iteration, is_over)
    return Advance(entrant, entrant.put_back(library), spent)


def look(reducer: Reducer, limits: Limits) -> Reduced | None:
    """Ask the data for reductions, unless it is too late; the reducer is left as it is."""
    if limits.are_reached:
        return None
    outer = limits.stopping()
    return copy.copy(reducer).run(lambda: outer.is_over)
