"""What is known of the answer, whatever the data say: bounds, monotony, convexity, values.

A statement is about a box of inputs. Bounds are proved by interval arithmetic where that suffices;
all else is checked at points: those of Sobol's sequence, and on lines through them,

    f(x + h) - f(x) >= 0 (monotone),    f(x + h) - 2 f(x) + f(x - h) >= 0 (convex).

A search may add a penalty to the loss of what breaks a statement. It looks at some of the points,
so that whatever it penalises is broken, and most of what is broken is penalised.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from numbers import Real
from typing import Any, ClassVar, Literal

import numpy as np

from dso.errors import UserError, unknown
from dso.library import Library
from dso.program import Program, ProgramBatch
from dso.program.execute import VALID, Polynomials, execute
from dso.program.intervals import enclosure

Box = Mapping[str, tuple[float, float]]
Verdict = Literal["proved", "holds", "broken"]


@dataclass(frozen=True)
class Grid:
    """Points of a box to look at.

    Attributes
    ----------
    n_points : int
        Of Sobol's sequence.
    n_steps : int
        On a line through each of them.
    tolerance : float
        In units of the spread of the values.
    """

    n_points: int
    n_steps: int
    tolerance: float


FINE, COARSE = Grid(256, 17, 1e-9), Grid(16, 17, 1e-6)
"""For verdicts, and for searches. All points of the second are points of the first."""


@dataclass(frozen=True, kw_only=True)
class Statement(ABC):
    """Something that is true of the answer.

    Attributes
    ----------
    box : mapping, optional
        Name of an input to its range. Default: that of the data.
    """

    box: Box | None = None
    kind: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if self.box is None:
            return
        if not isinstance(self.box, Mapping):
            raise self._refusal("box", self.box, "a dict of ranges by input")
        for name, pair in self.box.items():
            is_pair = isinstance(pair, Sequence | np.ndarray) and len(pair) == 2
            if not is_pair or not all(map(_is_finite, pair)) or pair[0] > pair[1]:
                raise self._refusal(f"box[{name!r}]", pair, "two numbers, the lesser first")

    def _refusal(self, name: str, value: object, expected: str) -> UserError:
        return UserError(f"{type(self).__name__}: {name}: {value!r}; expected {expected}.")

    @property
    def mentioned(self) -> list[str]:
        """The inputs whose names occur."""
        return [*self.named, *(self.box or {})]

    @property
    def named(self) -> list[str]:
        """The inputs that the statement cannot do without."""
        return []

    @abstractmethod
    def points(self, names: Sequence[str], ranges: np.ndarray, grid: Grid) -> np.ndarray:
        """Return the points (P, D) to look at.

        Parameters
        ----------
        names : sequence of str
            Of the D inputs.
        ranges : (D, 2) array
            Of the data.
        grid : Grid
        """

    @abstractmethod
    def is_kept(self, values: np.ndarray, grid: Grid) -> np.ndarray:
        """Tell whether values (B, P) at these points, all finite, keep to it, (B,)."""

    def verdict(self, program: Program, names: Sequence[str], ranges: np.ndarray) -> Verdict:
        """Return what is to be said of a program.

        "proved": it is true on the whole box; "holds": at all points that were looked at; "broken":
        not at one of them.

        Parameters
        ----------
        program : Program
        names : sequence of str
            Of the D inputs.
        ranges : (D, 2) array
            Of the data.
        """
        values = program.execute(self.points(names, ranges, FINE))
        is_kept = np.isfinite(values).all() and self.is_kept(values[None], FINE)[0]
        return "holds" if is_kept else "broken"

    def without(self, unseen: Sequence[str]) -> Statement | None:
        """Return what is left where a program cannot have these inputs; None: it is always true."""
        if set(self.named) & set(unseen):
            return None
        box = {name: pair for name, pair in (self.box or {}).items() if name not in unseen}
        return replace(self, box=box or None)

    def to_config(self) -> dict[str, Any]:
        """Return it as an entry of ``task.knowledge``: what is not bounded is left out."""
        entry: dict[str, Any] = {"kind": self.kind}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Mapping):
                value = {k: list(v) if isinstance(v, Sequence) else v for k, v in value.items()}
            if value is not None and not (isinstance(value, float) and np.isinf(value)):
                entry[field.name] = value
        return entry

    def _ranges(self, names: Sequence[str], ranges: np.ndarray) -> np.ndarray:
        found = np.array(ranges, dtype=float)
        for name, (low, high) in (self.box or {}).items():
            found[_place(name, names)] = low, high
        return found


@dataclass(frozen=True)
class Bounds(Statement):
    """All values lie between `low` and `high`."""

    low: float = -np.inf
    high: float = np.inf
    kind = "bounds"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, value in (("low", self.low), ("high", self.high)):
            if not _is_number(value) or np.isnan(value):
                raise self._refusal(name, value, "a number")
        if self.low > self.high:
            raise self._refusal("low", self.low, f"at most high = {self.high!r}")

    def verdict(self, program: Program, names: Sequence[str], ranges: np.ndarray) -> Verdict:
        """See `Statement`."""
        box = [tuple(pair) for pair in self._ranges(names, ranges).tolist()]
        low, high = enclosure(program.traversal, box)
        if self.low <= low and high <= self.high:
            return "proved"
        return super().verdict(program, names, ranges)

    def points(self, names: Sequence[str], ranges: np.ndarray, grid: Grid) -> np.ndarray:
        """See `Statement`."""
        return _points(self._ranges(names, ranges), grid)

    def is_kept(self, values: np.ndarray, grid: Grid) -> np.ndarray:
        """See `Statement`."""
        slack = grid.tolerance * np.ptp(values, axis=1, keepdims=True)
        return ((values >= self.low - slack) & (values <= self.high + slack)).all(axis=1)


@dataclass(frozen=True)
class _AlongInput(Statement):
    """Differences of the values along one input have one sign."""

    input: str
    order: ClassVar[int]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.input, str):
            raise self._refusal("input", self.input, "the name of an input")

    @property
    @abstractmethod
    def is_turned(self) -> bool:
        """Whether they are negative, or zero."""

    @property
    def named(self) -> list[str]:
        """See `Statement`."""
        return [self.input]

    def points(self, names: Sequence[str], ranges: np.ndarray, grid: Grid) -> np.ndarray:
        """See `Statement`."""
        return _lines(_place(self.input, names), self._ranges(names, ranges), grid)

    def is_kept(self, values: np.ndarray, grid: Grid) -> np.ndarray:
        """See `Statement`."""
        return _has_no_negative(values, grid, self.order, self.is_turned)


@dataclass(frozen=True)
class Monotone(_AlongInput):
    """Values never fall as one input rises; with `falls`, they never rise."""

    falls: bool = False
    kind = "monotone"
    order = 1

    @property
    def is_turned(self) -> bool:
        """See `_AlongInput`."""
        return self.falls


@dataclass(frozen=True)
class Convex(_AlongInput):
    """Values are convex in one input; with `is_concave`, concave."""

    is_concave: bool = False
    kind = "convex"
    order = 2

    @property
    def is_turned(self) -> bool:
        """See `_AlongInput`."""
        return self.is_concave


@dataclass(frozen=True)
class Value(Statement):
    """At a point the value is known; inputs that are not named have any."""

    at: Mapping[str, float]
    value: float
    tolerance: float = 1e-6
    kind = "value"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.at, Mapping) or not all(map(_is_finite, self.at.values())):
            raise self._refusal("at", self.at, "a dict of numbers by input")
        if not _is_finite(self.value):
            raise self._refusal("value", self.value, "a number")
        if not _is_finite(self.tolerance) or self.tolerance < 0:
            raise self._refusal("tolerance", self.tolerance, "a number >= 0")

    @property
    def mentioned(self) -> list[str]:
        """See `Statement`."""
        return [*super().mentioned, *self.at]

    def points(self, names: Sequence[str], ranges: np.ndarray, grid: Grid) -> np.ndarray:
        """See `Statement`."""
        points = _points(self._ranges(names, ranges), grid)
        for name, value in self.at.items():
            points[:, _place(name, names)] = value
        return points

    def is_kept(self, values: np.ndarray, grid: Grid) -> np.ndarray:
        """See `Statement`."""
        return np.abs(values - self.value).max(axis=1, initial=0.0) <= self.tolerance

    def without(self, unseen: Sequence[str]) -> Statement | None:
        """See `Statement`."""
        at = {name: value for name, value in self.at.items() if name not in unseen}
        rest = super().without(unseen)
        return None if rest is None else replace(self, at=at, box=rest.box)


STATEMENTS: dict[str, type[Statement]] = {
    one.kind: one for one in (Bounds, Monotone, Convex, Value)
}
"""By their names in a config."""


class Knowledge:
    """Statements, and what it costs to break them.

    Parameters
    ----------
    statements : sequence of Statement
    penalty : float
        Added to a loss for each statement that is broken.
    names : sequence of str
        Of the D inputs.
    X : (N, D) array
        Whose ranges the statements are about.
    """

    def __init__(
        self,
        statements: Sequence[Statement],
        penalty: float,
        names: Sequence[str],
        X: np.ndarray,
    ) -> None:
        self.statements = statements
        self.penalty = penalty
        ranges = np.column_stack([X.min(axis=0), X.max(axis=0)])
        looked_at = (one.points(names, ranges, COARSE) for one in statements)
        self._points = [np.ascontiguousarray(points.T) for points in looked_at]

    def n_broken(
        self,
        programs: ProgramBatch,
        library: Library,
        n_threads: int,
        polynomials: Polynomials = None,
    ) -> np.ndarray:
        """Return how many statements each of B programs breaks, (B,)."""
        counts = np.zeros(len(programs))
        for one, points in zip(self.statements, self._points, strict=True):
            # As people see it: only the result has to be a number.
            found = execute(library, programs, points, True, n_threads, polynomials)
            is_defined = found.cause == VALID
            counts += ~is_defined
            counts[is_defined] += ~one.is_kept(found.values[is_defined], COARSE)
        return counts


def read_statements(entries: Sequence[Mapping[str, Any]]) -> list[Statement]:
    """Return the statements of ``task.knowledge``.

    Raises
    ------
    UserError
        For a kind or a key that is not known, or one that is missing.
    """
    return [_read(entry, f"task.knowledge[{k}]") for k, entry in enumerate(entries)]


def _read(entry: Mapping[str, Any], where: str) -> Statement:
    kind = entry.get("kind")
    if kind not in STATEMENTS:
        raise unknown("kind", kind, STATEMENTS, where)
    made = STATEMENTS[kind]
    known = [field.name for field in fields(made)]
    given = {name: value for name, value in entry.items() if name != "kind" and value is not None}
    for name in given:
        if name not in known:
            raise unknown("key", name, known, where)
    try:
        return made(**given)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    except TypeError as error:
        missing = str(error).partition(": ")[2]
        raise UserError(f"{where}: {kind!r} needs {missing}.") from None


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_finite(value: object) -> bool:
    return isinstance(value, Real) and _is_number(value) and math.isfinite(value)


def check_names(statements: Sequence[Statement], names: Sequence[str]) -> None:
    """Refuse statements about inputs that are not among these."""
    for one in statements:
        for name in one.mentioned:
            _place(name, names)


def _place(name: str, names: Sequence[str]) -> int:
    if name not in names:
        raise unknown("input", name, names, "knowledge")
    return list(names).index(name)


def _points(ranges: np.ndarray, grid: Grid) -> np.ndarray:
    """Return points (n, D) of a box, the same each time: its ends among them."""
    from scipy.stats.qmc import Sobol

    low, high = ranges.T
    inside = Sobol(len(ranges), scramble=False).random(grid.n_points)  # the first one is all zeros
    return low + np.vstack([inside, np.ones(len(ranges))]) * (high - low)


def _lines(column: int, ranges: np.ndarray, grid: Grid) -> np.ndarray:
    """Return points on lines, `n_steps` on each, in the direction of one input."""
    points = np.repeat(_points(ranges, grid), grid.n_steps, axis=0)
    low, high = ranges[column].tolist()
    points[:, column] = np.tile(np.linspace(low, high, grid.n_steps), grid.n_points + 1)
    return points


def _has_no_negative(values: np.ndarray, grid: Grid, order: int, is_turned: bool) -> np.ndarray:
    """Tell whether differences of an order are positive along all lines, or negative, (B,)."""
    lines = values.reshape(len(values), values.shape[1] // grid.n_steps, grid.n_steps)
    differences = np.diff(-lines if is_turned else lines, n=order, axis=2)
    slack = grid.tolerance * np.ptp(values, axis=1)
    return (differences >= -slack[:, None, None]).all(axis=(1, 2))
