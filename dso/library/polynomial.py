"""FittedPolynomial: what the token `poly` means once it is fitted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from dso.native import _core


@dataclass(frozen=True, eq=False)
class FittedPolynomial:
    """A sum of monomials; without any terms it is 0.

    Attributes
    ----------
    exponents : (terms, D) int32
        Of x1, x2, ... in each term.
    coefficients : (terms,) float64
    """

    exponents: np.ndarray
    coefficients: np.ndarray

    @property
    def n_terms(self) -> int:
        """Number of terms."""
        return len(self.coefficients)

    def values(self, columns: np.ndarray) -> np.ndarray:
        """Return its values (N,) for inputs (D, N)."""
        return _core.polynomial_values(self.exponents, self.coefficients, columns)

    def __str__(self) -> str:
        """Return the formula with six significant digits."""
        if not self.n_terms:
            return "0.0"
        terms = ["*".join([_number(c), *_powers(row)]) for c, row in self._terms()]
        return terms[0] + "".join(t if t.startswith("-") else "+" + t for t in terms[1:])

    def to_str_tokens(self) -> list[str]:
        """Return it in prefix order: ``add``, ``mul``, inputs and numbers in full precision."""
        terms = [_product(float(c), row) for c, row in self._terms()] or [["0.0"]]
        tokens: list[str] = []
        for term in terms[:-1]:
            tokens += ["add", *term]
        return tokens + terms[-1]

    def to_sympy(self, sympy: Any, symbol: Callable[[int], Any]) -> Any:
        """Return it as a sympy expression, given what makes the symbol of an input."""
        return sympy.Add(
            *(
                sympy.Mul(
                    sympy.Float(c),
                    *(sympy.Pow(symbol(int(i)), int(row[i])) for i in np.nonzero(row)[0]),
                )
                for c, row in self._terms()
            )
        )

    def _terms(self) -> Iterator[tuple[float, np.ndarray]]:
        return zip(self.coefficients.tolist(), self.exponents, strict=True)


def _number(value: float) -> str:
    text = f"{value:.6g}"
    return text if any(mark in text for mark in ".en") else text + ".0"


def _powers(exponents: np.ndarray) -> list[str]:
    return [
        f"x{i + 1}" if exponents[i] == 1 else f"x{i + 1}**{exponents[i]}"
        for i in np.nonzero(exponents)[0]
    ]


def _product(coefficient: float, exponents: np.ndarray) -> list[str]:
    factors = [f"x{i + 1}" for i in np.nonzero(exponents)[0] for _ in range(exponents[i])]
    tokens: list[str] = []
    for factor in [repr(coefficient), *factors][:-1]:
        tokens += ["mul", factor]
    return [*tokens, [repr(coefficient), *factors][-1]]
