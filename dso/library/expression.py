"""Reading formulas that users write, without ever running them.

One small parser serves every text that enters the program: benchmark formulas, guesses, operators,
losses and results. It knows the names of the operator table, inputs, numbers and arithmetic; the
text goes through `ast` and is never evaluated or imported by Python.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dso.errors import UserError, nearest
from dso.library.functions import NAMES, OPERATORS, Operator

MAX_LENGTH = 10_000
"""Longest text that is read, in characters."""

MAX_DEPTH = 400
"""Deepest nesting of operators; a sum of n terms is n - 1 deep."""

CONSTANTS = {"pi": math.pi, "π": math.pi, "NaN": math.nan, "Inf": math.inf}

_ARITHMETIC: dict[type[ast.operator], str] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "div",
    ast.Pow: "pow",
    ast.Mod: "mod",
}
_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Gt: "greater",
    ast.GtE: "greater_equal",
    ast.Lt: "less",
    ast.LtE: "less_equal",
}
_LOGIC: dict[type[ast.boolop], str] = {ast.And: "logical_and", ast.Or: "logical_or"}

DEFINED: dict[str, tuple[tuple[str, ...], str]] = {
    "clamp": (("x", "low", "high"), "min(max(x, low), high)"),
    "ifelse": (("x", "yes", "no"), "cond(x, yes) + cond(1 - greater(x, 0), no)"),
    "muladd": (("x", "y", "z"), "x*y + z"),
    "fma": (("x", "y", "z"), "x*y + z"),
    "max3": (("x", "y", "z"), "max(max(x, y), z)"),
    "min3": (("x", "y", "z"), "min(min(x, y), z)"),
    "atanh_clip": (("x",), "arctanh(mod(x + 1, 2) - 1)"),
}
"""Operators that are formulas of others: their arguments and value."""

TYPES = ("Float16", "Float32", "Float64")
"""Of Julia's numbers: all are computed in double precision, so that ``Float32(x)`` is x."""

_INPUT = re.compile(r"x([1-9][0-9]*)")

Node = str | int | float


@dataclass(frozen=True)
class Expression:
    """A formula as a prefix sequence.

    Attributes
    ----------
    nodes : tuple of str, int or float
        In prefix order: the name of an operator of the table, the column of an input (0 is x1), or
        a number.
    """

    nodes: tuple[Node, ...]

    @property
    def n_inputs(self) -> int:
        """One more than the highest column used."""
        return 1 + max((node for node in self.nodes if isinstance(node, int)), default=-1)


def parse(
    text: str, where: str = "formula", input_names: Sequence[str] | None = None
) -> Expression:
    """Read a formula.

    Parameters
    ----------
    text : str
        Python's or Julia's notation: ``+ - * / ** ^ %``, comparisons (1 or 0), ``and``, ``or``,
        ``a if c else b``, ``c ? a : b``, calls of operators by the names of the table or their
        aliases, numbers (``2.5f0`` and ``2x`` too), ``pi``, ``NaN`` and ``Inf``, and Julia's
        conversions of types, which change nothing.
    where : str
        Section and key, for the error message.
    input_names : sequence of str, optional
        Names of the inputs by column. Default: ``x1, x2, ...``, as many as the text mentions.

    Raises
    ------
    UserError
        If the text is too long, too deep, or holds anything else.
    """
    columns = None if input_names is None else {name: i for i, name in enumerate(input_names)}
    nodes: list[Node] = []
    stack = [(_syntax_tree(text, where), 0)]
    while stack:
        part, depth = stack.pop()
        if depth > MAX_DEPTH:
            raise _refusal(where, text, f"it is nested more than {MAX_DEPTH} deep")
        try:
            node, arguments = _read(part, columns, text)
        except _Unreadable as problem:
            raise _refusal(where, text, str(problem)) from None
        if node is not None:
            nodes.append(node)
        stack.extend((argument, depth + 1) for argument in reversed(arguments))
    return Expression(tuple(nodes))


def evaluate(expression: Expression, X: np.ndarray) -> np.ndarray:
    """Compute a formula with the unprotected operators; undefined values become NaN or infinite.

    Parameters
    ----------
    expression : Expression
    X : (N, D) float64

    Returns
    -------
    y : (N,) float64
    """
    stack: list[np.ndarray | np.float64] = []
    with np.errstate(all="ignore"):
        for node in reversed(expression.nodes):
            if isinstance(node, str):
                operator = OPERATORS[node]
                arguments = [stack.pop() for _ in range(operator.arity)]
                stack.append(operator.numpy(*arguments))
            else:
                stack.append(X[:, node] if isinstance(node, int) else np.float64(node))
    (y,) = stack
    return np.array(np.broadcast_to(y, len(X)))


class _Unreadable(Exception):
    """What is wrong with one part of a text."""


def _refusal(where: str, text: str, problem: str) -> UserError:
    shown = text if len(text) <= 80 else text[:77] + "..."
    return UserError(f"{where}: cannot read {shown!r}: {problem}.")


def _syntax_tree(text: str, where: str) -> ast.expr:
    if len(text) > MAX_LENGTH:
        raise _refusal(where, text, f"it is longer than {MAX_LENGTH} characters")
    try:
        return ast.parse(in_python(text.strip()), mode="eval").body
    except SyntaxError as error:
        raise _refusal(where, text, f"{error.msg} at character {error.offset}") from None
    except ValueError:
        raise _refusal(where, text, "it is not plain text") from None
    except (RecursionError, MemoryError):  # how ast reports deep nesting
        raise _refusal(where, text, f"it is nested more than {MAX_DEPTH} deep") from None


def _read(
    part: ast.expr, columns: dict[str, int] | None, text: str
) -> tuple[Node | None, list[ast.expr]]:
    """Return a part's own node (None for a unary plus) and its arguments."""
    match part:
        case ast.Constant(value):
            return _number(value), []
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value)):
            return -_number(value), []  # -4 is a number, not an operation
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return "neg", [operand]
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return None, [operand]
        case ast.BinOp(left, op, right):
            return _arithmetic(op), [left, right]
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            if name in DEFINED:
                return None, [_written_out(name, arguments)]
            if (converted := _converted(name, arguments)) is not None:
                return None, [converted]
            return _operator(name, len(arguments)).name, arguments
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARISONS:
            return _COMPARISONS[type(op)], [left, right]
        case ast.BoolOp(op=op, values=[first, second]):
            return _LOGIC[type(op)], [first, second]
        case ast.BoolOp(op=op, values=[first, *others]):
            return _LOGIC[type(op)], [first, ast.BoolOp(op=op, values=others)]
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return "less_equal", [operand, ast.Constant(0.0)]
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return None, [_written_out("ifelse", [test, body, orelse])]
        case ast.Name(id=name):
            return _input_or_constant(name, columns), []
    shown = ast.get_source_segment(in_python(text.strip()), part) or type(part).__name__
    raise _Unreadable(f"'{shown[:40]}' is neither an operator, an input nor a number")


def _converted(name: str, arguments: list[ast.expr]) -> ast.expr | None:
    """Return what a conversion of Julia's stands for; None where a call is something else."""
    match name, arguments:
        case ("zero", [_]):
            return ast.Constant(0.0)
        case ("one", [_]):
            return ast.Constant(1.0)
        case ("convert" | "oftype", [_, value]):
            return value
        case (name, [value]) if name in TYPES:
            return value
    return None


def _written_out(name: str, arguments: list[ast.expr]) -> ast.expr:
    """Return the formula of a defined operator with its arguments put in."""
    names, value = DEFINED[name]
    if len(names) != len(arguments):
        raise _Unreadable(f"'{name}' takes {len(names)} argument(s), {len(arguments)} given")
    given = dict(zip(names, arguments, strict=True))

    class Put(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            return given.get(node.id, node)

    return Put().visit(ast.parse(value, mode="eval").body)


def in_python(text: str) -> str:
    """Return a formula in Python's notation, where it may be in Julia's."""
    text = re.sub(r"(?<![\w.])((?:\d+\.?\d*|\.\d+))f([+-]?\d+)", r"\1e\2", text)
    text = re.sub(r"(?<![\w.])((?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?+)(?=[A-Za-zπ(])", r"\1*", text)
    for julia, python in (("^", "**"), ("&&", " and "), ("||", " or ")):
        text = text.replace(julia, python)
    while "?" in text:
        text = _without_question(text)
    return text


def _without_question(text: str) -> str:
    """Write the last ``c ? a : b`` of a text, which has no other inside, as ``a if c else b``."""
    question = text.rindex("?")
    start, end = question, question
    depth = 0
    while start > 0:
        depth += (text[start - 1] == ")") - (text[start - 1] == "(")
        if depth < 0 or (depth == 0 and text[start - 1] in ",?:"):
            break
        start -= 1
    colon, depth = -1, 0
    while end < len(text):
        depth += (text[end] == "(") - (text[end] == ")")
        if depth < 0 or (depth == 0 and (text[end] == "," or (text[end] == ":" and colon >= 0))):
            break
        if depth == 0 and text[end] == ":":
            colon = end
        end += 1
    if colon < 0:
        raise SyntaxError("'?' without ':'", ("", 1, question + 1, text))
    condition, yes, no = text[start:question], text[question + 1 : colon], text[colon + 1 : end]
    return f"{text[:start]}(({yes}) if ({condition}) else ({no})){text[end:]}"


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Unreadable(f"{value!r} is not a real number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if math.isinf(number):
        raise _Unreadable("a number is too large")
    return number


def _arithmetic(op: ast.operator) -> str:
    if type(op) not in _ARITHMETIC:
        raise _Unreadable(f"{type(op).__name__} is not among + - * / ** ^ %")
    return _ARITHMETIC[type(op)]


def _operator(name: str, n_arguments: int) -> Operator:
    if name not in NAMES:
        near = nearest(name, [*NAMES, *DEFINED])
        hint = f"; did you mean '{near}'?" if near else ""
        raise _Unreadable(f"unknown operator '{name}'{hint}")
    operator = OPERATORS[NAMES[name]]
    if operator.arity != n_arguments:
        raise _Unreadable(f"'{name}' takes {operator.arity} argument(s), {n_arguments} given")
    return operator


def _input_or_constant(name: str, columns: dict[str, int] | None) -> Node:
    if columns is not None and name in columns:
        return columns[name]
    if name in CONSTANTS:
        return CONSTANTS[name]
    default_name = _INPUT.fullmatch(name)
    if columns is None and default_name:
        return int(default_name[1]) - 1
    allowed = ["x1, x2, ..."] if columns is None else list(columns)
    near = nearest(name, [*(columns or ()), *CONSTANTS])
    hint = f"; did you mean '{near}'?" if near else ""
    raise _Unreadable(f"unknown input '{name}'{hint} (inputs: {', '.join(allowed[:20])})")
