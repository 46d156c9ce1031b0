"""Shorter ways to write a formula, so that what is put back keeps within the length of programs.

Products of products become one product of powers, which is written by squares,

    prod_i b_i^e_i = prod_i b_i^(e_i mod 2) (prod_i b_i^(e_i div 2))^2

and what the two terms of a sum share is taken in front of it: of u = a / b, u^2 + u^3 becomes
a^2 (a + b) / b^3. Roots and powers are taken of each factor, as if all of them were positive.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from dso.library.expression import Node
from dso.reduction.formula import Formula, apply, folded, power, product

EXPONENTS = {"inv": -1.0, "n2": 2.0, "n3": 3.0, "n4": 4.0, "sqrt": 0.5}
"""Operators that are powers."""
_COLUMN = "x "
"""What begins a column's name in a base: as keys, column 3 and the number 3.0 are equal."""


@dataclass(frozen=True)
class Product:
    """A number times a product of powers.

    Attributes
    ----------
    number : float
    powers : dict of Formula to float
        Bases with their exponents, none of which is zero. Columns have names in them.
    """

    number: float = 1.0
    powers: dict[Formula, float] = field(default_factory=dict)

    def times(self, other: Product, exponent: float = 1.0) -> Product:
        """Return the product with a power of another one."""
        powers = dict(self.powers)
        for base, e in other.powers.items():
            powers[base] = powers.get(base, 0.0) + exponent * e
        number = self.number * other.number**exponent
        return Product(number, {base: e for base, e in powers.items() if e})

    def formula(self) -> Formula:
        """Return it as a formula."""
        whole: dict[Formula, int] = {}
        under_root: list[tuple[Formula, float]] = []
        for base, e in self.powers.items():
            sign = 1 if e > 0 else -1
            if (2 * e).is_integer():
                whole[base] = int(e)
                if e != int(e):
                    under_root.append((base, sign))
            else:
                whole[power(base, abs(e))] = sign
        if under_root:
            whole[("sqrt", *product(under_root))] = 1
        parts = _factors(whole)
        if self.number != 1 or not parts:
            parts.insert(0, ((self.number,), 1.0))
        return product(parts)


def _factors(powers: dict[Formula, int]) -> list[tuple[Formula, float]]:
    """Return factors with exponents 1 and -1 for whole exponents."""
    factors = [(base, float(e - 2 * int(e / 2))) for base, e in powers.items() if e % 2]
    halves = {base: int(e / 2) for base, e in powers.items() if abs(e) > 1}
    if halves:
        sign = 1 if max(halves.values()) > 0 else -1
        root = product(_factors({base: sign * e for base, e in halves.items()}))
        factors.append((("n2", *root), float(sign)))
    return factors


def shorter(formula: Formula) -> list[Formula]:
    """Return a formula written in other ways, the shortest first."""
    found = []
    for is_shared in (False, True):
        try:
            found.append(folded(formula, partial(_join, is_shared)).formula())
        except (OverflowError, ZeroDivisionError):
            continue  # numbers that no program could have
    return sorted(map(_with_columns, set(found)), key=lambda one: (len(one), str(one)))


def _with_columns(formula: Formula) -> Formula:
    """Return a formula with columns in the place of their names."""
    return tuple(
        int(node.removeprefix(_COLUMN))
        if isinstance(node, str) and node.startswith(_COLUMN)
        else node
        for node in formula
    )


def _join(is_shared: bool, node: Node, arguments: list[Product]) -> Product:
    """Return an operator of products as a product."""
    if isinstance(node, int):
        return Product(powers={(f"{_COLUMN}{node}",): 1.0})
    if isinstance(node, float):
        return Product(node)
    first, last = arguments[0], arguments[-1]
    exponent = EXPONENTS.get(node)
    if node == "pow" and not last.powers:
        exponent = last.number
    if exponent is not None and (first.number > 0 or exponent.is_integer()):
        return Product().times(first, exponent)
    match node:
        case "neg":
            return Product(-first.number, first.powers)
        case "mul":
            return first.times(last)
        case "div":
            return first.times(last, -1.0)
        case "add" | "sub":
            return _sum(first, last if node == "add" else Product(-1.0).times(last), is_shared)
    return Product(powers={apply(node, *(part.formula() for part in arguments)): 1.0})


def _sum(a: Product, b: Product, is_shared: bool) -> Product:
    """Return a sum, with what its terms share in front if that is wanted."""
    shared = Product()
    if is_shared:
        bases = {*a.powers, *b.powers}
        least = {base: min(a.powers.get(base, 0.0), b.powers.get(base, 0.0)) for base in bases}
        number = a.number if abs(a.number) == abs(b.number) else 1.0
        shared = Product(
            number, {base: least[base] for base in sorted(least, key=str) if least[base]}
        )
        a, b = a.times(shared, -1.0), b.times(shared, -1.0)
    if not (a.powers or b.powers):
        return Product(shared.number * (a.number + b.number), shared.powers)
    if a.number < 0 < b.number:
        a, b = b, a
    name, b = ("add", b) if b.number >= 0 else ("sub", Product(-b.number, b.powers))
    return shared.times(Product(powers={apply(name, a.formula(), b.formula()): 1.0}))
