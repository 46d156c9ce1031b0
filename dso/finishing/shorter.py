"""Shorter ways to write an equation: its normal forms by sympy, turned into tokens again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import Any

from dso.program import Program, Row
from dso.program.from_sympy import SympyWriter, Unwritable
from dso.program.shown_numbers import with_plain_numbers
from dso.program.symbolic import to_short_sympy
from dso.program.time_limit import within

MAX_TERMS = 50
"""Expressions are not multiplied out into more than about this many terms."""
MAX_SECONDS = 1.0
"""Of one simplification."""
RATIOS = (1.0, 2.0, 0.5)
"""Of two angles for which there are identities that shorten."""


def shorter_forms(program: Program) -> list[Row]:
    """Return other programs of the same value that have fewer tokens.

    Where operators are protected, and where sympy cancels what has poles, the values may differ:
    they are to be scored like any other program.

    Parameters
    ----------
    program : Program
        With numbers for its constants.
    """
    import sympy

    writer = SympyWriter(program.library)
    found: list[Row] = []
    for form in _forms(sympy, program):
        try:
            parts = writer.write(form)
        except Unwritable:
            continue
        tokens = [part if isinstance(part, int) else writer.const for part in parts]
        row = tokens, [part for part in parts if isinstance(part, float)]
        if len(tokens) < len(program) and row not in found:
            found.append(row)
    return found


def _forms(sympy: Any, program: Program) -> Iterator[Any]:
    """Yield normal forms; without those that take too long, and those that sympy fails at."""
    try:
        expression = with_plain_numbers(to_short_sympy(program.traversal))
    except Exception:  # what sympy cannot compare, it cannot always write
        return
    yield expression
    if _n_terms(expression) > MAX_TERMS:
        return
    for simplified in _simplifications(sympy, expression):
        try:
            form = simplified()
        except Exception:  # what sympy cannot compare, it cannot always multiply out
            continue
        if form is not None:
            yield with_plain_numbers(form)


def _simplifications(sympy: Any, expression: Any) -> Iterator[Callable[[], Any]]:
    yield lambda: sympy.factor_terms(expression)
    yield lambda: sympy.expand(expression)
    yield lambda: sympy.factor_terms(sympy.expand(expression))
    # The number of terms bounds how long these take; that of others nothing does.
    if sympy.denom(expression) != 1:
        yield lambda: within(MAX_SECONDS, "sympy", sympy.cancel, expression)
    if _has_identities(list(expression.atoms(sympy.sin, sympy.cos, sympy.tan))):
        yield lambda: within(MAX_SECONDS, "sympy", sympy.trigsimp, expression)


def _has_identities(functions: Sequence[Any]) -> bool:
    """Tell whether some trigonometric functions can cancel: of one angle, or of it and its double.

    Fitted angles have nothing in common as a rule, and sympy takes its whole time to see that.
    """
    ratios = (a.args[0] / b.args[0] for a, b in combinations(functions, 2))
    return any(ratio.is_real and abs(float(ratio)) in RATIOS for ratio in ratios if ratio.is_number)


def _n_terms(expression: Any) -> int:
    """Return about how many terms an expression has when it is multiplied out."""
    counts = [_n_terms(argument) for argument in expression.args]
    if not counts:
        return 1
    if expression.is_Add:
        return sum(counts)
    product = 1
    for count in counts:
        product *= count
    if expression.is_Pow and expression.exp.is_Integer:
        return counts[0] ** min(abs(int(expression.exp)), 20)
    return product
