"""A program as source code: a numpy function, and a C function."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dso.export.walk import fold, number_of, operator_of
from dso.library import StateChecker, Token

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
    calls : mapping
        Name of an operator to the function that is called.
    helpers : mapping
        Name of a function to its definition, for those that the language lacks. A definition may
        call helpers that stand before it.
    less : str
        The form of a StateChecker, with fields ``x``, ``threshold``, ``a`` and ``b``.
    divide : str
        Function that divides numbers, where the language's own division refuses the divisor 0.
    """

    name: str
    calls: Mapping[str, str]
    helpers: Mapping[str, str]
    less: str
    divide: str = ""

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
            return self._operation(operator_of(token, self.name).name, arguments)

        return fold(tokens, node).text

    def _operation(self, operator: str, arguments: list[Code]) -> Code:
        is_number = all(argument.is_number for argument in arguments)
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
        return Code(f"{self.calls[operator]}({inner})", ATOM)

    def definitions(self, tokens: Sequence[Token]) -> list[str]:
        """Return the definitions that an expression needs, in an order in which they can stand."""
        used = {self.calls.get(token.operator.name) for token in tokens if token.operator}
        needed: list[str] = []
        for name in reversed(list(self.helpers)):
            call = re.compile(rf"\b{name}\(")
            if name in used or any(call.search(self.helpers[other]) for other in needed):
                needed.append(name)
        return [self.helpers[name] for name in reversed(needed)]


_INFIX = {"add": ("+", SUM), "sub": ("-", SUM), "mul": ("*", PRODUCT), "div": ("/", PRODUCT)}


def used_columns(tokens: Sequence[Token]) -> list[int]:
    """Return the inputs that an expression reads, in order."""
    columns = {token.input_var for token in tokens if token.input_var is not None}
    columns |= {token.state_index for token in tokens if isinstance(token, StateChecker)}
    return sorted(columns)


def numpy_preamble(tokens: Sequence[Token]) -> list[str]:
    """Return the imports and definitions that an expression needs, as blocks of code."""
    definitions = NUMPY.definitions(tokens)
    imports = ["import numpy as np"]
    if any("digamma(" in text for text in definitions):
        imports.append("from scipy.special import digamma")
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


def _prefixed(prefix: str, names: str) -> dict[str, str]:
    return {name: prefix + name for name in names.split()}


_PROTECTED = _prefixed(
    "", "protected_div protected_log protected_exp protected_inv protected_sigmoid"
)
_GUARDED = {
    "protected_logabs": "protected_log",
    "protected_expneg": "protected_expneg",
    "protected_sqrt": "protected_sqrt",
    "protected_n2": "protected_square",
    "protected_n3": "protected_cube",
    "protected_n4": "protected_fourth_power",
}
_HELPED = {
    **_PROTECTED,
    **_GUARDED,
    **_prefixed("", "sigmoid logabs expneg harmonic"),
    "n2": "square",
    "n3": "cube",
    "n4": "fourth_power",
}

NUMPY = Language(
    name="numpy",
    calls={
        **_HELPED,
        **_prefixed("np.", "sin cos tan exp log sqrt abs tanh sinh cosh cbrt sign"),
        **_prefixed("np.", "arcsin arccos arctan"),
        "n2": "np.square",
        "max": "np.maximum",
        "min": "np.minimum",
        "pow": "np.power",
    },
    helpers={
        "cube": "def cube(a):\n    return a * a * a",
        "fourth_power": "def fourth_power(a):\n    return np.square(np.square(a))",
        "logabs": "def logabs(a):\n    return np.log(np.abs(a))",
        "expneg": "def expneg(a):\n    return np.exp(-a)",
        "sigmoid": "def sigmoid(a):\n    return 1.0 / (1.0 + np.exp(-a))",
        "harmonic": "def harmonic(a):\n    return digamma(a + 1.0) + 0.5772156649015329",
        "protected_div": (
            "def protected_div(a, b):\n    return np.where(np.abs(b) > 0.001, a / b, 1.0)"
        ),
        "protected_log": (
            "def protected_log(a):\n    return np.where(np.abs(a) > 0.001, np.log(np.abs(a)), 0.0)"
        ),
        "protected_exp": "def protected_exp(a):\n    return np.where(a < 100.0, np.exp(a), 0.0)",
        "protected_expneg": (
            "def protected_expneg(a):\n    return np.where(a > -100.0, np.exp(-a), 0.0)"
        ),
        "protected_sqrt": "def protected_sqrt(a):\n    return np.sqrt(np.abs(a))",
        "protected_square": (
            "def protected_square(a):\n    return np.where(np.abs(a) < 1e6, a * a, 0.0)"
        ),
        "protected_cube": (
            "def protected_cube(a):\n    return np.where(np.abs(a) < 1e6, a * a * a, 0.0)"
        ),
        "protected_fourth_power": (
            "def protected_fourth_power(a):\n"
            "    return np.where(np.abs(a) < 1e6, np.square(np.square(a)), 0.0)"
        ),
        "protected_inv": (
            "def protected_inv(a):\n    return np.where(np.abs(a) > 0.001, 1.0 / a, 0.0)"
        ),
        "protected_sigmoid": (
            "def protected_sigmoid(a):\n"
            "    return np.where(a > -100.0, 1.0 / (1.0 + np.exp(-a)), 1.0)"
        ),
    },
    less="np.where({x} < {threshold}, {a}, {b})",
    divide="np.divide",
)


def _c_function(name: str, body: str, arguments: str = "double a") -> str:
    return f"static double {name}({arguments}) {{ return {body}; }}"


_TWO = "double a, double b"
_HARMONIC = """\
static double harmonic_above(double a)
{
    static const double c[] = {1.0 / 24, -7.0 / 960, 31.0 / 8064, -127.0 / 30720, 511.0 / 67584,
                               -1414477.0 / 67092480};
    const double shift = 10.5, z = a + shift, u = 1 / (z * z), v = 1 / (shift * shift);
    double slope = 0, quotient = 0, power = 1, total = 0;
    for (int k = 0; k < 6; ++k) {
        quotient = quotient * v + power;
        slope += c[k] * quotient;
        power *= u;
    }
    for (int j = 10; j >= 1; --j) total += a / (j * (j + a));
    total += log1p(a / shift) - (a / z) * ((z + shift) / z) * v * slope;
    return a > 1e17 ? log(a) + 0.5772156649015329 : total;
}"""
_HARMONIC_REFLECTED = """\
static double harmonic(double a)
{
    const double pi = 3.141592653589793;
    if (!(a <= -1)) return harmonic_above(a);
    return harmonic_above(-a) + 1 / a - pi / tan(pi * (a - rint(a)));
}"""

C = Language(
    name="C",
    calls={
        **_HELPED,
        **_prefixed("", "sin cos tan exp log sqrt tanh sinh cosh cbrt pow"),
        "abs": "fabs",
        "arcsin": "asin",
        "arccos": "acos",
        "arctan": "atan",
        "max": "larger",
        "min": "smaller",
        "sign": "sign",
    },
    helpers={
        "larger": _c_function("larger", "a > b || a != a ? a : b", _TWO),
        "smaller": _c_function("smaller", "a < b || a != a ? a : b", _TWO),
        "sign": _c_function("sign", "a > 0 ? 1.0 : a < 0 ? -1.0 : a"),
        "square": _c_function("square", "a * a"),
        "cube": _c_function("cube", "a * a * a"),
        "fourth_power": _c_function("fourth_power", "(a * a) * (a * a)"),
        "logabs": _c_function("logabs", "log(fabs(a))"),
        "expneg": _c_function("expneg", "exp(-a)"),
        "sigmoid": _c_function("sigmoid", "1.0 / (1.0 + exp(-a))"),
        "harmonic_above": _HARMONIC,
        "harmonic": _HARMONIC_REFLECTED,
        "protected_div": _c_function("protected_div", "fabs(b) > 0.001 ? a / b : 1.0", _TWO),
        "protected_log": _c_function("protected_log", "fabs(a) > 0.001 ? log(fabs(a)) : 0.0"),
        "protected_exp": _c_function("protected_exp", "a < 100.0 ? exp(a) : 0.0"),
        "protected_expneg": _c_function("protected_expneg", "a > -100.0 ? exp(-a) : 0.0"),
        "protected_sqrt": _c_function("protected_sqrt", "sqrt(fabs(a))"),
        "protected_square": _c_function("protected_square", "fabs(a) < 1e6 ? a * a : 0.0"),
        "protected_cube": _c_function("protected_cube", "fabs(a) < 1e6 ? a * a * a : 0.0"),
        "protected_fourth_power": _c_function(
            "protected_fourth_power", "fabs(a) < 1e6 ? (a * a) * (a * a) : 0.0"
        ),
        "protected_inv": _c_function("protected_inv", "fabs(a) > 0.001 ? 1.0 / a : 0.0"),
        "protected_sigmoid": _c_function(
            "protected_sigmoid", "a > -100.0 ? 1.0 / (1.0 + exp(-a)) : 1.0"
        ),
    },
    less="({x} < {threshold} ? {a} : {b})",
)
