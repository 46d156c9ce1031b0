"""Islands: what processes save, what a portfolio brings, and what many rows take of memory.

`recovery` fits twelve problems of `physics_problems.py` with four islands in one process and in
two, and with a single search, until the law is found or the time is over. Islands find the same in
any number of processes, so only the time differs. Besides the seconds of the clock, which mean
something on an otherwise idle machine, it prints the CPU-seconds of this process and of all others.

`portfolio` fits the ten noisy sets of `benchmark_regressors.py` for the same CPU-seconds with a
single search, with four equal islands, and with four that differ. A fit takes a second or two more
than it is given. The last lines compare the ways by their mean ranks and medians over all sets.
Both write each fit to the file `--out` as it is done, and pass over those that are there.

`memory` does one round of four islands in two processes on a million rows of ten inputs. It prints
the most that each process holds by itself, and how much of the shared data it sees, in GB (Linux
only).

    python scripts/benchmark_islands.py recovery --seconds 20 --seeds 0 1 2 --out logs/islands.csv
    python scripts/benchmark_islands.py recovery --sets II_6_15a test_7 --seeds 0
    python scripts/benchmark_islands.py portfolio --seconds 15 --seeds 0 1 --out logs/portfolio.csv
    python scripts/benchmark_islands.py memory [--rows 2000]
"""

from __future__ import annotations

import argparse
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import psutil
from benchmark_data import make_data
from benchmark_physics import verdicts
from benchmark_regressors import data_sets, read_rows
from physics_problems import OPERATORS, Law, random_products, read_laws
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from dso import DeepSymbolicRegressor
from dso.regressor.options import SEARCH

N_ISLANDS = 4
HARD = ("II_6_15a", "II_36_38", "test_7", "test_9", "test_14", "test_17")
"""Equations of physics that a search without reductions finds in 4 to 18 CPU-seconds."""
N_PRODUCTS = 6
PROCESSES: dict[str, dict[str, Any]] = {
    "one search": {"n_jobs": 1},
    "islands, 1 process": {"n_islands": N_ISLANDS, "n_jobs": 1},
    "islands, 2 processes": {"n_islands": N_ISLANDS, "n_jobs": 2},
}
PORTFOLIOS: dict[str, list[dict[str, Any]] | str | None] = {
    "one search": None,
    "equal islands": [],
    "function sets": "auto",
    "lengths": [
        {},
        {"prior.length.max_": 15},
        {"prior.length.max_": 22},
        {"prior.length.max_": 45},
    ],
    "methods": [
        {},
        {"policy_optimizer.policy_optimizer_type": "pqt"},
        {"gp_meld.p_semantic": 0.3},
        {"gp_meld.run_gp_meld": False},
    ],
}
"""How the islands differ; None is a single search."""
N_INPUTS = 10

Row = dict[str, Any]
KEYS = ["problem", "seed", "way"]
Key = tuple[str, int, str]
Fit = Callable[[], Row]


def hard_problems() -> Iterator[Law]:
    """Yield the twelve problems."""
    yield from (law for law in read_laws() if law.name in HARD)
    yield from random_products()[:N_PRODUCTS]


def recovery(options: argparse.Namespace) -> Iterator[tuple[Key, Fit]]:
    """Yield the fits that find out how long it takes to find a law."""
    laws = [law for law in hard_problems() if options.sets is None or law.name in options.sets]
    for law, seed, way in product(laws, options.seeds, PROCESSES):
        yield (law.name, seed, way), partial(recover, law, seed, way, options.seconds)


def recover(law: Law, seed: int, way: str, seconds: float) -> Row:
    """Return how long a fit took on the clock, and whether it found the law."""
    X, y = law.draw(1000, np.random.default_rng([seed, 0]))
    model = DeepSymbolicRegressor(
        function_set=OPERATORS,
        n_samples=20_000_000,  # more than there is time for
        timeout_in_seconds=seconds,
        random_state=seed,
        verbosity=0,
        **PROCESSES[way],
    )
    start, before = time.perf_counter(), os.times()
    model.fit(X, y, variable_names=law.inputs)
    seconds, after = time.perf_counter() - start, os.times()
    return {
        "seconds": seconds,
        "cpu_here": after.user + after.system - before.user - before.system,
        "cpu_elsewhere": after.children_user
        + after.children_system
        - before.children_user
        - before.children_system,
        "evaluations": model.n_evaluations_,
        "found": any(verdicts(model, law, 0.0, 0)),
    }


def portfolio(options: argparse.Namespace) -> Iterator[tuple[Key, Fit]]:
    """Yield the fits that compare in what islands may differ."""
    for seed in options.seeds:
        for (name, rows), way in product(data_sets(seed).items(), options.ways or PORTFOLIOS):
            if options.sets is None or name in options.sets:
                yield (name, seed, way), partial(predict, rows, seed, way, options.seconds)


def predict(rows: tuple[np.ndarray, np.ndarray], seed: int, way: str, seconds: float) -> Row:
    """Fit three quarters of the rows, and return R2 on the others."""
    X_train, X_test, y_train, y_test = train_test_split(*rows, random_state=seed)
    scaler = StandardScaler().fit(X_train)
    varied = PORTFOLIOS[way]
    islands = {} if varied is None else {"islands": {"n": N_ISLANDS, "portfolio": varied}}
    model = DeepSymbolicRegressor(
        config={**SEARCH, **islands},
        n_samples=2_000_000,  # more than there is time for
        random_state=seed,
        n_jobs=1,
        verbosity=0,
    )
    start = time.process_time()
    # A callback is only asked between rounds, which are longer than iterations.
    signal.signal(signal.SIGPROF, lambda number, frame: signal.raise_signal(signal.SIGINT))
    signal.setitimer(signal.ITIMER_PROF, seconds)
    model.fit(scaler.transform(X_train), y_train)
    signal.setitimer(signal.ITIMER_PROF, 0)
    spent = time.process_time() - start
    predicted = model.predict(scaler.transform(X_test))
    r2 = r2_score(y_test, predicted) if np.isfinite(predicted).all() else -np.inf
    return {"r2": r2, "size": len(model.program_), "cpu_seconds": spent}


def memory(options: argparse.Namespace) -> None:
    """Print the memory of this process and of the two that do the rounds, at its greatest."""
    X, y = make_data(options.rows, N_INPUTS)
    print(f"the data: {(X.nbytes + y.nbytes) / 1e9:.2f} GB")
    model = DeepSymbolicRegressor(
        n_islands=N_ISLANDS, n_jobs=2, n_samples=200_000, timeout_in_seconds=60, verbosity=0
    )
    rows: list[Row] = []
    with watched(rows.append):
        model.fit(X, y)
    print(pd.DataFrame(rows).groupby("process").max())


@contextmanager
def watched(tell: Callable[[Row], None]) -> Iterator[None]:
    """Tell of the memory of this process and its children, four times a second."""
    end, here = threading.Event(), psutil.Process()

    def watch() -> None:
        while not end.wait(0.25):
            for process in [here, *here.children(recursive=True)]:
                try:
                    own = process.memory_full_info().uss
                    mapped = [one.rss for one in process.memory_maps() if "joblib" in one.path]
                except psutil.Error:
                    continue  # it has ended
                name = "home" if process == here else f"worker {process.pid}"
                tell({"process": name, "own": own / 1e9, "mapped": sum(mapped) / 1e9})

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("what", choices=["recovery", "portfolio", "memory"])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--sets", nargs="+", help="only these problems or data sets")
    parser.add_argument("--ways", nargs="+", choices=PORTFOLIOS, help="of `portfolio`")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of `memory`")
    parser.add_argument("--out", help="CSV with a row per fit")
    options = parser.parse_args()
    if options.what == "memory":
        memory(options)
        return
    # Importing torch is not part of a fit.
    warm = DeepSymbolicRegressor(n_samples=500, n_jobs=1, verbosity=0)
    warm.fit(np.arange(20.0)[:, None], np.arange(20.0) ** 2)
    rows = read_rows(options.out)
    done = {tuple(row[key] for key in KEYS) for row in rows}
    for key, fit in (recovery if options.what == "recovery" else portfolio)(options):
        if key in done:
            continue
        rows.append(dict(zip(KEYS, key, strict=True)) | fit())
        print(rows[-1], flush=True)
        if options.out is not None:
            pd.DataFrame(rows).to_csv(options.out, index=False)
    table = pd.DataFrame(rows)
    groups = table.drop(columns="seed").groupby(["problem", "way"], sort=False)
    print(groups.median(numeric_only=True).unstack().to_string())
    ways = table.groupby("way", sort=False)
    print(ways.mean(numeric_only=True).drop(columns="seed").to_string())
    if "r2" in table:
        ranks = table.groupby(["problem", "seed"])["r2"].rank(ascending=False)
        print("mean rank of r2:", ranks.groupby(table["way"], sort=False).mean().to_dict())
        print("median r2:", ways["r2"].median().to_dict())


if __name__ == "__main__":
    main()
