"""EmpiricalBench: ten laws that were found in data, from those data or as noisy as they were.

The laws, sizes and noise are those of M. Cranmer, "Interpretable Machine Learning for Science with
PySR and SymbolicRegression.jl", arXiv:2305.01582 (2023). Recorded are, in `empirical.csv`, Hubble's
velocities (km/s) by distance (Mpc), read off his figure (PNAS 15, 168, 1929); magnitudes of
galaxies by the width of their 21 cm line (km/s), of Tully and Fisher (A&A 54, 661, 1977); and
magnitudes of variable stars by the logarithm of their period, of Leavitt and Pickering (Harvard
Circular 173, 1912). Below are Kepler's periods (days) by semi-major axis (AU), and the distances of
planets (AU) of Bode's law. The others are drawn, with normal errors in proportion to y: the laws of
Newton, Planck, Schechter and Rydberg, and that of the ideal gas.

For each law, the form is on the front if some row is the law with any numbers, and picked if the
selected row is. As that benchmark does, the logarithm of y is given for Newton, Planck, Schechter,
Bode, the ideal gas and Rydberg: by ``target_transform="log"``.

    python scripts/benchmark_empirical.py [--seeds 0 1 2 3 4] [--n_samples 300000] [--out FILE]
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dso import DeepSymbolicRegressor

TABLE = Path(__file__).with_name("empirical.csv")
OPERATORS = ["+", "-", "*", "/", "^", "exp", "log", "sqrt", "square"]
SAME = 1e-6
"""Relative scatter up to which what a law keeps constant is constant."""
PART = 1e-3
"""Share of the range of y that each term of a sum has at least."""
G, H, C, K, SUN, R = 6.67408e-11, 6.62607004e-34, 299792458.0, 1.38064852e-23, 3.828e26, 1.097e7

Kept = Callable[[np.ndarray, list[np.ndarray]], bool]


@dataclass(frozen=True)
class Data:
    """Rows of one law.

    Attributes
    ----------
    name : str
    inputs : list of str
    X, y : (N, D), (N,) float64
    has_form : callable
        Tells of values (M,) at inputs, each (M,), whether they follow the law with any numbers.
    is_log : bool
        Whether the logarithm of y is searched for.
    """

    name: str
    inputs: list[str]
    X: np.ndarray
    y: np.ndarray
    has_form: Kept
    is_log: bool = False


def is_constant(values: np.ndarray) -> bool:
    """Tell whether values differ by rounding only."""
    return bool(np.ptp(values) <= SAME * np.abs(values).max())


def is_line(y: np.ndarray, *columns: np.ndarray) -> np.ndarray | None:
    """Return the coefficients of y in the columns, offset first; None if it is not a sum of all."""
    design = np.column_stack([np.ones(len(y)), *columns])
    scales = np.abs(design).max(axis=0)
    found = np.linalg.lstsq(design / scales, y, rcond=None)[0]
    misses = np.abs(design / scales @ found - y).max()
    has_all = (np.abs(found[1:]) * np.ptp(design / scales, axis=0)[1:] > PART * np.ptp(y)).all()
    return found / scales if has_all and misses <= SAME * np.ptp(y) else None


def is_power(y: np.ndarray, columns: list[np.ndarray], near: list[float], by: float) -> bool:
    """Tell whether y is a product of powers, with exponents near those given."""
    if not (y > 0).all():
        return False
    found = is_line(np.log(y), *np.log(columns))
    return found is not None and bool(np.abs(found[1:] - near).max() <= by)


def is_planck(y: np.ndarray, columns: list[np.ndarray]) -> bool:
    """Tell whether y is c nu^3 / (exp(b nu / T) - 1), by its slope where nu / T is small."""
    nu, ratio = columns[0], columns[0] / columns[1]
    if not (y > 0).all():
        return False
    # For the right b, this is constant; b is refined around the physical one.
    low, high = 0.8 * H / K, 1.25 * H / K
    for _ in range(40):
        trial = np.linspace(low, high, 9)
        spreads = [np.ptp(np.log(y) - 3 * np.log(nu) + _log_expm1(b * ratio)) for b in trial]
        best = trial[int(np.argmin(spreads))]
        low, high = best - (high - low) / 8, best + (high - low) / 8
    return bool(min(spreads) <= 1e-3)


def _log_expm1(x: np.ndarray) -> np.ndarray:
    return x + np.log(-np.expm1(-x))


def is_bode(y: np.ndarray, columns: list[np.ndarray]) -> bool:
    """Tell whether y at n = 0, 1, 2, ... is a + b c^n with c near 2."""
    steps = np.diff(y)
    return bool((steps > 0).all()) and is_power(steps, [np.exp(columns[0][:-1])], [np.log(2)], 0.05)


def laws(seed: int) -> Iterator[Data]:
    """Yield the rows of each law; those that are drawn depend on the seed."""
    random = np.random.default_rng(seed)

    def spread(low: float, high: float, n: int) -> np.ndarray:
        return np.exp(random.uniform(np.log(low), np.log(high), n))

    def noisy(y: np.ndarray, share: float) -> np.ndarray:
        return y * (1 + share * random.standard_normal(len(y)))

    with TABLE.open(encoding="utf-8", newline="") as lines:
        recorded = list(csv.DictReader(lines))

    def table(name: str) -> tuple[np.ndarray, np.ndarray]:
        rows = [(float(row["x"]), float(row["y"])) for row in recorded if row["law"] == name]
        x, y = np.array(rows).T
        return x[:, None], y

    X, y = table("hubble")
    yield Data("Hubble", ["D"], X, y, lambda y, x: is_constant(y / x[0]))
    axes = np.array([0.389, 0.724, 1, 1.524, 5.2, 9.51])
    days = np.array([87.77, 224.7, 365.25, 686.95, 4332.62, 10759.2])
    yield Data("Kepler", ["a"], axes[:, None], days, lambda y, x: is_power(y, x, [1.5], 0.02))
    r, m1, m2 = spread(3.7e8, 7.37593e12, 30), spread(1.3e22, 2e30, 30), spread(1.3e22, 2e30, 30)
    force = noisy(G * m1 * m2 / r**2, 0.1)
    yield Data(
        "Newton", ["r", "m1", "m2"], np.column_stack([r, m1, m2]), force,
        lambda y, x: is_power(y, x, [-2, 1, 1], 0.02), True,
    )  # fmt: skip
    nu, T = spread(1e9, 1e16, 100), spread(100, 6000, 100)
    is_there = H * nu / (K * T) < 600  # below, y is zero
    nu, T = nu[is_there], T[is_there]
    light = noisy(2 * H * nu**3 / C**2 / np.expm1(H * nu / (K * T)), 0.1)
    yield Data("Planck", ["nu", "T"], np.column_stack([nu, T]), light, is_planck, True)
    X, magnitude = table("tully_fisher")
    yield Data(
        "Tully-Fisher", ["DV"], X, SUN * 10 ** (-0.4 * magnitude),
        lambda y, x: is_power(y, x, [2.5], 0.3),
    )  # fmt: skip
    X, y = table("leavitt")
    yield Data("Leavitt", ["P"], 10**X, y, lambda y, x: is_line(y, np.log(x[0])) is not None)
    L = spread(1e6, 3e9, 27)
    count = noisy(0.002 / 2.5e8 * (L / 2.5e8) ** -1.2 * np.exp(-L / 2.5e8), 0.2)
    yield Data(
        "Schechter", ["L"], L[:, None], count,
        lambda y, x: bool((y > 0).all()) and is_line(np.log(y), np.log(x[0]), x[0]) is not None,
        True,
    )  # fmt: skip
    n = np.array([-1000.0, 0, 1, 2, 3, 4, 5, 6])
    distance = np.array([0.39, 0.72, 1, 1.52, 2.77, 5.2, 9.58, 19.22])
    yield Data("Bode", ["n"], n[:, None], distance, is_bode, True)
    n, T, volume = (
        random.uniform(1, 100, 30),
        random.uniform(300, 400, 30),
        random.uniform(1, 100, 30),
    )
    yield Data(
        "ideal gas", ["n", "T", "V"], np.column_stack([n, T, volume]),
        noisy(8.314 * n * T / volume, 0.1), lambda y, x: is_power(y, x, [1, 1, -1], 0.02), True,
    )  # fmt: skip
    n1 = random.integers(1, 7, 50)
    n2 = np.array([random.integers(low + 1, 9) for low in n1])
    X = np.column_stack([n1, n2]).astype(float)
    wave = noisy(1 / (R * (1 / n1**2 - 1 / n2**2)), 0.01)
    yield Data(
        "Rydberg", ["n1", "n2"], X, wave,
        lambda y, x: is_constant(y * (x[0] ** -2 - x[1] ** -2)), True,
    )  # fmt: skip


def fresh(data: Data) -> np.ndarray:
    """Return rows on which forms are told: the inputs of the fit, or n = 0 ... 8 for Bode's law."""
    return np.arange(9.0)[:, None] if data.name == "Bode" else data.X


def fit(data: Data, seed: int, n_samples: int) -> dict[str, Any]:
    """Return whether the form is on the front, whether it is picked, and what is."""
    start = time.process_time()
    model = DeepSymbolicRegressor(
        operators=OPERATORS,
        target_transform="log" if data.is_log else None,
        n_samples=n_samples,
        random_state=seed,
        n_jobs=1,
        verbosity=0,
    )
    model.fit(data.X, data.y, variable_names=data.inputs)
    seconds = time.process_time() - start
    equations, X = model._targets[0], fresh(data)
    with np.errstate(all="ignore"):
        values = [equations.program(i).execute(X) for i in range(len(equations))]
        right = [bool(np.isfinite(y).all()) and data.has_form(y, list(X.T)) for y in values]
    return {
        "law": data.name,
        "seed": seed,
        "on_front": any(right),
        "picked": right[equations.select(model.model_selection)],
        "cpu_seconds": seconds,
        "equation": model.get_best()["equation"],
    }


def main() -> None:
    """Print a line per fit, and a table by law."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--n_samples", type=int, default=300_000)
    parser.add_argument("--laws", nargs="+", help="names; default: all")
    parser.add_argument("--out", help="CSV with a row per fit; fits in it are not done again")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    if options.out is not None and Path(options.out).exists():
        rows = pd.read_csv(options.out).to_dict("records")
    done = {(row["law"], row["seed"]) for row in rows}
    for seed in options.seeds:
        for data in laws(seed):
            if (data.name, seed) in done or (options.laws and data.name not in options.laws):
                continue
            rows.append(fit(data, seed, options.n_samples))
            print(rows[-1], flush=True)
            if options.out is not None:
                pd.DataFrame(rows).to_csv(options.out, index=False)
    table = pd.DataFrame(rows).groupby("law", sort=False)
    print(table[["on_front", "picked", "cpu_seconds"]].agg("mean").round(2))


if __name__ == "__main__":
    main()
