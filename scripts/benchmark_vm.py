"""Print the speed of the virtual machine on random Koza programs, in node-rows per second.

A node-row is one token evaluated on one row of data. Usage: python scripts/benchmark_vm.py
"""

import argparse
import time
from collections.abc import Callable

import numpy as np

from dso.library import Library, create_tokens
from dso.program import ProgramBatch, execute, mean_squared_error

KOZA = ("add", "sub", "mul", "div", "sin", "cos", "exp", "log")


def random_row(library: Library, length: int, generator: np.random.Generator) -> list[int]:
    """Return one expression in prefix order of about `length` tokens."""
    row: list[int] = []
    n_open = 1
    while n_open:
        missing = length - len(row) - n_open
        kinds = [0] if missing <= 0 else [1] if missing == 1 else [1, 2]
        if n_open > 1 and missing > 0:
            kinds.append(0)
        arity = int(generator.choice(kinds))
        row.append(int(generator.choice(library.tokens_of_arity[arity])))
        n_open += arity - 1
    return row


def random_programs(
    library: Library, n_programs: int, generator: np.random.Generator
) -> ProgramBatch:
    """Return programs whose lengths spread like those of an untrained policy (mean 15, sd 4)."""
    lengths = np.clip(generator.normal(15, 4, n_programs).round(), 1, 30).astype(int)
    return ProgramBatch.from_rows([random_row(library, n, generator) for n in lengths])


def best_of(run: Callable[[], object], n_times: int) -> float:
    """Return the shortest of several wall-clock times in seconds."""
    times = []
    for _ in range(n_times):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--programs", type=int, default=1000)
    arguments = parser.parse_args()
    generator = np.random.default_rng(0)
    library = Library(create_tokens(2, KOZA))
    drawn = random_programs(library, 20 * arguments.programs, generator)
    probe = generator.uniform(0, 1, (2, 1000))
    valid = drawn[execute(library, drawn, probe).cause == 0][: arguments.programs]
    for kind, programs in (("valid", valid), ("all", drawn[: arguments.programs])):
        n_nodes = int(programs.lengths.sum())
        print(f"{len(programs)} {kind} programs, mean length {programs.lengths.mean():.1f}")
        for n_rows in (20, 100, 1000, 10_000):
            X = generator.uniform(0, 1, (2, n_rows))
            y = X[0]

            def score(X: np.ndarray = X, y: np.ndarray = y, rows: ProgramBatch = programs) -> None:
                mean_squared_error(library, rows, X, y, n_threads=arguments.threads)

            seconds = best_of(score, max(5, 20_000 // n_rows))
            rate = n_nodes * n_rows / seconds
            print(f"  N={n_rows:6d}  {1e3 * seconds:8.3f} ms  {rate / 1e9:.3f}e9 node-rows/s")


if __name__ == "__main__":
    main()
