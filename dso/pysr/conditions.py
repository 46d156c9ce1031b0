"""Conditions as PySR's users write them: ``stop_if(loss, complexity) = loss < 1e-6 && ...``.

The text is read, never run: comparisons and logic here, what they compare by the parser of
formulas.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable

import numpy as np

from dso.errors import UserError
from dso.library.expression import Expression, evaluate, parse

Condition = Callable[[np.ndarray], bool]

_COMPARISONS: dict[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_DEFINITION = re.compile(r"\s*(?:\w+\s*)?\(([^()]*)\)\s*(?:=(?!=)|->)\s*(.+)", re.DOTALL)
_LOGIC = ((r"&&", " and "), (r"\|\|", " or "), (r"!(?!=)", " not "), (r"\^", "**"))


def read_condition(text: str, where: str) -> Callable[[float, float], bool]:
    """Return the function of two numbers that a text defines.

    Parameters
    ----------
    text : str
        ``name(a, b) = ...`` or ``(a, b) -> ...``, with ``&& || !`` and comparisons.
    where : str
        For the error message.

    Raises
    ------
    UserError
        If it is anything else.
    """
    match = _DEFINITION.fullmatch(text)
    names = [name.strip() for name in match[1].split(",")] if match else []
    if match is None or len(names) != 2 or not all(map(str.isidentifier, names)):
        raise UserError(
            f"{where}: {text!r}; expected 'name(loss, complexity) = ...' with a comparison."
        )
    body = match[2]
    for old, new in _LOGIC:
        body = re.sub(old, new, body)
    try:
        tree = ast.parse(body.strip(), mode="eval").body
    except SyntaxError as error:
        raise UserError(f"{where}: cannot read {text!r}: {error.msg}.") from None
    condition = _condition(tree, names, where)
    return lambda loss, complexity: condition(np.array([[loss, complexity]]))


def _condition(part: ast.expr, names: list[str], where: str) -> Condition:
    match part:
        case ast.BoolOp(op, values):
            parts = [_condition(value, names, where) for value in values]
            decide = all if isinstance(op, ast.And) else any
            return lambda row: decide(condition(row) for condition in parts)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            inner = _condition(operand, names, where)
            return lambda row: not inner(row)
        case ast.Compare(left, comparisons, others) if all(
            type(one) in _COMPARISONS for one in comparisons
        ):
            sides = [parse(ast.unparse(side), where, names) for side in (left, *others)]
            tests = [_COMPARISONS[type(one)] for one in comparisons]
            return lambda row: _holds(tests, sides, row)
    raise UserError(f"{where}: {ast.unparse(part)!r} is not a comparison.")


def _holds(
    tests: list[Callable[[float, float], bool]], sides: list[Expression], row: np.ndarray
) -> bool:
    """Tell whether each of a chain of comparisons holds, as in ``0 < a < b``."""
    values = [float(evaluate(side, row)[0]) for side in sides]
    return all(test(a, b) for test, a, b in zip(tests, values[:-1], values[1:], strict=True))
