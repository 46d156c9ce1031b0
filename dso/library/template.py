"""Templates: formulas with given parts, and with holes that are searched for.

``sin(f(x1, x2)) + g(x3)**2`` has the holes f, in which x1 and x2 may occur, and g. ``p[k]`` is a
fitted constant: one for each whole number k, or, where k is an input, one for each value that the
input has, so that groups of rows share a form and differ in their numbers. In tokens that is a
chain of conditions, ``k < 1.5 ? c1 : k < 2.5 ? c2 : c3``.
"""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from dso.errors import UserError, unknown
from dso.library.create import create_tokens
from dso.library.expression import DEFINED, Node, in_python, parse
from dso.library.functions import OPERATORS
from dso.library.library import Library
from dso.library.tokens import StateChecker

MAX_GROUPS = 100
WHERE = "task.template.combine"
FILL_IN = "hole_{}_"
"""Name of the k-th hole, or constant, in the text that the parser of formulas reads."""


@dataclass(frozen=True)
class Hole:
    """A part that is searched for.

    Attributes
    ----------
    name : str
    inputs : tuple of int
        Columns that may occur in it.
    """

    name: str
    inputs: tuple[int, ...]


@dataclass(frozen=True)
class Parameter:
    """A fitted constant, or one for each value of a column.

    Attributes
    ----------
    name : str
    column : int or None
    index : int
        Which of the constants of its name it is.
    """

    name: str
    column: int | None = None
    index: int = 0


@dataclass(frozen=True)
class Condition:
    """The token ``x_column < threshold``."""

    column: int
    threshold: float


Step = str | int | float | Hole | Parameter | Condition
"""An operator, the column of an input, a number, or one of the above; in prefix order."""


@dataclass(frozen=True)
class Template:
    """A formula with holes.

    Attributes
    ----------
    steps : tuple of Step
        In prefix order.
    text : str
    """

    steps: tuple[Step, ...]
    text: str

    @property
    def holes(self) -> list[str]:
        """Names of the holes."""
        return [step.name for step in self.steps if isinstance(step, Hole)]

    @property
    def parameters(self) -> list[str]:
        """Names of the parameters, each once."""
        named = (step.name for step in self.steps if isinstance(step, Parameter))
        return list(dict.fromkeys(name.partition("[")[0] for name in named))

    @property
    def operators(self) -> list[str]:
        """The operators that are given, each once."""
        return list(dict.fromkeys(step for step in self.steps if isinstance(step, str)))

    @property
    def numbers(self) -> list[float]:
        """The numbers that are given, each once."""
        return list(dict.fromkeys(step for step in self.steps if isinstance(step, float)))

    @property
    def has_parameters(self) -> bool:
        """Whether constants are given."""
        return any(isinstance(step, Parameter) for step in self.steps)

    def thresholds(self, n_inputs: int) -> list[list[float]]:
        """Return the thresholds of conditions for each input."""
        found: list[list[float]] = [[] for _ in range(n_inputs)]
        for step in self.steps:
            if isinstance(step, Condition) and step.threshold not in found[step.column]:
                found[step.column].append(step.threshold)
        return found


def read_template(
    combine: str,
    expressions: Sequence[str],
    parameters: Mapping[str, int],
    names: Sequence[str],
    X: np.ndarray,
) -> Template:
    """Read a template.

    Parameters
    ----------
    combine : str
        The formula, with calls of the expressions. Before it may stand names for parts of it:
        ``a = f(x1); b = g(x2); a^2 + b``.
    expressions : sequence of str
        Names of the holes.
    parameters : mapping
        Name of a parameter to how many constants it has.
    names : sequence of str
        Of the inputs.
    X : (N, D) array
        Rows, whose values say which groups there are.

    Raises
    ------
    UserError
        For text that is not such a formula, or an unknown name.
    """
    fill_ins: list[Hole | Parameter] = []
    reader = _FillIns(fill_ins, expressions, parameters, list(names))
    try:
        tree = _syntax_tree(combine)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UserError(f"{WHERE}: cannot read {combine!r}: {error}.") from None
    text = ast.unparse(reader.visit(tree))
    for name in parameters:
        if name not in reader.used:
            raise UserError(f"{WHERE}: {combine!r} does not use the parameter {name!r}.")
    holes = [part.name for part in fill_ins if isinstance(part, Hole)]
    for name in expressions:
        if name not in holes:
            raise UserError(f"{WHERE}: {combine!r} does not call {name!r}.")
        if holes.count(name) > 1:
            raise UserError(f"{WHERE}: {combine!r} calls {name!r} more than once; once is allowed.")
    marks = [FILL_IN.format(k) for k in range(len(fill_ins))]
    formula = parse(text, WHERE, [*names, *marks])
    for k, part in enumerate(fill_ins):
        if formula.nodes.count(len(names) + k) > 1:  # as in ``x > 0 ? a : b``, which reads x twice
            raise UserError(f"{WHERE}: {combine!r} reads {part.name!r} twice; once is allowed.")
    steps: list[Step] = []
    for node in formula.nodes:
        steps += _spelled(node, fill_ins, parameters, len(names), X)
    return Template(tuple(steps), combine)


def _syntax_tree(combine: str) -> ast.expr:
    """Return the last formula of a text, with those that have names put in their places."""
    *named, last = [part for part in re.split(r"[;\n]", combine) if part.strip()] or [""]
    known: dict[str, ast.expr] = {}

    class Put(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            return copy.deepcopy(known.get(node.id, node))

    def read(text: str) -> ast.expr:
        return Put().visit(ast.parse(in_python(text.strip()), mode="eval").body)

    for part in named:
        name, sign, value = part.partition("=")
        if not sign or not name.strip().isidentifier():
            raise SyntaxError(f"{part.strip()!r} is not 'name = formula'")
        known[name.strip()] = read(value)
    return read(last)


class _FillIns(ast.NodeTransformer):
    """Puts names in the place of calls of holes and of parameters."""

    def __init__(
        self,
        found: list[Hole | Parameter],
        expressions: Sequence[str],
        parameters: Mapping[str, int],
        names: list[str],
    ) -> None:
        self.found = found
        self.expressions = expressions
        self.parameters = parameters
        self.names = names
        self.used: set[str] = set()

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """A call of a hole names the inputs that may occur in it."""
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name in self.expressions:
            if not node.args or node.keywords:
                raise UserError(f"{WHERE}: {ast.unparse(node)}: {name} names no input.")
            columns = tuple(self._column(part, name) for part in node.args)
            return self._mark(Hole(name, columns))
        if not name or name == "D":
            raise UserError(
                f"{WHERE}: {ast.unparse(node)}: derivatives of what is searched for are not "
                "available."
            )
        if name not in _known_functions():
            raise unknown("function", name, [*self.expressions, *_known_functions()], WHERE)
        return self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        """An element of a parameter is a constant."""
        name = ast.unparse(node.value)
        if name not in self.parameters:
            raise unknown("parameter", name, self.parameters, WHERE)
        if isinstance(node.slice, ast.Constant):
            number, n = node.slice.value, self.parameters[name]
            if not isinstance(number, int) or not 1 <= number <= n:
                raise UserError(f"{WHERE}: {ast.unparse(node)}; {name} has the elements 1 to {n}.")
            part = Parameter(f"{name}[{number}]", index=number - 1)
        else:
            part = Parameter(name, self._column(node.slice, name))
        self.used.add(name)
        if part in self.found:
            raise UserError(f"{WHERE}: {ast.unparse(node)} occurs more than once.")
        return self._mark(part)

    def _column(self, part: ast.expr, name: str) -> int:
        if not isinstance(part, ast.Name):
            raise UserError(
                f"{WHERE}: {ast.unparse(part)!r} as an argument of {name}; expected an input: "
                f"{', '.join(self.names)}."
            )
        if part.id not in self.names:
            raise unknown("input", part.id, self.names, WHERE)
        return self.names.index(part.id)

    def _mark(self, part: Hole | Parameter) -> ast.AST:
        self.found.append(part)
        return ast.Name(FILL_IN.format(len(self.found) - 1), ast.Load())


def _known_functions() -> list[str]:
    from dso.library.functions import NAMES

    return [*NAMES, *DEFINED]


def _spelled(
    node: Node,
    fill_ins: Sequence[Hole | Parameter],
    parameters: Mapping[str, int],
    n_inputs: int,
    X: np.ndarray,
) -> list[Step]:
    """Return the steps that a node of the formula stands for."""
    if not isinstance(node, int) or node < n_inputs:
        return [node]
    part = fill_ins[node - n_inputs]
    if isinstance(part, Hole) or part.column is None:
        return [part]
    values = np.unique(X[:, part.column])
    if len(values) != parameters[part.name] or len(values) > MAX_GROUPS:
        raise UserError(
            f"task.template.parameters.{part.name}: {parameters[part.name]} constants, and its "
            f"column has {len(values)} values; there has to be one for each, and at most "
            f"{MAX_GROUPS}."
        )
    steps: list[Step] = []
    for k, (low, high) in enumerate(pairwise(values.tolist())):
        threshold = float((low + high) / 2)
        steps += [Condition(part.column, threshold), Parameter(part.name, index=k)]
    return [*steps, Parameter(part.name, index=len(values) - 1)]


def with_tokens_of(template: Template, functions: Sequence[str | float]) -> list[str | float]:
    """Return a function set with what a template needs besides."""
    known = {token.name for token in create_tokens(0, functions)}
    wanted: list[str | float] = [*template.operators, *template.numbers]
    if template.has_parameters:
        wanted.append("const")
    shown = (OPERATORS[w].shown if w in OPERATORS else str(w) for w in wanted)
    return [
        *functions,
        *(item for item, name in zip(wanted, shown, strict=True) if name not in known),
    ]


def step_tokens(template: Template, library: Library) -> list[int]:
    """Return the token (S,) of each step, -1 for holes.

    Raises
    ------
    UserError
        If the library lacks one.
    """
    operators = {t.operator.name: i for i, t in enumerate(library.tokens) if t.operator is not None}
    conditions = {
        Condition(token.state_index, token.threshold): i
        for i, token in enumerate(library.tokens)
        if isinstance(token, StateChecker)
    }
    tokens: list[int] = []
    for step in template.steps:
        token: int | None
        match step:
            case Hole():
                token = -1
            case Parameter():
                token = library.const_token
            case Condition():
                token = conditions.get(step)
            case str():
                token = operators.get(step)
            case int():
                token = int(library.input_tokens[step])
            case float():
                token = library.find_literal(step)
        if token is None:
            shown = OPERATORS[step].shown if isinstance(step, str) else step
            raise UserError(f"{WHERE}: {template.text!r} needs the token {shown!r}.")
        tokens.append(token)
    return tokens
