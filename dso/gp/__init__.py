"""GP-meld: genetic programming that the policy's samples seed.

A *population* is a table of individuals: programs with their rewards, ranked on each *island*. A
*breeder* makes *offspring* of them, under all priors; they are scored like any program. The
*controller* runs the generations: breed, score, select. The best offspring of
all generations are the *harvest*, from which the policy learns.
"""

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
