"""From the names of a function set to tokens."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Any

from dso.errors import UserError, unknown
from dso.library.definition import defined_operator, is_definition, operator_called
from dso.library.expression import DEFINED
from dso.library.functions import BY_FUNCTION, NAMES, OPERATORS
from dso.library.operator import Operator
from dso.library.tokens import (
    DefinedToken,
    HardCodedConstant,
    PlaceholderConstant,
    Polynomial,
    StateChecker,
    Token,
)
from dso.plugins import absolute, import_object, is_reference

logger = logging.getLogger("dso")

WHERE = "task.function_set"
OTHERS, INPUTS = "others", "inputs"
"""Names that stand for groups in `with_complexities`."""
THRESHOLDS = "task.decision_tree_threshold_set"


def create_tokens(
    n_input_var: int,
    function_set: Sequence[str | float],
    protected: bool = False,
    decision_tree_threshold_set: Sequence[Any] | None = None,
) -> list[Token]:
    """Create the tokens of a library.

    Parameters
    ----------
    n_input_var : int
        Inputs x1, x2, ... come first.
    function_set : sequence of str, float, callable or Token
        Operator names or aliases, numbers, ``"const"``, ``"poly"``, definitions such as
        ``"inv(x) = 1/x"``, and a user's own functions and tokens, themselves or as
        ``"module:name"``.
    protected : bool
        Replace every operator that has a protected form by it.
    decision_tree_threshold_set : sequence or None
        Thresholds of StateChecker tokens: numbers for every input, or one sequence per input.

    Raises
    ------
    UserError
        For an unknown name, or thresholds that are not numbers.
    """
    inputs = [Token(None, f"x{i + 1}", 0, 1, input_var=i) for i in range(n_input_var)]
    functions = _without_repeats([_create(item, protected) for item in function_set], WHERE)
    checkers = _create_checkers(n_input_var, decision_tree_threshold_set)
    return inputs + functions + _without_repeats(checkers, THRESHOLDS)


def _without_repeats(tokens: Sequence[Token], where: str) -> list[Token]:
    """Return each token once; two that only share a name are left for the library to refuse."""
    kept: dict[Any, Token] = {}
    others = []
    for token in tokens:
        # 0 and 0.0 are one threshold.
        same = (
            (token.state_index, token.threshold) if isinstance(token, StateChecker) else token.name
        )
        first = kept.get(same)
        is_plain = type(token) is Token
        if first is None:
            kept[same] = token
        elif type(first) is type(token) and (not is_plain or first.function is token.function):
            logger.warning("%s: %r is given twice; it counts once.", where, token.name)
        else:
            others.append(token)
    return [*kept.values(), *others]


def with_complexities(tokens: Sequence[Token], given: Mapping[str, float]) -> list[Token]:
    """Return tokens with other complexities.

    Parameters
    ----------
    tokens : sequence of Token
    given : mapping
        Name of a token to its complexity; "inputs" stands for all inputs that have none of their
        own, "others" for all tokens that have none.

    Raises
    ------
    UserError
        For a name that none of the tokens has.
    """
    index = {token.name: i for i, token in enumerate(tokens)}
    result = [copy(token) for token in tokens]
    for token in result:
        group = INPUTS if token.input_var is not None and INPUTS in given else OTHERS
        token.complexity = given.get(group, token.complexity)  # type: ignore[assignment]
    for name, complexity in given.items():
        if name in (OTHERS, INPUTS):
            continue
        row = NAMES.get(name.lower())
        found = [n for n in (name, name.lower(), OPERATORS[row].shown if row else "") if n in index]
        if not found:
            raise unknown("token", name, [*index, INPUTS, OTHERS], "task.complexities")
        result[index[found[0]]].complexity = complexity  # type: ignore[assignment]
    return result


def _create(item: str | float, protected: bool) -> Token:
    if isinstance(item, Token):
        return item
    if callable(item):
        return _of_function(item, getattr(item, "__name__", type(item).__name__))
    if is_definition(item):
        return _of_row(defined_operator(str(item), WHERE))
    number = _number(item)
    if number is not None:
        return HardCodedConstant(number)
    name = str(item).strip()
    if name.lower() == "const":
        return PlaceholderConstant()
    if name.lower() == "poly":
        return Polynomial()
    if is_reference(name):
        return imported(name)
    if name.lower() in DEFINED:
        return _of_row(operator_called(name.lower()))
    if name.lower() not in NAMES:
        raise unknown("token", item, [*OPERATORS, *DEFINED, "const", "poly"], WHERE)
    row = OPERATORS[NAMES[name.lower()]]
    if protected and row.protected:
        row = OPERATORS[row.protected]
    return _of_row(row)


def _of_row(row: Operator) -> Token:
    if row.definition is not None:
        return DefinedToken(row)
    return Token(row.numpy, row.shown, row.arity, row.complexity)


def _number(item: str | float) -> float | None:
    if isinstance(item, bool):
        raise UserError(f"{WHERE}: {item!r} is neither a name nor a number.")
    try:
        number = float(item)
    except ValueError:
        return None
    if number - number != 0:
        raise UserError(f"{WHERE}: the number {item!r} is not finite.")
    return number


def imported(reference: str) -> Token:
    """Return a user's token as it is, or a user's function as a token."""
    found = import_object(reference, WHERE)
    if not isinstance(found, Token):
        if not callable(found):
            raise UserError(f"{WHERE}: {reference!r} is neither a Token nor a function.")
        found = _of_function(found, reference.rsplit(":", 1)[1])
    found.origin = imported, (absolute(reference),)
    return found


def _of_function(function: Callable[..., Any], name: str) -> Token:
    """Return the token of a Python function; one of numpy that the table has is the table's."""
    row = BY_FUNCTION.get(id(function))
    if row is not None:
        return _of_row(row)
    if not name.isidentifier():
        raise UserError(
            f"{WHERE}: {function!r} has no name to be shown by; give a function made by 'def', a "
            "dso.library.Token, or a text such as 'f(x) = x^2'."
        )
    if name.lower() in NAMES or name.lower() in DEFINED:
        raise UserError(
            f"{WHERE}: {function!r} is called {name!r}, which is an operator of dso; give that "
            f"name for it, or rename the function, e.g. {'my_' + name!r}."
        )
    return Token(function, name, _arity(function, name), 1)


def _arity(function: Callable[..., Any], reference: str) -> int:
    nin = getattr(function, "nin", None)  # numpy's ufuncs have no signature
    if isinstance(nin, int):
        return nin
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some compiled functions have none
        raise UserError(
            f"{WHERE}: the arity of {reference!r} cannot be told; give a dso.library.Token."
        ) from None
    required = [p for p in parameters if p.default is p.empty]
    if any(p.kind in (p.VAR_POSITIONAL, p.KEYWORD_ONLY) for p in required):
        raise UserError(
            f"{WHERE}: the arity of {reference!r} cannot be told from its arguments; "
            "give a dso.library.Token."
        )
    return len(required)


def _create_checkers(n_input_var: int, thresholds: Sequence[Any] | None) -> list[Token]:
    key = THRESHOLDS
    if not thresholds:
        return []
    nested = [isinstance(item, (list, tuple)) for item in thresholds]
    if any(nested) and not all(nested):
        raise UserError(f"{key}: {thresholds!r} mixes numbers and lists.")
    per_input = list(thresholds) if all(nested) else [thresholds] * n_input_var
    if len(per_input) != n_input_var:
        raise UserError(
            f"{key}: {len(per_input)} lists of thresholds for {n_input_var} inputs; "
            "give one list per input."
        )
    for row in per_input:
        for value in row:
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise UserError(f"{key}: {value!r} is not a number.")
    return [StateChecker(i, value) for i, row in enumerate(per_input) for value in row]
