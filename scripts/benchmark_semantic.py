"""The search by values alone: what it recovers of named benchmarks, of random expressions and of
formulas with constants, how fast, and at which rates its library grows and is looked up.

A run counts as recovered where its best program has an NMSE below 1e-12 on 1 000 fresh points.
Seconds are CPU-seconds of the process, one thread; evaluations are the vectors that were computed
and looked up.

    OMP_NUM_THREADS=1 python scripts/benchmark_semantic.py recovery --seeds 10
    OMP_NUM_THREADS=1 python scripts/benchmark_semantic.py random rates constants
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from statistics import median

import numpy as np
from benchmark_recovery import THRESHOLD, fresh_points

from dso.config import load_config
from dso.library import Library, create_tokens
from dso.library.expression import evaluate, parse
from dso.prior import JointPrior, make_joint_prior
from dso.program import Program, ProgramBatch, execute
from dso.semantic import SemanticLimits, SemanticResult, SemanticSearch, ValueLibrary
from dso.task.regression import RegressionTask
from dso.task.regression.benchmarks import find_benchmark

KOZA = ["add", "sub", "mul", "div", "sin", "cos", "exp", "log"]
NAMED = [
    *(f"Nguyen-{i}" for i in range(1, 13)),
    "Nguyen-12a",
    *(f"Livermore-{i}" for i in range(1, 24)),
    *("R1", "R2", "R3", "R1a", "R2a", "R3a"),
]
SIZES = (9, 13, 17, 21, 25, 29, 33, 37)
SKELETONS = (
    "C*x1*x2**2", "C*x1*x2/x3**2", "C*sqrt(x1/x2)", "x1/sqrt(1 - C*x2**2/100)",
    "C*exp(-C*x1**2)", "C*exp(-C*x1)*cos(x2)", "C*exp(-C*x1)*cos(x2) + C",
    "C/(x1**2 + C*x2) + C*x2", "C*x1*sin(x2) + C*x3**2 - C", "C*x1*x2*x3*x4",
    "sin(C*x1) + C*x2", "log(x1 + C)*x2", "x1**C*x2", "C*x1 + C*x2*x3", "x1*x2/(x1 + C*x2)",
    "C*log(x1) - C*x2", "exp(-C*x1) + x2", "C*x1**2 + C*x2**2 + C", "cos(C*x1)*exp(x2)",
    "x1*exp(-C*x2) - C", "C*x1/(x2 + C)", "sqrt(x1**2 + C*x2**2)", "C*sin(x1)*sin(x2)",
    "x3*(x1 - C*x2)", "C*x1*(exp(C*x2) - 1)", "x1 + C*x2 + C*x1*x2", "C*x1**3/(x2*x3)",
    "log(C*x1 + x2**2)", "(x1 - C)**2 + x2*x3", "C*x1*x2 - C*x3*x4",
)  # fmt: skip


def usual_prior(library: Library) -> JointPrior:
    """Return the priors of regression."""
    section = load_config("config_regression.json")["prior"]
    return make_joint_prior(section, library, max_length=64)


def solve(
    library: Library, X: np.ndarray, y: np.ndarray, seed: int, limits: SemanticLimits
) -> tuple[SemanticResult, float]:
    """Search, and return the result with its CPU-seconds."""
    start = time.process_time()
    result = SemanticSearch(library, usual_prior(library), X, y, limits=limits, seed=seed).run()
    return result, time.process_time() - start


def nmse(library: Library, result: SemanticResult, X: np.ndarray, y: np.ndarray) -> float:
    """Return the error of the best program on fresh points, inf where it has no finite value."""
    if not len(result.programs):
        return np.inf
    program = Program(library, result.programs.row(0), result.programs.constants[0])
    prediction = program.execute(X)
    is_finite = np.isfinite(prediction).all()
    return float(np.mean((prediction - y) ** 2) / np.var(y)) if is_finite else np.inf


def recovery(names: list[str], n_seeds: int, limits: SemanticLimits) -> None:
    """Print recovered, median seconds and median evaluations of named benchmarks."""
    print("benchmark, recovered, median CPU-s, median evaluations, tokens of the median")
    for name in names:
        rows = []
        for seed in range(n_seeds):
            task = RegressionTask(dataset={"name": name, "seed": seed})
            result, seconds = solve(task.library, task.X_train, task.y_train, seed, limits)
            X, y = fresh_points(find_benchmark(name), seed)
            length = int(result.programs.lengths[0]) if len(result.programs) else 0
            solved = nmse(task.library, result, X, y) < THRESHOLD
            rows.append((solved, seconds, result.n_evaluations, length))
        report(name, rows)


def report(name: str, rows: list[tuple[bool, float, int, int]]) -> None:
    """Print one line of a table."""
    solved, seconds, evaluations, lengths = zip(*rows, strict=True)
    print(
        f"{name:14s} {sum(solved):3d}/{len(rows)} {median(seconds):8.3f} s "
        f"{median(evaluations):12.0f} {median(lengths):5.0f}",
        flush=True,
    )


def random_row(library: Library, length: int, generator: np.random.Generator) -> list[int]:
    """Draw a prefix program of a given length, every split of a binary operator as likely."""
    if length == 1:
        return [int(generator.choice(library.input_tokens))]
    unary = length == 2 or generator.random() < 0.3
    if unary:
        token = generator.choice(library.unary_tokens)
        return [int(token), *random_row(library, length - 1, generator)]
    left = int(generator.integers(1, length - 1))
    token = generator.choice(library.binary_tokens)
    return [
        int(token),
        *random_row(library, left, generator),
        *random_row(library, length - 1 - left, generator),
    ]


def random_targets(
    library: Library, length: int, n_inputs: int, n_targets: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Yield X, y and fresh X, y of random expressions that are finite, obey the priors and vary."""
    generator = np.random.default_rng((length, n_inputs))
    prior = usual_prior(library)
    n_found = 0
    while n_found < n_targets:
        program = ProgramBatch.from_rows([random_row(library, length, generator)])
        X, fresh = (generator.uniform(0.2, 2, (n_inputs, n)) for n in (30, 1000))
        parts = [execute(library, program, points) for points in (X, fresh)]
        uses = np.isin(library.input_tokens, program.row(0)).all()
        values = np.concatenate([part.values[0] for part in parts])
        is_fine = not any(part.cause[0] for part in parts) and np.abs(values).max() < 1e4
        if is_fine and uses and np.std(parts[0].values) > 1e-3 and prior.allowed(program)[0]:
            n_found += 1
            yield X.T, parts[0].values[0], fresh.T, parts[1].values[0]


def random_expressions(n_targets: int, limits: SemanticLimits) -> None:
    """Print what is recovered of random expressions, by inputs and size."""
    print("random expressions, recovered, median CPU-s, median evaluations, tokens of the median")
    for n_inputs in (1, 2):
        library = Library(create_tokens(n_inputs, KOZA))
        for length in SIZES:
            rows = []
            for X, y, fresh, target in random_targets(library, length, n_inputs, n_targets):
                result, seconds = solve(library, X, y, 0, limits)
                found = int(result.programs.lengths[0]) if len(result.programs) else 0
                solved = nmse(library, result, fresh, target) < THRESHOLD
                rows.append((solved, seconds, result.n_evaluations, found))
            report(f"{n_inputs} in, {length} tok", rows)


def constants(noise: float, limits: SemanticLimits) -> None:
    """Print which formulas with constants are recovered; with noise, errors and front sizes."""
    print(f"formula, NMSE on fresh points, CPU-s, candidates ({noise:.0%} noise)")
    n_solved, all_seconds = 0, []
    for number, skeleton in enumerate(SKELETONS):
        generator = np.random.default_rng(number)
        text = skeleton
        while "C" in text:
            text = text.replace("C", f"{generator.uniform(0.3, 3):.4f}", 1)
        formula = parse(text, "benchmark")
        n_inputs = max(d for d in range(1, 5) if f"x{d}" in text)
        X, fresh = (generator.uniform(0.5, 3, (n, n_inputs)) for n in (100, 1000))
        y, target = evaluate(formula, X), evaluate(formula, fresh)
        y = y + noise * y.std() * generator.normal(size=len(y))
        library = Library(create_tokens(n_inputs, [*KOZA, "sqrt", "const"]))
        result, seconds = solve(library, X, y, number, limits)
        error = nmse(library, result, fresh, target)
        n_solved += error < THRESHOLD
        all_seconds.append(seconds)
        print(f"{text:50s} {error:9.2g} {seconds:7.2f} {len(result.programs):4d}", flush=True)
    print(f"recovered {n_solved}/{len(SKELETONS)}, median {median(all_seconds):.2f} CPU-s")


def rates(max_entries: int) -> None:
    """Print how fast a library grows, how fast it is looked up, and its size."""
    task = RegressionTask(dataset="Nguyen-12")
    X = np.ascontiguousarray(task.X_train.T)
    prior, rows = usual_prior(task.library), np.arange(4)

    def build() -> ValueLibrary:
        return ValueLibrary(task.library, prior, X, rows, max_entries=max_entries)

    values, seconds = timed(build)
    print(
        f"{len(values)} entries from {values.n_vectors} vectors: "
        f"{values.n_vectors / seconds / 1e6:.1f} M vectors/s, "
        f"{values.n_bytes / len(values):.0f} bytes per entry"
    )
    y = np.random.default_rng(0).normal(size=X.shape[1])
    limits = SemanticLimits(max_entries=max_entries, max_lookups=30_000_000, max_seconds=600)
    solver = SemanticSearch(task.library, prior, task.X_train, y, limits=limits)
    result, seconds = timed(solver.run)
    print(f"{result.n_lookups} look-ups: {result.n_lookups / seconds / 1e6:.1f} M/s, all included")


def timed(work: Callable) -> tuple:
    """Return a result with the CPU-seconds that it took."""
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "parts", nargs="+", choices=("recovery", "random", "rates", "constants", "noise")
    )
    parser.add_argument("--benchmarks", nargs="+", default=NAMED)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--targets", type=int, default=50, help="random expressions of each size")
    parser.add_argument("--max_seconds", type=float, default=60.0)
    parser.add_argument("--max_lookups", type=int, default=200_000_000)
    parser.add_argument("--max_entries", type=int, default=300_000)
    arguments = parser.parse_args()
    limits = SemanticLimits(
        max_entries=arguments.max_entries,
        max_lookups=arguments.max_lookups,
        max_seconds=arguments.max_seconds,
    )
    for part in arguments.parts:
        if part == "recovery":
            recovery(arguments.benchmarks, arguments.seeds, limits)
        elif part == "random":
            random_expressions(arguments.targets, limits)
        elif part == "rates":
            for n in (30_000, 300_000, 3_000_000):
                rates(n)
        else:
            constants(0.01 if part == "noise" else 0.0, limits)


if __name__ == "__main__":
    main()
