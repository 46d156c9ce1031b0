"""All numbers of a policy at once, by CMA-ES in episodes.

Each generation meets episodes of its own, the same for all of its candidates. A candidate plays a
quarter of them; only the better half plays the rest, since the strategy learns from ranks alone.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dso.errors import UserError
from dso.program import Program
from dso.task.control.composition import Policies

Play = Callable[[Policies, Sequence[int]], np.ndarray]
"""Policies and seeds to returns (P, E)."""

FIRST_STEP = 0.1
"""Deviation of the first candidates, of a number's own size, at least of `SMALLEST_SIZE`."""
SMALLEST_SIZE = 0.1
FIRST_SEED = 1_500_000_000
SEEDS_PER_GENERATION = 1000
CHECK_INTERVAL = 10
"""Generations between two looks at the mean of the candidates in the validation episodes."""
N_FULL = 60
"""With more numbers only their variances are learned, not how they vary together."""


@dataclass(frozen=True)
class JointOptions:
    """How long numbers are refined.

    Attributes
    ----------
    n_candidates : int
        In all generations together.
    n_episodes : int
        Of a candidate that plays all of them.
    seed : int
    """

    n_candidates: int
    n_episodes: int
    seed: int


def numbers_of(policy: Policies) -> np.ndarray:
    """Return the numbers (K,) of the fixed programs of a policy."""
    constants = policy.composition.fixed.constants
    return constants[~np.isnan(constants)]


def with_numbers(policy: Policies, numbers: np.ndarray) -> Policies:
    """Return a policy with other numbers in its fixed programs."""
    composition = policy.composition
    constants = composition.fixed.constants.copy()
    constants[~np.isnan(constants)] = numbers
    fixed = replace(composition.fixed, constants=constants)
    return replace(policy, composition=replace(composition, fixed=fixed))


def refined_jointly(
    policy: Policies,
    play: Play,
    validation_seeds: Sequence[int],
    options: JointOptions,
    log: Path | None = None,
) -> tuple[Policies, float]:
    """Return the policy with better numbers, and its mean return in the validation episodes.

    Parameters
    ----------
    policy : Policies
        One row, all of whose actions are fixed programs.
    play : callable
    validation_seeds : sequence of int
        Of the episodes that choose what is returned: the start, where nothing is better.
    options : JointOptions
    log : Path, optional
        What each generation got is written there, a line each; what it says already is not played
        again.
    """
    start = numbers_of(policy)
    best, best_mean = policy, float(play(policy, validation_seeds).mean())
    if len(start) == 0 or options.n_candidates == 0:
        return best, best_mean
    scale = np.maximum(np.abs(start), SMALLEST_SIZE)
    strategy = _strategy(len(start), options)
    known = _read(log)
    n_generations = max(1, options.n_candidates // strategy.popsize)
    for generation in range(n_generations):
        points = strategy.ask()
        if generation < len(known):
            scores = known[generation]["scores"]
        else:
            policies = [with_numbers(policy, start + scale * point) for point in points]
            scores = _scores(policies, play, _seeds(generation, options.n_episodes))
            known.append({"scores": scores})
        strategy.tell(points, [-score for score in scores])
        if (generation + 1) % CHECK_INTERVAL == 0 or generation + 1 == n_generations:
            middle = with_numbers(policy, start + scale * strategy.mean)
            entry = known[generation]
            if "mean" not in entry:
                entry["mean"] = float(play(middle, validation_seeds).mean())
            if entry["mean"] > best_mean:
                best, best_mean = middle, entry["mean"]
        _write(log, known, generation)
    return best, best_mean


def _strategy(n: int, options: JointOptions) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import cma
    except ModuleNotFoundError:
        raise UserError(
            "task.stages.joint_candidates: refining all numbers together needs cma: pip install "
            "'deep-symbolic-optimization[control]'; or set it to 0."
        ) from None
    settings = {"seed": options.seed + 1, "verbose": -9, "CMA_diagonal": n > N_FULL}
    return cma.CMAEvolutionStrategy(np.zeros(n), FIRST_STEP, settings)


def _seeds(generation: int, n_episodes: int) -> range:
    first = FIRST_SEED + SEEDS_PER_GENERATION * generation
    return range(first, first + n_episodes)


def _scores(policies: Sequence[Policies], play: Play, seeds: range) -> list[float]:
    """Return what ranks candidates: the mean return, or the place of those that drop out."""
    n_heats = max(1, len(seeds) // 4)
    heats = np.array([play(policy, seeds[:n_heats])[0] for policy in policies])  # (n, E)
    means = heats.mean(axis=1)
    order = np.argsort(-means, kind="stable")
    stays, leaves = order[: (len(order) + 1) // 2], order[(len(order) + 1) // 2 :]
    if n_heats < len(seeds):
        for i in stays:
            rest = play(policies[i], seeds[n_heats:])[0]
            means[i] = np.concatenate([heats[i], rest]).mean()
        # Who left ranks behind all who stayed, in the order of the heats.
        worst = means[stays].min()
        means[leaves] = np.minimum(means[leaves], worst - 1e-9 * (1 + np.arange(len(leaves))))
    return means.tolist()


def _read(log: Path | None) -> list[dict[str, Any]]:
    if log is None or not log.exists():
        return []
    entries = []
    for line in log.read_text(encoding="utf-8").splitlines():
        try:
            entries.append(json.loads(line))
        except ValueError:  # the last one, half written
            break
    return entries


def _write(log: Path | None, entries: list[dict[str, Any]], generation: int) -> None:
    """Write the whole log, now that this generation is the last one of it."""
    if log is not None and generation + 1 == len(entries):
        partial = log.with_name(f".{log.name}")
        partial.write_text("".join(json.dumps(entry) + "\n" for entry in entries), "utf-8")
        partial.replace(log)


def formulas_of(policy: Policies) -> list[str]:
    """Return the fixed program of each action as tokens in prefix order."""
    composition = policy.composition
    library, fixed = composition.fixed_library, composition.fixed
    assert library is not None
    return [
        repr(Program(library, fixed.row(source), fixed.constants[source]))
        for source in composition.sources
    ]
