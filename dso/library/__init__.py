"""What expressions are made of: tokens, the operator table and the library."""

from dso.library.create import create_tokens, with_complexities
from dso.library.functions import OPERATORS, Operator
from dso.library.library import Library, TokenNotFoundError
from dso.library.polynomial import FittedPolynomial
from dso.library.tokens import (
    DefinedToken,
    DiscreteAction,
    HardCodedConstant,
    MultiDiscreteAction,
    PlaceholderConstant,
    Polynomial,
    StateChecker,
    Stop,
    Token,
)

__all__ = [
    "OPERATORS",
    "DefinedToken",
    "DiscreteAction",
    "FittedPolynomial",
    "HardCodedConstant",
    "Library",
    "MultiDiscreteAction",
    "Operator",
    "PlaceholderConstant",
    "Polynomial",
    "StateChecker",
    "Stop",
    "Token",
    "TokenNotFoundError",
    "create_tokens",
    "with_complexities",
]
