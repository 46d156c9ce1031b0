"""How often templates are filled in, and in how many CPU-seconds.

Three problems: two expressions of five tokens in a known form; one form with numbers of its own for
each of three groups of rows; one expression inside a form that can be solved for it. A run counts
as solved where its loss is that of rounding.

    python scripts/benchmark_templates.py --seeds 5
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from dso import DeepSymbolicRegressor
from dso.regressor.template_spec import TemplateExpressionSpec

MAX_LOSS = 1e-20
OPERATORS = ["+", "-", "*", "/", "sin", "exp"]
Rows = tuple[np.ndarray, np.ndarray]


def two_expressions(random: np.random.Generator) -> Rows:
    """Return rows of sin(x1*x2 + x1) + (x3*x3 + 0.5)^2."""
    X = random.uniform(-2, 2, (100, 3))
    return X, np.sin(X[:, 0] * X[:, 1] + X[:, 0]) + (X[:, 2] ** 2 + 0.5) ** 2


def three_groups(random: np.random.Generator) -> Rows:
    """Return rows of p[k]*(x^2 + 1.3*x) with a factor for each of three groups."""
    group, x = np.repeat([1, 2, 3], 40), random.uniform(-2, 2, 120)
    factors = np.array([0.5, 2.0, 3.5])[group - 1]
    return np.column_stack([x, group]), factors * (x**2 + 1.3 * x)


def inside(random: np.random.Generator) -> Rows:
    """Return rows of exp(x1*x2/(x1 + x2*x2) - sin(x1*x2)) + x3."""
    X = random.uniform(0.3, 2, (100, 3))
    a, b, c = X.T
    return X, np.exp(a * b / (a + b * b) - np.sin(a * b)) + c


PROBLEMS: list[tuple[TemplateExpressionSpec, Callable[[np.random.Generator], Rows]]] = [
    (
        TemplateExpressionSpec("sin(f(x1, x2)) + g(x3)^2", ["f", "g"], ["x1", "x2", "x3"]),
        two_expressions,
    ),
    (TemplateExpressionSpec("p[k] * f(x)", ["f"], ["x", "k"], {"p": 3}), three_groups),
    (TemplateExpressionSpec("exp(f(x1, x2)) + x3", ["f"], ["x1", "x2", "x3"]), inside),
]


def main() -> None:
    """Print a line for each problem and seed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--n-samples", type=int, default=100_000)
    arguments = parser.parse_args()
    DeepSymbolicRegressor(n_samples=1, verbosity=0).fit(np.eye(3), [1, 2, 3])  # imports
    for spec, rows in PROBLEMS:
        n_solved, seconds = 0, []
        for seed in range(arguments.seeds):
            X, y = rows(np.random.default_rng(seed))
            start = time.process_time()
            model = DeepSymbolicRegressor(
                operators=OPERATORS,
                expression_spec=spec,
                n_samples=arguments.n_samples,
                random_state=seed,
                verbosity=0,
            ).fit(X, y, variable_names=spec.variable_names)
            seconds.append(time.process_time() - start)
            n_solved += bool(model.equations_["loss"].min() < MAX_LOSS)
            print(f"  seed {seed}: {seconds[-1]:5.2f} CPU-s  {model.sympy()}", flush=True)
        print(
            f"{spec.combine}: {n_solved} of {arguments.seeds} solved, "
            f"{min(seconds):.2f} to {max(seconds):.2f} CPU-s",
            flush=True,
        )


if __name__ == "__main__":
    main()
