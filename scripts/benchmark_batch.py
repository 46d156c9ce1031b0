"""A batch in processes and the same batch one run at a time: wall seconds of the command, in pairs.

Runs of a regression benchmark have all their samples, one thread each, and all that is printed and
plotted at the end is part of the time. The pairs alternate, since shared machines change their
speed; both batches of a pair must have the same results.

    python scripts/benchmark_batch.py --runs 100 --n_samples 20000 --pairs 3
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd


def batch(folder: Path, name: str, n_runs: int, n_processes: int) -> float:
    """Do the runs of ``config.json`` in a folder; return the wall seconds."""
    command = [sys.executable, "-m", "dso.run", "config.json", "--exp_name", name]
    command += ["--runs", str(n_runs), "--n_cores_task", str(n_processes)]
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    start = time.perf_counter()
    subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - start


def results(folder: Path, name: str) -> pd.DataFrame:
    """Return what the runs of a batch found, without their times."""
    return pd.read_csv(folder / "logs" / name / "summary.csv").drop(columns="t")


def main() -> None:
    """Print the seconds and the ratio of each pair, and of all of them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--benchmark", default="Nguyen-1")
    parser.add_argument("--n_samples", type=int, default=20_000, help="of each run")
    parser.add_argument("--pairs", type=int, default=3)
    arguments = parser.parse_args()
    config = {
        "task": {"task_type": "regression", "dataset": arguments.benchmark},
        "training": {
            "n_samples": arguments.n_samples,
            "early_stopping": False,
            "verbose": False,
        },
    }
    totals = [0.0, 0.0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config.json").write_text(json.dumps(config))
        for pair in range(arguments.pairs):
            names = [f"processes_{pair}", f"row_{pair}"]
            seconds = [
                batch(folder, names[0], arguments.runs, arguments.processes),
                batch(folder, names[1], arguments.runs, 1),
            ]
            totals = [total + part for total, part in zip(totals, seconds, strict=True)]
            pd.testing.assert_frame_equal(*(results(folder, name) for name in names))
            print(f"{seconds[0]:.1f} s / {seconds[1]:.1f} s = {seconds[0] / seconds[1]:.3f}")
    print(f"all: {totals[0] / totals[1]:.3f}")


if __name__ == "__main__":
    main()
