"""Pairs of inputs that enter as one expression h(a, b), whichever of many small ones that is.

If y = g(h(a, b), ...) the gradient of y by a and b has the direction of that of h, at every row:

    f_a h_b = f_b h_a

It takes no more than directions, which are the same for h, h^2 and exp(h). So of a library of small
expressions one of each direction is kept, the cheapest. The residual of an expression is

    sum_rows (f_a h_b - f_b h_a)^2 / (h_a^2 + h_b^2)    as a share of    sum_rows f_a^2 + f_b^2

which is the mean square of the sine of the angle between the two, where large gradients count more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import NamedTuple

import numpy as np

from dso.library import Library, create_tokens
from dso.prior import JointPrior, RepeatConstraint
from dso.program import ProgramBatch, execute
from dso.program.execute import VALID
from dso.reduction.formula import Formula, filled
from dso.reduction.proposals import Pair
from dso.reduction.putting_back import formula_of
from dso.semantic import ValueLibrary

ALGEBRAIC = ("add", "sub", "mul", "div", "n2", "sqrt", 1.0, 2.0)
OTHERS = ("exp", "log", "sin", "cos")
N_ENTRIES, N_ALGEBRAIC, MAX_LENGTH = 30_000, 300_000, 9
"""Of the libraries that expressions are taken from: one in all operators, and a deeper one.

The deeper one has all expressions of that length, among them (a - b)/(1 - a b)."""
STEP = 1e-5
"""Of differences, in units of the scatter of an input."""
MAX_RESIDUAL = 0.03
MAX_SHARE = 0.2
"""Of what the weaker of two inputs does to y: if the residual were more, that might not matter."""
ABOUT_AS_GOOD = 2.0
"""Residuals up to this many times the least one; the cheapest of these is tried first."""
MAX_OF_PAIR = 2
N_PLACES = 6
"""At which directions of expressions are compared."""
MIN_SLOPE = 1e-9
N_SCREENED, SCREEN_SLACK = 8, 3.0
"""Rows on which all expressions are tried; the others are for those that are near enough there."""


@dataclass(frozen=True)
class GeneralPair(Pair):
    """Two inputs enter as one expression of the library."""

    is_plain: bool = False
    rank = 5


class Expressions(NamedTuple):
    """Small expressions of two inputs, in order of cost.

    Attributes
    ----------
    library : Library
    programs : ProgramBatch
    """

    library: Library
    programs: ProgramBatch

    def formula(self, i: int, inputs: tuple[int, int]) -> Formula:
        """Return one of them, of two of many inputs."""
        formula = formula_of(self.library.tokens, self.programs.row(i), np.empty(0))
        assert formula is not None
        return filled(formula, [(j,) for j in inputs])

    def directions(self, X: np.ndarray, scatter: np.ndarray) -> np.ndarray:
        """Return unit gradients (P, 2, N) at inputs (2, N) over their scatter (2,); or else NaN."""
        shifts = [s * e[:, None] for e in STEP * np.diag(scatter) for s in (1, -1)]
        places = np.hstack([X + shift for shift in shifts])
        values, cause, _ = execute(self.library, self.programs, places)
        values[cause != VALID] = np.nan
        a_up, a_down, b_up, b_down = np.split(values, 4, axis=1)
        slopes = np.stack([a_up - a_down, b_up - b_down], axis=1)
        size = np.sqrt((slopes**2).sum(axis=1, keepdims=True))
        return slopes / np.where(size > 0, size, np.nan)


@cache
def expressions() -> Expressions:
    """Return the cheapest expressions of each direction, at a few places where all are defined."""
    library = Library(create_tokens(2, (*ALGEBRAIC, *OTHERS)))
    X = np.random.default_rng(0).uniform(0.6, 1.8, (2, N_PLACES))
    batches, costs = [], []
    for priors, n in (([], N_ENTRIES), ([RepeatConstraint(library, OTHERS, max_=0)], N_ALGEBRAIC)):
        prior = JointPrior(library, priors, max_length=MAX_LENGTH)
        values = ValueLibrary(library, prior, X, np.arange(4), max_entries=n)
        batches.append(values.programs(np.arange(len(values))))
        costs.append(values.costs)
    order = np.argsort(np.concatenate(costs), kind="stable")
    every = Expressions(library, ProgramBatch.concatenate(batches)[order])
    with np.errstate(all="ignore"):
        directions = every.directions(X, np.ones(2))
        # Signs do not count. An expression of one input is not a pair.
        angles = np.arctan2(directions[:, 1], directions[:, 0]) % np.pi
        both = (np.abs(directions) > MIN_SLOPE).all(axis=(1, 2))
    rounded = np.round(np.cos(2 * angles[both]), 4), np.round(np.sin(2 * angles[both]), 4)
    _, first = np.unique(np.hstack(rounded), axis=0, return_index=True)
    return Expressions(library, every.programs[np.flatnonzero(both)[np.sort(first)]])


def general_pairs(X: np.ndarray, gradients: np.ndarray) -> list[GeneralPair]:
    """Return the pairs that have a direction in common with an expression, the likeliest first.

    Parameters
    ----------
    X : (N, D) float64
    gradients : (N, D) float64
        Of the target.
    """
    with np.errstate(all="ignore"):
        pairs = combinations(range(X.shape[1]), 2)
        found = [list(_of_two(X, gradients, pair)) for pair in pairs]
    ordered = sorted(filter(None, found), key=lambda ways: min(way.residual for way in ways))
    return [way for ways in ordered for way in ways]


def _of_two(X: np.ndarray, gradients: np.ndarray, inputs: tuple[int, int]) -> Iterator[GeneralPair]:
    columns = X[:, list(inputs)].T
    scatter = columns.std(axis=1)
    slopes = gradients[:, list(inputs)].T * scatter[:, None]
    sizes = np.sqrt((slopes**2).sum(axis=1))
    if not np.isfinite(sizes).all() or not sizes.all():
        return
    size, weaker = float(np.linalg.norm(sizes)), float(sizes.min())
    limit = min(MAX_RESIDUAL, MAX_SHARE * weaker / size)
    thinned = np.linspace(0, len(X) - 1, min(len(X), N_SCREENED)).astype(int)
    likely = expressions()
    for rows, slack in ((thinned, SCREEN_SLACK), (np.arange(len(X)), 1.0)):
        directions = likely.directions(columns[:, rows], scatter)
        residuals = _residuals(slopes[:, rows], directions)
        kept = residuals <= slack * limit
        likely, residuals = likely._replace(programs=likely.programs[kept]), residuals[kept]
    good = np.flatnonzero(residuals <= ABOUT_AS_GOOD * residuals.min(initial=np.inf))
    for i in good[:MAX_OF_PAIR].tolist():
        yield GeneralPair(float(residuals[i]), inputs, likely.formula(i, inputs))


def _residuals(slopes: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Return the residuals (P,) of slopes (2, N) and directions (P, 2, N)."""
    h_a, h_b = np.moveaxis(directions, 1, 0)
    misses = (slopes[0] * h_b - slopes[1] * h_a) ** 2
    return np.nan_to_num(np.sqrt(misses.sum(axis=1) / (slopes**2).sum()), nan=np.inf)
