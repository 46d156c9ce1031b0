"""Canonical forms: one tree per class of equal expressions, by fast rules of our own.

A sum is flat and sorted, with its numbers folded; so is a product, whose factors have exponents.
Subtraction, division, powers, roots and their like are coefficients and exponents. A number that is
to be fitted absorbs what it is added to or multiplied with.

A node is a tuple that begins with its kind, so nodes are compared, sorted and hashed as tuples are:

    (NUMBER, value)                      a number, or FREE
    (INPUT, column)
    (CALL, name, argument)
    (PRODUCT, ((base, exponent), ...))   without a coefficient; more than one base, or a power
    (SUM, constant, ((term, coefficient), ...))

A product with a coefficient is a sum of one term.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

FREE = math.inf
"""Stands for a number that is not known: a constant to be fitted."""

NUMBER, INPUT, CALL, PRODUCT, SUM = range(5)
Node = tuple
ZERO, ONE = (NUMBER, 0.0), (NUMBER, 1.0)

ODD = frozenset({"sin", "tan", "tanh", "arcsin", "arctan"})
_VALUES: dict[str, Callable[[float], float]] = {
    "exp": math.exp,
    "log": math.log,
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "tanh": math.tanh,
    "arcsin": math.asin,
    "arctan": math.atan,
    "abs": abs,
}


class UndefinedError(ValueError):
    """An expression that has no value anywhere, or none that a float can hold."""


def number(value: float) -> Node:
    """Return a number; `FREE` is one to be fitted."""
    return (NUMBER, value)


def _plus(a: float, b: float) -> float:
    return FREE if FREE in (a, b) else a + b


def _times(a: float, b: float) -> float:
    if a == 0 or b == 0:
        return 0.0
    return FREE if FREE in (a, b) else a * b


def _raised(value: float, exponent: float) -> float:
    if value == FREE:
        return FREE
    try:
        raised = value**exponent
    except (ZeroDivisionError, OverflowError):
        raise UndefinedError(f"{value} ** {exponent}") from None
    if isinstance(raised, complex) or not math.isfinite(raised):
        raise UndefinedError(f"{value} ** {exponent}")
    return raised


# ---- sums ----------------------------------------------------------------------------------------


def split_sum(node: Node) -> tuple[float, tuple]:
    """Return the constant of a sum and its terms with their coefficients."""
    if node[0] == SUM:
        return node[1], node[2]
    if node[0] == NUMBER:
        return node[1], ()
    return 0.0, ((node, 1.0),)


def add(*parts: Node) -> Node:
    """Return the sum of nodes."""
    constant = 0.0
    terms: dict[Node, float] = {}
    for part in parts:
        more, found = split_sum(part)
        constant = _plus(constant, more)
        for term, coefficient in found:
            terms[term] = _plus(terms.get(term, 0.0), coefficient)
    return _sum(constant, terms)


def _sum(constant: float, terms: dict[Node, float]) -> Node:
    if any(term[0] == SUM for term in terms):
        constant, terms = _distributed(constant, terms)
    kept = [item for item in terms.items() if item[1] != 0]
    if not kept:
        return (NUMBER, constant)
    if constant == 0 and len(kept) == 1 and kept[0][1] == 1:
        return kept[0][0]
    kept.sort()
    return (SUM, constant, tuple(kept))


def _distributed(constant: float, terms: dict[Node, float]) -> tuple[float, dict[Node, float]]:
    """Multiply sums out, where that makes no more numbers to be fitted than there are."""
    found: dict[Node, float] = {}
    for term, coefficient in terms.items():
        if coefficient == 0:
            continue
        if term[0] == SUM and constant == FREE and coefficient == FREE:
            term = _sum(0.0, dict(term[2]))
        inner = [term[1], *(c for _, c in term[2])] if term[0] == SUM else []
        n_fixed = sum(c not in (0.0, FREE) for c in inner)
        if inner and (coefficient != FREE or n_fixed <= 1):
            constant = _plus(constant, _times(coefficient, term[1]))
            for deeper, c in term[2]:
                found[deeper] = _plus(found.get(deeper, 0.0), _times(coefficient, c))
        else:
            found[term] = _plus(found.get(term, 0.0), coefficient)
    return constant, found


# ---- products ------------------------------------------------------------------------------------


def split_product(node: Node) -> tuple[float, tuple]:
    """Return the coefficient of a product and its bases with their exponents."""
    if node[0] == PRODUCT:
        return 1.0, node[1]
    if node[0] == NUMBER:
        return node[1], ()
    if node[0] != SUM:
        return 1.0, ((node, 1.0),)
    constant, terms = node[1], node[2]
    if constant == 0 and len(terms) == 1:
        (term, coefficient), *_ = terms
        return coefficient, term[1] if term[0] == PRODUCT else ((term, 1.0),)
    content = _content(constant, terms)
    return content, ((scaled(node, content), 1.0),)


def _content(constant: float, terms: tuple) -> float:
    """Return what a sum of several terms is multiplied with, where it stands in a product."""
    coefficients = [c for _, c in terms]
    fixed = [c for c in (*coefficients, constant) if c not in (0.0, FREE)]
    if not fixed:
        return FREE
    if len(fixed) < len(coefficients) + (constant != 0):
        return -1.0 if max(fixed) < 0 else 1.0
    least = min(map(abs, fixed))
    n_negative = sum(c < 0 for c in fixed)
    is_negative = 2 * n_negative > len(fixed) or (2 * n_negative == len(fixed) and fixed[0] < 0)
    sign = -1.0 if is_negative else 1.0
    return sign * least if all(c % least == 0 for c in fixed) else sign


def scaled(node: Node, content: float) -> Node:
    """Return a sum of several terms divided by its content."""
    if content == 1:
        return node
    constant, terms = node[1], node[2]
    if content == FREE:
        first, *others = terms
        return (SUM, constant, ((first[0], 1.0), *others))
    divided = tuple((t, c if c == FREE else c / content) for t, c in terms)
    return (SUM, constant if constant == FREE else constant / content, divided)


def multiply(*parts: Node) -> Node:
    """Return the product of nodes."""
    coefficient = 1.0
    factors: dict[Node, float] = {}
    for part in parts:
        more, found = split_product(part)
        coefficient = _times(coefficient, more)
        for base, exponent in found:
            factors[base] = factors.get(base, 0.0) + exponent
    return _product(coefficient, factors)


def _product(coefficient: float, factors: dict[Node, float]) -> Node:
    if coefficient == 0:
        return ZERO
    n_exponentials = sum(base[0] == CALL and base[1] == "exp" for base in factors)
    if n_exponentials > 1 or (n_exponentials and _has_power_of_exp(factors)):
        return multiply((NUMBER, coefficient), *_joined_exponentials(factors))
    kept = [item for item in factors.items() if item[1] != 0]
    if coefficient == FREE:
        kept = [(_first_fixed(base), exponent) for base, exponent in kept]
    if not kept:
        return (NUMBER, coefficient)
    kept.sort()
    term = kept[0][0] if len(kept) == 1 and kept[0][1] == 1 else (PRODUCT, tuple(kept))
    return term if coefficient == 1 else _sum(0.0, {term: coefficient})


def _has_power_of_exp(factors: dict[Node, float]) -> bool:
    return any(b[0] == CALL and b[1] == "exp" and e not in (0.0, 1.0) for b, e in factors.items())


def _joined_exponentials(factors: dict[Node, float]) -> list[Node]:
    """Return the other factors, and one exponential for all."""
    others, exponent = [], ZERO
    for base, power in factors.items():
        if base[0] == CALL and base[1] == "exp":
            exponent = add(exponent, multiply((NUMBER, power), base[2]))
        elif power != 0:
            others.append(base if power == 1 else (PRODUCT, ((base, power),)))
    return [*others, call("exp", exponent)]


def _first_fixed(base: Node) -> Node:
    """Where all terms of a sum but one are free, let the first be the fixed one.

    The sum is a factor of a product with a free coefficient, so all of them are free but for one.
    """
    if base[0] != SUM:
        return base
    coefficients = [base[1], *(c for _, c in base[2])]
    if sum(c not in (0.0, FREE) for c in coefficients) != 1:
        return base
    free = tuple((term, FREE) for term, _ in base[2])
    return scaled((SUM, FREE if base[1] else 0.0, free), FREE)


def power(node: Node, exponent: float) -> Node:
    """Return a node raised to a number."""
    if node[0] == NUMBER:
        return (NUMBER, _raised(node[1], exponent))
    coefficient, found = split_product(node)
    if exponent == int(exponent):
        raised = {base: e * exponent for base, e in found}
        return _product(_raised(coefficient, exponent), raised)
    if coefficient < 0:
        return (PRODUCT, ((node, exponent),))
    parts = [(NUMBER, _raised(coefficient, exponent))]
    for base, e in found:
        inner = call("abs", base) if e % 2 == 0 else base
        parts.append(_power_of(inner, e * exponent))
    return multiply(*parts)


def _power_of(base: Node, exponent: float) -> Node:
    """Return a power of something that is not a product."""
    if base[0] in (PRODUCT, NUMBER) or exponent == 1:
        return base if exponent == 1 else power(base, exponent)
    return _product(1.0, {base: exponent})


# ---- functions -----------------------------------------------------------------------------------


def call(name: str, argument: Node) -> Node:
    """Return a function of a node: one of exp, log, abs, cos and those in `ODD`."""
    if argument[0] == NUMBER:
        return (NUMBER, _value(name, argument[1]))
    if name == "exp":
        return _exp(argument)
    if name == "log":
        return _log(argument)
    if name == "abs":
        return _abs(argument)
    constant, terms = split_sum(argument)
    is_negative = _leading_sign(constant, terms) < 0
    if is_negative and (name in ODD or name == "cos"):
        argument = multiply((NUMBER, -1.0), argument)
    if name == "cos":
        # With a phase to be fitted, sine and cosine are the same.
        return (CALL, "sin" if constant == FREE else "cos", argument)
    found = (CALL, name, argument)
    return _sum(0.0, {found: -1.0}) if is_negative else found


def _value(name: str, value: float) -> float:
    if value == FREE:
        return FREE
    try:
        return float(_VALUES[name](value))
    except (ValueError, OverflowError):
        raise UndefinedError(f"{name}({value})") from None


def _leading_sign(constant: float, terms: tuple) -> float:
    for value in (*(c for _, c in terms), constant):
        if value not in (0.0, FREE):
            return math.copysign(1.0, value)
    return 1.0


def _exp(argument: Node) -> Node:
    constant, terms = split_sum(argument)
    outside: list[Node] = []
    if constant == FREE:
        outside.append((NUMBER, FREE))
    elif constant != int(constant):
        outside.append((NUMBER, _value("exp", constant)))
    inside = {}
    for term, coefficient in terms:
        if term[0] == CALL and term[1] == "log" and coefficient != FREE:
            outside.append(power(term[2], coefficient))
        else:
            inside[term] = coefficient
    if len(inside) == len(terms) and not outside:
        return (CALL, "exp", argument)
    kept = constant if constant != FREE and constant == int(constant) else 0.0
    rest = _sum(kept, inside)
    return multiply(*outside, call("exp", rest))


def _log(argument: Node) -> Node:
    coefficient, found = split_product(argument)
    outside: list[Node] = []
    if coefficient == FREE or (coefficient > 0 and coefficient != int(coefficient)):
        outside.append((NUMBER, _value("log", coefficient)))
        coefficient = 1.0
    inside = {}
    for base, exponent in found:
        if base[0] == CALL and base[1] == "exp":
            outside.append(multiply((NUMBER, exponent), base[2]))
        else:
            inside[base] = exponent
    if not inside:
        return add(*outside, _log_of_number(coefficient))
    exponents = set(inside.values())
    least = min(exponents, key=abs)
    factor = math.copysign(1.0, next(iter(inside.values()))) if coefficient == 1 else 1.0
    if coefficient == 1 and len(exponents) == 1:
        factor = least
    inside = {base: e / factor for base, e in inside.items()}
    product = _product(coefficient, inside)
    if factor % 2 == 0:
        product = call("abs", product)
    logarithm = (CALL, "log", product)
    return add(*outside, logarithm if factor == 1 else _sum(0.0, {logarithm: factor}))


def _log_of_number(value: float) -> Node:
    return (NUMBER, _value("log", value))


def _abs(argument: Node) -> Node:
    coefficient, found = split_product(argument)
    parts: list[Node] = [(NUMBER, abs(coefficient))]
    for base, exponent in found:
        is_positive = base[0] == CALL and base[1] in ("exp", "abs")
        if is_positive or exponent % 2 == 0 or exponent != int(exponent):
            parts.append(_power_of(base, exponent))
        else:
            parts.append(_product(1.0, {(CALL, "abs", base): exponent}))
    return multiply(*parts)


# ---- operators of the table ----------------------------------------------------------------------


def _negative(a: Node) -> Node:
    return multiply((NUMBER, -1.0), a)


def raise_to(a: Node, b: Node) -> Node:
    """Return a to the power of b."""
    if b[0] == NUMBER and b[1] != FREE:
        return power(a, b[1])
    return call("exp", multiply(b, call("log", a)))


def _sigmoid(a: Node) -> Node:
    return power(add(ONE, call("exp", _negative(a))), -1.0)


def _hyperbolic(a: Node, sign: float) -> Node:
    other = multiply((NUMBER, sign), call("exp", _negative(a)))
    return multiply((NUMBER, 0.5), add(call("exp", a), other))


OPERATIONS: dict[str, Callable[..., Node]] = {
    "add": add,
    "sub": lambda a, b: add(a, _negative(b)),
    "mul": multiply,
    "div": lambda a, b: multiply(a, power(b, -1.0)),
    "pow": raise_to,
    "neg": _negative,
    "inv": lambda a: power(a, -1.0),
    "n2": lambda a: power(a, 2.0),
    "n3": lambda a: power(a, 3.0),
    "n4": lambda a: power(a, 4.0),
    "sqrt": lambda a: power(a, 0.5),
    "expneg": lambda a: call("exp", _negative(a)),
    "logabs": lambda a: call("log", call("abs", a)),
    "sigmoid": _sigmoid,
    "sinh": lambda a: _hyperbolic(a, -1.0),
    "cosh": lambda a: _hyperbolic(a, 1.0),
    "arccos": lambda a: add((NUMBER, math.pi / 2), _negative(call("arcsin", a))),
    "exp": lambda a: call("exp", a),
    "log": lambda a: call("log", a),
    "sin": lambda a: call("sin", a),
    "cos": lambda a: call("cos", a),
    "tan": lambda a: call("tan", a),
    "tanh": lambda a: call("tanh", a),
    "abs": lambda a: call("abs", a),
    "arcsin": lambda a: call("arcsin", a),
    "arctan": lambda a: call("arctan", a),
}
"""By the names of the operator table; what is missing has no canonical form."""


# ---- whole trees ---------------------------------------------------------------------------------


def up_to_affine(node: Node) -> Node:
    """Return one tree for all a f + b: without the numbers that are added or multiplied last."""
    terms = split_sum(node)[1]
    if not terms:
        return ZERO
    found = multiply((NUMBER, FREE), _sum(0.0, dict(terms)))
    terms = split_sum(found)[1]
    if not terms:
        return ZERO
    if len(terms) == 1:
        return _without_constant(terms[0][0])
    if all(coefficient == FREE for _, coefficient in terms):
        return (SUM, 0.0, ((terms[0][0], 1.0), *terms[1:]))
    return (SUM, 0.0, terms)


def _without_constant(node: Node) -> Node:
    if node[0] != SUM or node[1] == 0:
        return node
    return up_to_affine(_sum(0.0, dict(node[2])))


def rebuilt(
    node: Node, of_input: Callable[[int], Node], of_number: Callable[[float], float]
) -> Node:
    """Build a tree again with other inputs and other numbers, exponents aside."""

    def of(part: Node) -> Node:
        kind = part[0]
        if kind == NUMBER:
            return (NUMBER, of_number(part[1]))
        if kind == INPUT:
            return of_input(part[1])
        if kind == CALL:
            return call(part[1], of(part[2]))
        if kind == PRODUCT:
            return multiply(*(power(of(base), exponent) for base, exponent in part[1]))
        terms = [multiply((NUMBER, _or_one(c, of_number)), of(term)) for term, c in part[2]]
        return add((NUMBER, of_number(part[1]) if part[1] else 0.0), *terms)

    return of(node)


def _or_one(value: float, of_number: Callable[[float], float]) -> float:
    return value if abs(value) == 1 else of_number(value)


def map_inputs(node: Node, nodes: list[Node]) -> Node:
    """Put a tree in the place of each input."""
    return rebuilt(node, nodes.__getitem__, lambda value: value)


def map_numbers(node: Node, function: Callable[[float], float]) -> Node:
    """Put other numbers in the place of those that would be written."""
    return rebuilt(node, lambda column: (INPUT, column), function)


def numbers(node: Node) -> Iterator[float]:
    """Yield all numbers of a tree that would be written, exponents of products aside."""
    kind = node[0]
    if kind == NUMBER:
        yield node[1]
    elif kind == CALL:
        yield from numbers(node[2])
    elif kind == PRODUCT:
        for base, _ in node[1]:
            yield from numbers(base)
    elif kind == SUM:
        if node[1] != 0:
            yield node[1]
        for term, coefficient in node[2]:
            if abs(coefficient) != 1:
                yield coefficient
            yield from numbers(term)


def exponents(node: Node) -> Iterator[float]:
    """Yield the exponents of all products of a tree."""
    kind = node[0]
    if kind == CALL:
        yield from exponents(node[2])
    elif kind == PRODUCT:
        for base, exponent in node[1]:
            yield exponent
            yield from exponents(base)
    elif kind == SUM:
        for term, _ in node[2]:
            yield from exponents(term)


def inputs(node: Node) -> set[int]:
    """Return the columns that a tree has."""
    kind = node[0]
    if kind == INPUT:
        return {node[1]}
    if kind == CALL:
        return inputs(node[2])
    if kind == PRODUCT:
        return set().union(*(inputs(base) for base, _ in node[1]))
    if kind == SUM:
        return set().union(*(inputs(term) for term, _ in node[2]))
    return set()


def is_plain(value: float) -> bool:
    """Tell whether a number is a small integer, or half, a third or a quarter of one."""
    return any(abs(value) * k == round(abs(value) * k) <= 12 for k in (1, 2, 3, 4))
