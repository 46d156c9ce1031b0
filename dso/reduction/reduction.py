"""Reduction: y in terms of fewer inputs, as exact formulas for what goes in and what comes back.

A reduction says that

    y = back(t, x)    where    t = forward(y, x) = g(z_1(x), z_2(x), ...)

with known z, forward and back. What is left to be found is g: a smaller problem, whose rows are
computed from those of the data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from dso.reduction.formula import (
    Formula,
    as_text,
    combination,
    divided,
    filled,
    inputs_of,
    product,
    values,
)
from dso.reduction.shortening import shorter

N_CHECKED = 40
"""Rows at which a program is asked whether it is of a form."""
STEP = 1e-4
"""Of differences, in units of the scatter of an input."""
ROUNDING = 1e-6
MAX_MISSED = 1e-3
"""Share of a gradient that may be missed, for what differences and constants are off by."""


@dataclass(frozen=True)
class Step:
    """What was found of the form, and what speaks for it.

    Attributes
    ----------
    text : str
        "y is proportional to m1", say.
    error_before, error_after : float or None
        By what a model errs on rows that it has not seen (the median, as a share of the scatter of
        y), before the step and after it; None where it takes no model to see it.
    """

    text: str
    error_before: float | None = None
    error_after: float | None = None

    def __str__(self) -> str:
        if self.error_before is None or self.error_after is None:
            return self.text
        figures = f"{self.error_after:.1e} of the scatter of y, before {self.error_before:.1e}"
        return f"{self.text} (error on unseen rows {figures})"


@dataclass(frozen=True)
class Reduction:
    """A smaller problem, and how its answer becomes one to the whole; see the module.

    Attributes
    ----------
    names : tuple of str
        Of the inputs.
    columns : tuple of Formula
        z, in terms of the inputs.
    forward, back : Formula
        In terms of the inputs and, as one more input after them, of y and of t.
    steps : tuple of Step
        What it rests on.
    """

    names: tuple[str, ...]
    columns: tuple[Formula, ...]
    forward: Formula
    back: Formula
    steps: tuple[Step, ...] = ()

    @staticmethod
    def none(names: Sequence[str]) -> Reduction:
        """Return the one that leaves the problem as it is."""
        n = len(names)
        return Reduction(tuple(names), tuple((j,) for j in range(n)), (n,), (n,))

    @property
    def hole(self) -> int:
        """The input of `forward` that stands for y, and of `back` that stands for t."""
        return len(self.names)

    def inputs(self, X: np.ndarray) -> np.ndarray:
        """Return z (N, K) for inputs (N, D)."""
        if not self.columns:
            return np.empty((len(X), 0))
        return np.column_stack([values(column, X) for column in self.columns])

    def target(self, X: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return t (N,) for inputs (N, D) and y (N,)."""
        return values(self.forward, np.column_stack([X, y]))

    def restored(self, X: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Return y (N,) for inputs (N, D) and t (N,)."""
        return values(self.back, np.column_stack([X, t]))

    def slope(self, X: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Return |dy/dt| at rows (N,)."""
        step = 1e-6 * np.maximum(np.abs(t), 1e-6 * np.abs(t).max() + 1e-300)
        return np.abs(self.restored(X, t + step) - self.restored(X, t - step)) / (2 * step)

    def is_obeyed(self, function: Callable[[np.ndarray], np.ndarray], X: np.ndarray) -> bool:
        """Tell whether y = function(x) is of this form around rows X (N, D).

        The gradient of t must then be a combination of those of z, at every row.
        """
        with np.errstate(all="ignore"):
            X = X[np.linspace(0, len(X) - 1, min(len(X), N_CHECKED)).astype(int)]
            slopes = _slopes(lambda x: self.target(x, function(x))[:, None], X)[:, 0]
            # Below this share of t a slope is rounding.
            floors = ROUNDING * np.abs(self.target(X, function(X)))
            parts = zip(slopes, _slopes(self.inputs, X), floors, strict=True)
            misses = [_missed(*part) for part in parts]
        return bool(np.median(misses) < MAX_MISSED)

    def whole(self, formula: Formula) -> Formula:
        """Return y in terms of the inputs, where t is a formula of the columns."""
        return filled(self.back, [*self._inputs, filled(formula, self.columns)])

    # ------------------------------------------------------------------------------------- steps

    def divided(self, powers: Sequence[tuple[Formula, float]]) -> Self:
        """Return the reduction to t over a product of powers, in terms of the columns."""
        powers = [(filled(base, self.columns), exponent) for base, exponent in powers]
        whole = product([((self.hole,), 1.0), *powers])
        back = filled(self.back, [*self._inputs, whole])
        return replace(self, forward=divided(self.forward, powers), back=back)

    def minus(self, coefficient: float, term: Formula) -> Self:
        """Return the reduction to t - coefficient * term; the term is in terms of the columns."""
        term = filled(term, self.columns)
        whole = combination([(1.0, (self.hole,)), (coefficient, term)])
        forward = combination([(1.0, self.forward), (-coefficient, term)])
        return replace(self, forward=forward, back=filled(self.back, [*self._inputs, whole]))

    def through(self, outer: Formula, inverse: Formula) -> Self:
        """Return the reduction to inverse(t), where t is outer of that; both of input 0."""
        back = filled(self.back, [*self._inputs, filled(outer, [(self.hole,)])])
        return replace(self, forward=filled(inverse, [self.forward]), back=back)

    def onto(self, columns: Sequence[Formula]) -> Self:
        """Return the reduction to other columns, which are given in terms of these."""
        return replace(self, columns=tuple(filled(column, self.columns) for column in columns))

    def without(self, j: int) -> Self:
        """Return the reduction to all columns but one."""
        return replace(self, columns=self.columns[:j] + self.columns[j + 1 :])

    @property
    def _inputs(self) -> list[Formula]:
        return [(j,) for j in range(self.hole)]

    # ------------------------------------------------------------------------------------- words

    @property
    def column_texts(self) -> list[str]:
        """The columns as text."""
        return [_shown(column, self.names) for column in self.columns]

    def text(self, formula: Formula) -> str:
        """Return a formula of the columns as text."""
        return _shown(filled(formula, self.columns), self.names)

    def target_text(self, name: str | None = None) -> str:
        """Return what is left to be found as text; y is called target where an input is y."""
        name = name or ("target" if "y" in self.names else "y")
        return _shown(self.forward, [*self.names, name])

    def says(self, name: str | None = None) -> str:
        """Return in a sentence what the target depends on."""
        columns = self.column_texts
        on = " and ".join([", ".join(columns[:-1]), columns[-1]] if columns[1:] else columns)
        return f"{self.target_text(name)} depends on {on or 'nothing'} only"

    def __str__(self) -> str:
        return self.says()

    @property
    def used_inputs(self) -> list[int]:
        """The inputs that it mentions."""
        found = set().union(*map(inputs_of, (*self.columns, self.back)))
        return sorted(found - {self.hole})


def _shown(formula: Formula, names: Sequence[str]) -> str:
    """Return a formula as text, written shorter where that has the same values at any signs."""
    X = np.random.default_rng(0).uniform(-2.0, 2.0, (N_CHECKED, len(names)))
    X[::2] = np.abs(X[::2])
    with np.errstate(all="ignore"):
        wanted = values(formula, X)
        known = np.isfinite(wanted)
        for way in shorter(formula)[:1]:
            is_same = np.allclose(values(way, X)[known], wanted[known], rtol=1e-9, atol=0)
            if known.any() and len(way) < len(formula) and is_same:
                return as_text(way, names)
    return as_text(formula, names)


def _slopes(function: Callable[[np.ndarray], np.ndarray], X: np.ndarray) -> np.ndarray:
    """Return slopes (N, K, D) of a function with values (N, K), by inputs over their scatter."""
    steps = STEP * np.where(np.ptp(X, axis=0) > 0, X.std(axis=0), 1.0)
    slopes = []
    for j, step in enumerate(steps):
        shift = np.zeros(X.shape[1])
        shift[j] = step
        slopes.append((function(X + shift) - function(X - shift)) / (2 * STEP))
    return np.stack(slopes, axis=-1)


def _missed(t: np.ndarray, z: np.ndarray, floor: float) -> float:
    """Return the share of a gradient (D,) that no combination of others (K, D) makes up for."""
    if not (np.isfinite(t).all() and np.isfinite(z).all()):
        return 1.0
    size = float(np.linalg.norm(t))
    z = z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-300)
    rest = t - z.T @ np.linalg.lstsq(z.T, t, rcond=1e-9)[0] if len(z) else t
    return float(np.linalg.norm(rest)) / (size + floor) if size else 0.0
