"""From tokens in prefix order to any form that is built from the leaves up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from dso.errors import UserError
from dso.library import PlaceholderConstant, Token
from dso.library.operator import Operator

Form = TypeVar("Form")


def fold(tokens: Sequence[Token], make: Callable[[int, Token, list[Form]], Form]) -> Form:
    """Build a form of an expression.

    Parameters
    ----------
    tokens : sequence of Token
        One complete expression in prefix order.
    make : callable
        Called with the position of a token, the token, and the forms of its arguments.
    """
    stack: list[Form] = []
    # From the right, arguments are complete when their parent is met, the first one on top.
    for position in reversed(range(len(tokens))):
        token = tokens[position]
        arguments = [stack.pop() for _ in range(token.arity)]
        stack.append(make(position, token, arguments))
    return stack.pop()


def constant_slots(tokens: Sequence[Token]) -> dict[int, int]:
    """Return for the position of each `const` its number among them, from 0."""
    positions = [t for t, token in enumerate(tokens) if isinstance(token, PlaceholderConstant)]
    return {position: k for k, position in enumerate(positions)}


def operator_of(token: Token, language: str) -> Operator:
    """Return the row of the operator table behind a token, which a user's own token lacks."""
    if token.operator is None:
        raise UserError(
            f"token {token.name!r} is not an operator of dso, so it cannot be written in "
            f"{language}; predict() and sympy() can be used."
        )
    return token.operator


def number_of(token: Token) -> float:
    """Return the number of a literal, or of a `const` that is fitted."""
    value = getattr(token, "value", None)
    if value is None:
        raise UserError(f"token {token.name!r} has no number yet.")
    return float(value)
