"""The interface of the searches in a race."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from dso.library import Library
from dso.program import ProgramBatch


class RunningSearch(Protocol):
    """A search that is asked for one iteration after the other.

    Attributes
    ----------
    library : Library
    iteration : int
        Done so far.
    n_evaluations : int
        Spent so far.
    is_over : bool
        Whether it has come to its end.
    has_succeeded : bool
        Whether it calls its best program a success.
    """

    @property
    def library(self) -> Library:
        """See the class."""

    @property
    def iteration(self) -> int:
        """See the class."""

    @property
    def n_evaluations(self) -> int:
        """See the class."""

    @property
    def is_over(self) -> bool:
        """See the class."""

    @property
    def has_succeeded(self) -> bool:
        """See the class."""

    def step(self) -> None:
        """Do an iteration."""

    def end_within(self, outer: Any) -> None:
        """Be over, in the middle of an iteration too, where the `Stopping` of another search is."""

    def front(self) -> ProgramBatch:
        """Return what it has found, with constants."""


MakeSearch = Callable[[np.ndarray, np.ndarray, np.ndarray | None, int], RunningSearch]
"""Given inputs (N, K), target (N,), weights and a budget, makes a search."""
