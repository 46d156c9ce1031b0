"""From tokens to sympy. Expressions are built from the operator table, never parsed from text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from dso.library import HardCodedConstant, PlaceholderConstant, Polynomial, StateChecker, Token

COMPARING = ("Max", "Min", "Abs", "sign", "harmonic")
"""Functions that compare numbers to simplify, even when printed, and fail on NaN or complex."""


def to_sympy(traversal: Sequence[Token], input_names: Sequence[str] | None = None) -> Any:
    """Return the sympy expression of tokens in prefix order.

    Inputs are symbols: x1, x2, ..., or what `input_names` calls them. A `const` without a number
    becomes the symbol c1, c2, ...; a user's token without a row in the operator table becomes an
    undefined function of its name; so do those of `COMPARING` where sympy fails, as at
    Max(x1, acos(5)), of which protected operators can still make a number.
    """
    return _simplified_if_possible(lambda expression: expression, traversal, input_names)


def to_text(traversal: Sequence[Token], input_names: Sequence[str] | None = None) -> str:
    """Return the sympy expression as text."""
    return _simplified_if_possible(str, traversal, input_names)


def _simplified_if_possible(
    form: Callable[[Any], Any], traversal: Sequence[Token], names: Sequence[str] | None
) -> Any:
    import sympy

    try:
        return form(_build(sympy, traversal, names))
    except Exception:
        plain = {name: sympy.Function(name) for name in COMPARING}
        return form(_build(SimpleNamespace(**{**vars(sympy), **plain}), traversal, names))


def _build(sympy: Any, traversal: Sequence[Token], names: Sequence[str] | None) -> Any:
    n_unknown = sum(isinstance(t, PlaceholderConstant) and t.value is None for t in traversal)
    unknown = [sympy.Symbol(f"c{k + 1}") for k in range(n_unknown)]
    stack: list[Any] = []
    # From the right, operands are complete when their parent is met, the first child on top.
    for token in reversed(traversal):
        arguments = [stack.pop() for _ in range(token.arity)]
        stack.append(_node(sympy, token, arguments, unknown, names))
    return stack.pop()


def _node(
    sympy: Any,
    token: Token,
    arguments: list[Any],
    unknown: list[Any],
    names: Sequence[str] | None,
) -> Any:
    def symbol(column: int) -> Any:
        return sympy.Symbol(f"x{column + 1}" if names is None else names[column])

    if token.input_var is not None:
        return symbol(token.input_var)
    if isinstance(token, PlaceholderConstant) and token.value is None:
        return unknown.pop()  # the last one first
    if isinstance(token, (HardCodedConstant, PlaceholderConstant)):
        return sympy.Float(token.value)
    if isinstance(token, Polynomial) and token.fitted is not None:
        return token.fitted.to_sympy(sympy, symbol)
    if isinstance(token, StateChecker):
        condition = symbol(token.state_index) < token.threshold
        return sympy.Piecewise((arguments[0], condition), (arguments[1], True))
    if token.operator is not None:
        return token.operator.sympy(sympy, *arguments)
    if token.arity == 0:
        return sympy.Symbol(token.name)
    return sympy.Function(token.name)(*arguments)
