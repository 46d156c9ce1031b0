"""From the text of an expression to presentation MathML, as nested lists for the page.

The text is that of an `expression` column. It is read as syntax and never evaluated, so a file from
anywhere can be shown. A node is ``[tag, child, ...]``, a leaf ``[tag, text]``; a dict of attributes
may stand behind the tag.
"""

from __future__ import annotations

import ast
import math
import re

from dso.library import OPERATORS

MathML = list

MAX_LENGTH = 5_000
DIGITS = 5
INVISIBLE_TIMES, APPLY = "\u2062", "\u2061"

ADD, SIGNED, MULTIPLY, POWER, ATOM = range(5)
"""How tightly a node binds; a product with a leading minus is SIGNED."""

FUNCTIONS = {row.sympy: row.name for row in OPERATORS.values() if not row.display}
"""What functions of sympy are called here."""
LETTERS = {"pi": "π", "E": "e", "oo": "∞", "zoo": "∞", "I": "i"}
COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "≤",
    ast.Gt: ">",
    ast.GtE: "≥",
    ast.Eq: "=",
    ast.NotEq: "≠",
}
_NUMBERED = re.compile(r"([A-Za-z]+)_?(\d+)")


def to_mathml(text: str) -> MathML:
    """Return the nodes of an expression; plain text where it cannot be read as one."""
    if len(text) <= MAX_LENGTH:
        try:
            return _Writer().node(ast.parse(text, mode="eval").body)[0]
        except (SyntaxError, ValueError, RecursionError, MemoryError, _Unreadable):
            pass
    return ["mtext", text]


class _Unreadable(Exception):
    """The text is not an expression of ours."""


class _Writer:
    """Write each kind of syntax; every method returns a node and how tightly it binds."""

    def node(self, part: ast.expr) -> tuple[MathML, int]:
        match part:
            case ast.Constant(value) if isinstance(value, int | float):
                return _number(value)
            case ast.Constant(str(value)):
                return ["mtext", value], ATOM
            case ast.Name(name):
                return _name(name), ATOM
            case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
                shown = "−" if isinstance(sign, ast.USub) else "+"
                return ["mrow", ["mo", shown], self.inside(operand, MULTIPLY)], SIGNED
            case ast.BinOp(left, op, right):
                return self.operation(left, op, right)
            case ast.Compare(left, [op], [right]) if type(op) in COMPARISONS:
                comparison = ["mo", COMPARISONS[type(op)]]
                return ["mrow", self.inside(left, ADD), comparison, self.inside(right, ADD)], ADD
            case ast.Call(func=ast.Name(name), args=arguments, keywords=[]):
                return self.call(name, arguments)
        raise _Unreadable

    def inside(self, part: ast.expr, at_least: int) -> MathML:
        """Return a node, in parentheses where it binds less tightly than it must."""
        node, binding = self.node(part)
        return node if binding >= at_least else _parentheses(node)

    def operation(self, left: ast.expr, op: ast.operator, right: ast.expr) -> tuple[MathML, int]:
        match op:
            case ast.Add():
                return self.chain(left, "+", right)
            case ast.Sub():
                return self.chain(left, "−", right)
            case ast.Mult():
                return self.product(left, right)
            case ast.Div():
                return ["mfrac", self.node(left)[0], self.node(right)[0]], MULTIPLY
            case ast.Pow():
                return self.power(left, right)
        raise _Unreadable

    def chain(self, left: ast.expr, sign: str, right: ast.expr) -> tuple[MathML, int]:
        return ["mrow", self.inside(left, ADD), ["mo", sign], self.inside(right, MULTIPLY)], ADD

    def product(self, left: ast.expr, right: ast.expr) -> tuple[MathML, int]:
        first, binding = self.node(left)
        if binding < SIGNED:
            first = _parentheses(first)
        second = self.inside(right, MULTIPLY)
        tag, text = _first_leaf(second)[:2]
        times: MathML = ["mo", "⋅" if tag == "mn" else INVISIBLE_TIMES]
        if tag == "mi" and len(text) > 1:  # sin x and its like stand off
            times = ["mspace", {"width": "0.17em"}]
        return ["mrow", first, times, second], SIGNED if binding == SIGNED else MULTIPLY

    def power(self, base: ast.expr, exponent: ast.expr) -> tuple[MathML, int]:
        match exponent:
            case ast.Constant(0.5):
                return ["msqrt", self.node(base)[0]], ATOM
            case ast.BinOp(ast.Constant(1), ast.Div(), ast.Constant(2)):
                return ["msqrt", self.node(base)[0]], ATOM
        return ["msup", self.inside(base, ATOM), self.node(exponent)[0]], POWER

    def call(self, name: str, arguments: list[ast.expr]) -> tuple[MathML, int]:
        match name, arguments:
            case "sqrt", [argument]:
                return ["msqrt", self.node(argument)[0]], ATOM
            case "Abs", [argument]:
                return ["mrow", ["mo", "|"], self.node(argument)[0], ["mo", "|"]], ATOM
            case "exp", [argument]:
                return ["msup", ["mi", "e"], self.node(argument)[0]], POWER
            case "Piecewise", [*cases] if cases:
                return self.cases(cases), POWER
        shown = FUNCTIONS.get(name, name)
        listed: MathML = ["mrow"]
        for i, argument in enumerate(arguments):
            listed += [["mo", ","]] * (i > 0) + [self.node(argument)[0]]
        return ["mrow", ["mi", shown], ["mo", APPLY], _parentheses(listed)], ATOM

    def cases(self, cases: list[ast.expr]) -> MathML:
        rows: MathML = ["mtable"]
        for case in cases:
            if not isinstance(case, ast.Tuple) or len(case.elts) != 2:
                raise _Unreadable
            value, condition = case.elts
            is_rest = isinstance(condition, ast.Constant) and condition.value is True
            when = ["mtext", "otherwise"] if is_rest else self.node(condition)[0]
            rows.append(["mtr", ["mtd", self.node(value)[0]], ["mtd", when]])
        return ["mrow", ["mo", "{"], rows]


def _parentheses(node: MathML) -> MathML:
    # Around a single line they keep its height, even if powers and indices make the line taller.
    sides = [["mo", *([] if _is_tall(node) else [{"stretchy": "false"}]), side] for side in "()"]
    return ["mrow", sides[0], node, sides[1]]


def _is_tall(node: MathML) -> bool:
    return node[0] in ("mfrac", "mtable") or any(
        _is_tall(child) for child in node[1:] if isinstance(child, list)
    )


def _first_leaf(node: MathML) -> MathML:
    while isinstance(node[1], list):
        node = node[1]
    return node


def _name(name: str) -> MathML:
    numbered = _NUMBERED.fullmatch(name)
    if numbered:
        return ["msub", ["mi", numbered[1]], ["mn", numbered[2]]]
    return ["mi", LETTERS.get(name, name)]


def _number(value: float) -> tuple[MathML, int]:
    if isinstance(value, bool) or not math.isfinite(value):
        return ["mtext", str(value)], ATOM
    # Whole numbers of a formula are exact; others have more digits than anybody reads.
    shown = str(value) if isinstance(value, int) and value < 1e6 else f"{value:.{DIGITS}g}"
    mantissa, _, exponent = shown.partition("e")
    if not exponent:
        return ["mn", mantissa], ATOM
    power = ["mn", str(int(exponent)).replace("-", "−")]
    return ["mrow", ["mn", mantissa], ["mo", "⋅"], ["msup", ["mn", "10"], power]], MULTIPLY
