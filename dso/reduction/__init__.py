"""Reductions: what the data say of the form of y, and the smaller problem that is left."""

from dso.reduction.race import Entrant, Race
from dso.reduction.reducer import Reduced, Reducer, reduce
from dso.reduction.reduction import Reduction, Step
from dso.reduction.running import MakeSearch, RunningSearch
from dso.reduction.separation import Separation

__all__ = [
    "Entrant",
    "MakeSearch",
    "Race",
    "Reduced",
    "Reducer",
    "Reduction",
    "RunningSearch",
    "Separation",
    "Step",
    "reduce",
]
