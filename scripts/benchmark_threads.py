"""What a second thread brings within one process, stage by stage.

The same run with one thread and with two, in turn: seconds of the clock per iteration (medians over
rounds), and their ratio. What a source proposes may include evaluations. Results are the same. Run
it on an otherwise idle machine.

    python scripts/benchmark_threads.py [--rounds 5]
"""

from __future__ import annotations

import argparse
import time
from statistics import median
from typing import Any

import numpy as np
from benchmark_throughput import Stopwatch

from dso import DeepSymbolicOptimizer
from dso.config import load_config

FIRST, LAST = 5, 25
N_ROWS = 1000


def rows(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs (n, 3) and a target that short programs do not express."""
    X = np.random.default_rng(0).uniform(0.5, 3, (n, 3))
    return X, np.sin(3 * X[:, 0]) * X[:, 1] + np.exp(-X[:, 2]) * np.sqrt(X[:, 0] + X[:, 1])


CONST = ["add", "sub", "mul", "div", "sin", "cos", "exp", "log", "const"]
RUNS: dict[str, dict[str, dict[str, Any]]] = {
    "policy": {"task": {"dataset": "Nguyen-12"}},
    "policy, const": {
        "task": {"dataset": rows(N_ROWS), "function_set": CONST},
        "training": {"batch_size": 200},
    },
    "GP-meld, 1000 rows": {
        "task": {"dataset": rows(N_ROWS)},
        "gp_meld": {"run_gp_meld": True},
    },
    "GP-meld, const": {
        "task": {"dataset": rows(N_ROWS), "function_set": CONST},
        "training": {"batch_size": 200},
        "gp_meld": {"run_gp_meld": True, "p_fit": 0.3},
    },
}
"""What differs from the default regression run."""


def seconds_of(changes: dict[str, dict[str, Any]], n_threads: int) -> dict[str, float]:
    """Return the seconds per iteration of each stage."""
    config = load_config("config_regression.json")
    config["experiment"].update(logdir=None, seed=0)
    for section, values in changes.items():
        config[section].update(values)
    config["training"].update(verbose=False, early_stopping=False, n_cores_batch=n_threads)
    optimizer = DeepSymbolicOptimizer(config)
    optimizer.setup()
    for _ in range(FIRST):
        optimizer.train_one_step()
    trainer, watch = optimizer.trainer, Stopwatch(time.perf_counter)
    watch.wrap(trainer.evaluator, "evaluate", "evaluate")
    watch.wrap(trainer.learner.policy_optimizer, "step", "learn")
    watch.wrap(trainer.keeper, "take_in", "remember")
    for name, source in trainer.sources.items():
        watch.wrap(source, "propose", f"from {name}")
    watch.wrap(optimizer, "train_one_step", "all")
    for _ in range(LAST - FIRST):
        optimizer.train_one_step()
    return {name: total / (LAST - FIRST) for name, total in watch.seconds.items()}


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    for name, changes in RUNS.items():
        measured = [
            (seconds_of(changes, 1), seconds_of(changes, 2)) for _ in range(arguments.rounds)
        ]
        print(name)
        for stage in measured[0][0]:
            one, two = (median(pair[k][stage] for pair in measured) for k in (0, 1))
            print(f"    {stage:16} {1e3 * one:8.2f} ms {1e3 * two:8.2f} ms {one / two:6.2f}")


if __name__ == "__main__":
    main()
