"""Stop runs at random moments and let them go on; count what differs from runs never stopped.

    python scripts/soak.py                  # 40 runs killed once or more, 10 with a lost worker
    python scripts/soak.py --kills 10 --workers 0
    python scripts/soak.py --memory 2000    # memory of a long run whose reward cache is full

The last line is the number of files that differ; columns of time do not count.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BASE = {
    "task": {"task_type": "regression", "dataset": "Nguyen-5"},
    "training": {"n_samples": 8000, "batch_size": 100, "early_stopping": False},
    "checkpoint": {"save_freq": 1, "units": "iterations"},
    "postprocess": {"save_plots": False},
}
EVERYTHING = {
    "save_all_iterations": True,
    "save_positional_entropy": True,
    "save_token_count": True,
    "save_cache": True,
    "save_cache_r_min": None,
    "save_top_samples_per_batch": 0.1,
}
KINDS: dict[str, dict] = {
    "pg": {},
    "const": {"task": {"function_set": ["add", "mul", "sin", "const"]}},
    "pqt": {"policy_optimizer": {"policy_optimizer_type": "pqt", "pqt_k": 10, "pqt_use_pg": True}},
    "ppo": {"policy_optimizer": {"policy_optimizer_type": "ppo", "ppo_n_iters": 3}},
    "memory": {"training": {"use_memory": True, "memory_capacity": 100}},
    "novel": {"policy": {"sample_novel_batch": True}},
    "noise": {"task": {"reward_noise": 0.1}},
    "everything": {
        "logging": EVERYTHING,
        "training": {"baseline": "combined"},
        "policy": {"cell": "gru"},
    },
    "poly": {"task": {"function_set": ["add", "mul", "sin", "poly"]}},
    "gp": {"gp_meld": {"run_gp_meld": True, "generations": 5, "population_size": 60}},
    "semantic": {"semantic": {"on": True}},
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=40, help="runs that are killed")
    parser.add_argument("--workers", type=int, default=10, help="batches that lose a worker")
    parser.add_argument("--memory", type=int, default=0, help="iterations of the long run")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.memory:
        return memory(options.memory)
    moments = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kinds = [kind for kind in KINDS if is_available(folder, kind)]
        print("kinds:", ", ".join(kinds), flush=True)
        n = sum(
            killed(folder, kind, i, moments)
            for i, kind in zip(range(options.kills), itertools.cycle(kinds), strict=False)
        )
        n += sum(worker_lost(folder, i, moments) for i in range(options.workers))
    print(n, "differences")
    return int(n > 0)


def config(folder: Path, kind: str, name: str, **training: object) -> Path:
    """Write the config of a run to a file."""
    merged = {**BASE, "experiment": {"logdir": str(folder), "exp_name": name}}
    for section, values in KINDS[kind].items():
        merged[section] = {**merged.get(section, {}), **values}
    merged["training"] = {**merged["training"], **training}
    path = folder / f"{name}.json"
    path.write_text(json.dumps(merged))
    return path


def call(*arguments: str) -> list[str]:
    return [sys.executable, "-W", "ignore", "-m", "dso.run", *arguments]


def environment() -> dict[str, str]:
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}


def is_available(folder: Path, kind: str) -> bool:
    """Do the run that is never stopped; False where this version lacks a part of it."""
    path = config(folder, kind, f"{kind}_whole")
    done = subprocess.run(call(str(path)), env=environment(), capture_output=True, text=True)
    if "not available in this version" in done.stderr or "in this version" in done.stderr:
        return False
    assert done.returncode == 0, done.stderr
    return True


def killed(folder: Path, kind: str, i: int, moments: random.Random) -> int:
    """Kill a run one to three times, let it go on, and count the files that differ."""
    name = f"{kind}_{i}"
    arguments = [str(config(folder, kind, name))]
    n_kills = 0
    for _ in range(moments.randint(1, 3)):
        process = subprocess.Popen(
            call(*arguments), env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        if wait_for(lambda: any(checkpoints(folder / name)), process):
            time.sleep(moments.uniform(0.0, 2.0))
        n_kills += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if (folder / name).exists():
            arguments = ["--resume", str(folder / name)]
    done = subprocess.run(call(*arguments), env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    n = n_differences(folder / f"{kind}_whole", folder / name)
    print(f"{name}: killed {n_kills} times, {n} differences", flush=True)
    return n


def worker_lost(folder: Path, i: int, moments: random.Random) -> int:
    """Do a batch on a cluster of this machine that loses one of two workers."""
    name = f"cluster_{i}"
    whole = folder / "cluster_whole"
    if not whole.exists():
        path = config(folder, "pg", whole.name, n_samples=10_000)
        subprocess.run(
            call(str(path), "--runs", "4"), env=environment(), check=True, capture_output=True
        )
    run = {"env": environment(), "cwd": folder, "text": True}
    cli = [sys.executable, "-W", "ignore", "-m"]
    scheduler = subprocess.Popen(
        [*cli, "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"],
        stderr=subprocess.PIPE,
        **run,
    )
    assert scheduler.stderr is not None
    address = next(line.split()[-1] for line in scheduler.stderr if "Scheduler at" in line)
    threading.Thread(target=scheduler.stderr.read, daemon=True).start()
    workers = [
        subprocess.Popen(
            [*cli, "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny"],
            stderr=subprocess.DEVNULL,
            **run,
        )
        for _ in range(2)
    ]
    try:
        path = config(folder, "pg", name, n_samples=10_000)
        options = ["--runs", "4", "--backend", "dask", "--scheduler", address]
        batch = subprocess.Popen(
            call(str(path), *options), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **run
        )
        if wait_for(lambda: any(checkpoints(folder / name)), batch):
            time.sleep(moments.uniform(0.0, 1.0))
        workers[moments.randint(0, 1)].kill()
        _, errors = batch.communicate()
        assert batch.returncode == 0, errors
    finally:
        for process in (*workers, scheduler):
            process.kill()
            process.wait()
    n = n_differences(whole, folder / name)
    print(f"{name}: one worker killed, {n} differences", flush=True)
    return n


def checkpoints(folder: Path) -> list[Path]:
    return list((folder / "checkpoint").glob("*.zip"))


def wait_for(condition, process: subprocess.Popen) -> bool:
    """Wait until something is so; False where the process ended before."""
    while process.poll() is None:
        if condition():
            return True
        time.sleep(0.005)
    return False


def n_differences(one: Path, other: Path) -> int:
    """Return how many files of results differ."""
    names = {p.name for folder in (one, other) for p in folder.iterdir() if p.is_file()}
    return sum(content(one / name) != content(other / name) for name in names - {"config.json"})


def content(path: Path) -> object:
    """Return a file without what depends on the time; None where there is none."""
    if not path.exists():
        return None
    if path.suffix != ".csv":
        return path.read_bytes()
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if k not in ("time", "t")} for row in rows]


def memory(n_iterations: int) -> int:
    """Print the memory of a process over a run whose reward cache is full early on."""
    from dso import DeepSymbolicOptimizer
    from dso.native import _core

    merged = {**BASE, "experiment": {"logdir": None}}
    merged["training"] = {**BASE["training"], "n_samples": 10**9, "batch_size": 500}
    merged["training"]["verbose"] = False
    model = DeepSymbolicOptimizer(merged)
    model.setup()
    model.evaluator._cache = _core.RewardCache(4 * 2**20)
    page = resource.getpagesize()
    for i in range(n_iterations):
        model.train_one_step()
        if i % max(n_iterations // 20, 1) == 0:
            resident = int(Path("/proc/self/statm").read_text().split()[1]) * page / 2**20
            print(
                f"iteration {i}: {resident:.1f} MiB, {model.evaluator.n_cached} cached", flush=True
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
