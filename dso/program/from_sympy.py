"""From sympy to the tokens of a library."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from dso.library import OPERATORS, HardCodedConstant, Library

MAX_COPIES = 4
"""x^n is written as n factors, and n x as n terms, up to this n, if nothing shorter is possible."""

NEAR_ONE = 1e-3
"""Of a number c, its distance from 1 below which c^x becomes exp(k x): c would lose its digits."""

_OPERATORS = {row.sympy: row for row in OPERATORS.values() if not row.display}
"""By the name of a function in sympy; arithmetic among them is never asked for."""


class Unwritable(Exception):
    """The library lacks what the expression needs."""


class SympyWriter:
    """Write sympy expressions in prefix order: a token as an int, a fitted number as a float.

    Parameters
    ----------
    library : Library
    names : mapping, optional
        Symbols to tokens. Default: x1, x2, ... to the inputs.
    """

    def __init__(self, library: Library, names: Mapping[str, int] | None = None) -> None:
        self.tokens = {token.name: i for i, token in enumerate(library.tokens)}
        numbered = {
            f"x{token.input_var + 1}": i
            for i, token in enumerate(library.tokens)
            if token.input_var is not None
        }
        self.inputs = numbered if names is None else dict(names)
        self.numbers = {
            float(token.value): i
            for i, token in enumerate(library.tokens)
            if isinstance(token, HardCodedConstant)
        }
        self.const = -1 if library.const_token is None else library.const_token

    def write(self, form: Any) -> list[int | float]:
        """Return an expression in prefix order.

        Raises
        ------
        Unwritable
            If tokens for it are missing.
        """
        if form.is_Symbol and form.name in self.inputs:
            return [self.inputs[form.name]]
        if form.is_number:
            return self._numeric(form)
        if form.is_Add:
            return self._sum(form.as_ordered_terms())
        if form.is_Mul:
            return self._product(form)
        if form.is_Pow:
            return self._power(form.base, form.exp)
        return self._function(form)

    def _function(self, form: Any) -> list[int | float]:
        row = _OPERATORS.get(form.func.__name__)
        if row is None:
            raise Unwritable
        if row.arity == 1:
            return [self._token(row.name), *self.write(form.args[0])]
        return self._chain(row.name, [self.write(part) for part in form.args])

    def _token(self, name: str) -> int:
        if name not in self.tokens:
            raise Unwritable
        return self.tokens[name]

    def _numeric(self, form: Any) -> list[int | float]:
        """Return a number, or where no token can be it, what it is made of."""
        try:
            return [self._number(form)]
        except Unwritable:
            if not form.args or form.is_Add or form.is_Mul or form.is_Pow:
                raise
            return self._function(form)

    def _number(self, form: Any) -> int | float:
        if not (form.is_real and form.is_finite):
            raise Unwritable
        value = float(form)
        if value in self.numbers:
            return self.numbers[value]
        if self.const < 0:
            raise Unwritable
        return value

    def _has_no(self, number: Any) -> bool:
        return self.const < 0 and float(number) not in self.numbers

    def _chain(self, name: str, parts: Sequence[list[int | float]]) -> list[int | float]:
        chained = parts[0]
        for part in parts[1:]:
            chained = [self._token(name), *chained, *part]
        return chained

    def _sum(self, terms: Sequence[Any]) -> list[int | float]:
        """Subtract what has a minus, where something is left to subtract it from."""
        is_negative = [term.could_extract_minus_sign() for term in terms]
        plus = [self.write(t) for t, minus in zip(terms, is_negative, strict=True) if not minus]
        minus = [t for t, minus in zip(terms, is_negative, strict=True) if minus]
        if not plus or "sub" not in self.tokens:
            return self._chain("add", [*plus, *map(self.write, minus)])
        return self._chain("sub", [self._chain("add", plus), *(self.write(-t) for t in minus)])

    def _product(self, form: Any) -> list[int | float]:
        factors = [factor for factor in form.args if not factor.is_number]
        number = form.func(*(factor for factor in form.args if factor.is_number))
        above = [f for f in factors if not _is_divisor(f)]
        below = [1 / f for f in factors if _is_divisor(f)]
        copies = 1
        parts = [self.write(factor) for factor in above]
        if self._has_no(number) and number.is_Integer and 1 < number <= MAX_COPIES:
            copies = int(number)
        elif number == -1 and "neg" in self.tokens and parts:
            parts[0] = [self.tokens["neg"], *parts[0]]
        elif number != 1 or not parts:
            parts.insert(0, [self._number(number)])
        product = self._chain("mul", parts)
        if below:
            divisor = self._chain("mul", [self.write(factor) for factor in below])
            product = self._chain("div", [product, divisor])
        return self._chain("add", [product] * copies) if copies > 1 else product

    def _power(self, base: Any, exponent: Any) -> list[int | float]:
        if base.is_Mul and all(map(_is_exponential, base.args)):
            return self.write(_spread(base, exponent))
        if _is_exponential(base):
            base, exponent = base.base, base.exp * exponent
        if base.is_number and base.is_positive and not exponent.is_number:
            number, exponent = exponent.as_coeff_Mul()
            rate = float(number) * math.log(base)
            if abs(rate) < NEAR_ONE and "exp" in self.tokens and self.const >= 0:
                return [self.tokens["exp"], *self._chain("mul", [[rate], self.write(exponent)])]
            base = (base**number).evalf(17)
        if exponent.is_number and exponent.could_extract_minus_sign():
            inner = self._power(base, -exponent) if exponent != -1 else self.write(base)
            if "inv" in self.tokens:
                return [self.tokens["inv"], *inner]
            if exponent != -1 and "pow" in self.tokens and self.const >= 0:
                power = [self.tokens["pow"], *self.write(base), self._number(exponent)]
                if len(power) < 2 + len(inner):
                    return power
            return [self._token("div"), self._number(exponent**0), *inner]
        n = int(exponent) if exponent.is_Integer else 0
        if f"n{n}" in self.tokens:
            return [self.tokens[f"n{n}"], *self.write(base)]
        if 2 <= n <= MAX_COPIES and "mul" in self.tokens:
            return self._chain("mul", [self.write(base)] * n)
        if exponent == 0.5 or (exponent.is_Rational and exponent.q == 2 and exponent.p == 1):
            return [self._token("sqrt"), *self.write(base)]
        return [self._token("pow"), *self.write(base), *self.write(exponent)]


def _is_exponential(form: Any) -> bool:
    """Tell whether a form is a positive number to some power, which is positive itself."""
    return form.is_Pow and form.base.is_number and form.base.is_positive


def _spread(product: Any, exponent: Any) -> Any:
    """Return the power of a product as the product of powers."""
    return product.func(*((factor.base**exponent) ** factor.exp for factor in product.args))


def _is_divisor(factor: Any) -> bool:
    return factor.is_Pow and factor.exp.is_number and factor.exp.could_extract_minus_sign()
