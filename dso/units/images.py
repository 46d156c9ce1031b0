"""Dimensions as single numbers, for the core.

A dimension is a vector of seven rational exponents. A fixed linear map takes it to the field of
p = 2^61 - 1 elements:

    image(e) = sum_i e_i b_i  (mod p),    r = n/d  ->  n d^-1  (mod p)

Sums and rational multiples of images are those of the dimensions, exactly and at any depth, and a
comparison is one of integers. Two dimensions share an image with a probability of 1e-18.
"""

from __future__ import annotations

from fractions import Fraction

from dso.units.dimension import BASE_UNITS, Dimension

PRIME = 2**61 - 1
ANY = 2**64 - 1
"""In the place of an image: any dimension does, or it is not known."""

_BASES = tuple(pow(3, 1_000_003 * (i + 1), PRIME) for i in range(len(BASE_UNITS)))


def image_of_number(number: int | Fraction) -> int:
    """Return a rational number as an element of the field."""
    number = Fraction(number)
    return number.numerator * pow(number.denominator, -1, PRIME) % PRIME


def image(dimension: Dimension | None) -> int:
    """Return the image of a dimension, `ANY` for None."""
    if dimension is None:
        return ANY
    terms = zip(dimension.exponents, _BASES, strict=True)
    return sum(image_of_number(exponent) * base for exponent, base in terms) % PRIME
