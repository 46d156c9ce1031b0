"""Formulas as tuples in prefix order, as `dso.library.expression` has them: put together, shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dso.library import OPERATORS
from dso.library.expression import Expression, Node, evaluate

Formula = tuple[Node, ...]

_SIGNS = {"add": ("+", 1), "sub": ("-", 1), "mul": ("*", 2), "div": ("/", 2), "pow": ("**", 4)}
"""Signs of operators, and how closely they bind."""
_POWERS = {"n2": "2", "n3": "3", "n4": "4"}
_ATOM = 5


def apply(name: str, *arguments: Formula) -> Formula:
    """Return an operator with its arguments."""
    return (name, *(node for argument in arguments for node in argument))


def values(formula: Formula, X: np.ndarray) -> np.ndarray:
    """Return the values (N,) of a formula for inputs (N, D)."""
    return evaluate(Expression(formula), X)


def filled(formula: Formula, inputs: Sequence[Formula]) -> Formula:
    """Return a formula with formulas in the place of its inputs."""
    return tuple(
        node for part in formula for node in (inputs[part] if isinstance(part, int) else (part,))
    )


def inputs_of(formula: Formula) -> set[int]:
    """Return the columns that a formula mentions."""
    return {node for node in formula if isinstance(node, int)}


def power(base: Formula, exponent: float) -> Formula:
    """Return a power with an exponent above zero; squares and roots as such."""
    names = {1.0: (), 2.0: ("n2",), 3.0: ("n3",), 4.0: ("n4",), 0.5: ("sqrt",)}
    if exponent in names:
        return (*names[exponent], *base)
    if exponent == 1.5:
        return apply("mul", base, ("sqrt", *base))
    return apply("pow", base, (float(exponent),))


def product(powers: Sequence[tuple[Formula, float]]) -> Formula:
    """Return the product of powers, those with exponents below zero in the denominator."""
    above = [power(base, r) for base, r in powers if r > 0]
    below = [power(base, -r) for base, r in powers if r < 0]
    whole = _chain("mul", above) if above else (1.0,)
    return apply("div", whole, _chain("mul", below)) if below else whole


def combination(terms: Sequence[tuple[float, Formula]]) -> Formula:
    """Return the sum of terms with coefficients, one of which is positive if any is."""
    ordered = sorted(terms, key=lambda term: term[0] < 0)
    coefficient, part = ordered[0]
    whole = _times(coefficient, part)
    for coefficient, part in ordered[1:]:
        whole = apply("sub" if coefficient < 0 else "add", whole, _times(abs(coefficient), part))
    return whole


def _times(coefficient: float, part: Formula) -> Formula:
    return part if coefficient == 1 else apply("mul", (float(coefficient),), part)


def _chain(name: str, parts: Sequence[Formula]) -> Formula:
    whole = parts[0]
    for part in parts[1:]:
        whole = apply(name, whole, part)
    return whole


def check_formula(formula: Formula, n_inputs: int) -> None:
    """Check a formula that comes from elsewhere.

    Raises
    ------
    ValueError
        If it is not one whole expression in operators of the table and that many inputs.
    """
    n_open = 1
    for node in formula:
        is_input = isinstance(node, int) and not isinstance(node, bool)
        if not n_open or not (isinstance(node, float) or is_input or node in OPERATORS):
            raise ValueError(f"{node!r} in a formula")
        if isinstance(node, int) and not 0 <= node < n_inputs:
            raise ValueError(f"input {node} of {n_inputs}")
        n_open += (OPERATORS[node].arity if isinstance(node, str) else 0) - 1
    if n_open:
        raise ValueError("a formula that ends too soon")


def arguments_of(formula: Formula) -> list[Formula]:
    """Return the arguments of the operator that a formula begins with."""
    parts: list[Formula] = []
    rest = formula[1:]
    while rest:
        n_open, length = 1, 0
        while n_open:
            node = rest[length]
            n_open += (OPERATORS[node].arity if isinstance(node, str) else 0) - 1
            length += 1
        parts.append(rest[:length])
        rest = rest[length:]
    return parts


def divided(formula: Formula, powers: Sequence[tuple[Formula, float]]) -> Formula:
    """Return a formula over a product of powers, as one fraction."""
    above, below = [formula], []
    if formula[0] == "div":
        above, below = [[part] for part in arguments_of(formula)]
    known = [*((part, 1.0) for part in above), *((part, -1.0) for part in below)]
    return product([*known, *((base, -exponent) for base, exponent in powers)])


def folded(formula: Formula, join: Callable[[Node, list], Any]) -> Any:
    """Return what `join(node, arguments)` makes of a formula, from its leaves up."""
    stack: list = []
    for node in reversed(formula):
        n = OPERATORS[node].arity if isinstance(node, str) else 0
        stack.append(join(node, [stack.pop() for _ in range(n)]))
    return stack[0]


def as_text(formula: Formula, names: Sequence[str]) -> str:
    """Return a formula in Python's notation."""

    def join(node: Node, arguments: list[tuple[str, int]]) -> tuple[str, int]:
        if isinstance(node, int):
            return names[node], _ATOM
        if isinstance(node, float):
            return f"{node:.6g}", _ATOM if node >= 0 else 3
        if node in _POWERS:
            return f"{_bound(arguments[0], _ATOM)}**{_POWERS[node]}", 4
        if node in _SIGNS:
            sign, strength = _SIGNS[node]
            left, right = arguments
            # What follows a minus or a slash binds more closely; a power's base does.
            text = _bound(left, strength + (node == "pow"))
            space = " " if strength == 1 else ""
            other = _bound(right, strength + (node in ("sub", "div")))
            return f"{text}{space}{sign}{space}{other}", strength
        return f"{node}({', '.join(text for text, _ in arguments)})", _ATOM

    return folded(formula, join)[0]


def _bound(part: tuple[str, int], least: int) -> str:
    text, strength = part
    return text if strength >= least else f"({text})"
