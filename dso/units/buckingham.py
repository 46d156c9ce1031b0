"""Dimensionless groups: the pi theorem of Buckingham, with every choice of basis.

With exponents a_ij of unit i in input j, r of the inputs that are independent make a basis. In it
the dimension of y is a product of powers p, and every other input k forms a group with the basis:

    y = prod_j x_j^p_j  F(pi_1, ..., pi_(D-r)),      pi_k = x_k prod_j x_j^-q_kj

Each basis says the same of y, but F may be simple in the one and not in the other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, islice

from dso.units.dimension import Dimension, Exponents
from dso.units.linear import rank, solve

MAX_BASES_TRIED = 5_000
"""Choices of inputs; a table with twenty inputs of four units has 4 845."""


@dataclass(frozen=True)
class Groups:
    """One way to say y by dimensionless groups.

    Attributes
    ----------
    prefactor : (D,) tuple of Fraction
        Exponents of the inputs in the product that has the dimension of y.
    groups : tuple of (D,) tuples of Fraction
        Exponents of the inputs in each group: whole numbers without a common divisor.
    """

    prefactor: Exponents
    groups: tuple[Exponents, ...]

    @property
    def size(self) -> Fraction:
        """How much there is to write: exponents without their signs, and half a step for roots."""
        whole = sum((abs(e) for row in (self.prefactor, *self.groups) for e in row), Fraction(0))
        return whole + Fraction(1, 2) * sum(e.denominator > 1 for e in self.prefactor)

    def texts(self, names: Sequence[str]) -> tuple[str, list[str]]:
        """Return prefactor and groups as texts."""
        return product_text(self.prefactor, names), [
            product_text(group, names) for group in self.groups
        ]


def buckingham(
    inputs: Sequence[Dimension], target: Dimension, *, max_bases: int = 10
) -> list[Groups]:
    """Return ways to say y by dimensionless groups of the inputs, the simplest first.

    Parameters
    ----------
    inputs : sequence of Dimension
        Of D inputs.
    target : Dimension
        That of y.
    max_bases : int
        Most of them to return.

    Returns
    -------
    list of Groups
        Empty where no product of powers of the inputs has the dimension of y.
    """
    columns = [dimension.exponents for dimension in inputs]
    if solve(columns, target.exponents) is None:
        return []
    n_basis = rank(columns)
    found: dict[Groups, None] = {}
    for basis in islice(combinations(range(len(inputs)), n_basis), MAX_BASES_TRIED):
        if rank([columns[j] for j in basis]) == n_basis:
            found.setdefault(_in_basis(basis, columns, target), None)
    return sorted(found, key=lambda groups: groups.size)[:max_bases]


def _in_basis(basis: Sequence[int], columns: Sequence[Exponents], target: Dimension) -> Groups:
    def powers(of: Exponents) -> list[Fraction]:
        """Return the exponents (D,) of the inputs of the basis that give a dimension."""
        row = [Fraction(0)] * len(columns)
        solution = solve([columns[j] for j in basis], of)
        assert solution is not None
        for j, power in zip(basis, solution, strict=True):
            row[j] = power
        return row

    groups = []
    for k in range(len(columns)):
        if k not in basis:
            row = [-power for power in powers(columns[k])]
            row[k] = Fraction(1)
            groups.append(_whole(row))
    return Groups(tuple(powers(target.exponents)), tuple(sorted(groups, reverse=True)))


def _whole(row: Sequence[Fraction]) -> Exponents:
    """Return a multiple in whole numbers without a common divisor, mostly positive."""
    numbers = [int(power * math.lcm(*(p.denominator for p in row))) for power in row]
    divisor = math.gcd(*numbers)
    sign = -1 if sum(numbers) < 0 else 1
    return tuple(Fraction(sign * number, divisor) for number in numbers)


def product_text(powers: Sequence[Fraction], names: Sequence[str]) -> str:
    """Return a product of powers as text, "1" where there is none."""

    def factors(sign: int) -> Iterator[str]:
        for name, power in zip(names, powers, strict=True):
            if sign * power > 0:
                size = abs(power)
                shown = str(size) if size.denominator == 1 else f"({size})"
                yield name if size == 1 else f"{name}^{shown}"

    above, below = list(factors(1)), list(factors(-1))
    text = "*".join(above) or "1"
    if not below:
        return text
    return f"{text}/{below[0]}" if len(below) == 1 else f"{text}/({'*'.join(below)})"
