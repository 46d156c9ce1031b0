"""Forms: how the tokens of a library make expressions, macros and numbers that they can build.

A form has a cost and a pattern of prefix tokens with holes for its arguments. What a library lacks
is spelled out: without ``n2`` a square is ``mul L L``, without ``2`` the number is ``div add x1 x1
x1``. Such macros cost as little as the operator would.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dso.library import OPERATORS, HardCodedConstant, Library
from dso.library.functions import solve
from dso.library.library import OPCODES
from dso.library.operator import Inverse, Operator
from dso.native import _core
from dso.program import ProgramBatch, execute
from dso.program.execute import VALID

L, R = _core.LEFT, _core.RIGHT
"""Holes of a pattern for the first and second argument."""

NEGATED_COST = 2
"""Of a function of -s."""
NUMBERS = ((1.0, 1), (2.0, 1), (0.5, 2), (3.0, 2), (4.0, 2), (1 / 3, 3), (5.0, 3), (6.0, 3))
"""Numbers that are built from tokens, each with its cost."""
MAX_WHOLE = 16
"""Greatest whole number that is built."""
MAX_NUMBER_INPUTS = 8
"""Inputs that numbers are built from."""


@dataclass(frozen=True)
class Forms:
    """What `_core.ValueLibrary` grows from.

    Attributes
    ----------
    all : list of _core.Form
    arithmetic : _core.Arithmetic
        Which forms are sum, difference, product, quotient and negation.
    inverses : list of tuple
        Of each form, as in `Operator.inverse`.
    """

    all: list[_core.Form]
    arithmetic: _core.Arithmetic
    inverses: list[tuple[Inverse | None, ...]]


def make_forms(library: Library, X: np.ndarray, rows: np.ndarray, protected: bool) -> Forms:
    """Return the forms of a library on data.

    Parameters
    ----------
    library : Library
    X : (D, N) float64
        Data by column.
    rows : (4,) int
        The key rows.
    protected : bool
        Whether programs are executed in protected mode.
    """
    forms = list(_leaves(library, X, rows, protected))
    inverses: list[tuple[Inverse | None, ...]] = [()] * len(forms)
    numbers: dict[str, int] = {}
    for name, pattern in {**_patterns(library), **_macros(library)}.items():
        numbers[name] = len(forms)
        inverses.append(_short_inverses(OPERATORS[name]))
        forms.append(_function(name, pattern))
    for name in (row.name for row in OPERATORS.values() if _differs_at_negative(row)):
        if name in numbers and "expneg" not in numbers:
            forms.append(_function(name, [_patterns(library)[name][0], L], negates=True))
    negate = _negation(library)
    if negate:
        numbers["negate"] = len(forms)
        forms.append(_core.Form(OPCODES["neg"], 1, 1, negate, parity="odd"))
    names = ("add", "sub", "mul", "div", "negate")
    arithmetic = _core.Arithmetic(**{name: numbers[name] for name in names if name in numbers})
    return Forms(forms, arithmetic, inverses)


def _patterns(library: Library) -> dict[str, list[int]]:
    """Return the pattern of every operator that the native core can apply."""
    patterns = {}
    for i, token in enumerate(library.tokens):
        row = token.operator
        if row is None or library.is_python[i] or row.name == "neg" or row.definition:
            continue
        if _core.can_apply(OPCODES[row.name]):
            patterns[row.name] = [i, *(L, R)[: row.arity]]
    return patterns


def operator_tokens(library: Library) -> dict[str, int]:
    """Return the token of every operator that the native core can apply, `neg` too."""
    found = {name: pattern[0] for name, pattern in _patterns(library).items()}
    neg = _find(library, "neg")
    return found if neg is None else {**found, "neg": neg}


def _macros(library: Library) -> dict[str, list[int]]:
    """Return patterns of operators that the library has not but can spell out."""
    has = {name: pattern[0] for name, pattern in _patterns(library).items()}
    neg = _find(library, "neg")
    macros: dict[str, list[int]] = {}
    if "mul" in has:
        if not {"n2", "protected_n2"} & has.keys():
            macros["n2"] = [has["mul"], L, L]
        if not {"n3", "protected_n3"} & has.keys():
            square = [has["n2"], L] if "n2" in has else [has["mul"], L, L]
            macros["n3"] = [has["mul"], L, *square]
        if "inv" in has and not {"div", "protected_div"} & has.keys():
            macros["div"] = [has["mul"], L, has["inv"], R]
    if "sub" not in has and "add" in has and neg is not None:
        macros["sub"] = [has["add"], L, neg, R]
    return macros


def _find(library: Library, name: str) -> int | None:
    """Return the token of an operator, if the library has it."""
    for i, token in enumerate(library.tokens):
        if token.operator is OPERATORS[name]:
            return i
    return None


def _negation(library: Library) -> list[int]:
    """Return the pattern of -s; empty where the tokens cannot say it."""
    neg, sub = _find(library, "neg"), _find(library, "sub")
    if neg is not None:
        return [neg, L]
    if sub is not None and len(library.input_tokens):
        x = int(library.input_tokens[0])
        return [sub, sub, x, x, L]
    return []


def _differs_at_negative(row: Operator) -> bool:
    """Tell whether f(-s) is neither f(s) nor -f(s), and so worth a form of its own."""
    return row.arity == 1 and not row.parity and not row.display


def _function(name: str, pattern: list[int], negates: bool = False) -> _core.Form:
    row = OPERATORS[name]
    inverses = [(_core.OP_PYTHON, True)] * row.arity
    if row.inverse and not negates:
        inverses = [_inverse(solution) for solution in _short_inverses(row)]
    return _core.Form(
        OPCODES[name],
        row.arity,
        NEGATED_COST if negates else row.search_cost,
        pattern,
        is_symmetric=bool(row.symmetry),
        negates=negates,
        parity=row.parity or "none",
        inverses=inverses,
    )


def _short_inverses(row: Operator) -> tuple[Inverse | None, ...]:
    """Return how to solve for each argument, None where it takes more than one operator.

    A context is one operator deeper than its parent, in native code and in `contexts`.
    """
    return tuple(
        solution if solution and all(isinstance(part, str) for part in solution) else None
        for solution in row.inverse
    )


def _inverse(solution: Inverse | None) -> tuple[int, bool]:
    """Translate a row's way to solve for an argument: opcode, and whether y comes first."""
    if solution is None:
        return _core.OP_PYTHON, True
    return OPCODES[solution[0]], solution[1] == "y"


def solved(inverse: Inverse, y: np.ndarray, other: np.ndarray | None = None) -> np.ndarray:
    """Return an argument of an operator, given its value and the other argument, if it has one."""
    return solve(inverse, {"y": y} if other is None else {"y": y, "a": other, "b": other})


def _leaves(
    library: Library, X: np.ndarray, rows: np.ndarray, protected: bool
) -> Iterator[_core.Form]:
    for token in library.input_tokens:
        column = int(library.tokens[token].input_var)
        values = X[column, rows]
        yield _core.Form(_core.OP_INPUT, 0, 1, [int(token)], values=values, input=column)
    known = set()
    for i, item in enumerate(library.tokens):
        if isinstance(item, HardCodedConstant):
            known.add(item.value)
            yield _core.Form(_core.OP_LITERAL, 0, 1, [i], values=np.full(len(rows), item.value))
    for value, cost in NUMBERS:
        if value in known:
            continue
        pattern = make_number(library, value, X, protected)
        if pattern:
            values = np.full(len(rows), value)
            yield _core.Form(_core.OP_LITERAL, 0, cost, pattern, values=values)


def make_number(library: Library, value: float, X: np.ndarray, protected: bool) -> list[int] | None:
    """Return the shortest way to write a whole number, or its inverse, that holds on every row.

    Parameters
    ----------
    library : Library
    value : float
        Above zero.
    X : (D, N) float64
    protected : bool

    Returns
    -------
    list of int or None
        Prefix tokens; None if it cannot be written.
    """
    literal = library.find_literal(value)
    if literal is not None:
        return [literal]
    patterns = sorted(_spellings(library, value), key=len)
    if not patterns:
        return None
    programs = ProgramBatch.from_rows(patterns)
    with np.errstate(all="ignore"):
        values, cause, _ = execute(library, programs, X, protected)
        fits = (cause == VALID) & (np.abs(values - value) <= 1e-12 * value).all(axis=1)
    return patterns[int(np.argmax(fits))] if fits.any() else None


def _spellings(library: Library, value: float) -> Iterator[list[int]]:
    """Yield ways to write a whole number or its inverse."""
    has = {name: pattern[0] for name, pattern in _patterns(library).items()}
    div = has.get("div", has.get("protected_div"))
    inv = has.get("inv", has.get("protected_inv"))
    n = round(value) if value >= 1 else round(1 / value)
    if n > MAX_WHOLE:
        return
    for x in map(int, library.input_tokens[:MAX_NUMBER_INPUTS]):
        many = _sum(has, [x], n)
        if div is not None and many:
            yield [div, *many, x] if value >= 1 else [div, x, *many]
    for one in _ones(library, has):
        many = _sum(has, one, n)
        if many and value >= 1:
            yield many
        elif many and inv is not None:
            yield [inv, *many]
        elif many and div is not None:
            yield [div, *one, *many]


def _ones(library: Library, has: dict[str, int]) -> Iterator[Sequence[int]]:
    literal = library.find_literal(1.0)
    if literal is not None:
        yield [literal]
    x = int(library.input_tokens[0]) if len(library.input_tokens) else None
    if x is None:
        return
    for name in ("exp", "cos", "protected_exp"):
        if name in has and "sub" in has:
            yield [has[name], has["sub"], x, x]
    if "mul" in has and "inv" in has:
        yield [has["mul"], x, has["inv"], x]


def _sum(has: dict[str, int], item: Sequence[int], n: int) -> list[int]:
    """Return the pattern of n times an item; empty where the tokens cannot say it."""
    if n > 1 and "add" not in has:
        return []
    return [token for _ in range(n - 1) for token in (has["add"], *item)] + list(item)
