"""A program as source code: a numpy function, and a C function."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from dso.export.walk import fold, number_of, operator_of
from dso.library import OPERATORS, Operator, StateChecker, Token
from dso.library.identifiers import ascii_identifiers

SUM, PRODUCT, SIGN, ATOM = range(4)
"""How tightly the outermost operation of a piece of code binds."""


class Code(NamedTuple):
    """A piece of code, how tightly its outermost operation binds, and whether it has no input."""

    text: str
    binding: int
    is_number: bool = False

    def at(self, least: int) -> str:
        """Return the text, in parentheses where it binds less tightly than `least`."""
        return self.text if self.binding >= least else f"({self.text})"


@dataclass(frozen=True)
class Language:
    """How operators are written.

    Attributes
    ----------
    name : str
    column : {"numpy_code", "c_code"}
        Where a row of the operator table says it.
    definition : str
        That of a function with one value, with fields ``name``, ``arguments`` and ``value``.
    argument : str
        The form of an argument there.
    less : str
        The form of a StateChecker, with fields ``x``, ``threshold``, ``a`` and ``b``.
    divide : str
        Function that divides numbers, where the language's own division refuses the divisor 0.
    not_finite : mapping
        How numbers are written that are not finite, by Python's form of them.
    """

    name: str
    column: str
    definition: str
    argument: str
    less: str
    divide: str = ""
    not_finite: Mapping[str, str] = field(default_factory=dict)

    def expression(self, tokens: Sequence[Token], inputs: Mapping[int, str]) -> str:
        """Return an expression.

        Parameters
        ----------
        tokens : sequence of Token
            In prefix order, each `const` with its number.
        inputs : mapping
            Column to variable.
        """

        def node(position: int, token: Token, arguments: list[Code]) -> Code:
            if token.input_var is not None:
                return Code(inputs[token.input_var], ATOM)
            if isinstance(token, StateChecker):
                first, second = (argument.text for argument in arguments)
                x, threshold = inputs[token.state_index], repr(token.threshold)
                return Code(self.less.format(x=x, threshold=threshold, a=first, b=second), ATOM)
            if token.arity == 0:
                number = number_of(token)
                return Code(repr(number), ATOM if number >= 0 else SIGN, is_number=True)
            return self._operation(operator_of(token, self.name), arguments)

        return fold(tokens, node).text

    def _operation(self, row: Operator, arguments: list[Code]) -> Code:
        is_number = all(argument.is_number for argument in arguments)
        operator = row.name
        if operator == "inv":
            operator, arguments = "div", [Code("1.0", ATOM), *arguments]
        inner = ", ".join(argument.text for argument in arguments)
        if operator == "div" and is_number and self.divide:
            return Code(f"{self.divide}({inner})", ATOM)
        if operator in _INFIX:
            symbol, binding = _INFIX[operator]
            # The right side in parentheses too where it binds as tightly: a - (b - c).
            left, right = arguments[0].at(binding), arguments[1].at(binding + 1)
            return Code(f"{left} {symbol} {right}", binding, is_number)
        if operator == "neg":
            return Code(f"-{arguments[0].at(ATOM)}", SIGN, is_number)
        return Code(f"{self._function(row)[0]}({inner})", ATOM)

    def _function(self, row: Operator) -> tuple[str, str]:
        """Return the function that an operator calls, and its definition where it needs one."""
        if row.definition is not None:
            return row.name, self._defined(row)
        code = getattr(row, self.column)
        if isinstance(code, tuple):
            return code
        with_value = _WITH_VALUE.fullmatch(code)
        if with_value is None:
            return code, ""
        name, arguments, value = with_value.groups()
        listed = ", ".join(self.argument.format(argument) for argument in arguments.split(", "))
        return name, self.definition.format(name=name, arguments=listed, value=value)

    def _defined(self, row: Operator) -> str:
        """Return the definition of an operator that is a formula of others."""
        names = "abcdefghijklmnopqrstuvwxyz"[: row.arity]
        value = row.definition.folded(
            lambda i: Code(names[i], ATOM),
            lambda number: Code(self._number(number), ATOM if number >= 0 else SIGN, True),
            self._operation,
        )
        listed = ", ".join(map(self.argument.format, names))
        return self.definition.format(name=row.name, arguments=listed, value=value.text)

    def _number(self, number: float) -> str:
        return self.not_finite[repr(number)] if not math.isfinite(number) else repr(number)

    def definitions(self, tokens: Sequence[Token]) -> list[str]:
        """Return the definitions that an expression needs, in the order of the operator table."""
        needed = (self._function(row)[1] for row in used_rows(tokens))
        return [text for text in dict.fromkeys(needed) if text]


_WITH_VALUE = re.compile(r"(\w+)\((.*?)\) = (.*)")
_INFIX = {"add": ("+", SUM), "sub": ("-", SUM), "mul": ("*", PRODUCT), "div": ("/", PRODUCT)}


def used_rows(tokens: Sequence[Token]) -> list[Operator]:
    """Return the operators of an expression: those of the table, then those they define."""
    rows = [token.operator for token in tokens if token.operator]
    defined = {row.name: row for row in rows if row.definition is not None}
    inner = {node[0] for row in defined.values() for node in row.definition.nodes}
    used = inner | {row.name for row in rows}
    return [row for row in OPERATORS.values() if row.name in used] + list(defined.values())


def used_columns(tokens: Sequence[Token]) -> list[int]:
    """Return the inputs that an expression reads, in order."""
    columns = {token.input_var for token in tokens if token.input_var is not None}
    columns |= {token.state_index for token in tokens if isinstance(token, StateChecker)}
    return sorted(columns)


def numpy_preamble(tokens: Sequence[Token]) -> list[str]:
    """Return the imports and definitions that an expression needs, as blocks of code."""
    imports = ["import numpy as np"]
    special = sorted({row.scipy for row in used_rows(tokens) if row.scipy})
    if special:
        imports.append(f"from scipy.special import {', '.join(special)}")
    definitions = NUMPY.definitions(tokens)
    return ["\n".join(imports) + "\n\n", *(f"{text}\n\n" for text in definitions)]


def c_preamble(tokens: Sequence[Token]) -> list[str]:
    """Return the same for C."""
    return ["#include <math.h>\n", *(f"{text}\n" for text in C.definitions(tokens))]


def numpy_source(tokens: Sequence[Token], names: Sequence[str]) -> str:
    """Return Python code of a function ``predict(input_rows)``.

    Parameters
    ----------
    tokens : sequence of Token
        In prefix order, each `const` with its number.
    names : sequence of str
        Identifiers of the D inputs; see `dso.export.identifiers`.
    """
    columns = used_columns(tokens)
    lines = numpy_preamble(tokens)
    lines.append(
        "def predict(input_rows):\n"
        f'    """Return the predictions (N,) for rows (N, {len(names)})."""\n'
        "    input_rows = np.asarray(input_rows, dtype=float)"
    )
    lines += [f"    {names[column]} = input_rows[:, {column}]" for column in columns]
    expression = NUMPY.expression(tokens, {column: names[column] for column in columns})
    lines.append(
        '    with np.errstate(all="ignore"):\n'
        f"        values = {expression}\n"
        "    return np.array(np.broadcast_to(values, len(input_rows)))\n"
    )
    return "\n".join(lines)


def c_source(tokens: Sequence[Token], names: Sequence[str]) -> str:
    """Return C code of a function ``double predict(const double *input_row)``.

    Parameters are those of `numpy_source`. The code is C99 and needs the mathematical library.
    """
    names = ascii_identifiers(names)
    columns = used_columns(tokens)
    lines = c_preamble(tokens)
    lines.append(
        f"/* The prediction for one row of {len(names)} inputs. */\n"
        "double predict(const double *input_row)\n{"
    )
    lines += [f"    const double {names[column]} = input_row[{column}];" for column in columns]
    expression = C.expression(tokens, {column: names[column] for column in columns})
    unused = [] if columns else ["    (void)input_row;"]
    lines += [*unused, f"    return {expression};", "}\n"]
    return "\n".join(lines)


NUMPY = Language(
    name="numpy",
    column="numpy_code",
    definition="def {name}({arguments}):\n    return {value}",
    argument="{}",
    less="np.where({x} < {threshold}, {a}, {b})",
    divide="np.divide",
    not_finite={"nan": "np.nan", "inf": "np.inf", "-inf": "-np.inf"},
)

C = Language(
    name="C",
    column="c_code",
    definition="static double {name}({arguments}) {{ return {value}; }}",
    argument="double {}",
    less="({x} < {threshold} ? {a} : {b})",
    not_finite={"nan": "NAN", "inf": "INFINITY", "-inf": "-INFINITY"},
)
