"""From the text of a unit to its dimension and its size.

    unit    = factor (["*" | "/"] factor)*        a space is a product: "kg m^2 / s^2"
    factor  = atom [("^" | "**") exponent | superscript]
    atom    = name | number | "sqrt" "(" unit ")" | "(" unit ")"

As usual, what follows "/" is divided by up to the next "*" or space: "J/mol K" is J/mol times K.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction

from dso.errors import UserError, nearest
from dso.units.dimension import PURE, Dimension
from dso.units.table import SYMBOLS, UNITS, WITH_OFFSET

MAX_TEXT = 200
"""Characters of a text."""
MAX_POWER = 100
"""Greatest exponent, and greatest denominator of one."""

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_SUPERSCRIPT = re.compile("[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_POWER = re.compile(r"\^\s*\(?([-+]?\s*[\d.]+(?:\s*/+\s*\d+)?)\)?")
_PRODUCT = re.compile(r"\s*[*·⋅×]\s*|(?<=[\w})])\s+(?=[\w(])")
_TOKENS = re.compile(
    r"\s*(?:(?P<number>\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?)"
    r"|(?P<name>(?:Constants\.)?[^\W\d_]\w*|%|°[CF]?)"
    r"|(?P<superscript>[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)"
    r"|(?P<sign>\*\*|[*/^()·⋅×+-]))"
)


@dataclass(frozen=True)
class Unit:
    """A unit of a column.

    Attributes
    ----------
    text : str
        As it was given.
    dimension : Dimension
    factor : float
        What it is in base units.
    """

    text: str
    dimension: Dimension
    factor: float = 1.0

    def latex(self) -> str:
        """Return the text as LaTeX."""
        text = self.text.replace("**", "^").replace("%", r"\%")
        text = _SUPERSCRIPT.sub(lambda found: f"^{found[0].translate(_SUPERSCRIPTS)}", text)
        text = _POWER.sub(r"^{\1}", text)
        text = _PRODUCT.sub(r"\\,", text)
        return rf"\mathrm{{{text}}}"


def parse_unit(text: object, where: str = "unit") -> Unit:
    """Return the unit that a text names.

    Parameters
    ----------
    text : str or 1
        ``"m/s^2"``, ``"kg*m**2/s"``, ``"m^(1/2)"``, ``"mV"``; ``""``, ``"1"`` and 1 are those of a
        pure number.
    where : str
        What errors name.

    Raises
    ------
    UserError
        If it is none.
    """
    if isinstance(text, int | float) and not isinstance(text, bool) and text == 1:
        return Unit("1", PURE)
    if not isinstance(text, str):
        raise UserError(f"{where}: {text!r}; expected the text of a unit, such as 'm/s^2'.")
    if len(text) > MAX_TEXT:
        raise UserError(f"{where}: {text[:40]!r}... is longer than {MAX_TEXT} characters.")
    if not text.strip():
        return Unit("1", PURE)
    dimension, factor = _Reader(text, where).whole()
    if not (math.isfinite(factor) and factor > 0):
        raise UserError(f"{where}: {text!r} has no finite size.")
    return Unit(text.strip(), dimension, factor)


Value = tuple[Dimension, float]


class _Reader:
    """Reads one text, from left to right."""

    def __init__(self, text: str, where: str) -> None:
        self.text, self.where = text, where
        self.parts: list[tuple[str, str]] = []
        at, end = 0, len(text.rstrip())
        while at < end:
            found = _TOKENS.match(text, at)
            if found is None:
                raise self.error(f"{text[at:].strip()[0]!r} is not part of a unit")
            assert found.lastgroup is not None
            self.parts.append((found.lastgroup, found.group(found.lastgroup)))
            at = found.end()
        self.at = 0

    def error(self, why: str) -> UserError:
        return UserError(
            f"{self.where}: {self.text!r} cannot be read as a unit: {why}; expected a text such as "
            "'m/s^2' or 'kg m^2 s^-1'."
        )

    def missing(self, what: str, before: str) -> UserError:
        return self.error(f"{what} is expected before {before!r}" if before else "it ends early")

    def peek(self) -> tuple[str, str]:
        return self.parts[self.at] if self.at < len(self.parts) else ("end", "")

    def take(self, *signs: str) -> bool:
        """Go on if one of these signs comes next."""
        kind, text = self.peek()
        if kind != "sign" or text not in signs:
            return False
        self.at += 1
        return True

    def whole(self) -> Value:
        value = self.product()
        if self.peek()[0] != "end":
            raise self.error(f"nothing fits {self.peek()[1]!r}")
        return value

    def product(self) -> Value:
        dimension, factor = self.power()
        while True:
            kind, text = self.peek()
            divides = self.take("/")
            is_next = divides or self.take("*", "·", "⋅", "×") or kind in ("name", "number")
            if not (is_next or (kind == "sign" and text == "(")):
                return dimension, factor
            other, size = self.power()
            dimension = dimension / other if divides else dimension * other
            factor = factor / size if divides else factor * size

    def power(self) -> Value:
        dimension, factor = self.atom()
        kind, text = self.peek()
        if kind == "superscript":
            self.at += 1
            exponent = Fraction(int(text.translate(_SUPERSCRIPTS)))
        elif self.take("^", "**"):
            exponent = self.exponent()
        else:
            return dimension, factor
        if abs(exponent) > MAX_POWER or exponent.denominator > MAX_POWER:
            raise self.error(f"the exponent {exponent} is beyond {MAX_POWER}")
        try:
            return dimension**exponent, factor ** float(exponent)
        except OverflowError:
            raise self.error("it is too large") from None

    def exponent(self) -> Fraction:
        """Read 2, -1, 0.5, (1/2) or (-3//2)."""
        in_brackets = self.take("(")
        sign = -1 if self.take("-") else 1
        if sign == 1:
            self.take("+")
        value = sign * self.number()
        if in_brackets:
            if self.take("/"):
                self.take("/")
                below = self.number()
                if not below:
                    raise self.error("an exponent is divided by 0")
                value /= below
            if not self.take(")"):
                raise self.error("a bracket is not closed")
        return value

    def number(self) -> Fraction:
        kind, text = self.peek()
        if kind != "number":
            raise self.missing("an exponent", text)
        self.at += 1
        value = Fraction(text)
        return value.limit_denominator(MAX_POWER) if "." in text else value

    def atom(self) -> Value:
        kind, text = self.peek()
        self.at += 1
        if kind == "number":
            return PURE, float(text)
        if kind == "name" and text == "sqrt" and self.take("("):
            dimension, factor = self.in_brackets()
            return dimension ** Fraction(1, 2), math.sqrt(factor)
        if kind == "name":
            return self.named(text)
        if kind == "sign" and text == "(":
            return self.in_brackets()
        raise self.missing("a unit", text)

    def in_brackets(self) -> Value:
        value = self.product()
        if not self.take(")"):
            raise self.error("a bracket is not closed")
        return value

    def named(self, name: str) -> Value:
        if name in WITH_OFFSET:
            raise UserError(
                f"{self.where}: {name!r} has a zero of its own, so that formulas in it have no "
                "dimensions; give the column in 'K'."
            )
        if name not in UNITS:
            match = _nearest_unit(name)
            hint = f" Did you mean {match!r}?" if match else ""
            raise UserError(
                f"{self.where}: unknown unit {name!r} in {self.text!r}.{hint} Known are "
                f"{', '.join(SYMBOLS)}, their prefixes and English names, and Constants.c and the "
                "like."
            )
        return UNITS[name]


def _nearest_unit(name: str) -> str | None:
    """Return the known name most like a given one: by case first, as in 'KG'."""
    same = [known for known in UNITS if known.lower() == name.lower()]
    return min(same, key=len) if same else nearest(name, [*SYMBOLS, *UNITS])
