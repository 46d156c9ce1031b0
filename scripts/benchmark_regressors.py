"""Ten noisy data sets: DeepSymbolicRegressor, gplearn and pyoperon with the same data and CPU time.

The sets are scikit-learn's `diabetes`, `linnerud` (its first two targets), `make_regression` with
noise, and Friedman's 1 to 3, each with noise of 10 % and 30 % of the deviation of y. A quarter of
the rows is kept for the test. Every regressor has the same CPU-seconds, one thread, on the same
machine and in the same run, one after the other: ours stops after so many, the others do as many
generations as fit. R2 is on the test rows, the size that of the model which predicts, in tokens.
Ours is there twice: with what it selects by default, and with the equation of the least loss. Fits
that are in the file already are not done again.

    pip install -e ".[bench]"
    python scripts/benchmark_regressors.py --seconds 10 --seeds 0 1 2 [--out logs/regressors.csv]
"""

from __future__ import annotations

import argparse
import itertools
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import (
    load_diabetes,
    load_linnerud,
    make_friedman1,
    make_friedman2,
    make_friedman3,
    make_regression,
)
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from dso import DeepSymbolicRegressor

Rows = tuple[np.ndarray, np.ndarray]
FRIEDMAN = {"friedman1": make_friedman1, "friedman2": make_friedman2, "friedman3": make_friedman3}


def data_sets(seed: int) -> dict[str, Rows]:
    """Return inputs (N, D) and targets (N,) of the ten sets."""
    sets: dict[str, Rows] = {"diabetes": load_diabetes(return_X_y=True)}
    X, targets = load_linnerud(return_X_y=True)
    sets |= {f"linnerud_{k + 1}": (X, targets[:, k]) for k in (0, 1)}
    sets["linear"] = make_regression(400, 8, n_informative=4, noise=20, random_state=seed)
    random = np.random.default_rng(seed)
    for name, make in FRIEDMAN.items():
        for share in (0.1, 0.3):
            X, y = make(400, random_state=seed)
            sets[f"{name}_{share:.0%}"] = X, y + share * y.std() * random.standard_normal(400)
    return sets


def ours(seconds: float, seed: int) -> Any:
    """Return our regressor under its defaults, but for the budget."""
    start = time.process_time()
    return DeepSymbolicRegressor(
        n_samples=2_000_000,  # more than there is time for
        callback=lambda standing: time.process_time() - start > seconds,
        random_state=seed,
        n_jobs=1,
        verbosity=0,
    )


def size_of_ours(model: Any) -> int:
    return len(model.program_)


class Gplearn:
    """gplearn with the same functions, as many generations as fit into the time.

    Parameters
    ----------
    seconds : float
    seed : int
    """

    def __init__(self, seconds: float, seed: int) -> None:
        from gplearn.genetic import SymbolicRegressor

        self.seconds = seconds
        functions = ("add", "sub", "mul", "div", "sin", "cos", "log", "sqrt")
        self.model = SymbolicRegressor(
            population_size=1000,
            generations=1,
            function_set=functions,
            metric="mse",
            parsimony_coefficient="auto",
            warm_start=True,
            random_state=seed,
        )

    def fit(self, X: np.ndarray, y: np.ndarray) -> Gplearn:
        """Add generations while there is time."""
        start = time.process_time()
        while True:
            self.model.fit(X, y)
            spent = time.process_time() - start
            if spent * (1 + 1 / self.model.generations) > self.seconds:
                return self
            self.model.generations += 1

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Predict with the best program."""
        return self.model.predict(X)


def size_of_gplearn(model: Gplearn) -> int:
    return model.model._program.length_


class Operon:
    """pyoperon with the same functions, as many generations as fit into the time.

    Parameters
    ----------
    seconds : float
    seed : int
    """

    def __init__(self, seconds: float, seed: int) -> None:
        from pyoperon.sklearn import SymbolicRegressor

        self.seconds = seconds
        self.seed = seed
        self.model = SymbolicRegressor(
            allowed_symbols="add,sub,mul,div,sin,cos,exp,log,constant,variable",
            max_length=30,
            generations=2,
            max_evaluations=10**9,
            optimizer_iterations=5,
            n_threads=1,
            warm_start=True,
        )

    def fit(self, X: np.ndarray, y: np.ndarray) -> Operon:
        """Go on with its population, two generations at a time, while there is time."""
        start = time.process_time()
        for k in itertools.count():
            before = time.process_time()
            # Its generator starts again with each call.
            self.model.set_params(random_state=1000 * self.seed + k).fit(X, y)
            now = time.process_time()
            if 2 * now - before - start > self.seconds:
                return self
        raise AssertionError

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Predict with the model that it selects."""
        return self.model.predict(X)


def size_of_operon(model: Operon) -> int:
    return model.model.model_.Length


REGRESSORS: dict[str, tuple[Callable[[float, int], Any], Callable[[Any], int]]] = {
    "dso": (ours, size_of_ours),
    "gplearn": (Gplearn, size_of_gplearn),
    "pyoperon": (Operon, size_of_operon),
}


def judge(
    name: str, seconds: float, seed: int, X: np.ndarray, y: np.ndarray
) -> list[dict[str, Any]]:
    """Fit one regressor to three quarters of the rows and test it on the others."""
    parts = train_test_split(X, y, random_state=seed)
    scaler = StandardScaler().fit(parts[0])
    X_train, X_test = scaler.transform(parts[0]), scaler.transform(parts[1])
    make, size = REGRESSORS[name]
    rows = []
    start = time.process_time()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        model = make(seconds, seed)
        model.fit(X_train, parts[2])
        spent = time.process_time() - start
        for label in ("dso", "dso, accuracy") if name == "dso" else (name,):
            if label == "dso, accuracy":
                model.model_selection = "accuracy"
            predictions = np.asarray(model.predict(X_test))
            usable = np.isfinite(predictions).all()
            r2 = r2_score(parts[3], predictions) if usable else -np.inf
            rows.append({"regressor": label, "r2": r2, "size": size(model), "cpu_seconds": spent})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--sets", nargs="+", default=None)
    parser.add_argument("--regressors", nargs="+", default=list(REGRESSORS))
    parser.add_argument("--out", default=None, help="CSV with a row per fit")
    arguments = parser.parse_args()
    # Importing torch is not part of a fit.
    ours(1, 0).set_params(n_samples=500).fit(np.arange(20.0)[:, None], np.arange(20.0) ** 2)
    rows = read_rows(arguments.out)
    done = {(row["set"], row["seed"], row["regressor"]) for row in rows}
    for seed in arguments.seeds:
        for label, (X, y) in data_sets(seed).items():
            if arguments.sets is not None and label not in arguments.sets:
                continue
            for name in arguments.regressors:
                if (label, seed, name) in done:
                    continue
                for row in judge(name, arguments.seconds, seed, X, y):
                    rows.append({"set": label, "seed": seed} | row)
                    print(rows[-1], flush=True)
                if arguments.out is not None:
                    pd.DataFrame(rows).to_csv(arguments.out, index=False)
    print(summary(pd.DataFrame(rows)))


def read_rows(out: str | None) -> list[dict[str, Any]]:
    """Return the fits that are in the file already."""
    if out is None or not Path(out).exists():
        return []
    return pd.read_csv(out).to_dict("records")


def summary(table: pd.DataFrame) -> str:
    """Return medians over seeds, one line per set, as a table of markdown."""
    names = list(dict.fromkeys(table["regressor"]))
    lines = [
        "| Set | " + " | ".join(f"{name}: R2, size" for name in names) + " |",
        "| --- |" + " --- |" * len(names),
    ]
    for label, group in table.groupby("set", sort=False):
        cells = []
        for name in names:
            part = group[group["regressor"] == name]
            is_there = len(part) > 0
            cells.append(f"{median(part['r2']):.3f}, {median(part['size']):g}" if is_there else "")
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
