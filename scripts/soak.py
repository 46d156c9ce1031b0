"""Stop runs in every phase and let them go on; count what differs from runs never stopped.

    python scripts/soak.py                  # 60 kills, 20 double starts, 20 parents, 10 workers
    python scripts/soak.py --kills 10 --doubles 0 --parents 0 --workers 0
    python scripts/soak.py --memory 2000    # memory of a long run whose reward cache is full
    python scripts/soak.py --fits 500       # memory of a process that fits table after table

The last line counts the files that differ, columns of time apart, the processes left five seconds
after their parent was killed, and the tracebacks.
"""

from __future__ import annotations

import argparse
import contextlib
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
from dataclasses import dataclass
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
CONTROL = {
    "task_type": "control",
    "env": "CustomCartPoleContinuous-v0",
    "n_episodes_train": 3,
    "n_episodes_test": 300,
    "n_episodes_validation": 30,
    "function_set": ["add", "sub", "mul", "sin", 0.1, 1.0, 5.0],
}
SMALL = {"n_samples": 400, "batch_size": 20}
GP = {"run_gp_meld": True, "generations": 3, "population_size": 20, "train_n": 5}
for name, task, others in (
    ("cartpole", {}, {}),
    ("cartpole, fresh", {"fix_seeds": False, "racing": True}, {}),
    ("pendulum", {"env": "Pendulum-v1", "refine_rounds": 3, "n_episodes_test": 100}, {}),
    ("mountaincar, gp", {"env": "MountainCarContinuous-v0", "fix_seeds": False}, {"gp_meld": GP}),
    (
        "bipedal",
        {
            "env": "BipedalWalker-v3",
            "env_kwargs": {"max_episode_steps": 60},
            "action_spec": [None, ["mul", "x1", "x2"], ["x3"], ["x4"]],
            "n_episodes_test": 10,
            "n_episodes_validation": 5,
        },
        {},
    ),
):
    KINDS[name] = {"task": {**CONTROL, **task}, "training": SMALL, **others}

PHASES = ("start", "search", "end")
SECONDS_TO_END = 5.0


@dataclass
class Tally:
    """What went wrong."""

    differences: int = 0
    orphans: int = 0
    tracebacks: int = 0

    def add(
        self, name: str, what: str, differences: int, orphans: int = 0, errors: str = ""
    ) -> None:
        """Count, and print a line."""
        n_tracebacks = errors.count("Traceback")
        self.differences += differences
        self.orphans += orphans
        self.tracebacks += n_tracebacks
        found = f"{differences} differences, {orphans} orphans, {n_tracebacks} tracebacks"
        print(f"{name}: {what}: {found}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=60, help="runs that are killed")
    parser.add_argument(
        "--doubles", type=int, default=20, help="runs that are resumed twice at once"
    )
    parser.add_argument("--parents", type=int, default=20, help="batches that lose their parent")
    parser.add_argument("--workers", type=int, default=10, help="batches that lose a worker")
    parser.add_argument("--memory", type=int, default=0, help="iterations of the long run")
    parser.add_argument("--fits", type=int, default=0, help="fits of the estimator")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.memory:
        return memory(options.memory)
    if options.fits:
        return fits(options.fits)
    moments, tally = random.Random(options.seed), Tally()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kinds = [kind for kind in KINDS if is_available(folder, kind)]
        print("kinds:", ", ".join(kinds), flush=True)
        for i, kind in zip(range(options.kills), itertools.cycle(kinds), strict=False):
            killed(folder, kind, i, moments, tally)
        for i, kind in zip(range(options.doubles), itertools.cycle(kinds[::-1]), strict=False):
            started_twice(folder, kind, i, moments, tally)
        for i in range(options.parents):
            parent_lost(folder, i, moments, tally)
        for i in range(options.workers):
            worker_lost(folder, i, moments, tally)
    print(tally)
    return int(tally != Tally())


def config(folder: Path, kind: str, name: str, **training: object) -> Path:
    """Write the config of a run to a file."""
    merged = {**BASE, "experiment": {"logdir": str(folder), "exp_name": name}}
    for section, values in KINDS[kind].items():
        is_control = values.get("task_type") == "control"
        merged[section] = values if is_control else {**merged.get(section, {}), **values}
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


def start(*arguments: str) -> subprocess.Popen:
    """Start a command in a process group of its own."""
    return subprocess.Popen(
        call(*arguments),
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(*arguments: str) -> str:
    """Run a command to its end, and return what it said of errors."""
    process = start(*arguments)
    errors = process.communicate()[1]
    assert process.returncode == 0, errors
    return errors


def stop_in(phase: str, process: subprocess.Popen, folder: Path, kind: str, moment: float) -> None:
    """Return when a run is in a phase, at a moment between 0 and 1 of it."""
    if phase == "start":
        time.sleep(3.0 * moment)
        return
    if phase == "end":
        training = {**BASE["training"], **KINDS[kind].get("training", {})}
        n_lines = 1 + training["n_samples"] // training["batch_size"]
        wait_for(lambda: n_rows(folder) >= n_lines, process)
        time.sleep(0.5 * moment)
    elif wait_for(lambda: any(checkpoints(folder)), process):
        time.sleep(2.0 * moment)


def n_rows(folder: Path) -> int:
    """Return how many lines the log of the run with seed 0 has."""
    logs = [path for path in folder.glob("dso_*_0.csv") if path.is_file()]
    return max((path.read_bytes().count(b"\n") for path in logs), default=0)


def killed(folder: Path, kind: str, i: int, moments: random.Random, tally: Tally) -> None:
    """Kill a run one to three times, let it go on, and count the files that differ."""
    name = f"{kind}_{i}"
    arguments = [str(config(folder, kind, name))]
    phases = [PHASES[(i + k) % 3] for k in range(moments.randint(1, 3))]
    n_kills, errors = 0, ""
    for phase in phases:
        process = start(*arguments)
        stop_in(phase, process, folder / name, kind, moments.random())
        n_kills += process.poll() is None
        process.send_signal(signal.SIGKILL)
        errors += process.communicate()[1]
        if (folder / name / "config.json").exists():
            arguments = ["--resume", str(folder / name)]
    errors += finish(*arguments)
    n = n_differences(folder / f"{kind}_whole", folder / name)
    tally.add(name, f"killed {n_kills} times ({', '.join(phases)})", n, errors=errors)


def started_twice(folder: Path, kind: str, i: int, moments: random.Random, tally: Tally) -> None:
    """Resume a run twice at once, or while it goes on; one of both does it."""
    name = f"twice_{kind}_{i}"
    first = start(str(config(folder, kind, name)))
    stop_in("search", first, folder / name, kind, moments.random() / 2)
    both = []
    if i % 2:
        first.send_signal(signal.SIGKILL)
        both = [start("--resume", str(folder / name)) for _ in range(2)]
    elif (folder / name).exists():
        both = [first, start("--resume", str(folder / name))]
    errors = "".join(process.communicate()[1] for process in {first, *both})
    errors += finish("--resume", str(folder / name))
    n = n_differences(folder / f"{kind}_whole", folder / name)
    statuses = [process.returncode for process in both]
    tally.add(name, f"started twice, exit statuses {statuses}", n, errors=errors)


def parent_lost(folder: Path, i: int, moments: random.Random, tally: Tally) -> None:
    """Kill the process of a batch, count the workers left after some seconds, and let it go on."""
    kind = "pg"
    name, whole = f"parent_{i}", folder / "parent_whole"
    if not whole.exists():
        finish(str(config(folder, kind, whole.name)), "--runs", "3")
    process = start(str(config(folder, kind, name)), "--runs", "3", "--n", "2")
    stop_in(PHASES[i % 2], process, folder / name, kind, moments.random())
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(SECONDS_TO_END)
    orphans = members(process.pid)
    for orphan in orphans:
        os.kill(orphan, signal.SIGKILL)
    errors = process.communicate()[1]
    is_begun = (folder / name / "config.json").exists()
    again = ["--resume", str(folder / name)] if is_begun else [str(folder / f"{name}.json")]
    errors += finish(*again, *([] if is_begun else ["--runs", "3"]), "--n", "2")
    n = n_differences(whole, folder / name)
    tally.add(name, "parent killed", n, len(orphans), errors)


def members(group: int) -> list[int]:
    """Return the processes of a process group that are alive."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, of = path.read_text().rpartition(")")[2].split()[:3]
            if int(of) == group and state != "Z":
                found.append(int(path.parent.name))
    return found


def worker_lost(folder: Path, i: int, moments: random.Random, tally: Tally) -> None:
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
    tally.add(name, "one worker killed", n_differences(whole, folder / name), errors=errors)


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
    for i in range(n_iterations):
        model.train_one_step()
        if i % max(n_iterations // 20, 1) == 0:
            print(f"iteration {i}: {resident()}, {model.evaluator.n_cached} cached", flush=True)
    return 0


def fits(n: int) -> int:
    """Print the memory of a process that fits other rows again and again."""
    import numpy as np

    from dso import DeepSymbolicRegressor

    for i in range(n):
        random = np.random.default_rng(i)
        X = random.uniform(0.5, 2.0, (50, 2))
        y = X[:, 0] * np.exp(X[:, 1]) + 0.1 * random.standard_normal(50)
        DeepSymbolicRegressor(n_samples=500, n_jobs=1, verbosity=0, random_state=i).fit(X, y)
        if i % max(n // 20, 1) == 0 or i == n - 1:
            print(f"fit {i + 1}: {resident()}", flush=True)
    return 0


def resident() -> str:
    """Return the memory that this process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return f"{pages * resource.getpagesize() / 2**20:.1f} MiB"


if __name__ == "__main__":
    sys.exit(main())
