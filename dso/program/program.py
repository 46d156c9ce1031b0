"""Program: one row of a batch, for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from dso.errors import UserError
from dso.library import (
    FittedPolynomial,
    Library,
    PlaceholderConstant,
    Polynomial,
    Token,
    TokenNotFoundError,
)
from dso.program.execute import CAUSES, INVALID, VALID, execute
from dso.program.program_batch import ProgramBatch
from dso.program.symbolic import to_latex, to_sympy, to_text, with_digits

LATEX_DIGITS = 5
"""Significant digits of numbers in a notebook."""


class Scorer(Protocol):
    """What a program asks for its own reward and test results."""

    def reward(self, program: Program) -> float: ...

    def test(self, program: Program) -> dict[str, Any]: ...


class Program:
    """One expression: a library and the indices of its tokens in prefix order.

    Parameters
    ----------
    library : Library
    tokens : sequence of int
        Must be one complete expression.
    constants : sequence of float
        One number per `const` of the row, in prefix order; absent or NaN where not known.
    protected : bool
        Execution judges the result only.
    scorer : Scorer or None
        Answers `r` and `evaluate`; usually the evaluator of a run.
    polynomial : FittedPolynomial or None
        What its token `poly` stands for; without it a program with one cannot be executed.

    Attributes
    ----------
    verdict : tuple of int
        Cause (index into `CAUSES`) and failing position of the latest execution; (0, -1) where it
        was valid and before the first.
    """

    def __init__(
        self,
        library: Library,
        tokens: Sequence[int] | np.ndarray,
        constants: Sequence[float] | np.ndarray = (),
        *,
        protected: bool = False,
        scorer: Scorer | None = None,
        polynomial: FittedPolynomial | None = None,
    ) -> None:
        self.library = library
        self.tokens = np.asarray(tokens, dtype=np.int32)
        n_constants = int((self.tokens == library.const_token).sum())
        self.constants = np.asarray(constants, dtype=np.float64)[:n_constants]
        self.protected = protected
        self.polynomial = polynomial
        self._scorer = scorer
        self._check()
        self.verdict = (VALID, -1)

    def _check(self) -> None:
        if len(self.tokens) and not 0 <= self.tokens.min() <= self.tokens.max() < self.library.L:
            raise UserError(f"a program has a token outside its library of {self.library.L}.")
        n_open = 1 + np.cumsum(self.library.arities[self.tokens] - 1)
        if not len(n_open) or n_open[-1] != 0 or (n_open[:-1] <= 0).any():
            names = ",".join(self.library.names[token] for token in self.tokens)
            raise UserError(f"{names!r} is not one complete expression in prefix order.")

    def with_constants(self, constants: np.ndarray) -> Program:
        """Return the same expression with other numbers (K,), its tokens not checked again."""
        other = object.__new__(type(self))
        kept = ("library", "tokens", "protected", "polynomial", "_scorer")
        vars(other).update({name: vars(self)[name] for name in kept}, constants=constants)
        other.verdict = (VALID, -1)
        return other

    @property
    def batch(self) -> ProgramBatch:
        """The program as a batch of one row."""
        tokens = self.tokens[None].astype(np.int16)
        lengths = np.array([len(self.tokens)], dtype=np.int32)
        return ProgramBatch(tokens, lengths, self.constants[None])

    @cached_property
    def traversal(self) -> list[Token]:
        """Tokens in prefix order; each `const` bears its number, `poly` its polynomial."""
        numbers = iter(self.constants)
        tokens = []
        for index in self.tokens:
            token = self.library.tokens[index]
            if isinstance(token, PlaceholderConstant):
                value = next(numbers, np.nan)
                token = PlaceholderConstant(None if np.isnan(value) else value)
            elif isinstance(token, Polynomial):
                token = Polynomial(self.polynomial)
            tokens.append(token)
        return tokens

    def execute(self, X: np.ndarray) -> np.ndarray:
        """Return the predictions (N,) for rows `X` (N, D), whether or not they are finite."""
        columns = np.ascontiguousarray(np.asarray(X, dtype=np.float64).T)
        values, cause, node = execute(
            self.library, self.batch, columns, self.protected, polynomials=[self.polynomial]
        )
        self.verdict = (int(cause[0]), int(node[0]))
        return values[0]

    @property
    def invalid(self) -> bool:
        """Whether the latest execution met a value that is not finite."""
        return self.verdict[0] != VALID

    @invalid.setter
    def invalid(self, value: bool) -> None:
        """Say so: what a task's `reward_function` may do with a program that it refuses."""
        self.verdict = (INVALID, -1) if value else (VALID, -1)

    @property
    def error_type(self) -> str | None:
        """Cause of the latest failure."""
        return CAUSES[self.verdict[0]] if self.invalid else None

    @property
    def error_node(self) -> str | None:
        """Name of the token where the latest failure happened."""
        position = self.verdict[1]
        return self.library.names[self.tokens[position]] if position >= 0 else None

    @property
    def complexity(self) -> int:
        """Sum of the complexities of the tokens; `poly` counts its terms once it is fitted."""
        return sum(token.complexity for token in self.traversal)

    @cached_property
    def r(self) -> float:
        """Reward under the scorer's task."""
        return self._require_scorer("r").reward(self)

    @cached_property
    def evaluate(self) -> dict[str, Any]:
        """Test results under the scorer's task."""
        return self._require_scorer("evaluate").test(self)

    def _require_scorer(self, attribute: str) -> Scorer:
        if self._scorer is None:
            raise UserError(f"Program.{attribute} needs a task: make the program with a scorer.")
        return self._scorer

    @cached_property
    def sympy_expr(self) -> Any:
        """The expression as a sympy object, in sympy's automatic normal form.

        A protected operator has its two cases, which `expression` leaves out.
        """
        return to_sympy(self.traversal, self.library.input_names)

    @property
    def expression(self) -> str:
        """The expression as text, protected operators as the functions that they guard."""
        return to_text(self.traversal, self.library.input_names)

    def short_expression(self, digits: int) -> str:
        """Return `expression` with its numbers to this many significant digits."""
        return to_text(self.traversal, self.library.input_names, digits)

    def pretty(self) -> str:
        """Return the expression drawn in two dimensions."""
        from sympy import pretty

        return pretty(self.sympy_expr)

    def latex(self) -> str:
        """Return the expression as LaTeX."""
        return to_latex(self.sympy_expr)

    def _repr_latex_(self) -> str:
        """Return the expression for notebooks, its numbers to a few digits."""
        return f"$\\displaystyle {to_latex(with_digits(self.sympy_expr, LATEX_DIGITS))}$"

    def __len__(self) -> int:
        return len(self.tokens)

    def __repr__(self) -> str:
        return ",".join(map(repr, self.traversal))


def traversal_texts(library: Library, programs: ProgramBatch) -> list[str]:
    """Return what each row's `Program` is printed as, without making one where it can be helped."""
    if programs.constants.shape[1]:
        return [
            repr(Program(library, programs.row(i), programs.constants[i]))
            for i in range(len(programs))
        ]
    names = [repr(token) for token in library.tokens]
    rows = zip(programs.tokens.tolist(), programs.lengths.tolist(), strict=True)
    return [",".join([names[token] for token in row[:length]]) for row, length in rows]


def from_tokens(
    tokens: Sequence[int] | np.ndarray, library: Library, constants: Sequence[float] = ()
) -> Program:
    """Make a program from indices in prefix order."""
    return Program(library, tokens, constants)


def from_str_tokens(text: str | Iterable[str | float], library: Library) -> Program:
    """Make a program from names and numbers in prefix order.

    Parameters
    ----------
    text : str or iterable
        ``"add,x1,1.5"`` or its parts. A number that is not a token of the library becomes `const`
        with this value.
    library : Library

    Raises
    ------
    UserError
        For an unknown name, a number where the library has no `const`, or an incomplete
        expression.
    """
    items = text.split(",") if isinstance(text, str) else text
    tokens, constants = [], []
    for item in (str(item).strip() for item in items):
        token, value = _read(item, library)
        tokens.append(token)
        if token == library.const_token:
            constants.append(value)
    return Program(library, tokens, constants)


def _read(item: str, library: Library) -> tuple[int, float]:
    """Return the index of a token and, for `const`, its number (NaN: none given)."""
    try:
        return library.index(item), np.nan
    except TokenNotFoundError:
        try:
            value = float(item)
        except ValueError:
            value = None
        if value is None:
            raise
    literal = library.find_literal(value)
    if literal is not None:
        return literal, np.nan
    if library.const_token is None:
        raise UserError(f"the number {item} needs the token 'const', which the library lacks.")
    return library.const_token, value
