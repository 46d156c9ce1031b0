"""The search by values: what it recovers alone, and what with the policy and GP-meld around it.

Parts:

recovery     Nguyen, Livermore and R problems, or others by name
random       random expressions by size, in one and two inputs
constants    formulas with one to three random constants
noise        the same with noise of 1 % on the target: error and size of the front
plain_noise  the problems of `recovery`, whose tokens have no `const`, with noise of 1 %
preset       Keijzer, Korns, Neat, Vladislavleva, Pagie, Nonic, Jin and Constant problems
rates        vectors and look-ups per second, bytes per entry

Modes: `semantic` the search alone, `rest` a whole run of the config without it, `both` a whole run.

A problem counts as recovered where the best program has an NMSE below 1e-12 on 1 000 fresh points.
Seconds are CPU-seconds of the process, one thread, in which evaluations are vectors, look-ups,
samples and offspring. A row is written as it comes; a second call goes on where the first stopped.

    export OMP_NUM_THREADS=1
    python scripts/benchmark_semantic.py recovery --seeds 10
    python scripts/benchmark_semantic.py random --seeds 400 --modes semantic rest both --cpu 60
    python scripts/benchmark_semantic.py noise --modes rest both
    python scripts/benchmark_semantic.py rates
"""

from __future__ import annotations

import argparse
import csv
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
from benchmark_recovery import THRESHOLD, fresh_points

from dso import DeepSymbolicOptimizer
from dso.build import make_prior, make_task
from dso.config import load_config, read_assignments, validate, with_values
from dso.library import Library, create_tokens
from dso.library.expression import evaluate, parse
from dso.prior import JointPrior, make_joint_prior
from dso.program import FitData, Program, ProgramBatch, execute
from dso.semantic import SemanticLimits, SemanticSearch, ValueLibrary
from dso.task.regression import RegressionTask
from dso.task.regression.benchmarks import benchmark_names, find_benchmark
from dso.training.stopping import Standing

KOZA = ["add", "sub", "mul", "div", "sin", "cos", "exp", "log"]
NAMED = [
    *(f"Nguyen-{i}" for i in range(1, 13)),
    "Nguyen-12a",
    *(f"Livermore-{i}" for i in range(1, 24)),
    *("R1", "R2", "R3", "R1a", "R2a", "R3a"),
]
FAMILIES = ("Keijzer", "Korns", "Neat", "Vladislavleva", "Pagie", "Nonic", "Jin", "Constant")
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


COLUMNS = (
    "part", "mode", "name", "seed", "recovered", "nmse", "seconds", "n_evaluations", "length",
    "n_front", "expression",
)  # fmt: skip
KEYS = COLUMNS[:4]
N_FRESH = 1000


@dataclass(frozen=True)
class Problem:
    """Data to search, and fresh points to judge by.

    Attributes
    ----------
    dataset : str, dict or (X, y)
        As ``task.dataset``.
    fresh : (X, y)
        Without noise.
    function_set : list or None
        None is the benchmark's.
    """

    dataset: Any
    fresh: tuple[np.ndarray, np.ndarray]
    function_set: list | None = None


# ---- problems ------------------------------------------------------------------------------------


def named(name: str, seed: int) -> Problem:
    """Return a benchmark, its points drawn by the seed."""
    return Problem({"name": name, "seed": seed}, fresh_points(find_benchmark(name), seed))


def noisy_named(name: str, seed: int) -> Problem:
    """Return a benchmark with noise of 1 % of the target's root mean square."""
    problem = named(name, seed)
    return Problem({**problem.dataset, "noise": 0.01}, problem.fresh)


def random_expression(name: str, seed: int) -> Problem:
    """Return a random expression that is finite, obeys the priors, varies and uses all inputs."""
    n_inputs, length = (int(word) for word in name.split() if word.isdigit())
    library = Library(create_tokens(n_inputs, KOZA))
    prior, generator = usual_prior(library), np.random.default_rng((length, n_inputs, seed))
    while True:
        program = ProgramBatch.from_rows([random_row(library, length, generator)])
        X, fresh = (generator.uniform(0.2, 2, (n_inputs, n)) for n in (30, N_FRESH))
        parts = [execute(library, program, points) for points in (X, fresh)]
        uses = np.isin(library.input_tokens, program.row(0)).all()
        values = np.concatenate([part.values[0] for part in parts])
        is_fine = not any(part.cause[0] for part in parts) and np.abs(values).max() < 1e4
        if is_fine and uses and np.std(parts[0].values) > 1e-3 and prior.allowed(program)[0]:
            return Problem((X.T, parts[0].values[0]), (fresh.T, parts[1].values[0]), KOZA)


def formula(name: str, seed: int, noise: float = 0.0) -> Problem:
    """Return a skeleton with random constants, and noise on the target."""
    generator = np.random.default_rng((SKELETONS.index(name), seed))
    text = name
    while "C" in text:
        text = text.replace("C", f"{generator.uniform(0.3, 3):.4f}", 1)
    parsed = parse(text, "benchmark")
    n_inputs = max(d for d in range(1, 5) if f"x{d}" in text)
    X, fresh = (generator.uniform(0.5, 3, (n, n_inputs)) for n in (100, N_FRESH))
    y = evaluate(parsed, X)
    y = y + noise * y.std() * generator.normal(size=len(y))
    return Problem((X, y), (fresh, evaluate(parsed, fresh)), [*KOZA, "sqrt", "const"])


def noisy_formula(name: str, seed: int) -> Problem:
    """Return a formula with noise of 1 %."""
    return formula(name, seed, 0.01)


PARTS: dict[str, tuple[Callable[[str, int], Problem], list[str], int, list[str]]] = {
    "recovery": (named, NAMED, 10, ["semantic"]),
    "random": (
        random_expression,
        [f"{n} inputs, {length} tokens" for n in (1, 2) for length in SIZES],
        50,
        ["semantic"],
    ),
    "constants": (formula, list(SKELETONS), 1, ["semantic"]),
    "noise": (noisy_formula, list(SKELETONS), 1, ["rest", "both"]),
    "plain_noise": (noisy_named, NAMED, 10, ["semantic"]),
    "preset": (
        named,
        [name for name in benchmark_names() if name.split("-")[0] in FAMILIES],
        1,
        ["both"],
    ),
}
"""Of each part: problems, their names, how many seeds and which modes unless others are given."""


def usual_prior(library: Library) -> JointPrior:
    """Return the priors of regression."""
    section = load_config("config_regression.json")["prior"]
    return make_joint_prior(section, library, max_length=64)


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


# ---- runs ----------------------------------------------------------------------------------------


def run(config: dict, problem: Problem, mode: str, cpu: float) -> dict[str, object]:
    """Search, and return what a row says of it."""
    config["task"].update(dataset=problem.dataset)
    if problem.function_set is not None:
        config["task"]["function_set"] = problem.function_set
    config["experiment"]["logdir"] = None
    config["training"]["verbose"] = False
    config["semantic"]["on"] = mode != "rest"
    start = time.process_time()
    searched = search_alone(config, cpu) if mode == "semantic" else whole_run(config, cpu)
    program, n_evaluations, n_front = searched
    seconds = time.process_time() - start
    error = nmse(program, *problem.fresh)
    return {
        "recovered": error < THRESHOLD,
        "nmse": error,
        "seconds": round(seconds, 3),
        "n_evaluations": n_evaluations,
        "length": 0 if program is None else len(program.tokens),
        "n_front": n_front,
        "expression": None if program is None else program.expression,
    }


def search_alone(config: dict, cpu: float) -> tuple[Program | None, int, int]:
    """Search by values, with the library and the priors that a run would have."""
    checked = validate(config)
    task, section = make_task(checked), checked.semantic
    assert isinstance(task, RegressionTask)
    limits = SemanticLimits(
        max_entries=section.max_entries,
        max_bytes=section.max_bytes,
        max_lookups=section.max_lookups,
        max_vectors=section.max_vectors,
        max_contexts=section.max_contexts,
        max_seconds=cpu,
    )
    result = SemanticSearch(
        make_prior(checked, task),
        task.fit_data,
        limits=limits,
        polynomials=task.polynomials,
        seed=checked.experiment.seed or 0,
    ).run()
    n_evaluations, n_found = result.n_evaluations, len(result.programs)
    if not n_found:
        return None, n_evaluations, 0
    best = result.programs[:1]
    polynomial = None if task.polynomials is None else task.polynomials.polynomials(best)[0]
    program = Program(task.library, best.row(0), best.constants[0], polynomial=polynomial)
    return program, n_evaluations, n_found


def whole_run(config: dict, cpu: float) -> tuple[Program | None, int, int]:
    """Train; the first iteration that ends after this many CPU-seconds is the last."""
    end = time.process_time() + cpu

    def is_over(_: Standing) -> bool:
        return time.process_time() > end

    model = DeepSymbolicOptimizer(config)
    result = model.train(is_over)
    assert model.trainer is not None
    front = model.trainer.keeper.pareto_front
    return result["program"], result["n_samples"], 0 if front is None else len(front.rows)


def nmse(program: Program | None, X: np.ndarray, y: np.ndarray) -> float:
    """Return the error on fresh points, inf where the program has no finite value."""
    if program is None:
        return np.inf
    prediction = program.execute(X)
    is_finite = np.isfinite(prediction).all()
    return float(np.mean((prediction - y) ** 2) / np.var(y)) if is_finite else np.inf


# ---- tables --------------------------------------------------------------------------------------


def jobs(arguments: argparse.Namespace, part: str) -> Iterator[tuple[str, str, int]]:
    """Yield mode, name and seed of each run, all names with one seed first."""
    _, names, n_seeds, modes = PARTS[part]
    for seed in range(arguments.seeds or n_seeds):
        for name in arguments.names or names:
            for mode in arguments.modes or modes:
                yield mode, name, seed


def fill(arguments: argparse.Namespace, part: str) -> None:
    """Do the runs of a part that are missing in the table."""
    path = arguments.out
    path.parent.mkdir(parents=True, exist_ok=True)
    done = set()
    if path.exists():
        known = pd.read_csv(path, dtype=str)
        done = set(known[list(KEYS)].itertuples(index=False, name=None))
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if not file.tell():
            writer.writeheader()
        for mode, name, seed in jobs(arguments, part):
            if (part, mode, name, str(seed)) in done:
                continue
            config = load_config(arguments.config)
            config = with_values(config, read_assignments(arguments.set))
            config["experiment"]["seed"] = seed
            row = run(config, PARTS[part][0](name, seed), mode, arguments.cpu)
            row = {"part": part, "mode": mode, "name": name, "seed": seed, **row}
            writer.writerow(row)
            file.flush()
            print(*(f"{key}={value}" for key, value in row.items()), flush=True)


def summary(path: Path, part: str) -> str:
    """Return a Markdown table of a part: medians over the seeds, and a line over all names."""
    rows = pd.read_csv(path)
    rows = rows[rows["part"] == part]
    lines = [
        "| Problem | Mode | Recovered | Median CPU-s | Median evaluations | Median R2 | Front |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    groups = [*rows.groupby(["name", "mode"], sort=False)]
    groups += [(("all", mode), runs) for mode, runs in rows.groupby("mode", sort=False)]
    for (name, mode), runs in groups:
        lines.append(
            f"| `{name}` | {mode} | {runs['recovered'].sum()} of {len(runs)} "
            f"| {median(runs['seconds']):.2f} | {median(runs['n_evaluations']):.0f} "
            f"| {1 - median(runs['nmse']):.6f} | {median(runs['n_front']):.0f} |"
        )
    return "\n".join(lines)


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
    solver = SemanticSearch(prior, FitData.of_rows(task.library, task.X_train, y), limits=limits)
    result, seconds = timed(solver.run)
    print(f"{result.n_lookups} look-ups: {result.n_lookups / seconds / 1e6:.1f} M/s, all included")


def timed(work: Callable) -> tuple:
    """Return a result with the CPU-seconds that it took."""
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


def main() -> None:
    """Run what is missing of each part, then print its table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("parts", nargs="+", choices=[*PARTS, "rates"])
    parser.add_argument("--config", default="config_regression_best.json")
    parser.add_argument("--names", nargs="+", help="problems; default: all of the part")
    parser.add_argument("--seeds", type=int, help="runs of each problem; of random: expressions")
    parser.add_argument("--modes", nargs="+", choices=("semantic", "rest", "both"))
    parser.add_argument("--cpu", type=float, default=60.0, help="CPU-seconds of a run")
    parser.add_argument("--set", nargs="+", default=[], metavar="SECTION.KEY=JSON")
    parser.add_argument("--out", type=Path, default=Path("logs/semantic.csv"))
    arguments = parser.parse_args()
    logging.getLogger("dso").setLevel(logging.ERROR)
    for part in arguments.parts:
        if part == "rates":
            for n in (30_000, 300_000, 3_000_000):
                rates(n)
            continue
        fill(arguments, part)
        print(summary(arguments.out, part))


if __name__ == "__main__":
    main()
