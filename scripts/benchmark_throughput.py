"""Throughput of whole iterations, and where the time goes.

Samples per CPU-second of one process with one thread: the median of five windows of ten iterations,
iterations 10 to 60, with the share of programs that were new. Then the share of each stage beside
its floor by operation count, and the speed of the virtual machine in node-rows per second.

    python scripts/benchmark_throughput.py [--benchmark Nguyen-12]
"""

from __future__ import annotations

import argparse
import logging
import time
from collections import defaultdict
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
from benchmark_vm import KOZA, random_programs

from dso import DeepSymbolicOptimizer
from dso.config import load_config
from dso.library import Library, create_tokens
from dso.program import execute

FIRST, LAST, WINDOW = 10, 60, 10
MULTIPLY_ADDS_PER_SECOND = 40e9  # one core, 256-bit single precision, half of its peak
NODE_ROWS_PER_SECOND = 1e9


class Stopwatch:
    """Adds up the seconds of wrapped calls by name, by default those of the CPU."""

    def __init__(self, clock: Callable[[], float] = time.process_time) -> None:
        self.clock = clock
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def wrap(self, owner: Any, method: str, name: str) -> None:
        """Time every call of a bound method under `name`."""
        inner: Callable[..., Any] = getattr(owner, method)

        def timed(*args: Any, **kwargs: Any) -> Any:
            start = self.clock()
            try:
                return inner(*args, **kwargs)
            finally:
                self.seconds[name] += self.clock() - start

        setattr(owner, method, timed)


def make_optimizer(benchmark: str) -> DeepSymbolicOptimizer:
    """Return the default regression run on a benchmark, set up."""
    config = load_config("config_regression.json")
    config["task"]["dataset"] = benchmark
    config["experiment"]["logdir"] = None
    config["training"].update(verbose=False, early_stopping=False)
    optimizer = DeepSymbolicOptimizer(config)
    optimizer.setup()
    return optimizer


def measure_iterations(benchmark: str) -> tuple[list[float], float, dict[str, float], dict]:
    """Return rates of the windows, share of new programs, seconds per stage, and sizes."""
    optimizer = make_optimizer(benchmark)
    trainer = optimizer.trainer
    assert trainer is not None
    for _ in range(FIRST):
        optimizer.train_one_step()
    watch = Stopwatch()
    watch.wrap(trainer.learner.policy, "sample", "sample")
    watch.wrap(trainer.evaluator, "evaluate", "evaluate")
    watch.wrap(trainer.learner.policy_optimizer, "step", "learn")
    watch.wrap(trainer.keeper, "take_in", "remember")
    watch.wrap(trainer.stats, "row", "statistics")
    rates, new, lengths, kept = [], [], [], []
    batch_size = trainer.sources["policy"].batch_size
    begin = time.process_time()
    for _ in range((LAST - FIRST) // WINDOW):
        start = time.process_time()
        for _ in range(WINDOW):
            trainer_row = trainer.step().row
            new.append(trainer_row["n_novel_full"] / batch_size)
            lengths.append(trainer_row["l_avg_full"])
            kept.append(trainer_row["l_avg_sub"] * batch_size * (optimizer_epsilon(optimizer)))
        rates.append(WINDOW * batch_size / (time.process_time() - start))
    watch.seconds["all"] = time.process_time() - begin
    n_iterations = LAST - FIRST
    stages = {name: value / n_iterations for name, value in watch.seconds.items()}
    sizes = {
        "steps": float(np.mean(lengths)) * batch_size,
        "kept": float(np.mean(kept)),
        "new_nodes": float(np.mean(np.array(new) * np.array(lengths))) * batch_size,
        "rows": len(optimizer.task.y_train),
        "weights": sum(p.numel() for p in trainer.learner.policy.parameters()),
    }
    return rates, float(np.mean(new)), stages, sizes


def optimizer_epsilon(optimizer: DeepSymbolicOptimizer) -> float:
    """Return the share of rows that the policy learns from."""
    return optimizer.config_training["epsilon"] or 1.0


def floors(sizes: dict[str, float]) -> dict[str, float]:
    """Return the least seconds that the arithmetic of each stage needs.

    One multiply-add per weight and sampled token; three (forward, and two backward) per weight and
    kept token; one node-row per token and row of a new program.
    """
    return {
        "sample": sizes["steps"] * sizes["weights"] / MULTIPLY_ADDS_PER_SECOND,
        "evaluate": sizes["new_nodes"] * sizes["rows"] / NODE_ROWS_PER_SECOND,
        "learn": 3 * sizes["kept"] * sizes["weights"] / MULTIPLY_ADDS_PER_SECOND,
    }


def node_rows_per_second(n_rows: int = 1000) -> float:
    """Return the speed of the virtual machine on valid random Koza programs, one thread."""
    random = np.random.default_rng(0)
    library = Library(create_tokens(2, KOZA))
    drawn = random_programs(library, 4000, random)
    X = random.uniform(0, 1, (2, n_rows))
    programs = drawn[execute(library, drawn, X).cause == 0]
    work = int(programs.lengths.sum()) * n_rows
    rates = []
    for _ in range(7):
        start = time.process_time()
        execute(library, programs, X)
        rates.append(work / (time.process_time() - start))
    return median(rates)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--benchmark", default="Nguyen-12")
    arguments = parser.parse_args()
    logging.getLogger("dso").setLevel(logging.ERROR)
    rates, new, stages, sizes = measure_iterations(arguments.benchmark)
    print(f"{arguments.benchmark}: {median(rates):,.0f} samples per CPU-second", end=" ")
    print(f"(windows {min(rates):,.0f} to {max(rates):,.0f}), {new:.1%} new programs")
    least = floors(sizes)
    print(f"{'stage':12} {'ms':>8} {'share':>7} {'floor ms':>9}")
    for name, seconds in sorted(stages.items(), key=lambda item: -item[1]):
        floor = f"{1e3 * least[name]:9.2f}" if name in least else " " * 9
        print(f"{name:12} {1e3 * seconds:8.2f} {seconds / stages['all']:7.1%} {floor}")
    print(f"virtual machine: {node_rows_per_second() / 1e9:.2f} billion node-rows/s at N = 1000")


if __name__ == "__main__":
    main()
