"""Data of real size: what it takes to load them and to train on them.

Each shape and form runs in a process of its own. Printed are the seconds of reading the data and of
one iteration (the median of those after the first), and the peak memory of the process after
importing, after reading, and at the end.

    python scripts/benchmark_data.py [--shapes 1000000x10 1000x1000] [--iterations 6]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

FUNCTIONS = ["add", "sub", "mul", "div", "sin", "cos", "exp", "log"]
RUNS = {
    "csv": {},
    "arrays": {},
    "arrays, const": {"function_set": [*FUNCTIONS, "const"]},
    "arrays, fraction": {"metric": "fraction", "metric_params": [0.1, 0.1]},
    "arrays, pearson": {"metric": "pearson", "metric_params": []},
    "arrays, spearman": {"metric": "spearman", "metric_params": []},
    "arrays, all rows": {"batching": False},
    "arrays, all rows, pearson": {"batching": False, "metric": "pearson", "metric_params": []},
}
"""What differs in the task section; a name begins with the form of the data."""


def make_data(n_rows: int, n_inputs: int) -> tuple[np.ndarray, np.ndarray]:
    """Return X (N, D) and noisy y (N,)."""
    random = np.random.default_rng(0)
    X = random.uniform(-1, 1, (n_rows, n_inputs))
    y = X[:, 0] * X[:, 1] + np.sin(X[:, 2]) + 0.1 * random.normal(size=n_rows)
    return X, y


def peak_gigabytes() -> float:
    """Return the most memory that this process has held, in 10^9 bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def measure(name: str, n_rows: int, n_inputs: int, path: str, n_iterations: int) -> dict:
    """Read the data and train, in this process."""
    from dso import DeepSymbolicOptimizer

    data = path if name.startswith("csv") else make_data(n_rows, n_inputs)
    task = {"task_type": "regression", "dataset": data, "function_set": FUNCTIONS, **RUNS[name]}
    model = DeepSymbolicOptimizer(
        {
            "experiment": {"logdir": None, "seed": 0},
            "task": task,
            "training": {"batch_size": 1000, "n_samples": 10**9, "verbose": False},
        }
    )
    import torch  # noqa: F401  so that its import is not counted as reading data

    before = peak_gigabytes()
    start = time.perf_counter()
    model.setup()
    setup, loaded = time.perf_counter() - start, peak_gigabytes()
    seconds = []
    for _ in range(n_iterations):
        start = time.perf_counter()
        model.train_one_step()
        seconds.append(time.perf_counter() - start)
    return {
        "setup": setup,
        "first": seconds[0],
        "step": median(seconds[1:]),
        "peaks": [before, loaded, peak_gigabytes()],
    }


def main() -> None:
    """Measure every run on every shape."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", nargs="+", default=["1000000x10", "1000x1000"])
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=list(RUNS))
    parser.add_argument("--iterations", type=int, default=6)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(**json.loads(options.one))))
        return
    print("shape        run                        setup s  first s   step s   peak GB")
    with tempfile.TemporaryDirectory() as folder:
        for shape in options.shapes:
            n_rows, n_inputs = map(int, shape.split("x"))
            path = str(Path(folder, f"{shape}.csv"))
            if "csv" in options.runs:
                np.savetxt(path, np.column_stack(make_data(n_rows, n_inputs)), delimiter=",")
            for name in options.runs:
                row = _in_own_process(name, n_rows, n_inputs, path, options.iterations)
                peaks = " -> ".join(f"{peak:.2f}" for peak in row["peaks"])
                print(
                    f"{shape:12} {name:26} {row['setup']:7.2f} {row['first']:8.2f} "
                    f"{row['step']:8.2f}   {peaks}",
                    flush=True,
                )


def _in_own_process(name: str, n_rows: int, n_inputs: int, path: str, n_iterations: int) -> dict:
    arguments = {
        "name": name,
        "n_rows": n_rows,
        "n_inputs": n_inputs,
        "path": path,
        "n_iterations": n_iterations,
    }
    command = [sys.executable, __file__, "--one", json.dumps(arguments)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(answer.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
