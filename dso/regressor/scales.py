"""Scales: a search sees columns of handy size, and its results are shown in the user's units.

Fits start at 1, and a library of values holds small numbers: where a column is of the order of
1e-9 or 1e14, neither is of much use. So columns are divided by powers of ten, and the expressions
that are found have the powers put in again. A power moves up through products, quotients, powers
and roots until there is a constant to take it in; only where there is none it becomes one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dso.errors import UserError
from dso.library import Library, create_tokens
from dso.library.operator import Operator
from dso.library.unit_rules import LIKE_VALUE, linear_rule
from dso.program import ProgramBatch, Row
from dso.program.traversal import child_positions
from dso.regressor.options import has_own_loss
from dso.regressor.rows import CanonicalRows
from dso.task.regression.metrics import METRICS

HANDY = (1e-2, 1e2)
"""Where the median size of a column is between these it stays as it is."""
MAX_DECADES = 300.0
"""Of a power of ten that moves through an operator."""


@dataclass(frozen=True)
class Scales:
    """Powers of ten by which columns are divided.

    Attributes
    ----------
    inputs : (D,) int
        Exponents.
    target : int
        Exponent.
    """

    inputs: np.ndarray
    target: int

    @staticmethod
    def of(rows: CanonicalRows) -> Scales:
        """Choose the scales in which the median size of a column is between 1 and 10.

        Where the losses of the user's units are beyond double precision all stays as it is, to be
        refused as such.
        """
        exponents = [_exponent(column) for column in (*rows.X.T, rows.y)]
        with np.errstate(over="ignore", under="ignore"):
            if not 0 < np.var(rows.y) < np.inf:
                exponents = [0] * len(exponents)
        return Scales(np.array(exponents[:-1], dtype=int), exponents[-1])

    @property
    def are_handy(self) -> bool:
        """Whether all columns stay as they are."""
        return not self.inputs.any() and self.target == 0

    @property
    def inverse(self) -> Scales:
        """What takes the scaled columns to those that were given."""
        return Scales(-self.inputs, -self.target)

    def scaled(self, rows: CanonicalRows) -> CanonicalRows:
        """Return the rows with divided columns."""
        return replace(
            rows,
            X=np.ascontiguousarray(rows.X / 10.0**self.inputs),
            y=rows.y / 10.0**self.target,
        )

    def undone(self, library: Library, programs: ProgramBatch) -> ProgramBatch:
        """Return programs that do with the user's columns what these do with the scaled ones."""
        if not len(programs):
            return programs
        rescale = _Rescaling(library, self)
        rows = [rescale.whole(programs.row(b), programs.constants[b]) for b in range(len(programs))]
        return ProgramBatch.from_rows(*zip(*rows, strict=True))


def can_scale(task: dict[str, Any], training: dict[str, Any]) -> bool:
    """Tell whether columns may be divided under the sections of a config.

    So it is where fitted constants can make up for it, and where a loss says the same in any unit.
    """
    try:
        names = {token.name for token in create_tokens(1, task["function_set"] or ())}
    except UserError:  # which says so where the task is built
        return False
    metric = METRICS.get(task["metric"])
    return (
        {"const", "mul"} <= names
        and not has_own_loss(task)
        and "poly" not in names
        and not task["decision_tree_threshold_set"]
        and not task["guesses"]
        and not task["template"]
        and task["dimensional_constraint_penalty"] is None
        and not task["knowledge"]
        and not training["const_params"].get("bounds")
        and metric is not None
        and metric.from_mse is not None
    )


def _exponent(column: np.ndarray) -> int:
    sizes = np.abs(column[column != 0])
    if not len(sizes):
        return 0
    size = float(np.median(sizes))
    return 0 if HANDY[0] <= size <= HANDY[1] else int(np.floor(np.log10(size)))


@dataclass(frozen=True)
class _Part:
    """A subtree in the user's columns; what it stands for is `factor` times its value."""

    name: str
    tokens: list[int]
    numbers: list[float]
    factor: float = 1.0
    children: tuple[_Part, ...] = ()


class _Rescaling:
    """Rewrites programs of one library."""

    def __init__(self, library: Library, scales: Scales) -> None:
        self.library = library
        self.scales = scales
        self.mul = library.names.index("mul")

    def whole(self, row: np.ndarray, constants: np.ndarray) -> Row:
        """Return a program's tokens and constants in the user's units."""
        children = child_positions(row, self.library.arities)
        numbers = constants[~np.isnan(constants)].tolist()
        parts: dict[int, _Part] = {}
        for t in reversed(range(len(row))):
            token = int(row[t])
            if token == self.library.const_token:
                parts[t] = _Part("const", [token], [numbers.pop()])
            else:
                parts[t] = self._part(token, [parts[child] for child in children[t]])
        root = parts[0]
        root = self._applied(replace(root, factor=root.factor * 10.0**self.scales.target))
        return root.tokens, root.numbers

    def _part(self, token: int, below: list[_Part]) -> _Part:
        item = self.library.tokens[token]
        if item.input_var is not None:
            return _Part("input", [token], [], 10.0 ** -float(self.scales.inputs[item.input_var]))
        name = "" if item.operator is None else item.operator.name
        factor = _common_factor(item.operator, below)
        if factor is None:
            factor, below = 1.0, [self._applied(part) for part in below]
        return _joined(name, token, below, factor)

    def _applied(self, part: _Part) -> _Part:
        """Return a part with its factor in a constant."""
        if part.factor == 1:
            return part
        taken = _taken_in(part, part.factor)
        if taken is not None:
            return taken
        assert self.library.const_token is not None
        tokens = [self.mul, self.library.const_token, *part.tokens]
        return _Part("mul", tokens, [part.factor, *part.numbers])


def _joined(name: str, token: int, below: Sequence[_Part], factor: float = 1.0) -> _Part:
    """Put a token before its arguments, whose own factors are in `factor` or nowhere."""
    tokens = [token, *(token for part in below for token in part.tokens)]
    numbers = [number for part in below for number in part.numbers]
    return _Part(name, tokens, numbers, factor, tuple(below))


def _common_factor(operator: Operator | None, below: Sequence[_Part]) -> float | None:
    """Return the factor of a node whose arguments keep theirs back; None where they cannot.

    A factor above zero goes through an operator as a unit does.
    """
    factors = [part.factor for part in below]
    if all(factor == 1 for factor in factors):
        return 1.0
    if operator is None or operator.guard is not None:
        return None
    rule = linear_rule(operator.units, operator.arity, operator.name)
    powers = [(i, float(power)) for i, power in rule.counting]
    if rule.kind == "power":
        if below[1].name != "const":
            return None
        powers = [(0, below[1].numbers[0])]
    elif any(weight == 0 and factors[i] != 1 for i, weight in enumerate(rule.weights)):
        return None
    if rule.kind == "ratios":
        units = {factors[i] ** (1 / power) for i, power in powers}
        if len(units) > 1:
            return None
        return units.pop() if units and rule.value else 1.0
    decades = [np.log10(factors[i]) * power for i, power in powers]
    if not np.abs(decades).sum() <= MAX_DECADES:
        return None
    product = 1.0
    for i, power in powers:
        product = product * factors[i] ** power if power > 0 else product / factors[i] ** -power
    like_value = [factors[i] for i, weight in enumerate(rule.weights) if weight == LIKE_VALUE]
    return product if all(factor == product for factor in like_value) else None


def _taken_in(part: _Part, factor: float) -> _Part | None:
    """Return a part with a factor in constants that it has; None where it has none for it."""
    children = part.children
    if part.name == "const":
        return _Part("const", part.tokens, [part.numbers[0] * factor])
    if part.name in ("mul", "div"):
        for i, child in enumerate(children):
            taken = _taken_in(child, factor if part.name == "mul" or i == 0 else 1 / factor)
            if taken is not None:
                others = [*children[:i], taken, *children[i + 1 :]]
                return _joined(part.name, part.tokens[0], others)
    if part.name in ("add", "sub"):
        both = [_taken_in(child, factor) for child in children]
        if both[0] is not None and both[1] is not None:
            return _joined(part.name, part.tokens[0], [both[0], both[1]])
    return None
