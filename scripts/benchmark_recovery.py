"""Recovery of named benchmarks: runs a config on each, seed by seed, and writes a row per run.

A run counts as recovered where its best program has an NMSE below 1e-12 on 1 000 fresh points,
drawn uniformly over the training ranges. Rows are written as they come; a second call goes on where
the first stopped.

    python scripts/benchmark_recovery.py config_regression.json --benchmarks Nguyen-1 Nguyen-2 \\
        --seeds 0 1 2 --set policy_optimizer.pqt_use_pg=true --out logs/nguyen.csv
"""

from __future__ import annotations

import argparse
import csv
import logging
import time
from pathlib import Path

import numpy as np
import pandas as pd

from dso import DeepSymbolicOptimizer
from dso.config import load_config, read_assignments, with_values
from dso.library.expression import evaluate
from dso.program import Program
from dso.task.regression.benchmarks import Benchmark, find_benchmark
from dso.task.regression.sampling import Draw

N_POINTS = 1000
THRESHOLD = 1e-12
COLUMNS = ("benchmark", "seed", "recovered", "nmse", "r", "n_samples", "seconds", "expression")


def fresh_points(benchmark: Benchmark, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw points that no run has seen, X (1000, D) and y (1000,)."""
    train = benchmark.train
    ranges = (
        train.ranges
        if isinstance(train, Draw)
        else tuple((axis.first, axis.last) for axis in train.axes)
    )
    random = np.random.RandomState(seed + 10_000)
    return Draw(N_POINTS, ranges).sample(
        lambda X: evaluate(benchmark.formula, X), random, benchmark.y_limit
    )


def fresh_nmse(program: Program | None, benchmark: Benchmark, seed: int) -> float:
    """Return the program's NMSE on fresh points, inf where it has no finite value."""
    if program is None:
        return np.inf
    X, y = fresh_points(benchmark, seed)
    prediction = program.execute(X)
    if not np.isfinite(prediction).all():
        return np.inf
    return float(np.mean((y - prediction) ** 2) / np.var(y))


def run(config: dict, name: str, seed: int) -> dict[str, object]:
    """Train once and return the row."""
    config["task"]["dataset"] = name
    config["experiment"].update(seed=seed, logdir=None)
    config["training"]["verbose"] = False
    start = time.process_time()
    result = DeepSymbolicOptimizer(config).train()
    nmse = fresh_nmse(result["program"], find_benchmark(name), seed)
    return {
        "benchmark": name,
        "seed": seed,
        "recovered": nmse < THRESHOLD,
        "nmse": nmse,
        "r": result["r"],
        "n_samples": result["n_samples"],
        "seconds": round(time.process_time() - start, 2),
        "expression": result["expression"],
    }


def summary(path: Path) -> str:
    """Return a Markdown table of the rows written so far; medians are of recovered runs."""
    rows = pd.read_csv(path)
    lines = [
        "| Benchmark | Recovered | Median samples | Median CPU-seconds |",
        "| --- | --- | --- | --- |",
    ]
    for name, runs in rows.groupby("benchmark", sort=False):
        found = runs[runs["recovered"]]
        medians = (
            f"{found['n_samples'].median():,.0f} | {found['seconds'].median():.1f}"
            if len(found)
            else "|"
        )
        lines.append(f"| {name} | {len(found)} of {len(runs)} | {medians} |".replace(",", " "))
    return "\n".join(lines)


def main() -> None:
    """Run what is missing from the table, then print it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("config", nargs="?", default="config_regression.json")
    parser.add_argument("--benchmarks", nargs="+", required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--n_samples", type=int, default=2_000_000)
    parser.add_argument("--set", nargs="+", default=[], metavar="SECTION.KEY=JSON")
    parser.add_argument("--out", type=Path, default=Path("logs/recovery.csv"))
    arguments = parser.parse_args()
    logging.getLogger("dso").setLevel(logging.ERROR)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    is_new = not arguments.out.exists()
    with arguments.out.open("a+", newline="") as file:
        file.seek(0)
        rows = [] if is_new else list(csv.DictReader(file))
        done = {(row["benchmark"], int(row["seed"])) for row in rows}
        writer = csv.DictWriter(file, COLUMNS)
        if is_new:
            writer.writeheader()
        for name in arguments.benchmarks:
            for seed in arguments.seeds:
                if (name, seed) in done:
                    continue
                config = load_config(arguments.config)
                config["training"]["n_samples"] = arguments.n_samples
                config = with_values(config, read_assignments(arguments.set))
                row = run(config, name, seed)
                writer.writerow(row)
                file.flush()
                print(*(f"{key}={value}" for key, value in row.items()), flush=True)
    print(summary(arguments.out))


if __name__ == "__main__":
    main()
