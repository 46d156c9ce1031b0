"""How fast programs are rewarded by a loss: squared errors, formulas, functions called per batch.

Random programs of up to 15 tokens are rewarded alone, without fits, on one thread. A formula is
compared with the squared error; a function of numpy with the same function called for each program.
The best of several passes counts, since shared machines change their speed.

    python scripts/benchmark_objectives.py --programs 2000 --rows 20 1000
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from dso.fitting.slots import with_ones
from dso.library import Library
from dso.program import ProgramBatch
from dso.task.regression import RegressionTask

FUNCTION_SET = ["add", "sub", "mul", "div", "sin", "cos", "exp", "log", "const"]
FORMULAS = ["(x, y) -> 3*(x - y)^2", "HuberLoss{1}", "L1DistLoss", "LogitDistLoss"]


def random_programs(library: Library, n: int, seed: int, max_length: int = 15) -> ProgramBatch:
    """Return programs whose tokens are drawn alike, terminals where length asks for them."""
    random = np.random.default_rng(seed)
    rows = []
    while len(rows) < n:
        row, missing = [], 1
        while missing:
            room = max_length - len(row) - missing
            allowed = np.flatnonzero(library.arities <= max(0, room))
            row.append(int(random.choice(allowed)))
            missing += int(library.arities[row[-1]]) - 1
        if len(row) > 3:
            rows.append(row)
    return with_ones(library, ProgramBatch.from_rows(rows))


def seconds(call: Callable[[], object], n_passes: int) -> float:
    """Return the least wall time of several passes."""
    times = []
    for _ in range(n_passes):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def huber(prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return Huber's loss with a threshold of 1."""
    distance = np.abs(prediction - target)
    inside = np.minimum(distance, 1.0)
    return inside * (distance - inside / 2)


def seconds_of(task: RegressionTask, programs: list[ProgramBatch], n_passes: int) -> float:
    """Return the wall time of rewarding batches one after the other."""
    return seconds(lambda: [task.rewards(batch) for batch in programs], n_passes)


def show(n_rows: int, n_programs: int, n_passes: int) -> None:
    """Print a table for a number of rows."""
    random = np.random.default_rng(0)
    X, y = random.uniform(0.5, 3, (n_rows, 3)), random.normal(size=n_rows)

    def task(loss: object) -> RegressionTask:
        return RegressionTask(
            dataset=(X, y), function_set=FUNCTION_SET, elementwise_loss=loss, batching=False
        )

    squared = task(None)
    programs = random_programs(squared.library, n_programs, seed=1)
    base = seconds_of(squared, [programs], n_passes)
    print(f"{n_rows} rows, {n_programs} programs", flush=True)
    print(f"  squared error            {n_programs / base:12,.0f} programs/s")
    for formula in FORMULAS:
        taken = seconds_of(task(formula), [programs], n_passes)
        rate = f"{n_programs / taken:12,.0f} programs/s"
        print(f"  {formula:<24} {rate}, {base / taken:.2f} of the squared error's")
    own = task(huber)
    batch = seconds_of(own, [programs], n_passes)
    one_by_one = [programs[b : b + 1] for b in range(n_programs)]
    single = seconds_of(own, one_by_one, max(1, n_passes // 4))
    print(f"  function, per batch      {n_programs / batch:12,.0f} programs/s")
    print(f"  function, one by one     {n_programs / single:12,.0f} programs/s")
    print(f"  per batch is {single / batch:.1f} times as fast as one by one")


def main() -> None:
    """Print a table for each number of rows."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--programs", type=int, default=2000)
    parser.add_argument("--rows", type=int, nargs="+", default=[20, 1000])
    parser.add_argument("--passes", type=int, default=9)
    arguments = parser.parse_args()
    for n_rows in arguments.rows:
        show(n_rows, arguments.programs, arguments.passes)


if __name__ == "__main__":
    main()
