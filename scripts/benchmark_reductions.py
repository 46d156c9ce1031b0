"""Reductions by themselves: how many of the accepted steps are true, and what it costs to ask.

`precision` asks for reductions of problems whose law is known (see `physics_problems.py`). A
reduction is true where the gradient of its target, of the law itself, is a combination of those of
its columns. All steps that were taken together count as true, or none. A separation is true where
the law obeys its identity on rectangles.

`overhead` fits sums of bumps, each with an axis of its own, of which there is nothing to be said,
with and without reductions, and compares the CPU time.

    python scripts/benchmark_reductions.py precision [--noise 0.01] [--problems inverted]
    python scripts/benchmark_reductions.py overhead [--n_samples 300000]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from statistics import median

import numpy as np
from physics_problems import Law, add_choice, chosen

from dso import DeepSymbolicRegressor
from dso.library.expression import evaluate
from dso.reduction import Reduced, Reduction, Separation, reduce
from dso.reduction.formula import inputs_of
from dso.reduction.formula import values as formula_values

SAME = 1e-6
"""Relative size up to which an identity is obeyed."""
N_BUMPS = 12

Function = Callable[[np.ndarray], np.ndarray]


def are_true(reduced: Reduced, law: Law) -> Iterator[bool]:
    """Tell of each step that was accepted whether it is true."""
    X, _ = law.draw(1000, np.random.default_rng(2))

    def function(x: np.ndarray) -> np.ndarray:
        return evaluate(law.formula, x)

    states = [Reduction.none(law.inputs), *reversed(reduced.reductions)]
    for before, after in pairwise(states):
        n_steps = sum(step.error_after is not None for step in after.steps[len(before.steps) :])
        yield from [after.is_obeyed(function, X)] * n_steps
    if reduced.separation is not None:
        yield is_separable(reduced.separation, function, X)


def is_separable(separation: Separation, function: Function, X: np.ndarray) -> bool:
    """Tell whether inputs that only one of the two groups mentions obey the identity."""
    reduction = separation.reduction
    if separation.factors:
        return is_polynomial(separation, function, X)
    first, second = (
        set().union(*(inputs_of(reduction.columns[j]) for j in group))
        for group in separation.groups
    )
    corners = []
    for moved in (set(), first - second, second - first, first ^ second):
        corner = X.copy()
        corner[:, list(moved)] = np.roll(X, 1, axis=0)[:, list(moved)]
        corners.append(corner)
    with np.errstate(all="ignore"):
        a, b, c, d = (reduction.target(corner, function(corner)) for corner in corners)
        miss = a * d - b * c if separation.is_product else a + d - b - c
        size = (
            np.abs(a * d) + np.abs(b * c) if separation.is_product else np.abs([a, b, c, d]).sum(0)
        )
        known = np.isfinite(miss)
        return bool(np.median((np.abs(miss) / size)[known]) < SAME)


def is_polynomial(separation: Separation, function: Function, X: np.ndarray) -> bool:
    """Tell whether a target is a polynomial along an input that only one column mentions."""
    reduction = separation.reduction
    (j,) = set(range(len(reduction.columns))) - set(separation.groups[0])
    others = set().union(*(inputs_of(reduction.columns[k]) for k in separation.groups[0]))
    alone = sorted(inputs_of(reduction.columns[j]) - others)
    if not alone:
        return True  # nobody can tell in this way
    u, values = [], []
    for shift in range(separation.n_pieces + 1):
        place = X.copy()
        place[:, alone[0]] = np.roll(X[:, alone[0]], shift)
        u.append(formula_values(separation.factors[1], reduction.inputs(place)))
        values.append(reduction.target(place, function(place)))
    with np.errstate(all="ignore"):
        weights = [
            1 / np.prod([a - b for k, b in enumerate(u) if k != m], axis=0) for m, a in enumerate(u)
        ]
        terms = np.array(weights) * np.array(values)
        miss = np.abs(terms.sum(axis=0)) / np.abs(terms).sum(axis=0)
    return bool(np.median(miss[np.isfinite(miss)]) < SAME)


def precision(options: argparse.Namespace) -> None:
    """Print a line per problem with a false step, and the share of steps that are true."""
    verdicts: list[bool] = []
    n_reduced, seconds = 0, []
    for law in chosen(options):
        random = np.random.default_rng([options.seed, 0])
        X, y = law.draw(options.rows, random)
        y = y + options.noise * np.sqrt(np.mean(y**2)) * random.standard_normal(len(y))
        start = time.process_time()
        reduced = reduce(X, y, law.inputs, seed=options.seed)
        seconds.append(time.process_time() - start)
        found = list(are_true(reduced, law))
        verdicts += found
        n_reduced += bool(found)
        if not all(found):
            print(
                f"{law.name}: {found.count(False)} of {len(found)} false: {reduced.why}", flush=True
            )
    print(
        f"{sum(verdicts)} of {len(verdicts)} steps are true ({np.mean(verdicts):.1%}); "
        f"{n_reduced} of {len(seconds)} problems are reduced; "
        f"CPU-seconds median {median(seconds):.1f}, mean {np.mean(seconds):.1f}"
    )


def bumps(n_inputs: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return rows (1000, D) and the sum of bumps there (1000,)."""
    X = random.uniform(-1, 1, (1000, n_inputs))
    y = np.zeros(len(X))
    for _ in range(N_BUMPS):
        u = (X - random.uniform(-1, 1, n_inputs)) @ random.standard_normal((n_inputs, n_inputs))
        y += random.standard_normal() * np.exp(-(u**2).sum(axis=1) / n_inputs)
    return X, y


def overhead(options: argparse.Namespace) -> None:
    """Print the CPU-seconds of fits with and without reductions."""
    totals = {True: 0.0, False: 0.0}
    for n_inputs in (2, 3, 4, 5, 6):
        X, y = bumps(n_inputs, np.random.default_rng([options.seed, n_inputs]))
        for is_reduced in (False, True):
            model = DeepSymbolicRegressor(
                n_samples=options.n_samples,
                reduce=is_reduced,
                random_state=options.seed,
                n_jobs=1,
                verbosity=0,
            )
            start = time.process_time()
            model.fit(X, y)
            seconds = time.process_time() - start
            totals[is_reduced] += seconds
            why = model.reductions_.why if model.reductions_ else ""
            print(
                f"{n_inputs} inputs, reductions {is_reduced}: {seconds:.1f} CPU-s {why}", flush=True
            )
    print(f"{totals[True] / totals[False] - 1:+.1%} CPU time")


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("what", choices=["precision", "overhead"])
    parser.add_argument("--noise", type=float, default=0.0)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--n_samples", type=int, default=300_000)
    add_choice(parser)
    options = parser.parse_args()
    {"precision": precision, "overhead": overhead}[options.what](options)


if __name__ == "__main__":
    main()
