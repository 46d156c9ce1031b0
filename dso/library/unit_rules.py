"""Rules of units: what an operator asks of the dimensions of its arguments, and what its value has.

A rule is one of two kinds, with a weight w_i for each argument:

    ratios      argument i has t^w_i and the value t^v, for one dimension t of the node; v is 1 or 0
    products    the value has the product of the arguments to the powers w_i

so that the terms of a sum have ratios of 1, and the argument of exp one of 0, with v = 0. A power
with a literal for its exponent is a third kind. The core applies them: `native/rules/units.hpp`.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from dso.errors import UserError

FREE = "free"
"""Weight of an argument that may have any dimension: the sign of a length is a number."""
LIKE_VALUE = "value"
"""Weight, in products, of an argument that has the dimension of the value: z in x y + z."""

Weight = int | Fraction | str

NAMED = {"pure": (0, 0), "same": (1, 1), "alike": (1, 0)}
"""Ratios with one weight for all arguments: the weight, and that of the value."""


@dataclass(frozen=True)
class LinearRule:
    """A rule of units, see above.

    Attributes
    ----------
    kind : {"ratios", "products", "power"}
    weights : tuple
        Of the arguments; 0 is a pure number.
    value : int
        v of ratios; 1 of other kinds.
    """

    kind: str
    weights: tuple[Weight, ...]
    value: int = 1

    @property
    def counting(self) -> list[tuple[int, Fraction]]:
        """The arguments that the dimension of the value depends on, with their weights."""
        return [(i, Fraction(w)) for i, w in enumerate(self.weights) if w and w not in _UNCOUNTED]


_UNCOUNTED = (FREE, LIKE_VALUE)


UnitRule = str | tuple[int | Fraction, ...] | LinearRule
"""What an operator asks of the dimensions of its arguments, and which one its value has.

``"pure"``: all are pure numbers. ``"same"``: all have one dimension. ``"alike"``: all arguments
have one, and the value is a pure number. A tuple has a power for each argument: the value's
dimension is the product of the arguments' to these powers; where it is 0, the argument may have
any. ``"power"``: the second argument is a pure number; where it is a literal, the value's dimension
is the first's to that power, and elsewhere all are pure. What these do not say is a `LinearRule`.
"""


def linear_rule(rule: UnitRule, arity: int, name: str) -> LinearRule:
    """Return what a column `units` says of an operator.

    Raises
    ------
    UserError
        If it is none of the rules, or does not have a power for each argument.
    """
    if isinstance(rule, LinearRule) and len(rule.weights) == arity:
        return rule
    if isinstance(rule, str) and rule in NAMED:
        weight, value = NAMED[rule]
        return LinearRule("ratios", (weight,) * arity, value)
    if rule == "power" and arity == 2:
        return LinearRule("power", (0, 0))
    if isinstance(rule, tuple) and len(rule) == arity:
        if any(rule):
            return LinearRule("products", tuple(power or FREE for power in rule))
        return LinearRule("ratios", (FREE,) * arity, 0)
    raise UserError(
        f"token {name!r}: units {rule!r}; expected 'pure', 'same', 'alike', or a tuple with a "
        f"power for each of {arity} arguments, 0 for one that may have any unit."
    )


def exact(number: float) -> Fraction:
    """Return a number exactly, a third for 0.333333333."""
    whole = Fraction(number)
    near = whole.limit_denominator(1000)
    return near if abs(near - whole) < 1e-9 else whole
