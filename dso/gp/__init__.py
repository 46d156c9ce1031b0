"""GP-meld: genetic programming that the policy's samples seed."""

from dso.gp.breeder import Breeder, Offspring
from dso.gp.controller import GPController, GPOptions, Harvest
from dso.gp.population import Population
from dso.gp.probe import Probe, tokens_only
from dso.gp.semantic_breeder import SemanticBreeder

__all__ = [
    "Breeder",
    "GPController",
    "GPOptions",
    "Harvest",
    "Offspring",
    "Population",
    "Probe",
    "SemanticBreeder",
    "tokens_only",
]
