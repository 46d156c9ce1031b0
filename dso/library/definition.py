"""Operators and losses that users define by a formula: ``special(x, y) = x^2 + y``.

A definition is read once, into a tree of operators of the table. From it follow its values, its
derivatives by the chain rule

    d f(a, b) = f_a da + f_b db,    f_a and f_b the column `derivative` of the table,

how to solve for an argument that stands in one place only, and its form in every language. The
virtual machine expands it where it stands; a program counts it as one token.
"""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from dso.errors import UserError
from dso.library.expression import DEFINED, Node, parse
from dso.library.formula_units import rule_of_formula
from dso.library.functions import NAMES, OPERATORS
from dso.library.operator import Inverse, Operator, apply_form
from dso.library.unit_rules import LinearRule

Tree = tuple[Any, ...]
"""``("arg", 0)``, ``("num", 2.0)``, or the name of an operator and the trees of its arguments."""

RESERVED = frozenset(("E", "I", "N", "O", "Q", "S", "pi", "NaN", "Inf", "const", "poly"))
"""Names that mean something else in formulas or in sympy."""

_HEAD = re.compile(
    r"\s*(?:(?P<name>\w+)\s*)?(?:\((?P<several>[^()]*)\)|(?P<single>\w+))\s*"
    r"(?:where\s*\{?\s*(?P<type>\w+)(?:\s*<:\s*\w+)?\s*\}?\s*)?"
    r"(?P<sign>=(?!=)|->)(?P<value>.*)",
    re.DOTALL,
)
_POWERS = {1.0: None, 2.0: "n2", 3.0: "n3", 4.0: "n4", 0.5: "sqrt", -1.0: "inv"}
_ZERO, _ONE = ("num", 0.0), ("num", 1.0)


@dataclass(frozen=True)
class Definition:
    """A formula with a name and arguments.

    Attributes
    ----------
    name : str
        Empty for a function without one.
    arguments : tuple of str
    tree : Tree
    text : str
        As it was written.
    """

    name: str
    arguments: tuple[str, ...]
    tree: Tree
    text: str

    def __call__(self, *arguments: Any) -> Any:
        """Return the value for arrays that go together."""
        with np.errstate(all="ignore"):
            return self.folded(
                lambda i: arguments[i],
                np.float64,
                lambda row, values: row.numpy(*values),
            )

    def folded(
        self,
        argument: Callable[[int], Any],
        number: Callable[[float], Any],
        apply: Callable[[Operator, list[Any]], Any],
    ) -> Any:
        """Build any form of the formula from the leaves up."""
        return _folded(self.tree, argument, number, apply)

    @property
    def nodes(self) -> list[Tree]:
        """All parts of the formula in left-to-right postorder."""
        return _nodes(self.tree)

    @cached_property
    def used(self) -> frozenset[int]:
        """Which arguments the formula reads."""
        return frozenset(node[1] for node in _nodes(self.tree) if node[0] == "arg")

    @cached_property
    def units(self) -> LinearRule | None:
        """The rule of units, None where there is none: see `dso.library.formula_units`."""
        return rule_of_formula(len(self.arguments), self.folded)

    def derivative(self, argument: int) -> Definition:
        """Return the derivative in an argument; where it jumps it is that of either side."""
        try:
            tree = _derivative(self.tree, argument)
        except UserError as error:
            raise UserError(f"{self.text!r} has no derivative: {error}") from None
        return Definition("", self.arguments, tree, f"derivative of {self.text}")


def is_definition(item: object) -> bool:
    """Tell whether a text defines a function, as ``f(x) = 1/x`` and ``(x, y) -> x*y`` do."""
    return isinstance(item, str) and _HEAD.fullmatch(item) is not None


def read_definition(text: str, where: str, arguments: Sequence[str] | None = None) -> Definition:
    """Read a function: ``name(x, y) = formula``, ``(x, y) -> formula``.

    Parameters
    ----------
    text : str
    where : str
        Section and key, for the error message.
    arguments : sequence of str, optional
        Names of the arguments of a formula that is given alone. Default: it is refused.

    Raises
    ------
    UserError
        If it cannot be read.
    """
    match = _HEAD.fullmatch(text)
    name, formula = "", text
    if match is not None:
        name, formula = match["name"] or "", match["value"]
        if match["type"]:  # T(2.5) is 2.5
            formula = re.sub(rf"\b{match['type']}\(", "(", formula)
        listed = match["single"] if match["several"] is None else match["several"]
        # Julia's types say nothing here.
        given = [part.split("::")[0].strip() for part in listed.split(",") if part.strip()]
        arguments = given
    elif arguments is None:
        raise UserError(f"{where}: cannot read {text!r}; expected 'name(x, y) = formula'.")
    for argument in arguments:
        if not argument.isidentifier() or keyword.iskeyword(argument):
            raise UserError(f"{where}: {argument!r} in {text!r} cannot name an argument.")
    if len(set(arguments)) < len(arguments) or not arguments:
        raise UserError(f"{where}: {text!r} needs arguments of different names.")
    nodes = parse(formula, f"{where}: {text.strip()!r}", arguments).nodes
    return Definition(name, tuple(arguments), _with_plain_powers(_tree(nodes)), text.strip())


def defined_operator(text: str, where: str) -> Operator:
    """Return the row of an operator that is defined by ``name(x, y) = formula``.

    It counts as one token of complexity 1.

    Raises
    ------
    UserError
        If it cannot be read, an argument is not used, or the name has another meaning.
    """
    definition = read_definition(text, where)
    name = definition.name
    if not name:
        raise UserError(f"{where}: {text!r} needs a name: 'name(x) = formula'.")
    if name in RESERVED or keyword.iskeyword(name) or not name.isidentifier():
        raise UserError(
            f"{where}: {text!r}: {name!r} has a meaning of its own in formulas or in sympy; "
            f"choose another name, e.g. {'my_' + name!r}."
        )
    if re.fullmatch(r"x\d+", name):
        raise UserError(f"{where}: {text!r}: {name!r} is the name of an input.")
    unused = [a for i, a in enumerate(definition.arguments) if i not in definition.used]
    if unused:
        raise UserError(f"{where}: {text!r} does not use its argument {unused[0]!r}.")
    if name.lower() in NAMES or name in DEFINED:
        known = operator_called(name) if name in DEFINED else OPERATORS[NAMES[name.lower()]]
        if not _agrees(definition, known):
            raise UserError(
                f"{where}: {text!r}: {name!r} is an operator of dso with another value "
                f"({known.formula}); choose another name, e.g. {'my_' + name!r}."
            )
        return known
    return _row(definition)


@lru_cache
def operator_called(name: str) -> Operator:
    """Return the row of an operator of `DEFINED`."""
    arguments, value = DEFINED[name]
    return _row(read_definition(f"{name}({', '.join(arguments)}) = {value}", "operator"))


def _row(definition: Definition) -> Operator:
    def in_namespace(column: str, number: Callable[[Any, float], Any]) -> Callable[..., Any]:
        def form(namespace: Any, *arguments: Any) -> Any:
            return definition.folded(
                lambda i: arguments[i],
                lambda value: number(namespace, value),
                lambda row, values: apply_form(getattr(row, column), namespace, *values),
            )

        return form

    letters = "abc" if len(definition.arguments) <= 3 else "abcdefghijklmnopqrstuvwxyz"
    return Operator(
        definition.name,
        len(definition.arguments),
        1,
        definition.folded(lambda i: letters[i], _number_text, _call_text),
        definition,
        in_namespace("sympy", _sympy_number),
        in_namespace("array", _array_number),
        inverse=tuple(_inverse(definition, i) for i in range(len(definition.arguments))),
        units=definition.units or "pure",
        definition=definition,
    )


def _array_number(namespace: Any, value: float) -> Any:
    """Return a number as functions of a namespace take it: those of torch take tensors alone."""
    if namespace.__name__ != "torch":
        return value
    return namespace.asarray(value, dtype=namespace.float64)


def _agrees(definition: Definition, row: Operator) -> bool:
    """Tell whether a definition is an operator of the table under its own name."""
    if len(definition.arguments) != row.arity:
        return False
    points = np.random.default_rng(0).uniform(-3, 3, (row.arity, 64))
    with np.errstate(all="ignore"):
        return np.allclose(definition(*points), row.numpy(*points), rtol=1e-9, equal_nan=True)


# ---- trees


def _tree(nodes: Sequence[Node]) -> Tree:
    stack: list[Tree] = []
    for node in reversed(nodes):
        if isinstance(node, str):
            stack.append((node, *(stack.pop() for _ in range(OPERATORS[node].arity))))
        else:
            stack.append(("arg", node) if isinstance(node, int) else ("num", float(node)))
    return stack.pop()


def _nodes(tree: Tree) -> list[Tree]:
    """Return all nodes in left-to-right postorder."""
    found, stack = [], [tree]
    while stack:
        node = stack.pop()
        found.append(node)
        if node[0] not in ("arg", "num"):
            stack.extend(node[1:])
    return found[::-1]


def _folded(
    tree: Tree,
    argument: Callable[[int], Any],
    number: Callable[[float], Any],
    apply: Callable[[Operator, list[Any]], Any],
) -> Any:
    stack: list[Any] = []
    for node in _nodes(tree):
        if node[0] == "arg":
            stack.append(argument(node[1]))
        elif node[0] == "num":
            stack.append(number(node[1]))
        else:
            values = [stack.pop() for _ in node[1:]][::-1]
            stack.append(apply(OPERATORS[node[0]], values))
    return stack.pop()


def _made(name: str, *children: Tree) -> Tree:
    """Return the tree of an operation, a number where there is nothing else in it."""
    if name == "pow" and children[1][0] == "num" and children[1][1] in _POWERS:
        shorter = _POWERS[children[1][1]]
        return children[0] if shorter is None else _made(shorter, children[0])
    if name == "mul":
        if _ZERO in children:
            return _ZERO
        if _ONE in children:
            return children[1] if children[0] == _ONE else children[0]
    if name == "add" and _ZERO in children:
        return children[1] if children[0] == _ZERO else children[0]
    if all(child[0] == "num" for child in children):
        with np.errstate(all="ignore"):
            value = float(OPERATORS[name].numpy(*(np.float64(child[1]) for child in children)))
        if math.isfinite(value):
            return ("num", value)
    return (name, *children)


def _rebuilt(tree: Tree, leaf: Callable[[Tree], Tree]) -> Tree:
    stack: list[Tree] = []
    for node in _nodes(tree):
        if node[0] in ("arg", "num"):
            stack.append(leaf(node))
        else:
            children = [stack.pop() for _ in node[1:]][::-1]
            stack.append(_made(node[0], *children))
    return stack.pop()


def _with_plain_powers(tree: Tree) -> Tree:
    """Write powers by small numbers as squares, cubes and roots, which are faster."""
    return _rebuilt(tree, lambda leaf: leaf)


@lru_cache
def _slopes(name: str) -> tuple[Tree, ...]:
    """Return the derivatives of an operator: trees of its arguments, then of its value."""
    row = OPERATORS[name]
    names = (*"ab"[: row.arity], "y")
    return tuple(_tree(parse(text, f"operator {name!r}", names).nodes) for text in row.derivative)


def _derivative(tree: Tree, argument: int) -> Tree:
    if tree[0] == "arg":
        return _ONE if tree[1] == argument else _ZERO
    if tree[0] == "num":
        return _ZERO
    name, children = tree[0], tree[1:]
    inner = [_derivative(child, argument) for child in children]
    if name == "cond":  # what is not chosen may have no derivative
        return _ZERO if inner[1] == _ZERO else ("cond", children[0], inner[1])
    total = _ZERO
    if all(part == _ZERO for part in inner):
        return total
    given = (*children, tree)
    for slope, part in zip(_slopes(name), inner, strict=True):
        if part != _ZERO:
            outer = _rebuilt(slope, lambda leaf: given[leaf[1]] if leaf[0] == "arg" else leaf)
            total = _made("add", total, _made("mul", outer, part))
    return total


def _inverse(definition: Definition, argument: int) -> Inverse | None:
    """Return how to solve for an argument that occurs once; None if that is impossible."""
    if len(definition.arguments) > 2:
        return None
    node, wanted = definition.tree, "y"
    others: Mapping[int, str] = dict(enumerate("ab"))

    def operand(tree: Tree) -> Any:
        if tree[0] == "arg":
            return others[tree[1]]
        return tree[1] if tree[0] == "num" else (tree[0], *map(operand, tree[1:]))

    while node != ("arg", argument):
        children = node[1:]
        above = [i for i, child in enumerate(children) if ("arg", argument) in _nodes(child)]
        solutions = OPERATORS[node[0]].inverse
        solution = solutions[above[0]] if len(above) == 1 and solutions else None
        if solution is None:
            return None
        put = {"y": wanted}
        for i, child in enumerate(children):
            if i != above[0]:
                put["ab"[i]] = operand(child)
        wanted = _put(solution, put)
        node = children[above[0]]
    return wanted if isinstance(wanted, tuple) else None


def _put(inverse: Inverse, given: Mapping[str, Any]) -> Any:
    name, *operands = inverse
    return (
        name,
        *(
            _put(item, given)
            if isinstance(item, tuple)
            else given.get(item, item)
            if isinstance(item, str)
            else item
            for item in operands
        ),
    )


# ---- forms


def _sympy_number(sympy: Any, value: float) -> Any:
    if not math.isfinite(value):
        return sympy.nan if math.isnan(value) else sympy.oo
    return sympy.Integer(int(value)) if value == int(value) else sympy.Float(value)


def _number_text(value: float) -> str:
    return repr(int(value)) if math.isfinite(value) and value == int(value) else repr(value)


def _call_text(row: Operator, values: list[str]) -> str:
    signs = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
    if row.name in signs:
        return f"({values[0]} {signs[row.name]} {values[1]})"
    return f"{row.name}({', '.join(values)})"
