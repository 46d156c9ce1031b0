"""Prove that a change of structure changes no result: short runs of two checkouts, file by file.

Both checkouts need a built core. Each run is a process of its own in an empty folder; what it
leaves must be equal byte for byte, but for columns of time. Only tables, JSON and arrays are
compared: checkpoints and the files of TensorBoard hold times.

    python scripts/compare_runs.py BEFORE AFTER
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

TIMES = ("t", "time", "timestamp")
COMPARED = (".csv", ".json", ".npy")
REGRESSION = {"task_type": "regression", "dataset": "Nguyen-5"}
CONSTANTS = {
    "task_type": "regression",
    "dataset": "Jin-1",
    "function_set": ["add", "sub", "mul", "sin", "const"],
}
POLY = {"task_type": "regression", "dataset": "Nguyen-12", "function_set": ["add", "mul", "poly"]}
CONTROL = {"task_type": "control", "env": "Pendulum-v1", "n_episodes_train": 2}
GP = {"run_gp_meld": True, "generations": 4}
QUIET = {"verbose": False, "early_stopping": False}
EVERYTHING = {
    "save_all_iterations": True,
    "save_token_count": True,
    "save_positional_entropy": True,
    "save_top_samples_per_batch": 0.1,
    "save_cache": True,
}

RUNS: dict[str, dict] = {
    "plain": {"task": REGRESSION},
    "everything written": {
        "task": REGRESSION,
        "logging": EVERYTHING,
        "prior": {"count_constraints": True},
    },
    "const": {"task": CONSTANTS, "training": {"n_samples": 3000}},
    "poly": {"task": POLY, "training": {"n_samples": 1500}},
    "gp": {"task": REGRESSION, "gp_meld": GP},
    "gp with const": {"task": CONSTANTS, "gp_meld": GP, "training": {"n_samples": 3000}},
    "semantic mutation": {"task": REGRESSION, "gp_meld": {**GP, "p_semantic": 0.2}},
    "search by values": {"task": REGRESSION, "semantic": {"on": True}},
    "search by values with const": {
        "task": CONSTANTS,
        "semantic": {"on": True, "max_lookups": 1_000_000},
        "training": {"n_samples": 3000},
    },
    "pqt": {"task": REGRESSION, "policy_optimizer": {"policy_optimizer_type": "pqt"}},
    "ppo": {"task": REGRESSION, "policy_optimizer": {"policy_optimizer_type": "ppo"}},
    "memory": {"task": REGRESSION, "training": {"use_memory": True}},
    "novel batches": {"task": REGRESSION, "policy": {"sample_novel_batch": True}},
    "rows set aside": {"task": {**REGRESSION, "validation_fraction": 0.25}},
    "part of the rows": {
        "task": {**REGRESSION, "batching": True, "batching_rows": 10},
        "gp_meld": {**GP, "keep_population": True},
    },
    "control": {"task": CONTROL, "training": {"n_samples": 200, "batch_size": 50}},
    "control with gp": {
        "task": CONTROL,
        "gp_meld": {**GP, "train_n": 10},
        "training": {"n_samples": 400, "batch_size": 50},
    },
}

BATCH = {"two runs": {"task": REGRESSION}}
RUNS |= BATCH

ESTIMATOR = """
import numpy as np
from dso import DeepSymbolicRegressor
random = np.random.default_rng(0)
X = random.normal(size=(60, 2))
y = 1.7 * X[:, 0] ** 2 + np.sin(X[:, 1]) + 0.05 * random.normal(size=60)
model = DeepSymbolicRegressor(n_samples=3000, random_state=0).fit(X, y)
model.equations_.astype(str).to_csv("equations.csv", index=False)
"""


def run(checkout: Path, folder: Path, name: str, seed: int) -> None:
    """Do one of `RUNS`, or the estimator's fit, in a folder."""
    command = [sys.executable, "-W", "ignore", "-c", ESTIMATOR]
    if name in RUNS:
        config = {**RUNS[name], "training": {"n_samples": 8000, **RUNS[name].get("training", {})}}
        config["training"] |= QUIET
        (folder / "config.json").write_text(json.dumps(config))
        options = ["config.json", "--exp_name", "run", "--seed", str(seed)]
        if name in BATCH:
            options += ["--runs", "2", "--n_cores_task", "2"]
        command = [sys.executable, "-W", "ignore", "-m", "dso.run", *options]
    subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        check=True,
        stdout=subprocess.DEVNULL,
    )


def check(checkout: Path) -> None:
    """Refuse a checkout whose code would not be the one that runs."""
    found = subprocess.run(
        [sys.executable, "-c", "import dso.native._core; print(dso.__file__)"],
        env={**os.environ, "PYTHONPATH": str(checkout)},
        cwd=tempfile.gettempdir(),  # Python looks there first
        capture_output=True,
        text=True,
    )
    if found.returncode or checkout not in Path(found.stdout.strip()).resolve().parents:
        raise SystemExit(f"{checkout}: no checkout with a built core. {found.stderr[-300:]}")


def content(path: Path) -> bytes:
    """Return what a file says, without times and the command."""
    if path.suffix == ".json":
        return re.sub(rb'"(timestamp|cmd)":.*', b"", path.read_bytes())
    if path.suffix != ".csv":
        return path.read_bytes()
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    return table.drop(columns=[name for name in TIMES if name in table]).to_csv().encode()


def compare(before: Path, after: Path) -> tuple[int, list[str]]:
    """Return how many files two folders have, and which of them differ or lack a twin."""
    found = [path.relative_to(one) for one in (before, after) for path in one.rglob("*")]
    names = {str(path) for path in found if path.suffix in COMPARED}
    wrong = []
    for name in sorted(names):
        twins = before / name, after / name
        if not all(twin.exists() for twin in twins) or content(twins[0]) != content(twins[1]):
            wrong.append(name)
    return len(names), wrong


def main() -> int:
    """Compare all runs; return the exit status, 1 where something differs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    everything = [*RUNS, "estimator"]
    parser.add_argument("--runs", nargs="+", default=everything, choices=everything)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seed-after", type=int, help="another seed shows that runs can differ")
    arguments = parser.parse_args()
    other = arguments.seed_after
    seeds = arguments.seed, arguments.seed if other is None else other
    checkouts = arguments.before.resolve(), arguments.after.resolve()
    for checkout in checkouts:
        check(checkout)
    n_wrong = 0
    for name in arguments.runs:
        with tempfile.TemporaryDirectory() as before, tempfile.TemporaryDirectory() as after:
            folders = Path(before), Path(after)
            for checkout, folder, seed in zip(checkouts, folders, seeds, strict=True):
                run(checkout, folder, name, seed)
            n_files, wrong = compare(*folders)
        n_wrong += len(wrong) + (n_files == 0)
        told = f": {', '.join(wrong)}" if wrong else ""
        print(f"{name}: {n_files} files, {len(wrong)} differ{told}", flush=True)
    return int(n_wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
