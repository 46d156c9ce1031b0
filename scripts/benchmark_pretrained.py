"""The pre-trained network: what it solves alone, and what it adds to a search.

Parts:

sets     physics equations, held-out skeletons with and without constants, Nguyen: by examples seen,
         by number and method of candidates, by number of rows, one at a time from a base point
search   evaluations and CPU-seconds to recovery with and without it: physics equations, Constant,
         random expressions, half of them with noise of 1 %
easy     Nguyen, Livermore and R once each, with and without it
rates    skeletons, examples and candidates per CPU-second

In `sets` an expression counts as right (A1) if on 95 % of 10 000 fresh points it is within 5 % or
0.001 of the truth, and as near (A2) if its R2 there is above 0.95; `in` are points of the ranges of
the data, `out` of ranges three times as wide. In the other parts a problem is recovered where the
program that the run hands over has an NMSE below 1e-12 on 1 000 fresh points without noise; with
noise, below 1e-4. A run ends once that holds for the program with the greatest reward.

Seconds are CPU-seconds of one thread. A row is written as it comes; a second call goes on.

    export OMP_NUM_THREADS=1
    python scripts/benchmark_pretrained.py sets --weights run/weights-*.json run/weights.json
    python scripts/benchmark_pretrained.py search easy rates
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import torch
from benchmark_recovery import fresh_points
from benchmark_semantic import NAMED, random_expression, timed

from dso import DeepSymbolicOptimizer
from dso.config import load_config, read_assignments, with_values
from dso.library import Library, create_tokens
from dso.library.expression import evaluate, parse
from dso.pretraining.architecture import Architecture
from dso.pretraining.distribution import load_distribution
from dso.pretraining.evaluated import PHYSICS
from dso.pretraining.examples import ExampleMaker
from dso.pretraining.model import MAX_LENGTH, SHIPPED, PretrainedModel
from dso.pretraining.pool import PoolBuilder, build_pool
from dso.pretraining.training import Pretrainer, Recipe
from dso.pretraining.vocabulary import Vocabulary
from dso.prior.joint_prior import JointPrior
from dso.program import Program, ProgramBatch, execute
from dso.streams import Stream
from dso.task.regression.benchmarks import find_benchmark
from dso.training.stopping import Standing

FUNCTIONS = (
    "add", "sub", "mul", "div", "sin", "cos", "exp", "log", "sqrt", "n2", "tan", "arcsin", "const",
)  # fmt: skip
N_JUDGED, N_FRESH = 10_000, 1000
TOLERANCE, NOISY_TOLERANCE = 1e-12, 1e-4
SEED = 0


@dataclass(frozen=True)
class Problem:
    """A function and the ranges of its inputs.

    Attributes
    ----------
    truth : callable
        From X (N, D) to y (N,).
    ranges : (D, 2)
    """

    truth: Callable[[np.ndarray], np.ndarray]
    ranges: np.ndarray

    def points(self, n: int, generator: np.random.Generator, wider: float = 0.0) -> np.ndarray:
        """Draw inputs (n, D); `wider` widths are added at both ends of each range."""
        low, high = self.ranges.T
        more = wider * (high - low)
        return generator.uniform(low - more, high + more, (n, len(low)))

    def rows(self, n: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw rows on which the function has finite values."""
        X = self.points(3 * n, generator)
        with np.errstate(all="ignore"):
            y = self.truth(X)
        kept = np.flatnonzero(np.isfinite(y) & (np.abs(y) < 1e6))[:n]
        return X[kept], y[kept]


# ---- problems ------------------------------------------------------------------------------------


def physics(n: int, *, n_least_inputs: int = 1) -> list[Problem]:
    """Return equations of physics with up to three inputs, in their own ranges."""
    table = json.loads(PHYSICS.read_text(encoding="utf-8"))
    found = []
    for name, text in table["physics"].items():
        formula = parse(text, name)
        ranges = table["ranges"].get(name, [[1, 5]] * formula.n_inputs)
        if formula.n_inputs >= n_least_inputs:
            found.append(Problem(partial(evaluate, formula), np.array(ranges, float)))
    return found[:n]


def nguyen(n: int) -> list[Problem]:
    """Return Nguyen 1 to 12."""
    found = []
    for i in range(1, 13):
        benchmark = find_benchmark(f"Nguyen-{i}")
        X, _ = fresh_points(benchmark, 0)
        ranges = np.column_stack([np.floor(X.min(axis=0)), np.ceil(X.max(axis=0))])
        found.append(Problem(partial(evaluate, benchmark.formula), ranges))
    return found[:n]


def held_out(kind: str, n: int) -> list[Problem]:
    """Return skeletons that no pool has: none, some or all of their numbers are constants."""
    vocabulary, distribution = Vocabulary(), load_distribution()
    builder = PoolBuilder(distribution, vocabulary, seed=0, stream="held-out")
    pool, found = build_pool(builder, 3000), []
    for i in range(len(pool)):
        row, generator = pool.row(i), Stream(SEED, f"sets {kind}", i).generator()
        if (vocabulary.const in row) != (kind == "some constants"):
            continue
        if kind == "constants everywhere":
            row = _with_constants(row, vocabulary)
        problem = _skeleton(row, vocabulary, generator)
        if problem is not None:
            found.append(problem)
        if len(found) == n:
            break
    return found


def _with_constants(row: list[int], vocabulary: Vocabulary) -> list[int]:
    """Put a factor and a summand at every input."""
    index = vocabulary.index
    before = [index["add"], vocabulary.const, index["mul"], vocabulary.const]
    return [t for token in row for t in ([*before, token] if token < 3 else [token])]


def _skeleton(
    row: list[int], vocabulary: Vocabulary, generator: np.random.Generator
) -> Problem | None:
    """Return a skeleton with constants, in ranges where it is defined and varies."""
    constants = generator.uniform(0.3, 3.0, (1, row.count(vocabulary.const)))
    program = ProgramBatch.from_rows([row])
    program = ProgramBatch(program.tokens, program.lengths, constants)
    n_inputs = 1 + max(token for token in row if token < vocabulary.n_inputs)

    def truth(X: np.ndarray) -> np.ndarray:
        whole = np.zeros((vocabulary.n_inputs, len(X)))
        whole[:n_inputs] = X.T
        return execute(vocabulary.library, program, whole, protected=True).values[0]

    for low, high in ((-5.0, 5.0), (0.5, 5.0), (0.1, 2.0), (0.1, 0.9)):
        problem = Problem(truth, np.array([[low, high]] * n_inputs))
        with np.errstate(all="ignore"):
            y = truth(problem.points(500, generator))
        is_fine = np.isfinite(y) & (np.abs(y) < 1e4)
        if is_fine.mean() > 0.95 and np.ptp(y[is_fine]) > 1e-2:
            return problem
    return None


SETS: dict[str, Callable[[int], list[Problem]]] = {
    "physics": physics,
    "no constants": partial(held_out, "no constants"),
    "some constants": partial(held_out, "some constants"),
    "constants everywhere": partial(held_out, "constants everywhere"),
    "Nguyen": nguyen,
}

# ---- the network alone ---------------------------------------------------------------------------

BASE = {"n": 128, "method": "beam", "n_rows": 128}
SWEEPS: tuple[dict, ...] = (
    BASE,
    *({**BASE, "n": n} for n in (1, 4, 16, 32, 64, 256)),
    *({**BASE, "n": n, "method": "sample"} for n in (1, 4, 16, 32, 64, 128, 256)),
    *({**BASE, "n_rows": n} for n in (16, 32, 64, 256, 1024)),
)
SET_COLUMNS = (
    "set", "skip", "functions", "weights", "examples", "n", "method", "n_rows", "problems", "A1_in",
    "A1_out", "A2_in", "A2_out", "exact", "allowed", "seconds",
)  # fmt: skip


def sets(arguments: argparse.Namespace) -> None:
    """Fill the table of the network alone: the sweeps for the last weights, the base for others."""
    *earlier, last = [str(path) for path in arguments.weights or [SHIPPED]]
    sweeps = SWEEPS[: arguments.points]
    jobs = [(path, BASE) for path in earlier] + [(last, sweep) for sweep in sweeps]
    with Table(arguments.folder / "sets.csv", SET_COLUMNS, 8) as table:
        for name, problems in SETS.items():
            chosen: list[Problem] = []
            for path, sweep in jobs:
                model = PretrainedModel.load(path)
                about = json.loads(Path(path).with_suffix(".json").read_text(encoding="utf-8"))
                examples = about["log"][-1]["examples"] if about["log"] else 0
                asked = (name, arguments.skip, " ".join(arguments.functions))
                keys = (*asked, Path(path).stem, examples, *sweep.values())
                if table.has(keys):
                    continue
                chosen = chosen or problems(arguments.skip + arguments.count)[arguments.skip :]
                if not chosen:
                    break
                table.add(keys, solved(model, chosen, arguments.functions, **sweep))


def solved(
    model: PretrainedModel,
    problems: list[Problem],
    functions: list[str],
    n: int,
    method: str,
    n_rows: int,
) -> list[object]:
    """Return the number of problems, shares solved and mean seconds."""
    found = np.array(
        [_judged(model, p, i, functions, n, method, n_rows) for i, p in enumerate(problems)]
    )
    means = found.mean(axis=0)
    return [len(problems), *(round(float(value), 4) for value in means)]


def _judged(
    model: PretrainedModel,
    problem: Problem,
    i: int,
    functions: list[str],
    n: int,
    method: str,
    n_rows: int,
) -> list[float]:
    generator = Stream(SEED, "sets", i).generator()
    X, y = problem.rows(n_rows, generator)
    library = Library(create_tokens(X.shape[1], functions))
    found, seconds = timed(
        lambda: model.candidates(X, y, n, library=library, method=method, seed=i)
    )
    if not len(found):
        return [0, 0, 0, 0, 0, 1, seconds]
    is_allowed = JointPrior(library, [], max_length=MAX_LENGTH).allowed(found.programs).all()
    scores = []
    for wider in (0.0, 1.0):
        points = problem.points(N_JUDGED, generator, wider)
        with np.errstate(all="ignore"):
            truth = problem.truth(points)
            value = execute(library, found.programs[:1], points.T, protected=True).values[0]
        scores.append((is_right(value, truth), is_near(value, truth), _nmse(value, truth)))
    (right_in, near_in, error), (right_out, near_out, _) = scores
    return [right_in, right_out, near_in, near_out, error < TOLERANCE, is_allowed, seconds]


def is_right(value: np.ndarray, truth: np.ndarray) -> bool:
    """Tell whether 95 % of the points are close, those where both are undefined among them."""
    return bool(np.isclose(value, truth, rtol=0.05, atol=1e-3, equal_nan=True).mean() > 0.95)


def is_near(value: np.ndarray, truth: np.ndarray) -> bool:
    """Tell whether R2 is above 0.95 where the truth is defined."""
    return _nmse(value, truth) < 0.05


def _nmse(value: np.ndarray, truth: np.ndarray) -> float:
    known = np.isfinite(truth) & (np.abs(truth) < 1e100)
    if not known.any() or not np.isfinite(value[known]).all():
        return np.inf
    with np.errstate(over="ignore"):
        error = np.mean(np.square(value[known] - truth[known]))
    return float(error / max(np.var(truth[known]), 1e-300))


# ---- in a search ---------------------------------------------------------------------------------

N_EACH = {"physics": 12, "Constant": 8, "random": 20}
SEARCH_COLUMNS = (
    "part", "problem", "noise", "seed", "mode", "recovered", "nmse", "seconds", "n_evaluations",
    "expression",
)  # fmt: skip
MODES = {
    "without": {"on": False},
    "with": {"on": True},
    "candidates": {"on": True, "imitation_steps": 0},
    "advice": {"on": True, "imitation_steps": 0, "advice_weight": 1.0},
}
LENGTHS = (17, 21, 25, 29)


def search_problems(part: str) -> Iterator[tuple[str, float]]:
    """Yield names and noise."""
    if part == "easy":
        yield from ((name, 0.0) for name in NAMED)
        return
    names = [f"physics {i}" for i in range(N_EACH["physics"])]
    names += [f"Constant-{i + 1}" for i in range(N_EACH["Constant"])]
    names += [f"random {i}" for i in range(N_EACH["random"])]
    yield from ((name, 0.01 * (i % 2)) for i, name in enumerate(names))


def search_data(name: str, noise: float, seed: int) -> tuple[tuple, tuple, list | None]:
    """Return rows, fresh points and tokens of a problem."""
    generator = Stream(seed, f"search {name}").generator()
    kind, _, number = name.partition(" ")
    if kind == "physics":
        # The longest texts are the hardest.
        hard = sorted(_physics_texts(), key=lambda item: -len(item[1]))[int(number)]
        formula = parse(hard[1], hard[0])
        problem = Problem(partial(evaluate, formula), np.array(hard[2], float))
        rows, fresh = problem.rows(100, generator), problem.rows(N_FRESH, generator)
        functions: list | None = list(FUNCTIONS)
    elif kind == "random":
        i = int(number)
        text = f"{1 + i % 2} inputs, {LENGTHS[i % len(LENGTHS)]} tokens"
        made = random_expression(text, seed * 1000 + i)
        rows, fresh, functions = made.dataset, made.fresh, made.function_set
        factor = generator.uniform(0.3, 3.0)
        rows, fresh = ((X, factor * y) for X, y in (rows, fresh))
        functions = [*(functions or []), "const"]
    else:
        benchmark = find_benchmark(name)
        rows, fresh = benchmark_rows(name, seed), fresh_points(benchmark, seed)
        functions = None
    X, y = rows
    y = y + noise * np.std(y) * generator.standard_normal(len(y))
    return (X, y), fresh, functions


def _physics_texts() -> list[tuple[str, str, list]]:
    table = json.loads(PHYSICS.read_text(encoding="utf-8"))
    return [
        (name, text, table["ranges"].get(name, [[1, 5]] * parse(text, name).n_inputs))
        for name, text in table["physics"].items()
    ]


def benchmark_rows(name: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the training rows of a benchmark."""
    from dso.task.regression import RegressionTask

    task = RegressionTask(dataset={"name": name, "seed": seed})
    return task.X_train, task.y_train


def search(arguments: argparse.Namespace, part: str) -> None:
    """Fill the table of whole runs with and without the network."""
    with Table(arguments.folder / "search.csv", SEARCH_COLUMNS, 5) as table:
        for seed in range(arguments.seeds):
            for name, noise in search_problems(part):
                for mode in arguments.modes:
                    keys = (part, name, noise, seed, mode)
                    if not table.has(keys):
                        table.add(keys, run(arguments, name, noise, seed, mode))


def run(
    arguments: argparse.Namespace, name: str, noise: float, seed: int, mode: str
) -> list[object]:
    """Search until recovery, or the end of the budget."""
    rows, fresh, functions = search_data(name, noise, seed)
    config = with_values(load_config(arguments.config), read_assignments(arguments.set))
    config["task"]["dataset"] = rows if functions else {"name": name, "seed": seed}
    if functions:
        config["task"]["function_set"] = functions
    config["experiment"].update(seed=seed, logdir=None)
    config["training"]["verbose"] = False
    config["pretrained"] |= MODES[mode]
    if arguments.weights:
        config["pretrained"]["weights"] = str(arguments.weights[-1])
    start = time.process_time()
    limit = NOISY_TOLERANCE if noise else TOLERANCE
    model = DeepSymbolicOptimizer(config)

    def error(program: Program | None) -> float:
        return np.inf if program is None else _nmse(program.execute(fresh[0]), fresh[1])

    def is_over(_: Standing) -> bool:
        best = model.run.reports.best(model.trainer.keeper.best)
        return time.process_time() - start > arguments.cpu or error(best) < limit

    result = model.train(is_over)
    seconds, found = time.process_time() - start, error(result["program"])
    return [found < limit, found, round(seconds, 3), result["n_samples"], result["expression"]]


# ---- rates ---------------------------------------------------------------------------------------


def rates(arguments: argparse.Namespace) -> None:
    """Print how many skeletons, examples, steps and candidates there are in a CPU-second."""
    vocabulary, distribution = Vocabulary(), load_distribution()
    builder = PoolBuilder(distribution, vocabulary, seed=9, chunk=20_000)
    _, seconds = timed(builder.build_chunk)
    print(f"skeletons: {len(builder) / seconds:.0f} different ones per CPU-second")
    maker = ExampleMaker(builder.pool(), distribution, vocabulary)
    generator = np.random.default_rng(0)
    _, seconds = timed(lambda: [maker(128, generator) for _ in range(8)])
    print(f"tables: {8 * 128 / seconds:.0f} per CPU-second")
    for n_threads in (1, 2):
        print(_rate_of_training(maker, n_threads))
    model = PretrainedModel.load(arguments.weights[-1] if arguments.weights else None)
    problems = physics(10)
    for method, n in (("sample", 32), ("sample", 128), ("sample", 1024), ("beam", 128)):
        total = 0.0
        for i, problem in enumerate(problems):
            X, y = problem.rows(128, np.random.default_rng(i))
            ask = partial(model.candidates, X, y, n, method=method)
            _, seconds = timed(ask)
            total += seconds
        rate = n * len(problems) / total
        print(f"candidates, {method} {n}: {rate:.0f} per CPU-second, fits included")


def _rate_of_training(maker: ExampleMaker, n_threads: int, n_steps: int = 16) -> str:
    torch.set_num_threads(1)
    trainer = Pretrainer(maker, Vocabulary(), Architecture(), Recipe(), n_threads=n_threads)
    trainer.step()
    start = time.perf_counter()
    _, seconds = timed(lambda: [trainer.step() for _ in range(n_steps)])
    wall, rate = time.perf_counter() - start, n_steps * trainer.recipe.batch_size / seconds
    return (
        f"training, {n_threads} thread(s): {rate:.0f} examples per CPU-second, "
        f"{wall / n_steps:.2f} seconds a step"
    )


# ---- tables --------------------------------------------------------------------------------------


class Table:
    """A CSV file whose first columns tell which rows are there.

    Parameters
    ----------
    path : Path
    columns : sequence of str
    n_keys : int
    """

    def __init__(self, path: Path, columns: tuple[str, ...], n_keys: int) -> None:
        self.path, self.columns, self.n_keys = path, columns, n_keys

    def __enter__(self) -> Table:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._done = set()
        if self.path.exists():
            with self.path.open(newline="") as file:
                self._done = {tuple(row[: self.n_keys]) for row in csv.reader(file)}
        self._file = self.path.open("a", newline="")
        self._writer = csv.writer(self._file)
        if not self._done:
            self._writer.writerow(self.columns)
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def has(self, keys: tuple) -> bool:
        """Tell whether a row is there."""
        return tuple(map(str, keys)) in self._done

    def add(self, keys: tuple, values: list) -> None:
        """Write a row."""
        row = [*keys, *values]
        self._writer.writerow(row)
        self._file.flush()
        print(*(f"{n}={v}" for n, v in zip(self.columns, row, strict=True)), flush=True)


def summary(path: Path, part: str) -> str:
    """Return a Markdown table of whole runs, by kind of problem and mode."""
    rows = pd.read_csv(path)
    rows = rows[rows["part"] == part]
    rows["kind"] = rows["problem"].str.extract(r"^([A-Za-z]+)", expand=False)
    lines = [
        "| Problems | Noise | Mode | Recovered | Median CPU-s | Median evaluations |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for (kind, noise, mode), runs in rows.groupby(["kind", "noise", "mode"], sort=False):
        lines.append(
            f"| {kind} | {noise:g} | {mode} | {runs['recovered'].sum()} of {len(runs)} "
            f"| {median(runs['seconds']):.2f} | {median(runs['n_evaluations']):.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Do what is missing of each part."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("parts", nargs="+", choices=("sets", "search", "easy", "rates"))
    parser.add_argument("--weights", type=Path, nargs="+", help="default: those of dso")
    parser.add_argument("--count", type=int, default=60, help="problems of a set")
    parser.add_argument("--skip", type=int, default=0, help="problems of a set before these")
    parser.add_argument(
        "--functions",
        nargs="+",
        default=list(FUNCTIONS),
        help="allowed in sets; of the same problems",
    )
    parser.add_argument("--points", type=int, help="of the sweeps; 1: the base point; default: all")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cpu", type=float, default=10.0, help="CPU-seconds of a run")
    parser.add_argument("--modes", nargs="+", choices=list(MODES), default=["without", "with"])
    parser.add_argument("--config", default="config_regression_best.json")
    parser.add_argument("--set", nargs="+", default=[], metavar="SECTION.KEY=JSON")
    parser.add_argument("--folder", type=Path, default=Path("logs/pretrained"))
    arguments = parser.parse_args()
    logging.getLogger("dso").setLevel(logging.ERROR)
    for part in arguments.parts:
        if part == "sets":
            sets(arguments)
        elif part == "rates":
            rates(arguments)
        else:
            search(arguments, part)
            print(summary(arguments.folder / "search.csv", part))


if __name__ == "__main__":
    main()
