"""The race between an archipelago and searches for the smaller problems that the data show.

It is that of `dso.reduction.race`, but for two things. What it does is dealt out: the question to
the data, and each round of a hypothesis, is a call that an engine does. And iterations are those of
all islands together, so that it comes as soon as it does in one search that spends as much.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dso.islands.engine import Call
from dso.islands.round import Advance, Limits, do_hypothesis, look
from dso.program import ProgramBatch
from dso.reduction import Race, Reduced
from dso.reduction.race import GROWTH


class Hypotheses:
    """The hypotheses of a race, between the rounds of an archipelago.

    Parameters
    ----------
    race : Race

    Attributes
    ----------
    reached : int
        Iterations that those which take part have come to.
    n_evaluations : int
        Spent so far.
    """

    def __init__(self, race: Race) -> None:
        self.race = race
        self.reached = 0
        self.n_evaluations = 0

    def questions(self, iteration: int, limits: Limits) -> list[Call]:
        """Return what the data are to be asked before there are this many iterations."""
        if self.race.found is not None or iteration < self.race.first:
            return []
        return [(look, self.race.reducer(), limits)]

    def take_reduced(self, reduced: Reduced) -> None:
        """Begin with what the data say."""
        self.n_evaluations += reduced.n_evaluations
        self.race.enter(reduced)

    def advances(self, iteration: int, n_samples: int, limits: Limits) -> dict[int, Call]:
        """Return what each hypothesis, by its number, has to do after this many iterations.

        Parameters
        ----------
        iteration : int
        n_samples : int
            Evaluations left to all.
        limits : Limits
        """
        race, before = self.race, self.reached
        target = GROWTH * before or race.first
        if race.found is None or target > iteration:
            return {}
        self.reached, due = target, race.due(target)
        share = n_samples // max(1, len(due))
        calls: dict[int, Call] = {}
        for i, entrant in enumerate(race.entrants):
            if any(entrant is one for one in due):
                mine = replace(limits, number=len(calls))
                calls[i] = (do_hypothesis, entrant, race.library, before, target, share, mine)
        return calls

    def take_advance(self, i: int, advance: Advance) -> ProgramBatch:
        """Return what a hypothesis has found, in terms of the whole search."""
        self.race.entrants[i] = advance.entrant
        self.n_evaluations += advance.n_evaluations
        programs = advance.programs
        return self.race.translate(programs) if len(programs) else programs

    def state_dict(self) -> dict[str, Any]:
        """Return what cannot be worked out again."""
        return {
            "is_asked": self.race.found is not None,
            "reached": self.reached,
            "n_evaluations": self.n_evaluations,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Do again what was done before the state was taken."""
        self.reached, self.n_evaluations = state["reached"], state["n_evaluations"]
        if state["is_asked"]:
            self.race.enter(self.race.reducer().run())
        if self.reached:
            for entrant in self.race.due(self.reached):
                entrant.advance(self.reached, self.reached, lambda spent: False)
