"""The operators over an array namespace, for libraries that differentiate: torch and jax.

A namespace has numpy's names of the functions used here, and `cbrt`, `sigmoid` and `digamma`. Where
a protected operator takes its other branch, the first one is computed from a harmless argument, so
that its derivative is a number too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dso.library.functions import EULER_GAMMA


def _function(name: str) -> Callable[..., Any]:
    return lambda xp, *arguments: getattr(xp, name)(*arguments)


def _protected_div(xp: Any, a: Any, b: Any) -> Any:
    usable = xp.abs(b) > 0.001
    return xp.where(usable, a / xp.where(usable, b, 1.0), 1.0)


def _protected_log(xp: Any, a: Any) -> Any:
    usable = xp.abs(a) > 0.001
    return xp.where(usable, xp.log(xp.abs(xp.where(usable, a, 1.0))), 0.0)


def _protected_exp(xp: Any, a: Any) -> Any:
    usable = a < 100.0
    return xp.where(usable, xp.exp(xp.where(usable, a, 0.0)), 0.0)


def _protected_power(exponent: int) -> Callable[..., Any]:
    def power(xp: Any, a: Any) -> Any:
        usable = xp.abs(a) < 1e6
        return xp.where(usable, xp.where(usable, a, 0.0) ** exponent, 0.0)

    return power


def _protected_inv(xp: Any, a: Any) -> Any:
    usable = xp.abs(a) > 0.001
    return xp.where(usable, 1.0 / xp.where(usable, a, 1.0), 0.0)


def _protected_sigmoid(xp: Any, a: Any) -> Any:
    return xp.where(a > -100.0, xp.sigmoid(a), 1.0)


FORMS: dict[str, Callable[..., Any]] = {
    "add": lambda xp, a, b: a + b,
    "sub": lambda xp, a, b: a - b,
    "mul": lambda xp, a, b: a * b,
    "div": lambda xp, a, b: a / b,
    "max": _function("maximum"),
    "min": _function("minimum"),
    "pow": lambda xp, a, b: a**b,
    **{name: _function(name) for name in ("sin", "cos", "tan", "exp", "log", "sqrt", "abs")},
    **{name: _function(name) for name in ("tanh", "sinh", "cosh", "cbrt", "sign", "sigmoid")},
    **{name: _function(name) for name in ("arcsin", "arccos", "arctan")},
    "n2": lambda xp, a: a**2,
    "n3": lambda xp, a: a**3,
    "n4": lambda xp, a: a**4,
    "neg": lambda xp, a: -a,
    "inv": lambda xp, a: 1.0 / a,
    "logabs": lambda xp, a: xp.log(xp.abs(a)),
    "expneg": lambda xp, a: xp.exp(-a),
    "harmonic": lambda xp, a: xp.digamma(a + 1.0) + EULER_GAMMA,
    "protected_div": _protected_div,
    "protected_log": _protected_log,
    "protected_exp": _protected_exp,
    "protected_sqrt": lambda xp, a: xp.sqrt(xp.abs(a)),
    "protected_n2": _protected_power(2),
    "protected_n3": _protected_power(3),
    "protected_n4": _protected_power(4),
    "protected_inv": _protected_inv,
    "protected_logabs": _protected_log,
    "protected_expneg": lambda xp, a: _protected_exp(xp, -a),
    "protected_sigmoid": _protected_sigmoid,
}
"""By the name of the operator: called with the namespace and one array per argument."""
