"""A policy as source code: a function of one observation, in Python and in C.

Decisions at the head of a program become nested ifs, which read better than one long expression;
those further inside stay where they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from dso.export.source import NUMPY, C, Language, c_preamble, numpy_preamble, used_columns
from dso.library import DiscreteAction, MultiDiscreteAction, StateChecker, Stop, Token
from dso.library.identifiers import ascii_identifiers

INDENT = "    "
C_TYPES = {"float32": "float", "float64": "double"}
"""Of actions; those of other types are int."""


@dataclass(frozen=True)
class PolicyForm:
    """What is written besides the expressions.

    Attributes
    ----------
    env_id : str
        Stands in a comment.
    names : sequence of str
        Identifiers of the observations.
    kind : {"box", "discrete", "multi_discrete"}
    dtype : str
        Of the action.
    low, high : sequence of float
        Bounds of a Box.
    first_choice : int
        What a discrete action counts from.
    n_actions : int
    """

    env_id: str
    names: Sequence[str]
    kind: Literal["box", "discrete", "multi_discrete"]
    dtype: str
    low: Sequence[float]
    high: Sequence[float]
    first_choice: int
    n_actions: int

    @property
    def is_whole(self) -> bool:
        """Whether the numbers of a Box are whole: the nearest ones are taken."""
        return self.kind == "box" and "int" in self.dtype


@dataclass(frozen=True)
class Syntax:
    """How a language writes statements."""

    language: Language
    when: str
    otherwise: str
    end: str
    assign: str
    nothing: str


PYTHON = Syntax(NUMPY, "if {x} < {t}:", "else:", "", "{name} = {value}", "pass")
C99 = Syntax(C, "if ({x} < {t}) {{", "} else {", "}", "{name} = {value};", ";")


def python_policy(programs: Sequence[Sequence[Token]], form: PolicyForm) -> str:
    """Return Python code of a function ``act(observation)``.

    Parameters
    ----------
    programs : sequence of sequence of Token
        One per action, in prefix order; a single tree for a multi-discrete action.
    form : PolicyForm
    """
    tokens = [token for program in programs for token in program]
    n = len(form.names)
    names = ", ".join(form.names) + ("," if n == 1 else "")
    result = "" if form.kind == "discrete" else f" ({form.n_actions},)"
    lines = [
        "def act(observation):",
        f'    """Return the action{result} of {_plain(form.env_id)} for an observation ({n},)."""',
        f"    {names} = np.asarray(observation, dtype=np.float64)",
        '    with np.errstate(all="ignore"):',
        *(2 * INDENT + line for line in _statements(PYTHON, programs, form)),
        *(INDENT + line for line in _python_result(form)),
    ]
    return "\n".join([*numpy_preamble(tokens), *lines, ""])


def c_policy(programs: Sequence[Sequence[Token]], form: PolicyForm) -> str:
    """Return C99 code of a function ``void act(const double *observation, T *action)``.

    The type T of the action is float, double or int. Parameters are those of `python_policy`.
    """
    form = replace(form, names=ascii_identifiers(form.names))
    tokens = [token for program in programs for token in program]
    columns, kind = used_columns(tokens), C_TYPES.get(form.dtype, "int")
    number = "double" if form.kind == "box" else "int"
    names = ", ".join(f"a{i + 1}" for i in range(form.n_actions))
    lines = [
        *([_CLIPPED] if form.kind == "box" else []),
        f"/* The action of {_plain(form.env_id)}, {form.n_actions} number(s), "
        f"for an observation of {len(form.names)}. */",
        f"void act(const double *observation, {kind} *action)",
        "{",
        *([] if columns else ["    (void)observation;"]),
        *(f"    const double {form.names[i]} = observation[{i}];" for i in columns),
        f"    {number} {names};",
        *(INDENT + line for line in _statements(C99, programs, form)),
        *(f"    action[{i}] = {value};" for i, value in enumerate(_c_results(form, kind))),
        "}",
    ]
    return "\n".join([*c_preamble(tokens), *lines, ""])


_CLIPPED = """\
static double clipped(double a, double low, double high)
{
    if (a != a) a = 0;
    return a < low ? low : a > high ? high : a;
}
"""


def _plain(text: str) -> str:
    """Return a name without what could end a comment or a docstring."""
    return "".join(c for c in text if c.isalnum() or c in "-_./: ")


def _python_result(form: PolicyForm) -> list[str]:
    names = ", ".join(f"a{i + 1}" for i in range(form.n_actions))
    if form.kind == "discrete":
        return [f"return {names}"]
    if form.kind == "multi_discrete":
        return [f"return np.array([{names}])"]
    low, high = (", ".join(map(_python_number, bounds)) for bounds in (form.low, form.high))
    clipped = f"np.clip(action, [{low}], [{high}])"
    clipped = f"np.rint({clipped})" if form.is_whole else clipped
    return [
        f"action = np.array([{names}], dtype=np.float64)",
        "action[np.isnan(action)] = 0.0",
        f"return {clipped}.astype(np.{form.dtype})",
    ]


def _c_results(form: PolicyForm, kind: str) -> list[str]:
    if form.kind != "box":
        return [f"a{i + 1}" for i in range(form.n_actions)]
    bounds = zip(map(_c_number, form.low), map(_c_number, form.high), strict=True)
    values = [f"clipped(a{i + 1}, {low}, {high})" for i, (low, high) in enumerate(bounds)]
    return [f"({kind})rint({value})" if form.is_whole else f"({kind}){value}" for value in values]


def _python_number(value: float) -> str:
    return repr(float(value)) if math.isfinite(value) else f"{'-' if value < 0 else ''}np.inf"


def _c_number(value: float) -> str:
    return repr(float(value)) if math.isfinite(value) else f"{'-' if value < 0 else ''}INFINITY"


def _statements(syntax: Syntax, programs: Sequence[Sequence[Token]], form: PolicyForm) -> list[str]:
    """Return the lines that give a value to a1, a2, ..."""
    if form.kind == "multi_discrete":
        return _whole_action(syntax, programs[0], form.names)
    lines: list[str] = []
    for i, program in enumerate(programs):
        lines += _one_action(syntax, iter(program), f"a{i + 1}", form)
    return lines


def _one_action(syntax: Syntax, tokens: Iterator[Token], name: str, form: PolicyForm) -> list[str]:
    """Write a tree whose leaves are expressions, or choices."""
    token = next(tokens)
    if isinstance(token, StateChecker):
        blocks = [_one_action(syntax, tokens, name, form) for _ in range(2)]
        return _decision(syntax, token, form.names, *blocks)
    if isinstance(token, DiscreteAction):
        value = str(token.value + form.first_choice)
    else:
        expression = _complete(token, tokens)
        inputs = {i: form.names[i] for i in used_columns(expression)}
        value = syntax.language.expression(expression, inputs)
    return [syntax.assign.format(name=name, value=value)]


def _whole_action(syntax: Syntax, tokens: Sequence[Token], names: Sequence[str]) -> list[str]:
    """Write a tree that sets components along its branches; those nearer to the root count."""
    (default,) = {tuple(token.default) for token in tokens if isinstance(token, Stop)}
    rest = iter(tokens)

    def branch(is_set: frozenset[int]) -> list[str]:
        token = next(rest)
        if isinstance(token, StateChecker):
            return _decision(syntax, token, names, branch(is_set), branch(is_set))
        if not isinstance(token, MultiDiscreteAction):
            return []
        below = branch(is_set | {token.dimension})
        return (
            below if token.dimension in is_set else [assign(token.dimension, token.value), *below]
        )

    def assign(i: int, value: float) -> str:
        return syntax.assign.format(name=f"a{i + 1}", value=str(int(value)))

    return [*(assign(i, value) for i, value in enumerate(default)), *branch(frozenset())]


def _decision(
    syntax: Syntax, token: StateChecker, names: Sequence[str], first: list[str], second: list[str]
) -> list[str]:
    """Return an if with its two blocks."""
    blocks = [[INDENT + line for line in block or [syntax.nothing]] for block in (first, second)]
    head = syntax.when.format(x=names[token.state_index], t=repr(token.threshold))
    end = [syntax.end] if syntax.end else []
    return [head, *blocks[0], syntax.otherwise, *blocks[1], *end]


def _complete(token: Token, tokens: Iterator[Token]) -> list[Token]:
    """Return the expression that starts with `token`, taken from `tokens`."""
    expression, n_open = [token], token.arity
    while n_open:
        expression.append(next(tokens))
        n_open += expression[-1].arity - 1
    return expression
