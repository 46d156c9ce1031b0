"""One round of an island: a pure function of its config, the data, its state and its guests.

With S(k) the state of island k, G(k) its guests, and P(k) the front and the best programs that it
has found:

    S(k), P(k)  <-  `interval` iterations of island k from S(k), with G(k) as a source of programs
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dso.core import DeepSymbolicOptimizer
from dso.memory import ScoredPrograms
from dso.program import ProgramBatch
from dso.program.columns import PAD
from dso.training.stopping import Standing

if TYPE_CHECKING:
    from dso.library import Library
    from dso.memory import Keeper
    from dso.reduction import Reduced
    from dso.task.regression import Dataset


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
    reduced : Reduced or None
        What the data have said of the form in this round.
    """

    island: Island
    found: Travellers
    reduced: Reduced | None = None


def do_round(
    island: Island,
    data: Dataset | None,
    guests: Sequence[Travellers],
    *,
    n_iterations: int,
    n_best: int,
    until: float | None = None,
    stop: Path | None = None,
    is_last: bool = False,
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
    until : float, optional
        End the island's search at this time of the day, as `time.time` tells it on any machine.
    stop : Path, optional
        End the round after the iteration in which this file appears.
    is_last : bool
        Write the result files too.
    """
    model = DeepSymbolicOptimizer(island.config, data)
    model.setup()
    if until is not None:
        model.stopping.end_in(until - time.time())
    if island.state is not None:
        model.run.saved.from_bytes(island.state)
    for travellers in guests:
        programs = travellers.in_library(model.library)
        programs = programs[model.prior.allowed(programs)] if len(programs) else programs
        if len(programs):
            model.trainer.suggest(programs)
    for _ in range(n_iterations):
        model.iterate()
        if model.stop_reason is not None or (stop is not None and stop.exists()):
            break
    state = model.run.saved.to_bytes()  # before the files are closed, whose lengths belong to it
    has_ended = is_last or model.stop_reason is not None
    if has_ended and model.folder is not None and model.trainer.standing.iteration:
        model.finish()  # its files; what it has found is finished where all islands' is
    model.journal.close()
    done = replace(
        island, state=state, standing=model.trainer.standing, stop_reason=model.stop_reason
    )
    found = Travellers(model.library.names, _found(model.trainer.keeper, n_best))
    return Stay(done, found, model.reduced)


def _found(keeper: Keeper, n_best: int) -> ProgramBatch:
    """Return the front and the best programs, each once."""
    front, hall_of_fame = keeper.pareto_front, keeper.hall_of_fame
    kept = [ScoredPrograms.empty() if keeper.best is None else keeper.best]
    if front is not None:
        kept.append(front.rows)
    if hall_of_fame is not None:
        kept.append(hall_of_fame.rows[:n_best])
    return ScoredPrograms.concatenate(kept).ranked().programs
