"""DeepSymbolicRegressor with its defaults on two examples, seed by seed.

The data of a seed are drawn with it, and the search has it too. Recovered is an NMSE below 1e-12 on
1 000 fresh points. Importing torch, which a process does once, is not part of the times.

    python scripts/benchmark_estimator.py [--seeds 0 1 2]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import numpy as np

from dso import DeepSymbolicRegressor

Draw = Callable[[np.random.Generator, int], np.ndarray]
Target = Callable[[np.ndarray], np.ndarray]
N_POINTS = 1000
THRESHOLD = 1e-12

EXAMPLES: dict[str, tuple[int, Draw, Target]] = {
    "10 rows, 10 inputs in [0, 1]: sin(x1) + x2^2": (
        10,
        lambda random, n: random.random((n, 10)),
        lambda X: np.sin(X[:, 0]) + X[:, 1] ** 2,
    ),
    "100 rows, 5 inputs 2 N(0, 1): 2.5382 cos(x4) + x1^2 - 0.5": (
        100,
        lambda random, n: 2 * random.standard_normal((n, 5)),
        lambda X: 2.5382 * np.cos(X[:, 3]) + X[:, 0] ** 2 - 0.5,
    ),
}


def fit(example: str, seed: int) -> tuple[bool, float, float]:
    """Return whether the formula was recovered, and the CPU and wall seconds of the fit."""
    n_rows, draw, target = EXAMPLES[example]
    random = np.random.default_rng(seed)
    X, fresh = draw(random, n_rows), draw(random, N_POINTS)
    model = DeepSymbolicRegressor(random_state=seed, verbosity=0)
    cpu, wall = time.process_time(), time.perf_counter()
    model.fit(X, target(X))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    errors = model.predict(fresh) - target(fresh)
    return bool(np.mean(errors**2) < THRESHOLD * np.var(target(fresh))), cpu, wall


def main() -> None:
    """Print a line per example."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(10)))
    seeds = parser.parse_args().seeds
    import torch  # noqa: F401

    for example in EXAMPLES:
        found, cpu, wall = zip(*(fit(example, seed) for seed in seeds), strict=True)
        print(
            f"{example}: {sum(found)} of {len(seeds)}; CPU-seconds median {median(cpu):.1f}, "
            f"greatest {max(cpu):.1f}; wall median {median(wall):.1f}, greatest {max(wall):.1f}"
        )


if __name__ == "__main__":
    main()
