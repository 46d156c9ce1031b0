"""Shorter ways to write an equation: what sympy's normal forms make of it, as tokens again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import Any

from dso.library import OPERATORS, HardCodedConstant, Library
from dso.program import Program
from dso.program.shown_numbers import with_plain_numbers
from dso.program.symbolic import to_short_sympy
from dso.program.time_limit import within

MAX_TERMS = 50
"""Expressions are not multiplied out into more than about this many terms."""
MAX_SECONDS = 1.0
"""Of one simplification."""
RATIOS = (1.0, 2.0, 0.5)
"""Of two angles for which there are identities that shorten."""
MAX_COPIES = 4
"""x^n is written as n factors, and n x as n terms, up to this n, where there is no shorter way."""

_OPERATORS = {row.sympy: row for row in OPERATORS.values() if not row.display}
"""By the name of a function in sympy; arithmetic among them is never asked for."""

Row = tuple[list[int], list[float]]
"""Tokens in prefix order and the numbers of each `const` among them."""


def shorter_forms(program: Program) -> list[Row]:
    """Return other programs of the same value that have fewer tokens.

    Where operators are protected, and where sympy cancels what has poles, the values may differ:
    they are to be scored like any other program.

    Parameters
    ----------
    program : Program
        With numbers for its constants.
    """
    import sympy

    writer = _Writer(program.library)
    found: list[Row] = []
    for form in _forms(sympy, program):
        try:
            parts = writer.write(form)
        except _Unwritable:
            continue
        tokens = [part if isinstance(part, int) else writer.const for part in parts]
        row = tokens, [part for part in parts if isinstance(part, float)]
        if len(tokens) < len(program) and row not in found:
            found.append(row)
    return found


def _forms(sympy: Any, program: Program) -> Iterator[Any]:
    """Yield normal forms; without those that take too long, and those that sympy fails at."""
    try:
        expression = with_plain_numbers(to_short_sympy(program.traversal))
    except Exception:  # what sympy cannot compare, it cannot always write
        return
    yield expression
    if _n_terms(expression) > MAX_TERMS:
        return
    for simplified in _simplifications(sympy, expression):
        try:
            form = simplified()
        except Exception:  # what sympy cannot compare, it cannot always multiply out
            continue
        if form is not None:
            yield with_plain_numbers(form)


def _simplifications(sympy: Any, expression: Any) -> Iterator[Callable[[], Any]]:
    yield lambda: sympy.expand(expression)
    yield lambda: sympy.factor_terms(sympy.expand(expression))
    # The number of terms bounds how long these take; that of others nothing does.
    if sympy.denom(expression) != 1:
        yield lambda: within(MAX_SECONDS, "sympy", sympy.cancel, expression)
    if _has_identities(list(expression.atoms(sympy.sin, sympy.cos, sympy.tan))):
        yield lambda: within(MAX_SECONDS, "sympy", sympy.trigsimp, expression)


def _has_identities(functions: Sequence[Any]) -> bool:
    """Tell whether some trigonometric functions can cancel: of one angle, or of it and its double.

    Fitted angles have nothing in common as a rule, and sympy takes its whole time to see that.
    """
    ratios = (a.args[0] / b.args[0] for a, b in combinations(functions, 2))
    return any(ratio.is_real and abs(float(ratio)) in RATIOS for ratio in ratios if ratio.is_number)


def _n_terms(expression: Any) -> int:
    """Return about how many terms an expression has when it is multiplied out."""
    counts = [_n_terms(argument) for argument in expression.args]
    if not counts:
        return 1
    if expression.is_Add:
        return sum(counts)
    product = 1
    for count in counts:
        product *= count
    if expression.is_Pow and expression.exp.is_Integer:
        return counts[0] ** min(abs(int(expression.exp)), 20)
    return product


class _Unwritable(Exception):
    """The library lacks what the expression needs."""


class _Writer:
    """Write sympy expressions in prefix order: a token as an int, a fitted number as a float."""

    def __init__(self, library: Library) -> None:
        self.tokens = {token.name: i for i, token in enumerate(library.tokens)}
        self.inputs = {
            f"x{token.input_var + 1}": i
            for i, token in enumerate(library.tokens)
            if token.input_var is not None
        }
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
        _Unwritable
            If there are no tokens for it.
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
            raise _Unwritable
        if row.arity == 1:
            return [self._token(row.name), *self.write(form.args[0])]
        return self._chain(row.name, [self.write(part) for part in form.args])

    def _token(self, name: str) -> int:
        if name not in self.tokens:
            raise _Unwritable
        return self.tokens[name]

    def _numeric(self, form: Any) -> list[int | float]:
        """Return a number, or where no token can be it, what it is made of."""
        try:
            return [self._number(form)]
        except _Unwritable:
            if not form.args or form.is_Add or form.is_Mul or form.is_Pow:
                raise
            return self._function(form)

    def _number(self, form: Any) -> int | float:
        if not (form.is_real and form.is_finite):
            raise _Unwritable
        value = float(form)
        if value in self.numbers:
            return self.numbers[value]
        if self.const < 0:
            raise _Unwritable
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
            base = (base**number).evalf(17)
        if exponent.is_number and exponent.could_extract_minus_sign():
            inner = self._power(base, -exponent) if exponent != -1 else self.write(base)
            if "inv" in self.tokens:
                return [self.tokens["inv"], *inner]
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
