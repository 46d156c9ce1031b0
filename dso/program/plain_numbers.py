"""Plain numbers: 3, 2/3, 4 pi, sqrt(2), 0.25 and similar ones, by how long they are to state.

Evidence decides whether a fitted number is a plain one. Numbers that take up to b bits lie about
2^-b apart, relative to their size; so one of them is within a relative distance d of any number
with a probability of about d 2^(b + 1). If that is small, a coincidence is unlikely.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np

MAX_PRODUCT = 1000
"""Of p and q in p/q."""
MAX_DENOMINATOR = 12
CHANCE_BITS = 4.3
"""A coincidence of one in twenty."""
MAX_DIGITS = 10
"""Of a decimal number that is called short."""
BITS_PER_DIGIT = math.log2(10)
ULPS = 4 * np.finfo(np.float64).eps

UNITS = {
    "1": (1.0, 0.0),
    "pi": (math.pi, 3.0),
    "1/pi": (1 / math.pi, 3.0),
    "pi^2": (math.pi**2, 4.0),
    "1/pi^2": (1 / math.pi**2, 4.0),
    "e": (math.e, 4.0),
}
"""What fractions are multiplied with, and the bits that it takes to say so."""
ROOTS = {"1": (1.0, 3.0), "pi": (math.pi, 4.0), "1/pi": (1 / math.pi, 4.0)}
"""The same under a square root."""


class PlainNumber(NamedTuple):
    """A number with the bits that it takes to say it, and how it is said.

    Attributes
    ----------
    value, bits : float
    unit : str
        Key of `UNITS`, or of `ROOTS` where it is a root.
    fraction : (int, int)
        p and q. The number is p/q in units, or the root of that.
    is_root : bool
    """

    value: float
    bits: float
    unit: str
    fraction: tuple[int, int]
    is_root: bool


@cache
def _table() -> tuple[np.ndarray, list[PlainNumber]]:
    """Return all plain numbers above zero that are not decimals, in ascending order."""
    found = []
    for q in range(1, MAX_DENOMINATOR + 1):
        for p in range(1, MAX_PRODUCT // q + 1):
            if math.gcd(p, q) > 1:
                continue
            bits = math.log2(p * q) + 1 + (q > 1)
            for unit, (size, more) in UNITS.items():
                found.append(PlainNumber(p / q * size, bits + more, unit, (p, q), False))
            for unit, (size, more) in ROOTS.items():
                if unit == "1" and (math.isqrt(p) ** 2, math.isqrt(q) ** 2) == (p, q):
                    continue
                value = math.sqrt(p / q * size)
                found.append(PlainNumber(value, bits + more, unit, (p, q), True))
    found.sort(key=lambda number: number.value)
    return np.array([number.value for number in found]), found


def near(value: float, distance: float) -> list[PlainNumber]:
    """Return the plain numbers within a relative distance, those of the fewest bits first."""
    values, numbers = _table()
    size = abs(value)
    first, last = np.searchsorted(values, [size * (1 - distance), size * (1 + distance)])
    return sorted(numbers[first:last], key=lambda number: number.bits)


def recognised(value: float) -> PlainNumber | None:
    """Return the plain number that a number is, to its last digits; None for any other."""
    found = near(value, ULPS)
    return found[0] if found else None


def decimals(value: float) -> Iterator[tuple[float, float]]:
    """Yield roundings of a number with the bits that they take, from one digit on."""
    before = math.nan
    for n in range(1, MAX_DIGITS + 1):
        number = float(f"{value:.{n - 1}e}")
        if number != before:
            yield number, BITS_PER_DIGIT * n + 1
        before = number


def roundings(value: float, distance: float) -> list[tuple[float, float]]:
    """Return numbers near a number with the bits that they take, those of the fewest first.

    Parameters
    ----------
    value : float
    distance : float
        Relative, of those that are not decimals.
    """
    sign = math.copysign(1.0, value)
    plain = [(sign * number.value, number.bits) for number in near(value, distance)]
    return sorted([*decimals(value), *plain], key=lambda pair: pair[1])


def is_evident(value: float, number: float, bits: float, deviation: float) -> bool:
    """Tell whether a fitted number is a plain one by more than chance.

    Parameters
    ----------
    value : float
        As fitted.
    number, bits : float
        The plain one, and what it takes to say it.
    deviation : float
        Standard error of `value`.
    """
    distance = max(abs(value - number), deviation / 2, 1e-14 * abs(number)) / abs(number)
    return math.log2(2 * distance) + bits + CHANCE_BITS <= 0
