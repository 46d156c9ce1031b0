"""Which row of a front to pick: rules of selection on the stored fronts of noisy problems.

The problems are those of `noisy_problems.py`. `make` searches each once and keeps the front as
``estimator.json`` in a folder; what is there already is not searched again. `judge` then applies
all rules, in less than a minute. Two scores count: in how many of the problems whose form stands on
the front it is picked, and the mean R2 of the pick against the truth on new rows (at least 0). One
half of the problems is for choosing a rule, the other for reporting on it.

A row has the true form where its constants, but for whole numbers, fitted to y without noise, make
it the truth: a mean squared error below 1e-10 of the variance of y on new rows, and the same values
up to an offset and a factor on ranges three times as wide. It may have two constants more than the
truth has numbers.

    python scripts/benchmark_selection.py make FOLDER [--n_samples 300000]
    python scripts/benchmark_selection.py judge FOLDER
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from noisy_problems import Problem, problems
from scipy.optimize import least_squares

from dso import DeepSymbolicRegressor
from dso.program import FitData, Program
from dso.program.derivatives import derivatives_in_constants
from dso.regressor.rows import CanonicalRows
from dso.selection import SELECTIONS, TOKEN, Evidence, criteria, gather

EXACT = 1e-10
SAME = 1e-8
MAX_MORE_NUMBERS = 2
N_STARTS = 4


@dataclass(frozen=True)
class Front:
    """The front of one problem.

    Attributes
    ----------
    problem : Problem
    evidence : Evidence
    r2 : (B,) float64
        Against the truth on new rows; -inf where a row is not defined there.
    is_form : (B,) bool
    """

    problem: Problem
    evidence: Evidence
    r2: np.ndarray
    is_form: np.ndarray


def make(folder: Path, n_samples: int) -> None:
    """Search for the front of each problem that has none in the folder."""
    for problem in problems():
        if (folder / problem.name / "estimator.json").exists():
            continue
        model = DeepSymbolicRegressor(
            operators=problem.operators,
            loss="squared",
            n_samples=n_samples,
            random_state=0,
            n_jobs=1,
            verbosity=0,
            output_directory=folder,
            run_id=problem.name,
        )
        model.fit(problem.X, problem.y, variable_names=problem.names)
        print(problem.name, model.get_best()["equation"], flush=True)


def read(folder: Path, problem: Problem) -> Front:
    """Return a front with all that rules and scores need."""
    equations = DeepSymbolicRegressor.from_file(folder / problem.name)._targets[0]
    front, rows = equations.front, CanonicalRows.of(problem.X, problem.y, None)
    data = FitData.of_rows(equations.library, rows.X, rows.y, rows.weights)
    figures = front.losses, front.complexities
    polynomials = front.polynomials.tolist()
    evidence = gather(front.programs, *figures, data, rows.n_observations, polynomials)
    programs = [equations.program(i) for i in range(len(equations))]
    r2 = np.array([1 - nmse(one, problem.X_new, problem.y_new) for one in programs])
    return Front(problem, evidence, r2, np.array([has_form(one, problem) for one in programs]))


def nmse(program: Program, X: np.ndarray, y: np.ndarray) -> float:
    """Return the mean squared error in variances of y; infinite where it is not defined."""
    with np.errstate(all="ignore"):
        error = np.mean((program.execute(X) - y) ** 2)
    return error / (np.var(y) or np.mean(y**2)) if np.isfinite(error) else np.inf


def has_form(program: Program, problem: Problem) -> bool:
    """Tell whether a program is the truth once its constants are fitted to y without noise."""
    y, constants = problem.y_exact, program.constants
    if y is None or len(constants) > problem.n_numbers + MAX_MORE_NUMBERS:
        return False
    is_free = constants != np.round(constants)
    columns, scale = np.ascontiguousarray(problem.X.T), np.std(y) or 1.0
    random = np.random.default_rng(0)

    def with_numbers(numbers: np.ndarray) -> Program:
        values = constants.copy()
        values[is_free] = numbers
        return Program(program.library, program.tokens, values)

    def misses(numbers: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.nan_to_num((with_numbers(numbers).execute(problem.X) - y) / scale, nan=1e6)

    def slopes(numbers: np.ndarray) -> np.ndarray:
        values = with_numbers(numbers).constants
        with np.errstate(all="ignore"):
            all_slopes = derivatives_in_constants(program.library, program.tokens, values, columns)
        return np.nan_to_num(all_slopes[:, is_free] / scale, posinf=0, neginf=0)

    if not is_free.any():
        return is_truth(program, problem)
    for k in range(N_STARTS):
        start = constants[is_free] * (1 + 0.2 * (k > 0) * random.normal(size=is_free.sum()))
        try:
            fit = least_squares(
                misses, start, slopes, x_scale="jac", xtol=1e-15, ftol=1e-15, gtol=1e-15
            )
        except ValueError:  # not finite at the start
            continue
        if is_truth(with_numbers(fit.x), problem):
            return True
    return False


def is_truth(program: Program, problem: Problem) -> bool:
    """Tell whether a program is the truth, up to an offset and a factor where that is wide."""
    if not nmse(program, problem.X_new, problem.y_new) < EXACT:
        return False
    with np.errstate(all="ignore"):
        values = program.execute(problem.X_wide)
    is_there = np.isfinite(values)
    truth, values = problem.y_wide[is_there], values[is_there]
    weights = 1 / np.maximum(np.abs(truth), np.std(problem.y_new) or 1.0)
    design = weights[:, None] * np.column_stack([truth, np.ones(len(truth))])
    values = weights * values
    factors = np.linalg.lstsq(design, values, rcond=None)[0]
    return bool(np.mean((design @ factors - values) ** 2) <= SAME * np.mean(values**2))


def priced(name: str, nats: float) -> Callable[[Evidence], np.ndarray]:
    """Return a rule with another price of a token."""

    def choose(evidence: Evidence) -> np.ndarray:
        lengths = nats / TOKEN * evidence.form_lengths
        other = replace(evidence, form_lengths=lengths)
        return criteria(other.losses, other.complexities, other)[name]

    return choose


def plain(name: str) -> Callable[[Evidence], np.ndarray]:
    """Return a rule as it is."""
    return lambda evidence: criteria(evidence.losses, evidence.complexities, evidence)[name]


PRICES = (1.0, 1.5, 2.5, 3.0)
RULES: dict[str, Callable[[Evidence], np.ndarray]] = {name: plain(name) for name in SELECTIONS}
RULES |= {
    f"{name}, {nats:g} nats a token": priced(name, nats)
    for name in ("parsimony", "mdl")
    for nats in PRICES
}


def scores(fronts: list[Front], rule: Callable[[Evidence], np.ndarray]) -> tuple[int, int, float]:
    """Return how often the form is picked, how often it could be, and the mean R2."""
    picks = [int(rule(front.evidence).argmin()) for front in fronts]
    n_right = sum(front.is_form[pick] for front, pick in zip(fronts, picks, strict=True))
    r2 = [max(0.0, front.r2[pick]) for front, pick in zip(fronts, picks, strict=True)]
    return n_right, sum(front.is_form.any() for front in fronts), float(np.mean(r2))


def judge(folder: Path) -> None:
    """Print a table of markdown: each rule on the half that chooses, on the other, by group."""
    fronts = [
        read(folder, problem)
        for problem in problems()
        if (folder / problem.name / "estimator.json").exists()
    ]
    parts = {
        "choosing": [front for front in fronts if front.problem.half == 0],
        "reporting": [front for front in fronts if front.problem.half == 1],
        **{
            group: [front for front in fronts if front.problem.group == group]
            for group in ("laws", "sets", "physics")
        },
    }
    print("| Rule | " + " | ".join(f"{name} ({len(part)})" for name, part in parts.items()) + " |")
    print("| --- |" + " --- |" * len(parts))
    for name, rule in RULES.items():
        cells = []
        for part in parts.values():
            n_right, n_there, r2 = scores(part, rule)
            cells.append(f"{n_right} of {n_there}, {r2:.3f}" if n_there else f"{r2:.3f}")
        print(f"| {name} | " + " | ".join(cells) + " |")


def main() -> None:
    """Make fronts, or judge rules by them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("what", choices=("make", "judge"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--n_samples", type=int, default=300_000)
    options = parser.parse_args()
    if options.what == "make":
        make(options.folder, options.n_samples)
    else:
        judge(options.folder)


if __name__ == "__main__":
    main()
