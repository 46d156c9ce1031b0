"""Measure whether searches keep within their limits of time, evaluations and memory.

Usage: python scripts/measure_limits.py

Each line is a search: what was asked, the seconds on the wall and of the processor, evaluations and
the greatest size of the process. Times on the wall mean little where others use the machine.
"""

import multiprocessing
import resource
import time
from typing import Any

import numpy as np

from dso import DeepSymbolicOptimizer, DeepSymbolicRegressor


def table(n_rows: int, n_inputs: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of a law with noise."""
    random = np.random.default_rng(0)
    X = random.normal(size=(n_rows, n_inputs))
    y = X[:, 0] * X[:, 1] + np.sin(X[:, 2]) + 0.3 * random.normal(size=n_rows)
    return X, y


def fit(n_rows: int, n_inputs: int, **parameters: Any) -> int:
    """Fit the estimator, and return the evaluations."""
    X, y = table(n_rows, n_inputs)
    model = DeepSymbolicRegressor(random_state=0, verbosity=0, n_jobs=1, **parameters)
    return model.fit(X, y).n_evaluations_


def run(n_samples: int, **sections: Any) -> int:
    """Search for a benchmark, and return the evaluations."""
    config = {
        "experiment": {"seed": 0, "logdir": None},
        "task": {"task_type": "regression", "dataset": "Nguyen-12"},
        **sections,
    }
    config["training"] = {
        "n_samples": n_samples,
        "batch_size": 100,
        "verbose": False,
        **sections.get("training", {}),
    }
    return DeepSymbolicOptimizer(config).train()["n_samples"]


CASES = {
    "200 000 x 20, 3 s": lambda: fit(200_000, 20, timeout_in_seconds=3),
    "2 000 x 500, 3 s": lambda: fit(2_000, 500, timeout_in_seconds=3),
    "1 000 x 5, 3 s": lambda: fit(1_000, 5, timeout_in_seconds=3),
    "search by values, 0.5 s": lambda: run(
        10**9,
        semantic={"on": True},
        task={"task_type": "regression", "dataset": "Korns-12"},
        training={"max_seconds": 0.5},
    ),
    "search by values, 700 MB": lambda: run(
        10**8,
        semantic={"on": True, "max_entries": 20_000_000},
        task={"task_type": "regression", "dataset": "Korns-12"},
        training={"max_seconds": 10.0, "max_megabytes": 700.0},
    ),
    "one meld of 500 generations, 1 s": lambda: run(
        10**8,
        gp_meld={"run_gp_meld": True, "generations": 500, "population_size": 1000},
        training={"max_seconds": 1.0},
    ),
    "p_semantic, 5 000 evaluations": lambda: run(
        5_000, gp_meld={"run_gp_meld": True, "p_semantic": 0.1}
    ),
}


def measure(name: str) -> None:
    """Do one case in this process, and print a line."""
    import scipy.optimize  # noqa: F401, what is imported once is not what is measured
    import sympy  # noqa: F401
    import torch  # noqa: F401

    wall, processor = time.perf_counter(), time.process_time()
    n_evaluations = CASES[name]()
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{name:34s} {wall:6.1f} s, {processor:6.1f} CPU-s, {n_evaluations:9d} evaluations, "
        f"{size:5.0f} MB",
        flush=True,
    )


if __name__ == "__main__":
    for case in CASES:
        process = multiprocessing.get_context("spawn").Process(target=measure, args=(case,))
        process.start()
        process.join()
