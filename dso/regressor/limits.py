"""Arguments of the estimator that say what equations may look like, as keys of a config.

Names of operators are those of the function set, aliases included; inputs go by their own names.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, Protocol

import numpy as np

from dso.errors import UserError, unknown
from dso.library import OPERATORS, create_tokens
from dso.library.functions import NAMES
from dso.library.tokens import Token


class Shape(Protocol):
    """The arguments, as the estimator has them."""

    maxsize: int | None
    maxdepth: int | None
    warmup_maxsize_by: float | None
    constraints: Mapping[str, int | Sequence[int]] | None
    nested_constraints: Mapping[str, Mapping[str, int]] | None
    occurrences: Mapping[str, int | Sequence[int | None]] | None
    every_input: bool
    complexity_of_operators: Mapping[str, float] | None
    complexity_of_constants: float | None
    complexity_of_variables: float | Sequence[float] | None
    parsimony: float


def limit_shape(
    config: dict[str, Any],
    given: Shape,
    inputs: Sequence[str],
    selected: np.ndarray | None = None,
) -> None:
    """Write what the arguments say into a config.

    Parameters
    ----------
    config : dict
        Changed.
    given : Shape
    inputs : sequence of str
        Names of the inputs that the search sees.
    selected : (D,) bool, optional
        Which of all inputs these are.

    Raises
    ------
    UserError
        For an operator that is not in the function set, a wrong number of bounds, or a value that
        means nothing.
    """
    names = _Names(create_tokens(len(inputs), config["task"]["function_set"] or ()), inputs)
    prior = config["prior"]
    _weigh(config, given, names, selected)
    if given.maxdepth is not None:
        _add(prior, "max_depth", max_=_whole("maxdepth", given.maxdepth, 1))
    if given.constraints is not None:
        _add(prior, "argument_size", limits=_argument_limits(given.constraints, names))
    if given.nested_constraints is not None:
        _add(prior, "nesting", limits=_nesting_limits(given.nested_constraints, names))
    for name, bounds in _mapping("occurrences", given.occurrences).items():
        least, most = _range(f"occurrences[{name!r}]", bounds)
        _add(prior, "repeat", tokens=[names.token("occurrences", name)], min_=least, max_=most)
    if given.every_input:
        _add(prior, "all_inputs")
    if given.warmup_maxsize_by is not None:
        share = _number("warmup_maxsize_by", given.warmup_maxsize_by)
        if share > 1:
            raise UserError(f"warmup_maxsize_by: {share!r}; expected a share of the fit, 0 to 1.")
        config["training"]["warmup"] = share
    if given.parsimony:
        config["training"]["parsimony"] = _number("parsimony", given.parsimony)


class _Names:
    """What operators and inputs are called in a function set."""

    def __init__(self, tokens: Sequence[Token], inputs: Sequence[str]) -> None:
        self.arities = {token.name: token.arity for token in tokens}
        self.inputs = {name: f"x{i + 1}" for i, name in enumerate(inputs)}

    def operator(self, where: str, given: Any) -> str:
        """Return the name of the operator's token."""
        lowered = str(given).lower()
        row = NAMES.get(lowered)
        for name in (str(given), lowered, OPERATORS[row].shown if row else lowered):
            if self.arities.get(name):
                return name
        raise unknown("operator", given, [n for n, arity in self.arities.items() if arity], where)

    def token(self, where: str, given: Any) -> str:
        """Return the name of the token of an operator, an input or `const`."""
        if given in self.inputs:
            return self.inputs[given]
        if str(given).lower() == "const" and "const" in self.arities:
            return "const"
        try:
            return self.operator(where, given)
        except UserError:
            operators = [name for name, arity in self.arities.items() if arity]
            raise unknown("name", given, [*self.inputs, *operators, "const"], where) from None


def _weigh(
    config: dict[str, Any], given: Shape, names: _Names, selected: np.ndarray | None
) -> None:
    """Set complexities: 1 for each token where equations are measured by their length."""
    task, training = config["task"], config["training"]
    weights: dict[str, float] = {}
    for name, value in _mapping("complexity_of_operators", given.complexity_of_operators).items():
        token = names.operator("complexity_of_operators", name)
        weights[token] = _number(f"complexity_of_operators[{name!r}]", value)
    if given.complexity_of_constants is not None:
        value = _number("complexity_of_constants", given.complexity_of_constants)
        numbers = [n for n, arity in names.arities.items() if not arity and not _is_input(n)]
        weights.update(dict.fromkeys(numbers, value))
    variables = given.complexity_of_variables
    if isinstance(variables, Sequence) and not isinstance(variables, str):
        n_all = len(names.inputs) if selected is None else len(selected)
        if len(variables) != n_all:
            raise UserError(
                f"complexity_of_variables: {list(variables)!r}; expected one number, or one for "
                f"each of {n_all} inputs."
            )
        seen = [v for i, v in enumerate(variables) if selected is None or selected[i]]
        for token, value in zip(names.inputs.values(), seen, strict=True):
            weights[token] = _number("complexity_of_variables", value)
    elif variables is not None:
        weights["inputs"] = _number("complexity_of_variables", variables)
    if training["complexity"] == "length" and (weights or given.constraints):
        training["complexity"] = "token"
        weights = {"others": 1, **weights}
    task["complexities"] = {**task["complexities"], **weights}
    is_limited = given.maxsize is not None or given.config is None  # type: ignore[attr-defined]
    if is_limited and any(value != 1 for value in weights.values()):
        lengths = config["prior"]["length"]
        if isinstance(lengths, Mapping) and lengths.get("max_"):
            _add(config["prior"], "max_size", max_=lengths["max_"])


def _is_input(name: str) -> bool:
    return name[0] == "x" and name[1:].isdigit()


def _argument_limits(given: Any, names: _Names) -> dict[str, int | list[int]]:
    limits: dict[str, int | list[int]] = {}
    for name, bounds in _mapping("constraints", given).items():
        token = names.operator("constraints", name)
        where, arity = f"constraints[{name!r}]", names.arities[token]
        if not isinstance(bounds, Sequence) or isinstance(bounds, str):
            limits[token] = _whole(where, bounds, -1)
            continue
        if len(bounds) != arity:
            raise UserError(
                f"{where}: {bounds!r} has {len(bounds)} bounds; {name!r} takes {arity} "
                f"argument{'s' * (arity > 1)}."
            )
        limits[token] = [_whole(where, bound, -1) for bound in bounds]
    return limits


def _nesting_limits(given: Any, names: _Names) -> dict[str, dict[str, int]]:
    limits: dict[str, dict[str, int]] = {}
    for outer, inner in _mapping("nested_constraints", given).items():
        where = f"nested_constraints[{outer!r}]"
        limits[names.operator("nested_constraints", outer)] = {
            names.operator(where, name): _whole(f"{where}[{name!r}]", limit, 0)
            for name, limit in _mapping(where, inner).items()
        }
    return limits


def _range(where: str, given: Any) -> tuple[int | None, int | None]:
    """Return least and greatest count: 2 is exactly two, (1, None) at least one."""
    pair = [given, given] if not isinstance(given, Sequence) else list(given)
    if len(pair) != 2 or pair == [None, None]:
        raise UserError(f"{where}: {given!r}; expected a number, or a pair (least, greatest).")
    least, most = (None if bound is None else _whole(where, bound, 0) for bound in pair)
    if least is not None and most is not None and least > most:
        raise UserError(f"{where}: {given!r}; the least count is above the greatest.")
    return least, most


def _add(prior: dict[str, Any], name: str, **keys: Any) -> None:
    """Turn a prior on, besides those of its kind that are on."""
    before = prior[name] if isinstance(prior[name], list) else [prior[name]]
    before = [one for one in before if one.get("on")]
    added = {"on": True, **keys}
    prior[name] = [*before, added] if before else added


def _mapping(where: str, given: Any) -> Mapping[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise UserError(f"{where}: {given!r}; expected a dict by operators.")
    return given


def _whole(where: str, given: Any, least: int) -> int:
    if not _is_number(given) or int(given) != given or given < least:
        raise UserError(f"{where}: {given!r}; expected a whole number >= {least}.")
    return int(given)


def _number(where: str, given: Any) -> float:
    if not _is_number(given) or given < 0:
        raise UserError(f"{where}: {given!r}; expected a number >= 0.")
    return float(given)


def _is_number(given: Any) -> bool:
    """Tell whether something is a finite number, of Python or numpy."""
    return isinstance(given, Real) and not isinstance(given, bool) and math.isfinite(given)
