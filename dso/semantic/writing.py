"""Sums, products, numbers and polynomials as prefix tokens, if a library can write them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dso.library import Library
from dso.native import _core
from dso.semantic.forms import make_number, operator_tokens

Tokens = list[int]


class Writer:
    """Writes expressions in the tokens of a library.

    Every method returns prefix tokens, or None where the library cannot say it.

    Parameters
    ----------
    library : Library
    X : (D, N) float64
        Data on which numbers that are built from inputs must hold.
    protected : bool
    """

    def __init__(self, library: Library, X: np.ndarray, protected: bool) -> None:
        self.library = library
        self.X = X
        self.protected = protected
        self._has = operator_tokens(library)
        self._numbers: dict[float, Tokens | None] = {}

    def has(self, name: str) -> bool:
        """Tell whether the library has an operator."""
        return name in self._has

    def apply(self, name: str, *arguments: Tokens | None) -> Tokens | None:
        """Write an operator before its arguments."""
        if name not in self._has or any(a is None for a in arguments):
            return None
        return [self._has[name], *(token for a in arguments for token in a or ())]

    @property
    def const(self) -> Tokens | None:
        """A constant that is fitted."""
        token = self.library.const_token
        return None if token is None else [int(token)]

    def scaled(self, a: Tokens | None) -> Tokens | None:
        """Write a with a factor that is fitted."""
        return self.apply("mul", self.const, a)

    def number(self, value: float) -> Tokens | None:
        """Write a positive whole number or its inverse."""
        if value not in self._numbers:
            self._numbers[value] = make_number(self.library, value, self.X, self.protected)
        return self._numbers[value]

    def negative(self, a: Tokens | None) -> Tokens | None:
        """Write -a."""
        x = [int(token) for token in self.library.input_tokens[:1]]
        return self.apply("neg", a) or self.apply("sub", self.apply("sub", x, x), a)

    def sum(self, a: Tokens | None, b: Tokens | None, is_minus: bool = False) -> Tokens | None:
        """Write a + b or a - b."""
        if not is_minus:
            return self.apply("add", a, b)
        return self.apply("sub", a, b) or self.apply("add", a, self.apply("neg", b))

    def product(self, parts: Sequence[Tokens | None]) -> Tokens | None:
        """Write the product of one or more parts."""
        *others, whole = parts
        for part in reversed(others):
            whole = self.apply("mul", part, whole)
        return whole

    def power(self, a: Tokens | None, p: Tokens | None) -> Tokens | None:
        """Write a^p for positive a."""
        return self.apply("pow", a, p) or self.apply(
            "exp", self.apply("mul", p, self.apply("log", a))
        )

    def monomial(self, powers: Sequence[int]) -> Tokens | None:
        """Write a product of whole powers of the inputs, by their columns."""
        sides: list[list[Tokens]] = [[], []]
        for d, power in enumerate(powers):
            sides[power < 0] += [[self.input(d)]] * abs(power)
        above = self.product(sides[0]) if sides[0] else self.number(1)
        return self.quotient(above, self.product(sides[1])) if sides[1] else above

    def quotient(self, a: Tokens | None, b: Tokens | None) -> Tokens | None:
        """Write a / b."""
        direct = self.apply("div", a, b) or self.apply("protected_div", a, b)
        return direct or self.apply("mul", a, self.apply("inv", b))

    def polynomial(self, powers: np.ndarray, coefficients: np.ndarray) -> Tokens | None:
        """Write a polynomial with whole coefficients by Horner's rule.

        Parameters
        ----------
        powers : (terms, D) int
            Exponents of the inputs.
        coefficients : (terms,) int
            Not all zero.
        """
        terms = {tuple(p): int(c) for p, c in zip(powers.tolist(), coefficients, strict=True) if c}
        signed = self._horner(terms, 0)
        if signed is None:
            return None
        tokens, is_negative = signed
        return self.negative(tokens) if is_negative else tokens

    def _horner(self, terms: dict[tuple, int], d: int) -> tuple[Tokens | None, bool] | None:
        """Return tokens and whether the polynomial is their negative; None stands for zero."""
        if not terms:
            return None
        if d == self.X.shape[0]:
            (value,) = terms.values()
            return self.number(abs(value)), value < 0
        x = [self.input(d)]
        total: tuple[Tokens | None, bool] | None = None
        for power in range(max(p[d] for p in terms), -1, -1):
            rest = self._horner({p: c for p, c in terms.items() if p[d] == power}, d + 1)
            if total is not None:
                total = (self._times(x, total[0]), total[1])
            total = self._added(total, rest)
        return total

    def _times(self, x: Tokens, a: Tokens | None) -> Tokens | None:
        return x if a == self.number(1) else self.apply("mul", x, a)

    def _added(
        self, a: tuple[Tokens | None, bool] | None, b: tuple[Tokens | None, bool] | None
    ) -> tuple[Tokens | None, bool] | None:
        if a is None or b is None:
            return a or b
        if a[1] == b[1]:
            return self.sum(a[0], b[0]), a[1]
        positive, negative = (b[0], a[0]) if a[1] else (a[0], b[0])
        return self.sum(positive, negative, is_minus=True), False

    def input(self, d: int) -> int:
        """Return the token of an input by its column."""
        return next(
            int(token)
            for token in self.library.input_tokens
            if self.library.tokens[token].input_var == d
        )


def filled(frame: Sequence[int], part: Tokens) -> Tokens:
    """Put tokens into the hole, or holes, of others."""
    return [t for token in frame for t in (part if token == _core.HOLE else [token])]
