"""From tokens to sympy. Expressions are built from the operator table, never parsed from text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np

from dso.errors import UserError
from dso.library import HardCodedConstant, PlaceholderConstant, Polynomial, StateChecker, Token
from dso.library.identifiers import ascii_identifiers
from dso.library.operator import Operator, apply_form
from dso.program.time_limit import within

MAX_TAME = 1e300
"""Magnitude of numbers that sympy is let to compute."""
MAX_SECONDS = 5.0
"""That sympy may take for an expression."""
COMPARING = ("Max", "Min", "Abs", "sign", "harmonic")
"""Functions that compare numbers to simplify, even when printed, and fail on NaN or complex."""


def to_sympy(traversal: Sequence[Token], input_names: Sequence[str] | None = None) -> Any:
    """Return the sympy expression of tokens in prefix order.

    Inputs are symbols: x1, x2, ..., or what `input_names` calls them. A `const` without a number
    becomes the symbol c1, c2, ...; a protected operator a Piecewise; a user's token without a row
    in the operator table an undefined function of its name; so do those of `COMPARING` where sympy
    fails, as at Max(x1, acos(5)), of which protected operators can still make a number, and all
    operators where it still does, as at exp(exp(exp(exp(5)))), or would take too long.

    Raises
    ------
    UserError
        If the expression is nested so deeply that sympy can do nothing with it.
    """
    has_guards = any(t.operator is not None and t.operator.guard for t in traversal)
    if not has_guards:
        return to_short_sympy(traversal, input_names)
    return _simplified_if_possible(_without_poles, traversal, input_names, _Guarded())


def to_short_sympy(traversal: Sequence[Token], input_names: Sequence[str] | None = None) -> Any:
    """Return the same with protected operators as the functions that they guard, for people."""
    return _simplified_if_possible(lambda expression: expression, traversal, input_names, _Bare())


def to_text(
    traversal: Sequence[Token],
    input_names: Sequence[str] | None = None,
    digits: int | None = None,
) -> str:
    """Return `to_short_sympy` as text; what sympy cannot write is written as calls of operators.

    Parameters
    ----------
    traversal, input_names
        See `to_sympy`.
    digits : int, optional
        Significant digits of numbers; all by default.
    """
    form = _full_text if digits is None else partial(short_text, digits=digits)
    try:
        return _simplified_if_possible(form, traversal, input_names, _Bare())
    except UserError:
        return _as_calls(traversal, input_names)


def _full_text(expression: Any) -> str:
    return str(with_ones_folded(expression))


def _as_calls(traversal: Sequence[Token], input_names: Sequence[str] | None) -> str:
    stack: list[str] = []
    for token in reversed(traversal):
        arguments = [stack.pop() for _ in range(token.arity)]
        if token.input_var is not None and input_names is not None:
            stack.append(input_names[token.input_var])
        else:
            stack.append(f"{token!r}({', '.join(arguments)})" if arguments else repr(token))
    return stack.pop()


def short_text(expression: Any, digits: int) -> str:
    """Return a sympy expression as text, its numbers to `digits` significant digits."""
    import sympy

    return sympy.sstr(with_digits(expression, digits), full_prec=False)


def to_latex(expression: Any) -> str:
    """Return a sympy expression as LaTeX, letters of other alphabets spelt out."""
    import sympy

    symbols = sorted(expression.free_symbols, key=str)
    spelt = ascii_identifiers(map(str, symbols))
    changed = {s: sympy.Symbol(name) for s, name in zip(symbols, spelt, strict=True)}
    changed = {s: new for s, new in changed.items() if not str(s).isascii()}
    return sympy.latex(exchanged(expression, changed) if changed else expression)


def with_digits(expression: Any, digits: int) -> Any:
    """Return a sympy expression with its numbers rounded to `digits` significant digits."""
    import sympy

    numbers = expression.atoms(sympy.Float)
    rounded = exchanged(expression, {number: sympy.Float(number, digits) for number in numbers})
    return with_ones_folded(rounded)


def with_ones_folded(expression: Any) -> Any:
    """Return x for 1.0*x, x**1.0 and x + 0.0, 1 for 1.0**x and x**0.0, -x for -1.0*x."""
    import sympy

    arguments = [with_ones_folded(argument) for argument in expression.args]
    for i, argument in enumerate(arguments):
        if argument.is_Float and float(argument) in _neutral(expression, i):
            arguments[i] = sympy.Integer(int(argument))
    return _rebuilt(expression, arguments)


def _neutral(expression: Any, i: int) -> tuple[float, ...]:
    """Return the numbers that go away as argument `i` of an expression."""
    if expression.is_Pow and i == 0:
        return (1.0,)
    if expression.is_Mul or expression.is_Pow:
        return (0.0, 1.0, -1.0)
    return (0.0,) if expression.is_Add else ()


def exchanged(expression: Any, replacements: Mapping[Any, Any]) -> Any:
    """Return a sympy expression with leaves replaced, its Piecewise left as they are written.

    `xreplace` has sympy fold nested ones into each other, which makes them long.
    """
    if expression in replacements:
        return replacements[expression]
    return _rebuilt(expression, [exchanged(part, replacements) for part in expression.args])


def _rebuilt(expression: Any, arguments: Sequence[Any]) -> Any:
    """Return a sympy expression with other arguments, a Piecewise as it is written."""
    import sympy

    if all(new is old for new, old in zip(arguments, expression.args, strict=True)):
        return expression
    if isinstance(expression, sympy.Piecewise):
        return sympy.Piecewise(*arguments, evaluate=False)
    return expression.func(*arguments)


class _Bare:
    """Write protected operators as the functions that they guard.

    Of numbers the guards are decided, so that x1/0 is what it is worth.
    """

    folds = True

    def operation(self, sympy: Any, operator: Operator, arguments: list[Any]) -> Any:
        if operator.guard is not None and all(a.is_number for a in arguments[-1:]):
            condition, otherwise = self._guard(sympy, operator, arguments)
            if condition == sympy.false:
                return sympy.Integer(otherwise)
        if all(a.is_number for a in arguments):
            check_tame(operator, arguments)
        return apply_form(operator.sympy, sympy, *arguments)

    @staticmethod
    def _guard(sympy: Any, operator: Operator, arguments: list[Any]) -> tuple[Any, int]:
        """Return when the guarded function holds, and the value elsewhere."""
        assert operator.guard is not None
        condition, otherwise = operator.guard(sympy, *arguments)
        if any(a.is_number and a.is_finite and not a.is_real for a in arguments):
            condition = sympy.false  # what is not a real number is not greater than any
        return condition, otherwise

    def cases(self, sympy: Any, value: Any, condition: Any, otherwise: Any) -> Any:
        return sympy.Piecewise((value, condition), (otherwise, True), evaluate=self.folds)


class _Guarded(_Bare):
    """Write protected operators with both of their cases.

    Piecewise are not folded into each other, which makes them long.
    """

    folds = False

    def operation(self, sympy: Any, operator: Operator, arguments: list[Any]) -> Any:
        if operator.guard is None:
            return super().operation(sympy, operator, arguments)
        condition, otherwise = self._guard(sympy, operator, arguments)
        if condition == sympy.false:
            return sympy.Integer(otherwise)
        value = super().operation(sympy, operator, arguments)
        if condition == sympy.true:
            return value
        return self.cases(sympy, value, condition, otherwise)


class _Named(_Bare):
    """Write operators as functions that sympy knows by name only."""

    def operation(self, sympy: Any, operator: Operator, arguments: list[Any]) -> Any:
        return sympy.Function(operator.name)(*arguments)


def check_tame(operator: Operator, arguments: list[Any]) -> None:
    """Refuse to have sympy compute what is too large or too small for a number of the machine.

    Towers of exponentials would otherwise take all of the memory and the time.
    """
    try:
        with np.errstate(all="ignore"):
            value = abs(float(operator.numpy(*(np.float64(float(a)) for a in arguments))))
    except TypeError:  # of what is not a real number
        return
    if value > MAX_TAME or 0 < value < 1 / MAX_TAME:
        raise OverflowError(f"{operator.shown} of {', '.join(map(str, arguments))}")


def _without_poles(expression: Any) -> Any:
    """Return an expression whose cases are infinite in no place, as sympy cannot print that.

    1 / Piecewise((log(x), |x| > 0.001), (0, True)) is taken apart by sympy and gets a case 1 / 0;
    the guard around it keeps that out of reach.
    """
    import sympy
    from sympy.functions.elementary.piecewise import ExprCondPair

    cases = expression.atoms(ExprCondPair)
    poles = {case for case in cases if case.expr in (sympy.zoo, sympy.oo, -sympy.oo)}
    return exchanged(expression, {case: ExprCondPair(sympy.nan, case.cond) for case in poles})


def _simplified_if_possible(
    form: Callable[[Any], Any],
    traversal: Sequence[Token],
    names: Sequence[str] | None,
    write: _Bare,
) -> Any:
    import sympy

    plain = {name: sympy.Function(name) for name in COMPARING}
    ways = (
        (sympy, write),
        (SimpleNamespace(**{**vars(sympy), **plain}), write),
        (sympy, _Named()),
    )
    problem: Exception | None = None
    for namespace, way in ways:
        try:
            made = within(
                MAX_SECONDS,
                "sympy",
                lambda namespace=namespace, way=way: form(_build(namespace, traversal, names, way)),
                is_limited_at_all_costs=False,
            )
            if made is not None:
                return made
            problem = TimeoutError(f"more than {MAX_SECONDS:g} s")
        except Exception as error:  # sympy fails in many ways: numbers too large, nesting too deep
            problem = error
    raise UserError(f"a program of {len(traversal)} tokens is too much for sympy ({problem}).")


def _build(
    sympy: Any, traversal: Sequence[Token], names: Sequence[str] | None, write: _Bare
) -> Any:
    n_unknown = sum(isinstance(t, PlaceholderConstant) and t.value is None for t in traversal)
    unknown = [sympy.Symbol(f"c{k + 1}") for k in range(n_unknown)]
    stack: list[Any] = []
    # From the right, operands are complete when their parent is met, the first child on top.
    for token in reversed(traversal):
        arguments = [stack.pop() for _ in range(token.arity)]
        stack.append(_node(sympy, token, arguments, unknown, names, write))
    return stack.pop()


def _node(
    sympy: Any,
    token: Token,
    arguments: list[Any],
    unknown: list[Any],
    names: Sequence[str] | None,
    write: _Bare,
) -> Any:
    def symbol(column: int) -> Any:
        return sympy.Symbol(f"x{column + 1}" if names is None else names[column])

    if token.input_var is not None:
        return symbol(token.input_var)
    if isinstance(token, PlaceholderConstant) and token.value is None:
        return unknown.pop()  # the last one first
    if isinstance(token, (HardCodedConstant, PlaceholderConstant)):
        return sympy.Float(token.value)
    if isinstance(token, Polynomial) and token.fitted is not None:
        return token.fitted.to_sympy(sympy, symbol)
    if isinstance(token, StateChecker):
        condition = symbol(token.state_index) < token.threshold
        return write.cases(sympy, arguments[0], condition, arguments[1])
    if token.operator is not None:
        return write.operation(sympy, token.operator, arguments)
    if token.arity == 0:
        return sympy.Symbol(token.name)
    return sympy.Function(token.name)(*arguments)
