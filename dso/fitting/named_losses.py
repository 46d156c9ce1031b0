"""Losses of single rows by name: those of Julia's LossFunctions, which PySR takes.

Each is a formula of the prediction x and the target y. A parameter stands in braces or parentheses:
``HuberLoss{0.5}``, ``LPDistLoss{3}()``, ``QuantileLoss(0.9)``. Distances go by r = x - y; margins
by a = x y, for y of -1 and 1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dso.errors import UserError, unknown


@dataclass(frozen=True)
class NamedLoss:
    """One row.

    Attributes
    ----------
    formula : str
        In x, y and the parameter p, which is put in as a number.
    default : float or None
        Of the parameter; None where there is none.
    least : float
        What the parameter has to exceed.
    below : float
        What it has to be less than.
    """

    formula: str
    default: float | None = None
    least: float = 0.0
    below: float = float("inf")


NAMED_LOSSES: dict[str, NamedLoss] = {
    "L2DistLoss": NamedLoss("(x - y)^2"),
    "L1DistLoss": NamedLoss("abs(x - y)"),
    "LPDistLoss": NamedLoss("abs(x - y)^p", 2.0),
    "HuberLoss": NamedLoss("((x - y)^2 - max(0, abs(x - y) - p)^2)/2", 1.0),
    "L1EpsilonInsLoss": NamedLoss("max(0, abs(x - y) - p)", 1.0),
    "L2EpsilonInsLoss": NamedLoss("max(0, abs(x - y) - p)^2", 1.0),
    "QuantileLoss": NamedLoss("(x - y)*((x > y) - p)", 0.5, 0.0, 1.0),
    "PeriodicLoss": NamedLoss("1 - cos((x - y)*(2*pi/p))", 1.0),
    "LogitDistLoss": NamedLoss("abs(x - y) + 2*log1p(exp(-abs(x - y))) - log(4)"),
    "ZeroOneLoss": NamedLoss("x*y < 0"),
    "PerceptronLoss": NamedLoss("max(0, -x*y)"),
    "L1HingeLoss": NamedLoss("max(0, 1 - x*y)"),
    "L2HingeLoss": NamedLoss("max(0, 1 - x*y)^2"),
    "SmoothedL1HingeLoss": NamedLoss("x*y >= 1 - p ? max(0, 1 - x*y)^2/(2*p) : 1 - p/2 - x*y", 1.0),
    "ModifiedHuberLoss": NamedLoss("x*y >= -1 ? max(0, 1 - x*y)^2 : -4*x*y"),
    "L2MarginLoss": NamedLoss("(1 - x*y)^2"),
    "LogitMarginLoss": NamedLoss("max(0, -x*y) + log1p(exp(-abs(x*y)))"),
    "ExpLoss": NamedLoss("exp(-x*y)"),
    "SigmoidLoss": NamedLoss("1 - tanh(x*y)"),
    "DWDMarginLoss": NamedLoss(
        "x*y <= p/(p + 1) ? 1 - x*y : p^p/(p + 1)^(p + 1)*abs(x*y)^(-p)", 1.0
    ),
}
"""By PySR's names."""

ALIASES = {"HingeLoss": "L1HingeLoss", "EpsilonInsLoss": "L1EpsilonInsLoss"}

_CALL = re.compile(r"\s*(\w+)\s*(?:\{([^{}]*)\})?\s*(?:\(([^()]*)\))?\s*")


def formula_of(text: str, where: str) -> str | None:
    """Return a named loss as ``(x, y) -> formula``; None for any other text.

    Raises
    ------
    UserError
        For a name or a parameter that there is not.
    """
    match = _CALL.fullmatch(text)
    if match is None:
        return None
    name, in_braces, in_parentheses = match.groups()
    known = {**NAMED_LOSSES, **{alias: NAMED_LOSSES[of] for alias, of in ALIASES.items()}}
    if name not in known:
        raise unknown("loss", name, known, where)
    loss = known[name]
    given = (in_braces or in_parentheses or "").strip()
    if loss.default is None:
        if given:
            raise UserError(f"{where}: {text!r}: {name} has no parameter.")
        return f"(x, y) -> {loss.formula}"
    number = loss.default if not given else _number(given)
    if number is None or not loss.least < number < loss.below:
        raise UserError(
            f"{where}: {text!r}: the parameter of {name} is a number above {loss.least:g}"
            + (f" and below {loss.below:g}." if loss.below < float("inf") else ".")
        )
    return f"(x, y) -> {re.sub(r'(?<![A-Za-z_])p(?![A-Za-z_(])', f'({number!r})', loss.formula)}"


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
