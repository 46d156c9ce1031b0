"""From tokens to sympy. Expressions are built from the operator table, never parsed from text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from dso.library import HardCodedConstant, PlaceholderConstant, Polynomial, StateChecker, Token

COMPARING = ("Max", "Min", "Abs", "sign", "harmonic")
"""Functions that compare numbers to simplify, even when printed, and fail on NaN or complex."""


def to_sympy(traversal: Sequence[Token]) -> Any:
    """Return the sympy expression of tokens in prefix order.

    A `const` without a number becomes the symbol c1, c2, ...; a user's token without a row in the
    operator table becomes an undefined function of its name; so do those of `COMPARING` where sympy
    fails, as at Max(x1, acos(5)), of which protected operators can still make a number.
    """
    return _simplified_if_possible(lambda expression: expression, traversal)


def to_text(traversal: Sequence[Token]) -> str:
    """Return the sympy expression as text."""
    return _simplified_if_possible(str, traversal)


def _simplified_if_possible(form: Callable[[Any], Any], traversal: Sequence[Token]) -> Any:
    import sympy

    try:
        return form(_build(sympy, traversal))
    except Exception:
        plain = {name: sympy.Function(name) for name in COMPARING}
        return form(_build(SimpleNamespace(**{**vars(sympy), **plain}), traversal))


def _build(sympy: Any, traversal: Sequence[Token]) -> Any:
    n_unknown = sum(isinstance(t, PlaceholderConstant) and t.value is None for t in traversal)
    unknown = [sympy.Symbol(f"c{k + 1}") for k in range(n_unknown)]
    stack: list[Any] = []
    # From the right, operands are complete when their parent is met, the first child on top.
    for token in reversed(traversal):
        arguments = [stack.pop() for _ in range(token.arity)]
        stack.append(_node(sympy, token, arguments, unknown))
    return stack.pop()


def _node(sympy: Any, token: Token, arguments: list[Any], unknown: list[Any]) -> Any:
    if isinstance(token, PlaceholderConstant) and token.value is None:
        return unknown.pop()  # the last one first
    if isinstance(token, (HardCodedConstant, PlaceholderConstant)):
        return sympy.Float(token.value)
    if isinstance(token, Polynomial) and token.fitted is not None:
        return token.fitted.to_sympy(sympy)
    if isinstance(token, StateChecker):
        checked = sympy.Symbol(f"x{token.state_index + 1}")
        return sympy.Piecewise((arguments[0], checked < token.threshold), (arguments[1], True))
    if token.operator is not None:
        return token.operator.sympy(sympy, *arguments)
    if token.arity == 0:
        return sympy.Symbol(token.name)
    return sympy.Function(token.name)(*arguments)
