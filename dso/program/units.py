"""Units of programs: which are consistent, and what follows for their constants.

Tokens say what they ask for (`Token.units`, a column of the operator table); the traversal state of
the core applies it. A program is consistent if its constants can have units with which every
argument has the dimension that its operator asks for, and the whole that of y.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from dso.library import HardCodedConstant, Library, PlaceholderConstant, Polynomial, Token
from dso.library.unit_rules import FREE, LIKE_VALUE, LinearRule, Weight, exact, linear_rule
from dso.native import _core
from dso.program.program_batch import ProgramBatch
from dso.program.traversal import child_positions
from dso.units import PURE, Dimension, Quantities
from dso.units.images import ANY, image, image_of_number


def require_units(rules: _core.RuleSet, library: Library, quantities: Quantities) -> None:
    """Have a rule set allow consistent programs alone."""
    rules_of_tokens = [_rule(token) for token in library.tokens]
    weights = np.zeros((library.L, 1 + max(map(int, library.arities))), dtype=np.uint64)
    for row, rule in zip(weights, rules_of_tokens, strict=True):
        row[0] = rule.value
        row[1 : 1 + len(rule.weights)] = [_image_of_weight(weight) for weight in rule.weights]
    terminals = [image(dimension_of(token, quantities)) for token in library.tokens]
    literals = [_literal(token) for token in library.tokens]
    numbers = [ANY if number is None else image_of_number(number) for number in literals]
    kinds = [rule.kind for rule in rules_of_tokens]
    rules.require_units(kinds, terminals, numbers, weights, image(quantities.target_dimension))
    if library.poly_token is not None and quantities.pure_constants:
        inputs = (quantities.input_dimension(i) for i in range(len(quantities.inputs)))
        if any(dimension not in (None, PURE) for dimension in inputs):
            # A polynomial with pure coefficients of inputs that are not pure has no dimension.
            is_poly = np.arange(library.L) == library.poly_token
            rules.limit_count(is_poly, 0, is_poly)


def is_consistent(library: Library, quantities: Quantities, programs: ProgramBatch) -> np.ndarray:
    """Tell which programs have consistent units, (B,) bool."""
    rules = _core.RuleSet(np.asarray(library.arities).tolist())
    require_units(rules, library, quantities)
    return rules.violations(programs.native) < 0


def other_units(library: Library, quantities: Quantities, programs: ProgramBatch) -> list[str]:
    """Return what would make programs consistent if it alone had another unit: names, or "y".

    Parameters
    ----------
    library : Library
    quantities : Quantities
    programs : ProgramBatch
        One, which is not consistent.
    """
    names = library.input_names or [f"x{i + 1}" for i in range(len(quantities.inputs))]
    found = []
    for i, name in enumerate(names):
        inputs = (*quantities.inputs[:i], None, *quantities.inputs[i + 1 :])
        if is_consistent(library, replace(quantities, inputs=inputs), programs).all():
            found.append(name)
    if is_consistent(library, replace(quantities, target=None), programs).all():
        found.append("y")
    return found


def dimension_of(token: Token, quantities: Quantities) -> Dimension | None:
    """Return the dimension of a terminal, None where it may have any."""
    if token.input_var is not None:
        return quantities.input_dimension(token.input_var)
    if isinstance(token, PlaceholderConstant | Polynomial):
        return quantities.constant_dimension
    return PURE


def untold(library: Library) -> list[str]:
    """Return the operators whose formula has no rule of units, so that they take pure numbers."""
    definitions = [(t.name, t.operator.definition) for t in library.tokens if t.operator]
    return [name for name, formula in definitions if formula is not None and not formula.units]


def _rule(token: Token) -> LinearRule:
    return linear_rule(token.units, token.arity, token.name)


def _image_of_weight(weight: Weight) -> int:
    if isinstance(weight, str):
        return {FREE: ANY, LIKE_VALUE: ANY - 1}[weight]
    return image_of_number(weight)


def _literal(token: Token) -> Fraction | None:
    """Return the number of a literal exactly, None for other tokens."""
    if not isinstance(token, HardCodedConstant) or not math.isfinite(token.value):
        return None
    return exact(token.value)


class _Size(NamedTuple):
    """A dimension and what the unit is in base units."""

    dimension: Dimension
    factor: float = 1.0

    def times(self, other: _Size, power: int | Fraction = 1) -> _Size:
        try:
            factor = self.factor * other.factor ** float(power)
        except OverflowError:
            factor = math.inf
        return _Size(self.dimension * other.dimension**power, factor)


_PURE = _Size(PURE)


def constant_units(tokens: Sequence[Token], quantities: Quantities) -> list[str]:
    """Return the units of a consistent program's constants as texts, "" where they are open.

    Of two constants that are multiplied by each other neither is known. Units are given in base
    units: where columns have others, with the factor between them, as ``1000 m s^-1``.

    Parameters
    ----------
    tokens : sequence of Token
        In prefix order.
    quantities : Quantities
    """
    arities = np.array([token.arity for token in tokens])
    children = child_positions(np.arange(len(tokens)), arities)
    has: list[_Size | None] = [None] * len(tokens)
    for t in reversed(range(len(tokens))):
        has[t] = _value(tokens, t, children[t], has, quantities)
    y = quantities.target
    wanted: list[_Size | None] = [None] * len(tokens)
    wanted[0] = None if y is None else _Size(y.dimension, y.factor)
    for t, below in enumerate(children):
        _pass_down(tokens, t, below, has, wanted)
    sizes = [has[t] or wanted[t] for t, token in enumerate(tokens) if _is_constant(token)]
    return ["" if size is None else _text(size) for size in sizes]


def _is_constant(token: Token) -> bool:
    return isinstance(token, PlaceholderConstant)


def _text(size: _Size) -> str:
    if math.isclose(size.factor, 1.0, rel_tol=1e-9) or not math.isfinite(size.factor):
        return str(size.dimension)
    unit = "" if size.dimension.is_pure else f" {size.dimension}"
    return f"{size.factor:.6g}{unit}"


def _value(
    tokens: Sequence[Token],
    t: int,
    below: Sequence[int],
    has: Sequence[_Size | None],
    quantities: Quantities,
) -> _Size | None:
    """Return what a node has by what its arguments have, None where it is open."""
    token = tokens[t]
    if token.arity == 0:
        unit = None if token.input_var is None else quantities.inputs[token.input_var]
        if unit is not None:
            return _Size(unit.dimension, unit.factor)
        dimension = dimension_of(token, quantities)
        return None if dimension is None else _Size(dimension)
    rule = _rule(token)
    known = [has[child] for child in below]
    if rule.kind == "power":
        literal = _literal(tokens[below[1]])
        return _PURE if not literal else known[0] and _PURE.times(known[0], literal)
    if rule.kind == "ratios":
        return _unit(rule, known) if rule.value else _PURE
    like_value = [known[i] for i, weight in enumerate(rule.weights) if weight == LIKE_VALUE]
    product = _product([(known[i], weight) for i, weight in rule.counting])
    return product or next((size for size in like_value if size is not None), None)


def _unit(rule: LinearRule, known: Sequence[_Size | None]) -> _Size | None:
    """Return what the arguments are powers of, by the first of them that is known."""
    sizes = ((known[i], weight) for i, weight in rule.counting)
    return next((_PURE.times(size, 1 / weight) for size, weight in sizes if size is not None), None)


def _product(sizes: Sequence[tuple[_Size | None, Fraction]]) -> _Size | None:
    product = _PURE
    for size, power in sizes:
        if size is None:
            return None
        product = product.times(size, power)
    return product


def _pass_down(
    tokens: Sequence[Token],
    t: int,
    below: Sequence[int],
    has: Sequence[_Size | None],
    wanted: list[_Size | None],
) -> None:
    """Say what is wanted of the arguments of a node."""
    if not below:
        return
    rule = _rule(tokens[t])
    if rule.kind == "power":
        wanted[below[0]] = _wanted_of_base(wanted[t], _literal(tokens[below[1]]))
        wanted[below[1]] = _PURE
        return
    whole = wanted[t] or has[t]
    known = [has[child] for child in below]
    unit = whole if rule.value else _unit(rule, known)
    for i, (child, weight) in enumerate(zip(below, rule.weights, strict=True)):
        if weight == 0:
            wanted[child] = _PURE
        elif weight == LIKE_VALUE:
            wanted[child] = whole
        elif weight == FREE or unit is None:
            continue
        elif rule.kind == "ratios":
            wanted[child] = _PURE.times(unit, Fraction(weight))
        else:
            others = _product([(known[j], power) for j, power in rule.counting if j != i])
            if others is not None:
                wanted[child] = _PURE.times(unit.times(others, -1), 1 / Fraction(weight))


def _wanted_of_base(whole: _Size | None, literal: Fraction | None) -> _Size | None:
    if literal is None:
        return _PURE
    return _PURE.times(whole, 1 / literal) if literal and whole is not None else None
