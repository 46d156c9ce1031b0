"""DeepSymbolicRegressor on 120 equations of physics: is the law found, and is it picked?

The equations stand in ``scripts/physics.csv``, each with its inputs and the range from which their
values are drawn: the hundred of the Feynman Lectures and the twenty harder ones of Udrescu and
Tegmark's AI Feynman (2020); ``scripts/physics_units.csv`` has the units of their symbols, which
`units` gives to the fit. Data are raw, and normal errors of `noise` times the root mean square
of y may be added to y. Fits that are in the file already are not done again.

An equation of the front is *symbolic* where its error on fresh points is that of rounding (a mean
squared error below 1e-10 of the variance of y), and it equals the law up to an offset or a factor
on ranges three times as wide. With noise it is its form that has to be so: its constants, but for
those that are whole numbers, simple fractions or multiples of pi, are fitted to targets without
noise first; and it may have two more such constants than the law.

    python scripts/benchmark_physics.py --seconds 20 [--noise 0.01] [--every 3] [--seeds 0 1]
        [--units] [--out logs/physics.csv]
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
import pandas as pd

from dso import DeepSymbolicRegressor
from dso.fitting import ConstantFitter, FitOptions
from dso.library import PlaceholderConstant, create_tokens
from dso.library.expression import Expression, evaluate, parse
from dso.program import Program
from dso.program.symbolic import to_short_sympy
from dso.task.regression import RegressionTask

TABLE = Path(__file__).with_name("physics.csv")
UNITS = Path(__file__).with_name("physics_units.csv")
OPERATORS = [
    *("add", "sub", "mul", "div", "sqrt", "square", "exp", "log"),
    *("sin", "cos", "tanh", "arcsin", "arccos", "const"),
]
N_FRESH = 1000
EXACT = 1e-10
"""Share of the variance of y."""
SAME = 1e-6
"""Relative difference up to which values on the wider ranges are the same."""
SAME_SHARE = 0.99
"""Of the points on the wider ranges that have to be the same; near a pole rounding is large."""
MAX_MORE_CONSTANTS = 2
MAX_DENOMINATOR, MAX_NUMERATOR = 12, 1000


@dataclass(frozen=True)
class Law:
    """An equation to be found.

    Attributes
    ----------
    name : str
    inputs : tuple of str
    ranges : (D, 2) float64
    formula : Expression
    units : (D,) tuple of str
        Of the inputs.
    unit : str
        Of the target.
    """

    name: str
    inputs: tuple[str, ...]
    ranges: np.ndarray
    formula: Expression
    units: tuple[str, ...]
    unit: str

    def draw(self, n_rows: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return inputs (N, D) and targets (N,), all of them finite."""
        return self._defined(self.ranges, n_rows, random)

    def draw_wider(self, n_rows: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return the same from ranges three times as wide; what is above zero stays so."""
        low, high = self.ranges.T
        low = low / 3
        wider = np.column_stack([low, low + 3 * (high - 3 * low)])
        return self._defined(wider, n_rows, random)

    def _defined(
        self, ranges: np.ndarray, n_rows: int, random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        X = random.uniform(*ranges.T, (20 * n_rows, len(ranges)))
        y = evaluate(self.formula, X)
        rows = np.flatnonzero(np.isfinite(y))[:n_rows]
        return X[rows], y[rows]

    @property
    def n_constants(self) -> int:
        """Numbers of the law in normal form, but for exponents, 1 and -1."""
        nodes = self.formula.nodes
        known = create_tokens(len(self.inputs), {n for n in nodes if isinstance(n, str)})
        tokens = {token.name: token for token in known}
        traversal = [
            PlaceholderConstant(node)
            if isinstance(node, float)
            else tokens[node if isinstance(node, str) else f"x{node + 1}"]
            for node in nodes
        ]
        return _n_numbers(to_short_sympy(traversal))


def _n_numbers(form: Any) -> int:
    if form.is_Number:
        return int(abs(float(form)) != 1)
    return sum(map(_n_numbers, form.args[:1] if form.is_Pow else form.args))


def read_laws() -> list[Law]:
    """Return all of the table."""
    laws = []
    with UNITS.open(newline="") as file:
        units = {row["symbol"]: row["unit"] for row in csv.DictReader(file)}
    with TABLE.open(newline="") as file:
        for row in csv.DictReader(file):
            parts = [part.rstrip("]").split("[") for part in row["inputs"].split()]
            inputs = tuple(name for name, _ in parts)
            ranges = np.array([limits.split(",") for _, limits in parts], dtype=float)
            formula = parse(row["formula"], row["name"], inputs)
            of_inputs = tuple(units[name] for name in inputs)
            laws.append(Law(row["name"], inputs, ranges, formula, of_inputs, row["unit"]))
    return laws


def is_plain(value: float) -> bool:
    """Tell whether a number is a fraction p/q with small q, or such a multiple of pi."""
    multiples = np.array([value, value / np.pi, value * np.pi, value**2])
    multiples = np.multiply.outer(multiples, np.arange(1, MAX_DENOMINATOR + 1))
    is_whole = np.abs(multiples - np.round(multiples)) <= 1e-9 * np.abs(multiples)
    return bool((is_whole & (np.abs(multiples) <= MAX_NUMERATOR)).any())


def is_symbolic(program: Program, law: Law, seed: int) -> bool:
    """Tell whether a program is the law, up to an offset or a factor on the wider ranges."""
    random = np.random.default_rng([seed, 1])
    X, y = law.draw(N_FRESH, random)
    with np.errstate(all="ignore"):
        if not np.mean((program.execute(X) - y) ** 2) < EXACT * np.var(y):
            return False
        X, y = law.draw_wider(N_FRESH, random)
        values = program.execute(X)
        size = np.maximum(np.abs(y), 1e-3 * np.median(np.abs(y)))
        shifted = np.abs(y - values - np.nanmedian(y - values)) <= SAME * size
        scaled = np.abs(y - values * np.nanmedian(y / values)) <= SAME * size
    return bool(max(shifted.mean(), scaled.mean()) >= SAME_SHARE)


def refitted(program: Program, law: Law, seed: int) -> Program | None:
    """Return a program with the constants that suit data without noise; plain ones stay.

    None where it has too many of the others.
    """
    is_free = np.array([not is_plain(value) for value in program.constants], dtype=bool)
    if is_free.sum() > law.n_constants + MAX_MORE_CONSTANTS:
        return None
    if not is_free.any():
        return program
    X, y = law.draw(N_FRESH, np.random.default_rng([seed, 2]))
    task = RegressionTask(dataset=(X, y), function_set=OPERATORS)
    held = np.where(is_free, np.nan, program.constants)
    bare = replace(program.batch, constants=held[None])
    fitter = ConstantFitter(task, FitOptions(n_starts=4, max_iterations=200))
    fitted = fitter.fit(bare, program.constants[None]).constants[0]
    return Program(program.library, program.tokens, fitted)


def verdicts(model: DeepSymbolicRegressor, law: Law, noise: float, seed: int) -> Iterator[bool]:
    """Tell of each equation of the front whether it is symbolic."""
    for i in range(len(model.equations_)):
        program: Program | None = model._targets[0].program(i)
        if noise:
            program = refitted(program, law, seed)
        yield program is not None and is_symbolic(program, law, seed)


def fit(law: Law, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Return what one fit came to."""
    random = np.random.default_rng([seed, 0])
    X, y = law.draw(options.rows, random)
    noisy = y + options.noise * np.sqrt(np.mean(y**2)) * random.standard_normal(len(y))
    start = time.process_time()
    model = DeepSymbolicRegressor(
        function_set=OPERATORS,
        n_samples=20_000_000,  # more than there is time for
        callback=lambda standing: time.process_time() - start > options.seconds,
        random_state=seed,
        n_jobs=1,
        verbosity=0,
    )
    units = {"X_units": law.units, "y_units": law.unit} if options.units else {}
    model.fit(X, noisy, variable_names=law.inputs, **units)
    seconds = time.process_time() - start
    right = list(verdicts(model, law, options.noise, seed))
    picked = model._targets[0].row(None, model.model_selection)
    fresh, wanted = law.draw(N_FRESH, np.random.default_rng([seed, 1]))
    with np.errstate(all="ignore"):
        nmse = np.mean((model.predict(fresh) - wanted) ** 2) / np.var(wanted)
    return {
        "equation": law.name,
        "noise": options.noise,
        "seed": seed,
        "picked": right[picked],
        "on_front": any(right),
        "nmse": nmse,
        "size": int(model.equations_["complexity"][picked]),
        "cpu_seconds": seconds,
        "stop": model.stop_reason_,
        "found": model.equations_["equation"][picked],
    }


def summary(rows: Sequence[dict[str, Any]]) -> str:
    """Return one line for all fits."""
    seconds = [row["cpu_seconds"] for row in rows]
    return (
        f"{len(rows)} fits: picked {sum(row['picked'] for row in rows)}, "
        f"on the front {sum(row['on_front'] for row in rows)}, "
        f"R2 > 0.999 {sum(row['nmse'] < 1e-3 for row in rows)}; "
        f"CPU-seconds mean {mean(seconds):.2f}, median {median(seconds):.2f}; "
        f"size median {median(row['size'] for row in rows):g}"
    )


def main() -> None:
    """Fit, print a line per fit, and a summary."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="CPU-seconds of a fit")
    parser.add_argument("--noise", type=float, default=0.0)
    parser.add_argument("--units", action="store_true", help="give the fit the units of columns")
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--every", type=int, default=1, help="take every third equation, say")
    parser.add_argument("--first", type=int, default=0, help="number of the first of them")
    parser.add_argument("--equations", nargs="+", help="names; default: all")
    parser.add_argument("--out", help="CSV with a row per fit")
    options = parser.parse_args()
    laws = read_laws()[options.first :: options.every]
    if options.equations:
        laws = [law for law in read_laws() if law.name in options.equations]
    # Importing torch is not part of a fit.
    warm = DeepSymbolicRegressor(n_samples=500, n_jobs=1, verbosity=0)
    warm.fit(np.arange(20.0)[:, None], np.arange(20.0) ** 2)
    rows: list[dict[str, Any]] = []
    if options.out is not None and Path(options.out).exists():
        rows = pd.read_csv(options.out).to_dict("records")
    done = {(row["equation"], row["seed"], row["noise"]): row for row in rows}
    wanted = [(law, seed) for seed in options.seeds for law in laws]
    for law, seed in wanted:
        key = law.name, seed, options.noise
        if key in done:
            continue
        done[key] = fit(law, seed, options)
        print(done[key], flush=True)
        if options.out is not None:
            pd.DataFrame(list(done.values())).to_csv(options.out, index=False)
    print(summary([done[law.name, seed, options.noise] for law, seed in wanted]))


if __name__ == "__main__":
    main()
