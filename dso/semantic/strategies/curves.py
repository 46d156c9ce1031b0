"""Constants inside functions: y = k x_1^p_1 ... x_D^p_D (f(b u) + c)^q and y = a + k f(b u).

Here f is a function, u a product of powers -1, 0 or 1 of inputs, c is 0, 1 or -1, and all other
numbers are any. For given f, u and c the values of f(b u) + c are a curve with the parameter b.
What k, the p and a do is projected away, as in `powers`: what is left of log|y|, or of y, must be a
multiple of what is left of log|f(b u) + c|, or of f(b u):

    1 - cos^2 = 1 - (r' v(b))^2 / (|r|^2 |v(b)|^2) = 0        for r left of y, v of the curve

which asks for one number b, for any values of the others. The curve is followed on a grid, that of
functions with a period in steps of equal length, and the lowest points of all curves are followed
down between their neighbours. This is variable projection (Golub & Pereyra, 1973).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import ClassVar, NamedTuple

import numpy as np

from dso.library import OPERATORS
from dso.native import _core
from dso.program import ProgramBatch
from dso.semantic.budget import Budget
from dso.semantic.candidates import Start, fitted
from dso.semantic.problem import Problem
from dso.semantic.strategies.powers import Logarithms, monomial, written
from dso.semantic.strategies.strategy import Strategy, Turn
from dso.semantic.value_library import ValueLibrary
from dso.semantic.writing import Writer

POWERS_OF_INPUTS = (0, 1, -1)
"""In the argument of a function."""
MAX_ARGUMENTS = 700
"""Products that are tried as arguments, those of the fewest inputs first."""
MAX_ARGUMENT_INPUTS = 8
"""Of the data: with more there are too many products."""
N_SPARE_ROWS = 24
"""Rows beyond the unknowns: the more, the fewer curves come near by chance."""
SLOW = np.geomspace(0.02, 30, 40)
"""Grid of b, in units of 1 over the median of |u|, for functions without a period."""
FAST = np.arange(0.1, 32, 0.2)
"""The same for those with one: a fifth of a radian is a small part of it."""
MAX_FOLLOWED = 60
"""Lowest points of all curves that are followed down."""
N_ZOOMS, N_BETWEEN = 16, 9
"""Rounds of that, and points between the neighbours in each."""
MAX_FITTED = 20
"""Programs that are fitted, those that come nearest."""
MAX_SIZE = 1e50
"""Of what is left of a curve: more is one exponential that dwarfs all other rows."""
MAX_POWER_ROUNDING = 1e-3
"""Of the power q of a curve, which comes from the same grid as b."""


class Curve(NamedTuple):
    """A function of b u, plus a number: a curve with the parameter b.

    Attributes
    ----------
    name : str
        Of the function.
    powers : tuple of int
        Of the inputs in u.
    u : (R,) float64
    plus : int
    is_factor : bool
        Whether y is to be a power of it times a power law, else a line in it.
    """

    name: str
    powers: tuple[int, ...]
    u: np.ndarray
    plus: int
    is_factor: bool

    def values(self, b: np.ndarray) -> np.ndarray:
        """Return the values for numbers b (G,), (G, R)."""
        with np.errstate(all="ignore"):
            return OPERATORS[self.name].numpy(b[:, None] * self.u) + self.plus

    def grid(self) -> np.ndarray:
        """Return the numbers b that are tried first, in order."""
        row = OPERATORS[self.name]
        steps = FAST if row.period else SLOW
        return (steps if row.parity else np.r_[-steps[::-1], steps]) / np.median(np.abs(self.u))


KINDS = (
    ("exp", -1, True), ("exp", 1, True), ("exp", 0, False),
    ("sin", 0, True), ("sin", 0, False), ("cos", 0, True), ("cos", 0, False),
    ("tan", 0, True), ("tanh", 0, True), ("tanh", 0, False), ("log", 0, True),
)  # fmt: skip
"""Function, number, and whether it is a factor. Others are one of these: 1 - cos is a sin^2."""


@dataclass(frozen=True)
class _Left:
    """What is left of y besides a power law, besides an offset, and of curves."""

    rows: Logarithms

    def of(self, values: np.ndarray, is_factor: bool) -> np.ndarray:
        """Project values (..., R)."""
        if is_factor:
            return self.rows.keys(values)
        return values - values.mean(axis=-1, keepdims=True)

    def distances(self, curve: Curve, b: np.ndarray) -> np.ndarray:
        """Return 1 - cos^2 for numbers b (G,), inf where a curve has no values."""
        wanted = self.of(self.rows.y, curve.is_factor)
        left = self.of(curve.values(b), curve.is_factor)
        with np.errstate(all="ignore"):
            size = np.linalg.norm(left, axis=1, keepdims=True)
            left = left / np.where(size < MAX_SIZE, size, np.nan)
            wanted = wanted / np.linalg.norm(wanted)
            rest = left - (left @ wanted)[:, None] * wanted  # exact where 1 - cos^2 is rounding
        return np.nan_to_num((rest**2).sum(axis=1), nan=np.inf)

    def followed_down(self, curve: Curve, low: float, high: float) -> tuple[float, float]:
        """Return the least distance between two numbers b, and where it is."""
        for _ in range(N_ZOOMS):
            b = np.linspace(low, high, N_BETWEEN)
            distances = self.distances(curve, b)
            best = int(np.argmin(distances))
            low, high = b[max(best - 1, 0)], b[min(best + 1, N_BETWEEN - 1)]
        return float(distances[best]), float(b[best])


@dataclass(frozen=True)
class CurveSearch(Strategy):
    """Looks for one function with a constant inside."""

    turn: ClassVar[Turn] = Turn.FIRST
    divides: ClassVar[bool] = True

    @classmethod
    def suits(cls, problem: Problem) -> bool:
        return problem.has_const and 0 < len(problem.data.columns) <= MAX_ARGUMENT_INPUTS

    def run(
        self, values: ValueLibrary, joins: _core.SemanticSearch, budget: Budget
    ) -> ProgramBatch:
        rows, writer = Logarithms.of(self.problem.data, N_SPARE_ROWS), self.problem.writer
        part = self.problem.part
        if rows is None:
            return ProgramBatch.from_rows([])
        left, budget = _Left(rows), budget.part(max_vectors=budget.lookups_left // 2)
        lowest: list[tuple[float, Curve, float, float]] = []
        for curve in part.of(list(curves(writer, rows))):
            grid = curve.grid()
            distances = left.distances(curve, grid)
            budget.count(vectors=len(grid))
            best = int(np.argmin(distances))
            ends = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
            lowest.append((float(distances[best]), curve, *ends))
            if budget.is_spent:
                break
        lowest.sort(key=lambda one: one[0])
        found = []
        for distance, curve, low, high in lowest[: part.share(MAX_FOLLOWED)]:
            if np.isfinite(distance) and not budget.is_spent:
                budget.count(vectors=N_ZOOMS * N_BETWEEN)
                found.append((*left.followed_down(curve, low, high), curve))
        found.sort(key=lambda one: one[0])
        found = found[: part.share(MAX_FITTED)]
        starts = [_written(writer, rows, curve, b) for _, b, curve in found]
        return fitted(self.problem, [start for start in starts if start is not None], budget)


def curves(writer: Writer, rows: Logarithms) -> Iterator[Curve]:
    """Yield the curves that a library can write, on rows."""
    arguments = [p for p in product(POWERS_OF_INPUTS, repeat=len(rows.X)) if any(p)]
    arguments.sort(key=lambda powers: (np.count_nonzero(powers), -sum(powers)))
    for powers in arguments[:MAX_ARGUMENTS]:
        u = monomial(rows.X, powers)
        for name, plus, is_factor in KINDS:
            if writer.has(name):
                yield Curve(name, powers, u, plus, is_factor)


def _written(writer: Writer, rows: Logarithms, curve: Curve, b: float) -> Start | None:
    """Write y by a curve at b; None where the tokens cannot say it."""
    argument = writer.monomial(curve.powers)
    inner = writer.apply(curve.name, writer.scaled(argument))
    if curve.plus:
        inner = writer.sum(inner, writer.number(1), is_minus=curve.plus < 0)
    values = curve.values(np.array([b]))[0]
    if inner is None:
        return None
    if not curve.is_factor:
        line = np.vstack([np.ones(len(values)), values]).T
        a, k = np.linalg.lstsq(line, rows.y, rcond=None)[0].tolist()
        whole = writer.sum(writer.const, writer.scaled(inner))
        return None if whole is None else Start(whole, [a, k, b])
    wanted, left = rows.keys(np.array([rows.y, values]))
    q = float(left @ wanted / (left @ left))
    start = _to_the_power(writer, Start(inner, [b]), abs(q))
    rest = rows.y / np.abs(values) ** q
    return (
        None
        if start is None
        else written(writer, np.sign(rest[0]), rows.exponents(rest), [(start, 1 if q > 0 else -1)])
    )


def _to_the_power(writer: Writer, a: Start, q: float) -> Start | None:
    """Write a power of a program with one constant."""
    if abs(q - 1) < MAX_POWER_ROUNDING:
        return a
    if abs(q - 2) < MAX_POWER_ROUNDING:
        square = writer.apply("n2", a.tokens)
        if square is not None:
            return Start(square, a.constants)
        twice = writer.product([a.tokens, a.tokens])
        return None if twice is None else Start(twice, a.constants * 2)
    if abs(q - 0.5) < MAX_POWER_ROUNDING:
        root = writer.apply("sqrt", a.tokens)
        return None if root is None else Start(root, a.constants)
    return None
