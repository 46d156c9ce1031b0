"""Search by values: two expressions with the same values on the data are the same candidate.

A *value library* holds small expressions, its *entries*, in order of cost: one for each distinct
vector of values. A *context* is an expression with a *hole*: y is taken apart backwards, so that
the values which must stand in the hole are known, though not the expression that has them. A *join*
fills the hole with an entry, or with two that have these values together.

Joins are one *strategy* of several, each of which finds what stands in a hole in another case: its
values are exact, or those of a sum with constants, or of a polynomial, or noisy. All of them are
run with entries, contexts and a *budget* of evaluations. What they find is ranked.
"""

from dso.semantic.budget import SemanticLimits
from dso.semantic.hole import OnlyHole
from dso.semantic.search import SemanticResult, SemanticSearch
from dso.semantic.seeder import Seeder, Seeds
from dso.semantic.value_library import ValueLibrary

__all__ = [
    "OnlyHole",
    "Seeder",
    "Seeds",
    "SemanticLimits",
    "SemanticResult",
    "SemanticSearch",
    "ValueLibrary",
]
