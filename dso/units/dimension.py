"""Dimensions: exponents of the seven base units of the SI, exact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

BASE_UNITS = ("m", "kg", "s", "A", "K", "mol", "cd")
"""In the order of a dimension's exponents."""

Exponents = tuple[Fraction, ...]


@dataclass(frozen=True)
class Dimension:
    """A product of powers of the base units; without any it is that of a pure number.

    Attributes
    ----------
    exponents : tuple of Fraction
        One for each of `BASE_UNITS`.
    """

    exponents: Exponents = (Fraction(0),) * len(BASE_UNITS)

    @staticmethod
    def of(**exponents: int | Fraction) -> Dimension:
        """Return a dimension by base unit: ``Dimension.of(m=1, s=-2)``."""
        return Dimension(tuple(Fraction(exponents.get(unit, 0)) for unit in BASE_UNITS))

    @property
    def is_pure(self) -> bool:
        """Whether it is that of a pure number."""
        return not any(self.exponents)

    def __mul__(self, other: Dimension) -> Dimension:
        pairs = zip(self.exponents, other.exponents, strict=True)
        return Dimension(tuple(a + b for a, b in pairs))

    def __truediv__(self, other: Dimension) -> Dimension:
        return self * other**-1

    def __pow__(self, power: int | Fraction) -> Dimension:
        return Dimension(tuple(exponent * power for exponent in self.exponents))

    def __str__(self) -> str:
        return self._written(" ", _as_text) or "1"

    def latex(self) -> str:
        """Return it as LaTeX."""
        product = self._written(r"\,", _as_latex) or "1"
        return rf"\mathrm{{{product}}}"

    def _written(self, between: str, power: Callable[[str, Fraction], str]) -> str:
        pairs = zip(BASE_UNITS, self.exponents, strict=True)
        # What has a positive exponent comes first: kg m^2 s^-2 is read more easily.
        ordered = sorted((pair for pair in pairs if pair[1]), key=lambda pair: pair[1] < 0)
        return between.join(power(unit, exponent) for unit, exponent in ordered)


PURE = Dimension()
"""That of pure numbers."""


def _as_text(unit: str, exponent: Fraction) -> str:
    if exponent == 1:
        return unit
    return f"{unit}^{exponent}" if exponent.denominator == 1 else f"{unit}^({exponent})"


def _as_latex(unit: str, exponent: Fraction) -> str:
    return unit if exponent == 1 else f"{unit}^{{{exponent}}}"
