"""The rule of units of a formula, from those of its operators.

The exponents of the arguments' dimensions are unknowns. Each operator adds linear equations: the
terms of a sum have the same, what exp takes has none. All solutions of these are then compared with
the kinds of rule that there are: see `dso.library.unit_rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import NamedTuple

from dso.library.operator import Operator
from dso.library.unit_rules import FREE, LIKE_VALUE, LinearRule, Weight, exact, linear_rule
from dso.units.linear import null_space, rank, solve

Vector = tuple[Fraction, ...]
"""A dimension as powers of those of a formula's arguments."""


class Part(NamedTuple):
    """The dimension of a part of a formula, None for any; and its number, where it is one."""

    dimension: Vector | None
    number: float | None = None


def rule_of_formula(n: int, folded: Callable[..., Part]) -> LinearRule | None:
    """Return the rule of units of a formula, None where its units are tied in another way.

    Its numbers are pure, but for 0, which has any unit.

    Parameters
    ----------
    n : int
        Arguments.
    folded : callable
        Builds the formula from the leaves up: `dso.library.definition.Definition.folded`.
    """
    equations: list[Vector] = []
    zero = (Fraction(0),) * n

    def argument(i: int) -> Part:
        return Part(tuple(Fraction(i == j) for j in range(n)))

    def number(value: float) -> Part:
        return Part(None if value == 0 else zero, value)

    def apply(row: Operator, parts: list[Part]) -> Part:
        return Part(_joined(row, parts, zero, equations))

    dimension = folded(argument, number, apply).dimension or zero
    solutions = null_space(equations, n)
    of_value = [
        sum((power * row[j] for power, row in zip(dimension, solutions, strict=True)), Fraction(0))
        for j in range(len(solutions[0]))
    ]
    return _recognised(solutions, of_value)


def _joined(
    row: Operator, parts: list[Part], zero: Vector, equations: list[Vector]
) -> Vector | None:
    """Return the dimension of an operator's value, and note what it asks of its arguments."""
    rule = linear_rule(row.units, row.arity, row.name)
    have = [part.dimension for part in parts]

    def require(a: Vector | None, b: Vector | None) -> None:
        if a is not None and b is not None:
            equations.append(tuple(x - y for x, y in zip(a, b, strict=True)))

    if rule.kind == "power":
        exponent = parts[1].number
        if exponent is not None:
            return _power(have[0], exact(exponent))
        require(have[0], zero)
        require(have[1], zero)
        return zero
    for dimension, weight in zip(have, rule.weights, strict=True):
        if weight == 0:
            require(dimension, zero)
    counting = [(have[i], weight) for i, weight in rule.counting]
    if rule.kind == "ratios":
        roots = [_power(dimension, 1 / weight) for dimension, weight in counting]
        known = next((root for root in roots if root is not None), None)
        for root in roots:
            require(root, known)
        return known if rule.value else zero
    value: Vector | None = zero
    for dimension, weight in counting:
        raised = _power(dimension, weight)
        value = (
            None
            if value is None or raised is None
            else tuple(x + y for x, y in zip(value, raised, strict=True))
        )
    for dimension, weight in zip(have, rule.weights, strict=True):
        if weight == LIKE_VALUE:
            require(dimension, value)
    return value


def _power(dimension: Vector | None, power: Fraction) -> Vector | None:
    return None if dimension is None else tuple(power * x for x in dimension)


def _recognised(solutions: list[list[Fraction]], value: Sequence[Fraction]) -> LinearRule | None:
    """Return the rule of arguments and a value that have these dimensions in some unknowns."""
    weights: list[Weight] = [0] * len(solutions)
    others = [i for i, row in enumerate(solutions) if any(row)]
    for i in list(others):
        shared = [i2 for i2 in others if i2 != i and _overlap(solutions[i], solutions[i2])]
        if not shared and not _overlap(solutions[i], value):
            weights[i] = FREE
            others.remove(i)
    if not others:
        return LinearRule("ratios", tuple(weights), 0)
    if rank([solutions[i] for i in others]) == 1 < len(others):
        return _ratios(solutions, value, weights, others)
    of_value = [i for i in others if solutions[i] == list(value)]
    for like_value in ([], of_value):
        rest = [i for i in others if i not in like_value]
        columns = [solutions[i] for i in rest]
        powers = solve(columns, value) if rest and rank(columns) == len(rest) else None
        if powers is None:
            continue
        for i, power in zip(rest, powers, strict=True):
            weights[i] = power or FREE
        for i in like_value:
            weights[i] = LIKE_VALUE
        return LinearRule("products", tuple(weights))
    return None


def _ratios(
    solutions: list[list[Fraction]], value: Sequence[Fraction], weights: list[Weight], of: list[int]
) -> LinearRule:
    """Return the rule of arguments that all are powers of one dimension."""
    unit = list(value) if any(value) else solutions[of[0]]
    for i in of:
        power = solve([unit], solutions[i])
        assert power is not None
        weights[i] = power[0]
    return LinearRule("ratios", tuple(weights), int(any(value)))


def _overlap(a: Sequence[Fraction], b: Sequence[Fraction]) -> bool:
    return any(x and y for x, y in zip(a, b, strict=True))
