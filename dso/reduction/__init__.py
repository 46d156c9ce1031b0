"""Reductions: what the data say of the form of y, and the smaller problem that is left."""

from dso.reduction.race import MakeSearch, Race, RunningSearch
from dso.reduction.reducer import Reduced, reduce
from dso.reduction.reduction import Reduction, Step

__all__ = ["MakeSearch", "Race", "Reduced", "Reduction", "RunningSearch", "Step", "reduce"]
