"""Noisy problems whose truth is known: what rules of selection are measured on.

Three groups: equations of physics with noise of 1 % and 10 % of the root mean square of y; the ten
noisy sets of `benchmark_regressors.py`; laws of one or two inputs with 6 to 40 rows.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from benchmark_regressors import data_sets
from sklearn.datasets import make_friedman1, make_friedman2, make_friedman3
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

N_NEW = 1000
"""Rows on which a choice is compared with the truth."""
N_PHYSICS = 200
PHYSICS = Path(__file__).with_name("physics.csv")
INPUT = re.compile(r"(\w+)\[([^,]+),([^]]+)\]")
PHYSICS_OPERATORS = ["+", "-", "*", "/", "sqrt", "square", "exp", "log", "sin", "cos", "tanh"]
PHYSICS_OPERATORS += ["arcsin", "arccos"]
LAW_OPERATORS = ["+", "-", "*", "/", "^", "exp", "log", "sqrt", "square"]
NUMBER = re.compile(r"(?<![\w.])(?<!\*\*)\d+\.?\d*(?:e[+-]?\d+)?(?![\w.])")


@dataclass(frozen=True)
class Problem:
    """Rows with noise, and what they come from.

    Attributes
    ----------
    name, group : str
    half : int
        0 where it takes part in the choice of a rule, 1 where it reports.
    X, y : (N, D), (N,) float64
    X_new, y_new : (M, D), (M,) float64
        New rows; y without noise where that is known.
    y_exact : (N,) float64 or None
        y without noise; None where nobody knows.
    X_wide, y_wide : (M, D), (M,) float64
        Rows from ranges three times as wide, where the truth is defined, without noise.
    names : list of str
    operators : list of str or None
        None are the defaults of the regressor.
    n_numbers : int
        Numbers in the true formula.
    """

    name: str
    group: str
    half: int
    X: np.ndarray
    y: np.ndarray
    X_new: np.ndarray
    y_new: np.ndarray
    y_exact: np.ndarray | None
    X_wide: np.ndarray
    y_wide: np.ndarray
    names: list[str]
    operators: list[str] | None
    n_numbers: int


@dataclass(frozen=True)
class Law:
    """A formula with the ranges of its inputs.

    Attributes
    ----------
    formula : str
    ranges : dict of (float, float)
        By the names of the inputs.
    n_rows : int
    noise : float
        Standard deviation, as a share of the root mean square of y; of each y where `relative`.
    relative : bool
    """

    formula: str
    ranges: dict[str, tuple[float, float]]
    n_rows: int
    noise: float
    relative: bool = False


LAWS: dict[str, Law] = {
    "langmuir": Law("5.2*0.8*p/(1 + 0.8*p)", {"p": (0.1, 10)}, 11, 0.02),
    "michaelis": Law("2.4*s/(1.7 + s)", {"s": (0.2, 12)}, 12, 0.03),
    "freundlich": Law("3.1*c**0.43", {"c": (0.1, 20)}, 9, 0.03),
    "decay": Law("7.5*exp(-0.31*t)", {"t": (0, 10)}, 14, 0.02),
    "cooling": Law("21.5 + 63*exp(-0.045*t)", {"t": (0, 60)}, 16, 0.02),
    "fall": Law("4.905*t**2", {"t": (0.1, 3)}, 8, 0.02),
    "pendulum": Law("2.006*sqrt(l)", {"l": (0.1, 2)}, 8, 0.02),
    "ohm": Law("U/R", {"U": (1, 12), "R": (10, 100)}, 12, 0.03),
    "lens": Law("1/(1/f + 1/g)", {"f": (1, 5), "g": (2, 10)}, 20, 0.02),
    "logarithm": Law("1.9*log(x) + 3.4", {"x": (1, 50)}, 10, 0.05),
    "line": Law("2*x", {"x": (0, 1)}, 6, 0.1),
    "line_offset": Law("1.3*x - 4.2", {"x": (-5, 5)}, 8, 0.1),
    "parabola": Law("0.7*x**2 - 1.1*x + 2", {"x": (-3, 3)}, 12, 0.05),
    "log1p": Law("log(x + 1)", {"x": (-0.9, 5)}, 40, 0.1),
    "coulomb": Law("8.99*q*p/r**2", {"q": (1, 5), "p": (1, 5), "r": (1, 4)}, 25, 0.05),
    "gas": Law("8.314*n*T/V", {"n": (1, 5), "T": (280, 380), "V": (1, 10)}, 20, 0.05, True),
    "arrhenius": Law("1500*exp(-2400/T)", {"T": (280, 900)}, 12, 0.05, True),
    "gauss": Law("1.8*exp(-x**2/3.2)", {"x": (-4, 4)}, 21, 0.03),
    "logistic": Law("9/(1 + exp(-1.2*(t - 3)))", {"t": (0, 7)}, 18, 0.03),
    "drag": Law("0.24*A*v**2", {"A": (0.5, 3), "v": (1, 20)}, 15, 0.05),
    "kepler": Law("365.25*a**1.5", {"a": (0.3, 30)}, 8, 0.01, True),
    "stokes": Law("0.218*d*r**2/m", {"d": (1, 8), "r": (0.1, 1), "m": (0.5, 3)}, 30, 0.05),
    "wave": Law("1.4*sin(2.1*t)", {"t": (0, 6)}, 25, 0.05),
    "nernst": Law("0.34 + 0.0296*log(c)", {"c": (0.001, 1)}, 9, 0.03),
    "series": Law("p*q/(p + q)", {"p": (1, 10), "q": (1, 10)}, 14, 0.03),
    "hill": Law("4*x**2/(2.5 + x**2)", {"x": (0.1, 6)}, 15, 0.03),
    "mean": Law("3.7 + 0*x", {"x": (0, 1)}, 20, 0.1),
    "lift": Law("x*y + 1", {"x": (-2, 2), "y": (-2, 2)}, 16, 0.1),
    "root_sum": Law("sqrt(x**2 + y**2)", {"x": (0.5, 5), "y": (0.5, 5)}, 24, 0.03),
    "decibel": Law("4.34*log(p/q)", {"p": (0.1, 10), "q": (0.1, 10)}, 18, 0.03),
}
FUNCTIONS = ("sin", "cos", "exp", "log", "sqrt", "tanh", "arcsin", "arccos", "pi")


def evaluate(formula: str, columns: dict[str, np.ndarray]) -> np.ndarray:
    """Return the values of a formula in numpy's functions."""
    functions = {name: getattr(np, name) for name in FUNCTIONS}
    functions |= {"ln": np.log, "asin": np.arcsin, "acos": np.arccos}
    values = eval(formula, {"__builtins__": {}}, {**functions, **columns})
    return np.asarray(values, dtype=np.float64)


def draw(ranges: dict[str, tuple[float, float]], n: int, random: np.random.Generator) -> np.ndarray:
    """Draw rows (n, D) uniformly."""
    return np.column_stack([random.uniform(*ends, n) for ends in ranges.values()])


def from_law(
    name: str, group: str, half: int, law: Law, operators: list[str], seed: list[int]
) -> Problem:
    """Draw the rows of a law."""
    random = np.random.default_rng(seed)
    names = list(law.ranges)
    wide = {name: (2 * low - high, 2 * high - low) for name, (low, high) in law.ranges.items()}
    X, X_new, X_wide = (
        draw(ranges, n, random)
        for ranges, n in ((law.ranges, law.n_rows), (law.ranges, N_NEW), (wide, N_NEW))
    )
    with np.errstate(all="ignore"):
        exact, y_new, y_wide = (
            evaluate(law.formula, dict(zip(names, rows.T, strict=True)))
            for rows in (X, X_new, X_wide)
        )
    is_there = np.isfinite(y_wide)
    scale = np.abs(exact) if law.relative else np.sqrt(np.mean(exact**2))
    y = exact + law.noise * scale * random.standard_normal(len(exact))
    n_numbers = len(NUMBER.findall(law.formula))
    return Problem(
        name, group, half, X, y, X_new, y_new, exact, X_wide[is_there], y_wide[is_there], names,
        operators, n_numbers,
    )  # fmt: skip


def laws() -> Iterator[Problem]:
    """Yield the laws of few rows, two draws of each."""
    for i, (name, law) in enumerate(LAWS.items()):
        for seed in (0, 1):
            yield from_law(f"{name}_{seed}", "laws", i % 2, law, LAW_OPERATORS, [i, seed])


def physics() -> Iterator[Problem]:
    """Yield every eighth equation of `benchmark_physics.py`, with noise of 1 % and of 10 %."""
    with PHYSICS.open(encoding="utf-8", newline="") as lines:
        equations = list(csv.DictReader(lines))[::8]
    for i, row in enumerate(equations):
        parts = INPUT.findall(row["inputs"])
        ranges = {name: (float(low), float(high)) for name, low, high in parts}
        for percent in (1, 10):
            law = Law(row["formula"], ranges, N_PHYSICS, percent / 100)
            name = f"{row['name']}_{percent}%"
            yield from_law(name, "physics", i % 2, law, PHYSICS_OPERATORS, [i, percent])


def noisy_sets(seed: int = 0) -> Iterator[Problem]:
    """Yield the ten sets; of Friedman's the new rows have no noise."""
    exact = {
        f"{name}_{share}": make(400, random_state=seed)[1]
        for name, make in (
            ("friedman1", make_friedman1),
            ("friedman2", make_friedman2),
            ("friedman3", make_friedman3),
        )
        for share in ("10%", "30%")
    }
    for i, (name, (X, y)) in enumerate(data_sets(seed).items()):
        truth = exact.get(name, y)
        X, X_new, y, _, _, y_new = train_test_split(X, y, truth, random_state=seed)
        scaler = StandardScaler().fit(X)
        names = [f"x{k + 1}" for k in range(X.shape[1])]
        yield Problem(
            name, "sets", i % 2, scaler.transform(X), y, scaler.transform(X_new), y_new, None,
            X[:0], y[:0], names, None, 0,
        )  # fmt: skip


def problems() -> list[Problem]:
    """Return all of them."""
    return [*laws(), *noisy_sets(), *physics()]
