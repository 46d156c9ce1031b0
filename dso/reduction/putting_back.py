"""Putting back: programs of the smaller problem become programs of the whole one.

Inputs become what they stand for, and what was taken off y is put on again, in the tokens that the
library has. What it lacks is spelled out: a square is a product, a difference a sum with -1 times
what is subtracted, a quotient a product with an inverse. Numbers are constants, to be fitted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dso.library import (
    OPERATORS,
    HardCodedConstant,
    Library,
    PlaceholderConstant,
    Polynomial,
    StateChecker,
    Token,
)
from dso.library.expression import Node
from dso.program import ProgramBatch
from dso.reduction.formula import Formula, folded
from dso.reduction.reduction import Reduction
from dso.reduction.shortening import shorter
from dso.semantic.forms import operator_tokens

Spelled = list[tuple[int, float]]
"""Tokens in prefix order, each with its number; NaN if it is not a constant."""


class Speller:
    """Writes formulas in the tokens of a library, as far as it can say them.

    Parameters
    ----------
    library : Library
    """

    def __init__(self, library: Library) -> None:
        self.library = library
        self._operators = operator_tokens(library)
        self._inputs = {
            library.tokens[token].input_var: int(token) for token in library.input_tokens
        }

    def spell(self, formula: Formula, hole: Spelled | None = None) -> Spelled | None:
        """Return a formula in tokens, None where the library cannot say it.

        Parameters
        ----------
        formula : Formula
        hole : list, optional
            What stands for the input that comes after those of the library.
        """

        def join(node: Node, arguments: list[Spelled | None]) -> Spelled | None:
            if isinstance(node, int):
                return hole if node not in self._inputs else [(self._inputs[node], np.nan)]
            if isinstance(node, float):
                return self.number(node)
            return self._operation(node, arguments)

        return folded(formula, join)

    def number(self, value: float) -> Spelled | None:
        """Write a number."""
        literal = self.library.find_literal(value)
        if literal is not None:
            return [(literal, np.nan)]
        const = self.library.const_token
        return None if const is None else [(const, value)]

    def _apply(self, name: str, *arguments: Spelled | None) -> Spelled | None:
        if name not in self._operators or any(argument is None for argument in arguments):
            return None
        parts = [part for argument in arguments for part in argument or ()]
        return [(self._operators[name], np.nan), *parts]

    def _operation(self, name: str, arguments: list[Spelled | None]) -> Spelled | None:
        direct = self._apply(name, *arguments)
        if direct is not None:
            return direct
        a, b = arguments[0], arguments[-1]
        match name:
            case "n2":
                return self._apply("mul", a, a)
            case "n3":
                return self._apply("mul", a, self._operation("n2", [a]))
            case "n4":
                square = self._operation("n2", [a])
                return self._apply("mul", square, square)
            case "sub":
                negative = self._apply("neg", b) or self._apply("mul", self.number(-1.0), b)
                return self._apply("add", a, negative)
            case "div":
                return self._apply("mul", a, self._apply("inv", b)) or self._apply(
                    "mul", a, self._apply("pow", b, self.number(-1.0))
                )
            case "sqrt":
                return self._operation("pow", [a, self.number(0.5)])
            case "pow":  # of what is positive
                return self._apply("exp", self._apply("mul", b, self._apply("log", a)))
        return None


def put_back(
    reduction: Reduction, library: Library, tokens: Sequence[Token], programs: ProgramBatch
) -> ProgramBatch:
    """Return the programs of the whole problem that programs of a smaller one stand for.

    Parameters
    ----------
    reduction : Reduction
    library : Library
        Of the whole problem.
    tokens : sequence of Token
        Those of the smaller one, which has the same operators.
    programs : ProgramBatch
        With constants. Those that the library cannot say are left out; those that can be said
        shorter are there both ways, as the shorter one may be defined on fewer rows.
    """
    speller = Speller(library)
    columns = [speller.spell(column) for column in reduction.columns]
    rows = []
    for b in range(len(programs)):
        row, constants = programs.row(b), programs.constants[b]
        whole = _whole(speller, columns, tokens, row, constants)
        plain = None if whole is None else speller.spell(reduction.back, whole)
        formula = formula_of(tokens, row, constants)
        ways = [] if formula is None else shorter(reduction.whole(formula))[:1]
        others = [other for way in ways if (other := speller.spell(way)) is not None]
        if plain is not None:
            rows.append(plain)
            others = [other for other in others if len(other) < len(plain)]
        rows += others
    if not rows:
        return ProgramBatch.from_rows([])
    numbers = [[number for _, number in row if not np.isnan(number)] for row in rows]
    return ProgramBatch.from_rows([[token for token, _ in row] for row in rows], numbers)


def _whole(
    speller: Speller,
    columns: Sequence[Spelled | None],
    tokens: Sequence[Token],
    row: np.ndarray,
    constants: np.ndarray,
) -> Spelled | None:
    """Return a program of the smaller problem with its inputs spelled out."""
    numbers = iter(constants[~np.isnan(constants)].tolist())
    spelled: Spelled = []
    for index in row:
        token = tokens[index]
        part: Spelled | None
        if token.input_var is not None:
            part = columns[token.input_var]
        elif isinstance(token, Polynomial | StateChecker):
            return None  # whose inputs are those of the smaller problem
        elif token.name == "const":
            part = [(speller.library.const_token or 0, next(numbers))]
        else:
            part = [(speller.library.index(token.name), np.nan)]
        if part is None:
            return None
        spelled += part
    return spelled


def formula_of(tokens: Sequence[Token], row: np.ndarray, constants: np.ndarray) -> Formula | None:
    """Return a program as a formula of its inputs; None where it holds what no formula can say.

    Parameters
    ----------
    tokens : sequence of Token
    row : (T,) int
    constants : (C,) float64
        Of its `const`, with NaN after them.
    """
    numbers = iter(constants[~np.isnan(constants)].tolist())
    formula: list[Node] = []
    for token in (tokens[index] for index in row):
        if token.input_var is not None:
            formula.append(int(token.input_var))
        elif isinstance(token, PlaceholderConstant):
            formula.append(float(next(numbers)))
        elif isinstance(token, HardCodedConstant):
            formula.append(token.value)
        elif token.name in OPERATORS:
            formula.append(token.name)
        else:
            return None
    return tuple(formula)
