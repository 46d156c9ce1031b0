"""What is known of the answer beyond the data: bounds, monotony, convexity, values.

A statement is about a box of inputs. Bounds are proved by interval arithmetic where that suffices;
all else is checked at points. An equation that breaks a statement is not picked while there is one
that does not.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dso.errors import UserError, unknown
from dso.program import Program
from dso.program.intervals import enclosure

Box = Mapping[str, tuple[float, float]]
Verdict = Literal["proved", "holds", "broken"]

N_POINTS, N_STEPS = 256, 17
"""Points of a box, and of a line through each of them."""
TOLERANCE = 1e-9
"""Of rounding, in units of the spread of the values."""


class Statement(ABC):
    """Something that is true of the answer.

    Attributes
    ----------
    box : mapping, optional
        Name of an input to its range. Default: that of the data.
    """

    box: Box | None

    @abstractmethod
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
    box: Box | None = None

    def verdict(self, program: Program, names: Sequence[str], ranges: np.ndarray) -> Verdict:
        """See `Statement`."""
        ranges = self._ranges(names, ranges)
        low, high = enclosure(program.traversal, [tuple(pair) for pair in ranges.tolist()])
        if self.low <= low and high <= self.high:
            return "proved"
        values = program.execute(_points(ranges))
        slack = TOLERANCE * max(float(np.ptp(values)), 1e-300) if np.isfinite(values).all() else 0.0
        is_in = (values >= self.low - slack) & (values <= self.high + slack) & np.isfinite(values)
        return "holds" if is_in.all() else "broken"


@dataclass(frozen=True)
class Monotone(Statement):
    """Values never fall as one input rises; with `falls`, they never rise."""

    input: str
    falls: bool = False
    box: Box | None = None

    def verdict(self, program: Program, names: Sequence[str], ranges: np.ndarray) -> Verdict:
        """See `Statement`."""
        lines = _lines(program, _place(self.input, names), self._ranges(names, ranges))
        return _no_negative(np.diff(-lines if self.falls else lines, axis=1), lines)


@dataclass(frozen=True)
class Convex(Statement):
    """Values are convex in one input; with `is_concave`, concave."""

    input: str
    is_concave: bool = False
    box: Box | None = None

    def verdict(self, program: Program, names: Sequence[str], ranges: np.ndarray) -> Verdict:
        """See `Statement`."""
        lines = _lines(program, _place(self.input, names), self._ranges(names, ranges))
        return _no_negative(np.diff(-lines if self.is_concave else lines, n=2, axis=1), lines)


@dataclass(frozen=True)
class Value(Statement):
    """At a point the value is known; inputs that are not named have any."""

    at: Mapping[str, float]
    value: float
    tolerance: float = 1e-6
    box: Box | None = None

    def verdict(self, program: Program, names: Sequence[str], ranges: np.ndarray) -> Verdict:
        """See `Statement`."""
        points = _points(self._ranges(names, ranges))
        for name, value in self.at.items():
            points[:, _place(name, names)] = value
        is_met = np.abs(program.execute(points) - self.value) <= self.tolerance
        return "holds" if is_met.all() else "broken"


def _place(name: str, names: Sequence[str]) -> int:
    if name not in names:
        raise unknown("input", name, names, "knowledge")
    return list(names).index(name)


def _points(ranges: np.ndarray) -> np.ndarray:
    """Return points (n, D) of a box, the same each time: its ends among them."""
    from scipy.stats.qmc import Sobol

    low, high = ranges.T
    inside = Sobol(len(ranges), scramble=False).random(N_POINTS)  # the first one is all zeros
    return low + np.vstack([inside, np.ones(len(ranges))]) * (high - low)


def _lines(program: Program, column: int, ranges: np.ndarray) -> np.ndarray:
    """Return values (n, `N_STEPS`) along lines in the direction of one input."""
    points = np.repeat(_points(ranges), N_STEPS, axis=0)
    low, high = ranges[column].tolist()
    points[:, column] = np.tile(np.linspace(low, high, N_STEPS), N_POINTS + 1)
    return program.execute(points).reshape(-1, N_STEPS)


def _no_negative(differences: np.ndarray, values: np.ndarray) -> Verdict:
    if not np.isfinite(values).all():
        return "broken"
    return "holds" if (differences >= -TOLERANCE * np.ptp(values)).all() else "broken"


def check_statements(given: object) -> None:
    """Refuse what is not a list of statements."""
    if not isinstance(given, Sequence) or not all(isinstance(one, Statement) for one in given):
        raise UserError(
            f"knowledge: {given!r}; expected a list of Bounds, Monotone, Convex and Value."
        )
