"""Strategies: the ways to look for a program with the values of y, one file each.

All of them have the interface of `Strategy`: ``run(values, joins, budget) -> programs``, where
`values` are the entries of a value library and `joins` holds the contexts. A further one is a class
in a file of its own and a line in `STRATEGIES`, which says in which order they are asked.
"""

from dso.semantic.strategies.affine import AffineSearch
from dso.semantic.strategies.affine_pairs import AffinePairSearch
from dso.semantic.strategies.curves import CurveSearch
from dso.semantic.strategies.joins import JoinSearch
from dso.semantic.strategies.linear import LinearSearch
from dso.semantic.strategies.nearest import NearestSearch
from dso.semantic.strategies.polynomials import PolynomialSearch
from dso.semantic.strategies.powers import PowerSearch
from dso.semantic.strategies.rational import RationalSearch
from dso.semantic.strategies.scaled import ScaledSearch, ShiftedSearch
from dso.semantic.strategies.strategy import Strategy, Turn

STRATEGIES: tuple[type[Strategy], ...] = (
    RationalSearch,
    JoinSearch,
    PolynomialSearch,
    PowerSearch,
    ScaledSearch,
    ShiftedSearch,
    CurveSearch,
    AffinePairSearch,
    LinearSearch,
    AffineSearch,
    NearestSearch,
)
"""What is cheap and exact comes first; what is given constants, or only comes near, last."""

__all__ = ["STRATEGIES", "Strategy", "Turn"]
