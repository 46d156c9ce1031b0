"""Interval arithmetic: bounds of all values that a program takes on a box of inputs.

Each token's interval follows from those of its arguments, so that a bound always holds and need not
be the closest: x - x on [0, 1] lies in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from dso.library import Token
from dso.library.operator import Interval

Pair = tuple[float, float]
ALL: Pair = (-np.inf, np.inf)

INCREASING = frozenset(
    (
        *("exp", "log", "sqrt", "cbrt", "n3", "tanh", "sinh", "sigmoid", "arctan", "arcsin"),
        *("arcsinh", "log1p", "expm1", "erf"),
    )
)
"""Operators that rise all over their domain."""


def enclosure(traversal: Sequence[Token], box: Sequence[Pair]) -> Pair:
    """Return least and greatest value that a program may take; `ALL` where it may be undefined.

    Parameters
    ----------
    traversal : sequence of Token
        In prefix order, with numbers for its constants.
    box : sequence of (float, float)
        Of each input.
    """
    stack: list[Pair] = []
    with np.errstate(all="ignore"):
        for token in reversed(traversal):
            arguments = [stack.pop() for _ in range(token.arity)]
            found = _of_token(token, arguments, box)
            if found is None:
                return ALL
            stack.append(found)
    return stack[0]


def _of_token(token: Token, arguments: list[Pair], box: Sequence[Pair]) -> Pair | None:
    """Return the interval of a token; None where it may be undefined."""
    if token.input_var is not None:
        return box[token.input_var]
    if token.arity == 0:
        value = getattr(token, "value", None)
        return None if value is None else (float(value), float(value))
    row = token.operator
    if row is None or not all(map(_is_inside, arguments, row.domain)):
        return None
    if row.name in _RULES:
        found = _RULES[row.name](*arguments)
    elif row.name in INCREASING:
        low, high = (float(row.numpy(end)) for end in arguments[0])
        found = low, high
    else:
        found = row.range.low, row.range.high
    # Rounding may have gone either way; what the operator itself allows it has not left.
    low = max(np.nextafter(found[0], -np.inf), row.range.low)
    high = min(np.nextafter(found[1], np.inf), row.range.high)
    return (float(low), float(high)) if low <= high else None  # NaN: nothing is known


def _is_inside(pair: Pair, domain: Interval) -> bool:
    """Tell whether an operator is defined in all of an interval, its ends included."""
    low, high = pair
    is_at_low = domain.open_low and low <= domain.low > -np.inf
    is_at_high = domain.open_high and high >= domain.high < np.inf
    return domain.covers(low, high) and not (is_at_low or is_at_high)


def _product(a: Pair, b: Pair) -> Pair:
    # An end that is infinite times one that is 0 is 0: the values themselves are finite.
    ends = [0.0 if x == 0 or y == 0 else x * y for x in a for y in b]
    return min(ends), max(ends)


def _inverse(a: Pair) -> Pair:
    if a[0] <= 0 <= a[1]:
        return ALL
    return 1 / a[1], 1 / a[0]


def _even_power(n: int) -> Callable[[Pair], Pair]:
    def power(a: Pair) -> Pair:
        # Of numpy: Python's own power raises where it overflows.
        ends = [float(np.float64(abs(end)) ** n) for end in a]
        return (0.0 if a[0] <= 0 <= a[1] else min(ends)), max(ends)

    return power


_RULES: dict[str, Callable[..., Pair]] = {
    "add": lambda a, b: (a[0] + b[0], a[1] + b[1]),
    "sub": lambda a, b: (a[0] - b[1], a[1] - b[0]),
    "mul": _product,
    "div": lambda a, b: _product(a, _inverse(b)),
    "inv": _inverse,
    "neg": lambda a: (-a[1], -a[0]),
    "abs": _even_power(1),
    "n2": _even_power(2),
    "n4": _even_power(4),
    "max": lambda a, b: (max(a[0], b[0]), max(a[1], b[1])),
    "min": lambda a, b: (min(a[0], b[0]), min(a[1], b[1])),
}
