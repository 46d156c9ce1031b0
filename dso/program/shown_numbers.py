"""Numbers of sympy expressions as people write them: 2, 1/3 and 4 pi, not 12.5663706143592."""

from __future__ import annotations

from typing import Any

from dso.program.plain_numbers import PlainNumber, recognised
from dso.program.symbolic import exchanged

MAX_WHOLE = 1e6
"""Greatest number that is shown as an integer."""
ROUNDING = 1e-12
"""Relative error that sympy's arithmetic on whole numbers may have made."""
MAX_SHORT = 7
"""Digits of a decimal number that stays one."""


def with_plain_numbers(expression: Any) -> Any:
    """Return an expression whose decimal numbers are whole ones, fractions, multiples of pi, ...

    where they are to their last digits; short decimals stay.
    """
    import sympy

    return exchanged(
        expression,
        {
            number: plain
            for number in expression.atoms(sympy.Float)
            if (plain := _plain(sympy, float(number))) is not None
        },
    )


def _plain(sympy: Any, value: float) -> Any:
    if abs(value) <= MAX_WHOLE and abs(value - round(value)) <= ROUNDING * abs(value):
        return sympy.Integer(round(value))
    if float(f"{value:.{MAX_SHORT - 1}e}") == value:
        return None
    number = recognised(value)
    if number is None:
        return None
    form = _written(sympy, number)
    return form if value > 0 else -form


def _written(sympy: Any, number: PlainNumber) -> Any:
    p, q = number.fraction
    units = {
        "1": sympy.Integer(1),
        "pi": sympy.pi,
        "1/pi": 1 / sympy.pi,
        "pi^2": sympy.pi**2,
        "1/pi^2": 1 / sympy.pi**2,
        "e": sympy.E,
    }
    form = sympy.Rational(p, q) * units[number.unit]
    return sympy.sqrt(form) if number.is_root else form
