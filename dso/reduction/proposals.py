"""What the gradients of a model say of the form of y = f(x_1, ..., x_d).

Each identity holds for every row where the form is right; its residual is the root mean square of
what is left of it, as a share of its parts.

    does not matter     f_j = 0
    factor              x_j f_j = r f                   y = x_j^r g
    term                f_j = c                         y = c x_j + g
    mixed term          f_j = c m                       y = c/p x_j m + g       m: product of powers
    pair                f_i / u' = c f_j / v'           y = g(c u(x_i) + v(x_j), ...)
    scaling             sum_j w_j x_j f_j = w f         y = m(x) g(dimensionless groups)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from typing import NamedTuple, Protocol

import numpy as np

from dso.reduction.formula import Formula, combination, product
from dso.reduction.reduction import Reduction

MAX_RESIDUAL, MAX_MIXED_RESIDUAL, MAX_PLAIN_RESIDUAL = 0.08, 0.03, 0.1
"""The last is that of mixed terms with a plain coefficient: any other would be off by as much."""
MIN_ONE_SIGN = 0.9
"""Share of the rows on which the slope of a mixed term has to have one sign."""
LIKELY, MIN_RESIDUAL = 10.0, 1e-3
"""Residuals up to this many times the least one, or up to this size, are worth a trial."""
MIN_EFFECT = 0.02
"""An input that moves y less than this share of what the strongest moves may not matter."""
ROUNDING = 0.04
"""By how much a ratio may miss the fraction that it is taken for, relative to its size."""
DENOMINATORS = (1, 2, 3)
MAX_RATIO = 6.0
MAX_NULL = 0.03
"""Singular values up to this are taken for zero."""
MAX_SUBSETS = 500
"""Of inputs that groups are made dimensionless with."""
PAIR_PENALTY = 3.0
"""By what the residual of a less simple pair is multiplied when it is compared with a plain one."""


class Move(Protocol):
    """A step that a reduction may take.

    Attributes
    ----------
    residual : float
        Of its identity.
    inputs : tuple of int
        Columns that it changes.
    rank : int
        Those of low rank are tried first.
    """

    @property
    def residual(self) -> float:
        """See the class."""

    @property
    def inputs(self) -> tuple[int, ...]:
        """See the class."""

    @property
    def rank(self) -> int:
        """See the class."""

    def applied(self, reduction: Reduction) -> Reduction:
        """Return the reduction after the step."""

    def text(self, reduction: Reduction) -> str:
        """Return what it says of what the reduction leaves."""


@dataclass(frozen=True)
class Drop:
    """An input does not matter."""

    residual: float
    inputs: tuple[int, ...]
    rank = 0

    def applied(self, reduction: Reduction) -> Reduction:
        """See `Move`."""
        return reduction.without(self.inputs[0])

    def text(self, reduction: Reduction) -> str:
        """See `Move`."""
        return f"{reduction.target_text()} does not depend on {reduction.text(self.inputs)}"


@dataclass(frozen=True)
class Factor:
    """A power of an input is a factor."""

    residual: float
    inputs: tuple[int, ...]
    exponent: float
    rank = 1

    def applied(self, reduction: Reduction) -> Reduction:
        """See `Move`."""
        return reduction.divided([(self.inputs, self.exponent)]).without(self.inputs[0])

    def text(self, reduction: Reduction) -> str:
        """See `Move`."""
        factor = reduction.text(product([(self.inputs, self.exponent)]))
        return f"{reduction.target_text()} is proportional to {factor}"


@dataclass(frozen=True)
class Term:
    """A multiple of an input is a term."""

    residual: float
    inputs: tuple[int, ...]
    slope: float
    rank = 2

    def applied(self, reduction: Reduction) -> Reduction:
        """See `Move`."""
        return reduction.minus(self.slope, self.inputs).without(self.inputs[0])

    def text(self, reduction: Reduction) -> str:
        """See `Move`."""
        term = reduction.text(combination([(self.slope, self.inputs)]))
        return f"{reduction.target_text()} has the term {term}"


@dataclass(frozen=True)
class MixedTerm:
    """A product of powers is a term, and one of its inputs enters nowhere else."""

    residual: float
    column: int
    coefficient: float
    exponents: tuple[float, ...]
    rank = 2

    @property
    def inputs(self) -> tuple[int, ...]:
        """See `Move`; all of them, as a step at the same time could change the others."""
        return tuple(range(len(self.exponents)))

    @property
    def _powers(self) -> Formula:
        return product([((k,), r) for k, r in enumerate(self.exponents) if r])

    def applied(self, reduction: Reduction) -> Reduction:
        """See `Move`."""
        return reduction.minus(self.coefficient, self._powers).without(self.column)

    def text(self, reduction: Reduction) -> str:
        """See `Move`."""
        term = reduction.text(combination([(self.coefficient, self._powers)]))
        enters = f"{reduction.text((self.column,))} enters nowhere else"
        return f"{reduction.target_text()} has the term {term}, and {enters}"


class Part(NamedTuple):
    """A function u of one input in a pair.

    Attributes
    ----------
    formula : Formula
        Of input 0.
    slope : callable
        u'.
    needs : callable
        Whether a column allows it.
    """

    formula: Formula
    slope: Callable[[np.ndarray], np.ndarray]
    needs: Callable[[np.ndarray], bool] = lambda x: True


PLAIN = Part((0,), np.ones_like)
SQUARE = Part(("n2", 0), lambda x: 2 * x)
INVERSE = Part(("div", 1.0, 0), lambda x: -1 / x**2, lambda x: bool((x != 0).all()))
LOG = Part(("log", 0), lambda x: 1 / x, lambda x: bool((x > 0).all()))
COS = Part(("cos", 0), lambda x: -np.tan(x))  # the slope of log(cos(x)), as below
SIN = Part(("sin", 0), lambda x: 1 / np.tan(x))

SUMS = ((PLAIN, PLAIN), (SQUARE, SQUARE), (PLAIN, SQUARE), (SQUARE, PLAIN), (INVERSE, INVERSE))
"""c u(a) + v(b)."""
PRODUCTS = (LOG, COS, SIN)
"""a^c b, a cos(b), a sin(b): sums of logarithms."""


@dataclass(frozen=True)
class Pair:
    """Two inputs enter as one."""

    residual: float
    inputs: tuple[int, ...]
    formula: Formula
    is_plain: bool
    rank = 3

    def applied(self, reduction: Reduction) -> Reduction:
        """See `Move`."""
        i, j = self.inputs
        columns: list[Formula] = [(k,) for k in range(len(reduction.columns))]
        columns[min(i, j)] = self.formula
        del columns[max(i, j)]
        return reduction.onto(columns)

    def text(self, reduction: Reduction) -> str:
        """See `Move`."""
        first, second = (reduction.text((j,)) for j in self.inputs)
        return f"{first} and {second} enter as {reduction.text(self.formula)} only"


@dataclass(frozen=True)
class Scaling:
    """Powers of the inputs leave groups that do not change where units do."""

    residual: float
    exponents: tuple[float, ...]
    groups: tuple[tuple[float, ...], ...]
    rank = 4

    @property
    def inputs(self) -> tuple[int, ...]:
        """See `Move`."""
        return tuple(range(len(self.exponents)))

    @staticmethod
    def _powers(exponents: Sequence[float]) -> list[tuple[Formula, float]]:
        return [((j,), r) for j, r in enumerate(exponents) if r]

    def applied(self, reduction: Reduction) -> Reduction:
        """See `Move`."""
        if any(self.exponents):
            reduction = reduction.divided(self._powers(self.exponents))
        return reduction.onto([product(self._powers(group)) for group in self.groups])

    def text(self, reduction: Reduction) -> str:
        """See `Move`."""
        groups = [reduction.text(product(self._powers(group))) for group in self.groups]
        on = ", ".join(groups) or "nothing"
        if not any(self.exponents):
            return f"{reduction.target_text()} depends on {on} only"
        factor = reduction.text(product(self._powers(self.exponents)))
        return f"{reduction.target_text()} is {factor} times a function of {on}"


def moves(
    X: np.ndarray, y: np.ndarray, gradients: np.ndarray, max_residual: float = MAX_RESIDUAL
) -> list[Move]:
    """Return what may hold of columns (N, D) and a target (N,), the most likely first.

    Parameters
    ----------
    X : (N, D) float64
    y : (N,) float64
    gradients : (N, D) float64
        Of y.
    max_residual : float
        What identities with a larger one say is not returned.
    """
    with np.errstate(all="ignore"):
        found: list[Move] = [*_alone(X, y, gradients, max_residual)]
        found += _pairs(X, gradients, max_residual)
        found += _mixed_terms(X, gradients)
        if len(X.T) > 1:
            found += _scalings(X, y, gradients)
    # Where one identity holds much better than another, that one is near the truth at most.
    least = min((move.residual for move in found), default=0.0)
    found = [move for move in found if move.residual <= max(LIKELY * least, MIN_RESIDUAL)]
    return sorted(found, key=lambda move: (move.rank, move.residual))


def _alone(X: np.ndarray, y: np.ndarray, G: np.ndarray, max_residual: float) -> Iterator[Move]:
    effects = np.sqrt(np.mean((G * X.std(axis=0)) ** 2, axis=0))
    for j in range(len(X.T)):
        if effects[j] < MIN_EFFECT * effects.max():
            yield Drop(float(effects[j] / effects.max()), (j,))
        if (X[:, j] > 0).all() or (X[:, j] != 0).all():
            ratio, residual = _proportion(X[:, j] * G[:, j], y)
            exponent = fraction(ratio)
            is_defined = X[:, j].min() > 0 or (exponent is not None and exponent == int(exponent))
            if residual < max_residual and exponent and is_defined:
                yield Factor(residual, (j,), exponent)
        slope, residual = _proportion(G[:, j], np.ones(len(y)))
        if residual < max_residual:
            yield Term(residual, (j,), _plain(slope, residual))


def _mixed_terms(X: np.ndarray, G: np.ndarray) -> Iterator[MixedTerm]:
    """Yield the inputs whose slope is a product of powers: log|f_j| is linear in the logarithms."""
    positive = np.flatnonzero(X.min(axis=0) > 0)
    design = np.column_stack([np.ones(len(X)), np.log(X[:, positive])])
    for j in positive.tolist():
        slope = G[:, j]
        rows = slope * np.median(slope) > 0
        if np.mean(rows) < MIN_ONE_SIGN:
            continue
        exponents = np.zeros(len(X.T))
        fitted = np.linalg.lstsq(design[rows], np.log(np.abs(slope[rows])), rcond=None)[0][1:]
        exponents[positive] = np.round(2 * fitted) / 2
        coefficient, residual = _proportion(slope, np.prod(X**exponents, axis=1))
        power = exponents[j] + 1
        if residual < MAX_PLAIN_RESIDUAL and exponents.any() and power:
            exponents[j] = power
            number = _plain(coefficient / power, residual)
            if residual > MAX_MIXED_RESIDUAL and fraction(number) != number:
                continue
            yield MixedTerm(residual, j, number, tuple(exponents.tolist()))


def _pairs(X: np.ndarray, G: np.ndarray, max_residual: float) -> Iterator[Pair]:
    """Yield for each pair of inputs the forms with the least residuals."""
    for i, j in combinations(range(len(X.T)), 2):
        found = sorted(_forms_of_pair(X, G, i, j, max_residual), key=_comparable)
        yield from found[:2]


def _comparable(pair: Pair) -> float:
    return pair.residual * (1.0 if pair.is_plain else PAIR_PENALTY)


def _forms_of_pair(
    X: np.ndarray, G: np.ndarray, i: int, j: int, max_residual: float
) -> Iterator[Pair]:
    a, b = X[:, i], X[:, j]
    for u, v in SUMS:
        if not (u.needs(a) and v.needs(b)):
            continue
        ratio, residual = _proportion(G[:, i] / u.slope(a), G[:, j] / v.slope(b))
        coefficient = fraction(ratio)
        if residual < max_residual and coefficient:
            parts = [_of(u, i), _of(v, j)]
            whole = combination(list(zip(_whole(coefficient), parts, strict=True)))
            yield Pair(residual, (i, j), whole, u is v)
    for first, second in permutations((i, j)):
        a, b = X[:, first], X[:, second]
        for u in PRODUCTS:
            if not LOG.needs(a) or not u.needs(b) or (u is LOG and first > second):
                continue
            ratio, residual = _proportion(G[:, first] / LOG.slope(a), G[:, second] / u.slope(b))
            exponent = fraction(ratio)
            if residual < max_residual and exponent:
                other = (second,) if u is LOG else _of(u, second)
                yield Pair(
                    residual,
                    (first, second),
                    product([((first,), exponent), (other, 1.0)]),
                    u is LOG,
                )


def _of(part: Part, j: int) -> Formula:
    return tuple(j if node == 0 and isinstance(node, int) else node for node in part.formula)


def _whole(ratio: float) -> tuple[float, float]:
    """Return whole numbers with a given ratio, a fraction; the first is positive."""
    q = next(q for q in DENOMINATORS if abs(ratio * q - round(ratio * q)) < 1e-9)
    return float(abs(round(ratio * q))), float(q if ratio > 0 else -q)


def _proportion(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Return c of a = c b by least squares, and what is left of a as a share of it."""
    size = float(np.sqrt(a @ a))
    square = float(b @ b)  # which is zero too where b is tiny
    c = float(a @ b) / square if square else np.nan
    residual = float(np.linalg.norm(a - c * b)) / size if size else np.nan
    return (c, residual) if np.isfinite(residual) and np.isfinite(c) else (0.0, np.inf)


def fraction(ratio: float) -> float | None:
    """Return the fraction p/q with q up to 3 that a ratio is near to, None where there is none."""
    for q in DENOMINATORS:
        nearest = round(ratio * q) / q
        if nearest and abs(ratio - nearest) < ROUNDING * max(abs(nearest), 0.5):
            return nearest if abs(nearest) <= MAX_RATIO else None
    return None


def _plain(value: float, distance: float) -> float:
    """Return the fraction that a fitted number stands for, itself where there is none so near."""
    nearest = fraction(value)
    if nearest is not None and abs(nearest - value) <= distance * abs(value):
        return nearest
    return value


def _scalings(X: np.ndarray, y: np.ndarray, G: np.ndarray) -> Iterator[Scaling]:
    """Yield the scaling that the null space of [x_1 f_1, ..., x_d f_d, -f] speaks of."""
    positive = X.min(axis=0) > 0
    if not positive.all() or not y.any():
        return
    A = np.column_stack([X * G, -y])
    sizes = np.sqrt(np.mean(A**2, axis=0))
    if not np.isfinite(A).all() or not sizes.all():
        return
    _, singular, V = np.linalg.svd(A / sizes / np.sqrt(len(A)), full_matrices=False)
    is_null = singular < MAX_NULL
    if not is_null.any():
        return
    best = _simplest(V[is_null] / sizes)
    if best is not None and len(best[1]) < len(X.T):
        exponents, groups = best
        yield Scaling(float(singular[is_null].max()), exponents, groups)


def _simplest(
    N: np.ndarray,
) -> tuple[tuple[float, ...], tuple[tuple[float, ...], ...]] | None:
    """Return exponents of the factor and of the groups for rows (w_1, ..., w_d, w) of `N`.

    For any inputs whose columns of N are a basis, the others are made dimensionless with them.
    """
    weights, wanted = N[:, :-1], N[:, -1]
    singular = np.linalg.svd(weights, compute_uv=False)
    rank = int((singular > 1e-2 * singular[0]).sum())
    best: tuple[float, np.ndarray, list[np.ndarray]] | None = None
    d = weights.shape[1]
    for number, basis in enumerate(combinations(range(d), rank)):
        if number == MAX_SUBSETS:
            break
        B = weights[:, list(basis)]
        if np.linalg.cond(B) > 50:
            continue
        solution = np.linalg.lstsq(B, np.column_stack([weights, wanted]), rcond=None)[0]
        rounded = np.round(2 * solution) / 2
        error = float(np.abs(solution - rounded).max())
        cost = float(np.abs(rounded).sum()) + 50 * max(0.0, error - 0.05)
        if error >= 0.15 or (best is not None and cost >= best[0]):
            continue
        exponents = np.zeros(d)
        exponents[list(basis)] = rounded[:, -1]
        groups = []
        for j in set(range(d)) - set(basis):
            group = np.zeros(d)
            group[j] = 1.0
            group[list(basis)] -= rounded[:, j]
            groups.append(group if (group == np.round(group)).all() else 2 * group)
        best = cost, exponents, groups
    if best is None:
        return None
    _, exponents, groups = best
    return tuple(exponents.tolist()), tuple(tuple(group.tolist()) for group in groups)
