"""What can be written: tokens, the operator table and the library."""

from dso.library.create import create_tokens
from dso.library.functions import OPERATORS, Operator
from dso.library.library import Library, TokenNotFoundError
from dso.library.tokens import (
    HardCodedConstant,
    PlaceholderConstant,
    Polynomial,
    StateChecker,
    Token,
)

__all__ = [
    "OPERATORS",
    "HardCodedConstant",
    "Library",
    "Operator",
    "PlaceholderConstant",
    "Polynomial",
    "StateChecker",
    "Token",
    "TokenNotFoundError",
    "create_tokens",
]
