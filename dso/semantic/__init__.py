"""Search by values: a library of small expressions, and joins of two that give the target."""

from dso.semantic.search import SemanticLimits, SemanticResult, SemanticSearch
from dso.semantic.seeder import Seeder, Seeds
from dso.semantic.value_library import ValueLibrary

__all__ = [
    "Seeder",
    "Seeds",
    "SemanticLimits",
    "SemanticResult",
    "SemanticSearch",
    "ValueLibrary",
]
