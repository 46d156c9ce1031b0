"""Strategy: what all ways to look for a program with the values of y have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from dso.native import _core
from dso.program import ProgramBatch
from dso.semantic.budget import Budget
from dso.semantic.problem import Problem
from dso.semantic.value_library import ValueLibrary


class Turn(Enum):
    """With which of the libraries, each larger than the one before, a strategy is run."""

    FIRST = "with the first"
    LATER = "with each but the first"
    EACH = "with each"
    LAST = "when nothing exact was found, with the last"


@dataclass(frozen=True)
class Strategy(ABC):
    """A way to find what stands in the hole of a context, or y as a whole.

    A strategy has no state: it may be run with one library of values after the other.

    Attributes
    ----------
    problem : Problem
    turn : Turn
    shortens : bool
        Whether it is run even where something exact is known, since it may find a shorter one.
    looks_up : bool
        Whether it goes on until its look-ups are spent: those that do share what there are.
    divides : bool
        Whether it does its part alone where a search is one of several; see `Part`. Others are done
        as a whole, in one of the parts.
    """

    problem: Problem
    turn: ClassVar[Turn] = Turn.EACH
    shortens: ClassVar[bool] = False
    looks_up: ClassVar[bool] = False
    divides: ClassVar[bool] = False

    @classmethod
    def suits(cls, problem: Problem) -> bool:
        """Tell whether it can find anything at all."""
        return True

    @classmethod
    def reserve(cls, n_evaluations: int) -> int:
        """Return how many of the evaluations left should be left for it by look-ups."""
        return 0

    @abstractmethod
    def run(
        self, values: ValueLibrary, joins: _core.SemanticSearch, budget: Budget
    ) -> ProgramBatch:
        """Return programs that the priors allow, with constants if they have any.

        Parameters
        ----------
        values : ValueLibrary
            The entries.
        joins : _core.SemanticSearch
            The contexts, and what joins them with these entries.
        budget : Budget
            Its alone to spend; what is spent is counted there.
        """
