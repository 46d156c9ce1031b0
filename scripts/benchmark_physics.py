"""DeepSymbolicRegressor on equations of physics, and others: is the law found, and is it picked?

The problems are those of `physics_problems.py`: 120 equations of physics, such solved for another
variable, random products, and right-hand sides of differential equations. Data are raw, and normal
errors of `noise` times the root mean square of y may be added to y. Fits that are in the file
already are not done again.

An equation of the front is *symbolic* where its error on fresh points is that of rounding (a mean
squared error below 1e-10 of the variance of y), and it equals the law up to an offset or a factor
on ranges three times as wide. With noise it is its form that has to be so: its constants, but for
those that are whole numbers, simple fractions or multiples of pi, are fitted to targets without
noise first; and it may have two more such constants than the law.

    python scripts/benchmark_physics.py --seconds 20 [--noise 0.01] [--every 3] [--seeds 0 1]
        [--problems inverted] [--units] [--no_reduce] [--pyoperon] [--out logs/physics.csv]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
import pandas as pd
from benchmark_reductions import are_true
from benchmark_regressors import Operon, size_of_operon
from physics_problems import OPERATORS, SAME, Law, add_choice, chosen

from dso import DeepSymbolicRegressor
from dso.fitting import ConstantFitter, FitOptions
from dso.program import Program
from dso.task.regression import RegressionTask

OPERON_SYMBOLS = "add,sub,mul,div,sqrt,square,exp,log,sin,cos,tanh,asin,acos,constant,variable"
N_FRESH = 1000
EXACT = 1e-10
"""Share of the variance of y."""
SAME_SHARE = 0.99
"""Of the points on the wider ranges that have to be the same; near a pole rounding is large."""
MAX_MORE_CONSTANTS = 2
MAX_DENOMINATOR, MAX_NUMERATOR = 12, 1000

Predict = Callable[[np.ndarray], np.ndarray]
"""Given inputs (N, D), returns values (N,)."""


def is_plain(value: float) -> bool:
    """Tell whether a number is a fraction p/q with small q, or such a multiple of pi."""
    multiples = np.array([value, value / np.pi, value * np.pi, value**2])
    multiples = np.multiply.outer(multiples, np.arange(1, MAX_DENOMINATOR + 1))
    is_whole = np.abs(multiples - np.round(multiples)) <= 1e-9 * np.abs(multiples)
    return bool((is_whole & (np.abs(multiples) <= MAX_NUMERATOR)).any())


def is_symbolic(predict: Predict, law: Law, seed: int) -> bool:
    """Tell whether a function is the law, up to an offset or a factor on the wider ranges."""
    random = np.random.default_rng([seed, 1])
    X, y = law.draw(N_FRESH, random)
    with np.errstate(all="ignore"):
        if not np.mean((predict(X) - y) ** 2) < EXACT * np.var(y):
            return False
        X, y = law.draw_wider(N_FRESH, random)
        values = predict(X)
        size = np.maximum(np.abs(y), 1e-3 * np.median(np.abs(y)))
        shifted = np.abs(y - values - np.nanmedian(y - values)) <= SAME * size
        scaled = np.abs(y - values * np.nanmedian(y / values)) <= SAME * size
    return bool(max(shifted.mean(), scaled.mean()) >= SAME_SHARE)


def refitted(
    program: Program, law: Law, seed: int, functions: Sequence[str] = OPERATORS
) -> Program | None:
    """Return a program with the constants that suit data without noise; plain ones stay.

    None where it has too many of the others.
    """
    is_free = np.array([not is_plain(value) for value in program.constants], dtype=bool)
    if is_free.sum() > law.n_constants + MAX_MORE_CONSTANTS:
        return None
    if not is_free.any():
        return program
    X, y = law.draw(N_FRESH, np.random.default_rng([seed, 2]))
    task = RegressionTask(dataset=(X, y), function_set=functions)
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
            program = refitted(program, law, seed, model.function_set)
        yield program is not None and is_symbolic(program.execute, law, seed)


def fit(law: Law, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Return what one fit came to."""
    random = np.random.default_rng([seed, 0])
    X, y = law.draw(options.rows, random)
    noisy = y + options.noise * np.sqrt(np.mean(y**2)) * random.standard_normal(len(y))
    start = time.process_time()
    if options.pyoperon:
        result, predict = _fit_operon(X, noisy, law, seed, options)
    else:
        result, predict = _fit_ours(X, noisy, law, seed, options)
    fresh, wanted = law.draw(N_FRESH, np.random.default_rng([seed, 1]))
    with np.errstate(all="ignore"):
        nmse = np.mean((predict(fresh) - wanted) ** 2) / np.var(wanted)
    known = {"equation": law.name, "noise": options.noise, "seed": seed}
    return {**known, "nmse": nmse, "cpu_seconds": result.pop("end") - start, **result}


def _fit_ours(
    X: np.ndarray, y: np.ndarray, law: Law, seed: int, options: argparse.Namespace
) -> tuple[dict[str, Any], Predict]:
    start = time.process_time()
    model = DeepSymbolicRegressor(
        function_set=options.functions,
        n_samples=20_000_000,  # more than there is time for
        callback=lambda standing: time.process_time() - start > options.seconds,
        reduce=not options.no_reduce,
        random_state=seed,
        n_jobs=1,
        verbosity=0,
    )
    units = {"X_units": law.units, "y_units": law.unit} if options.units else {}
    model.fit(X, y, variable_names=law.inputs, **units)
    end = time.process_time()
    right = list(verdicts(model, law, options.noise, seed))
    picked = model._targets[0].row(None, model.model_selection)
    reduced = model.reductions_
    return {
        "end": end,
        "picked": right[picked],
        "on_front": any(right),
        "size": int(model.equations_["complexity"][picked]),
        "stop": model.stop_reason_,
        "found": model.equations_["equation"][picked],
        "reduced": "" if reduced is None else reduced.why,
        "is_reduced_truly": reduced is None or all(are_true(reduced, law)),
    }, model.predict


def _fit_operon(
    X: np.ndarray, y: np.ndarray, law: Law, seed: int, options: argparse.Namespace
) -> tuple[dict[str, Any], Predict]:
    """Fit pyoperon with the same functions for the same time; its one model is the front."""
    model = Operon(options.seconds, seed)
    model.model.set_params(allowed_symbols=OPERON_SYMBOLS, max_length=50)
    model.fit(X, y)
    end = time.process_time()
    is_right = is_symbolic(model.predict, law, seed)
    return {
        "end": end,
        "picked": is_right,
        "on_front": is_right,
        "size": size_of_operon(model),
        "found": model.model.get_model_string(model.model.model_, 6),
    }, model.predict


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
    parser.add_argument("--no_reduce", action="store_true", help="without reductions")
    parser.add_argument("--functions", nargs="+", default=OPERATORS, help="those of physics")
    parser.add_argument("--pyoperon", action="store_true", help="fit pyoperon instead")
    add_choice(parser)
    parser.add_argument("--out", help="CSV with a row per fit")
    options = parser.parse_args()
    laws = list(chosen(options))
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
