"""What an anchor does, as data, and straight lines through it.

The anchor plays, then a policy that imitates it, and the anchor says what it would have done in
every state (dataset aggregation), so that the states are those that the imitation gets into.
A line is fitted to one action, and bounded as actions are:

    a = clip(w . x + b, low, high)

so that a row counts for nothing where the anchor is at a bound and the line is beyond it.

If a critic Q says what actions are worth, a state weighs as much as a wrong action costs there. The
weight w is that of the parabola nearest to what is lost at both bounds b in place of the action a*:

    Q(x, a*) - Q(x, b) = w (b - a*)^2
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dso.task.control.composition import Anchor, Policies
from dso.task.control.environment import Environment

Formula = list[str | float]
"""Tokens in prefix order."""

N_PASSES = 10
"""Of a fit, in each of which the rows beyond the bounds are told again."""
RIDGE = 1e-6
MIN_WEIGHT = 0.01
"""Of a state in which nothing is lost by a wrong action, as far as the critic can tell."""
SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
"""Numbers of observations that lines are made of."""


@dataclass(frozen=True)
class Lessons:
    """What an anchor does in N states.

    Attributes
    ----------
    observations : (N, O) float64
    actions : (N, A) float64
        Within the bounds.
    weights : (N, A) float64
        Of the states, for each action alone; 1 on average, and everywhere without a critic.
    """

    observations: np.ndarray
    actions: np.ndarray
    weights: np.ndarray

    def __len__(self) -> int:
        return len(self.observations)

    def joined(self, other: Lessons) -> Lessons:
        """Return both as one."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in self.__dataclass_fields__)
        return Lessons(*map(np.concatenate, pairs))

    def thinned(self, n_rows: int) -> Lessons:
        """Return at most `n_rows` of them, evenly spaced."""
        rows = np.unique(np.linspace(0, len(self) - 1, min(n_rows, len(self))).astype(np.intp))
        return Lessons(self.observations[rows], self.actions[rows], self.weights[rows])


def lessons(
    environment: Environment, anchor: Anchor, policy: Policies, seeds: Sequence[int]
) -> Lessons:
    """Let a policy play, and return what the anchor would do in the states that it gets into."""
    act = policy.actor(0)
    observations = [x for seed in seeds for x in _states(environment, act, seed)]
    rows = np.array(observations, dtype=np.float64)
    wanted = np.asarray(anchor(rows), dtype=np.float64).reshape(len(rows), -1)
    actions = np.clip(wanted, environment.low, environment.high)
    return Lessons(rows, actions, weights_of(anchor, rows, actions, environment))


def weights_of(
    anchor: Anchor, observations: np.ndarray, actions: np.ndarray, environment: Environment
) -> np.ndarray:
    """Return how much each state weighs (N, A) in the imitation of each action; see the module."""
    weights = np.ones_like(actions)
    critic = getattr(anchor, "critic", None)
    if critic is None or not np.isfinite([environment.low, environment.high]).all():
        return weights
    best = critic(np.hstack([observations, actions]))[:, 0]
    for i, bounds in enumerate(zip(environment.low, environment.high, strict=True)):
        products, squares = np.zeros(len(best)), np.zeros(len(best))
        for bound in bounds:
            other = actions.copy()
            other[:, i] = bound
            square = (bound - actions[:, i]) ** 2
            products += square * (best - critic(np.hstack([observations, other]))[:, 0])
            squares += square**2
        found = np.maximum(products / squares, 0.0)
        if found.mean() > 0:
            weights[:, i] = np.maximum(found / found.mean(), MIN_WEIGHT)
    return weights


def _states(
    environment: Environment, act: Callable[[np.ndarray], np.ndarray], seed: int
) -> list[np.ndarray]:
    """Return the observations of an episode, but for the last."""
    env = environment.env
    observation, _ = env.reset(seed=seed)
    states, is_over = [], False
    while not is_over:
        states.append(observation)
        action = environment.as_action(act(observation))
        observation, _, terminated, truncated, _ = env.step(action)
        is_over = terminated or truncated
    return states


def lines(taught: Lessons, action: int, low: float, high: float) -> list[Formula]:
    """Return formulas for one action, linear in ever more observations.

    Which come next is decided by the slope of the squared error, as in orthogonal matching
    pursuit.

    Parameters
    ----------
    taught : Lessons
    action : int
    low, high : float
        Its bounds.
    """
    x, y, w = taught.observations, taught.actions[:, action], taught.weights[:, action]
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    usable = deviation > 1e-9 * (1 + np.abs(mean))
    z = np.where(usable, (x - mean) / np.where(usable, deviation, 1.0), 0.0)
    chosen: list[int] = []
    weights = np.array([np.average(np.clip(y, low, high), weights=w)])
    formulas = []
    while len(chosen) < usable.sum():
        target = _target(y, _line(z[:, chosen], weights), low, high)
        slopes = np.abs(z.T @ (w * (target - _line(z[:, chosen], weights))))
        slopes[chosen] = -1.0
        chosen.append(int(np.where(usable, slopes, -1.0).argmax()))
        weights = fit_line(z[:, chosen], y, low, high, w)
        if len(chosen) in SIZES or len(chosen) == usable.sum():
            slope = weights[1:] / deviation[chosen]
            formulas.append(line_formula(chosen, slope, float(weights[0] - slope @ mean[chosen])))
    return formulas


def fit_line(
    z: np.ndarray, y: np.ndarray, low: float, high: float, row_weights: np.ndarray
) -> np.ndarray:
    """Return intercept and weights (1 + K,) of the line that is nearest once it is clipped."""
    design = np.column_stack([np.ones(len(z)), z])
    weighted = (design * row_weights[:, None]).T
    gram = weighted @ design + RIDGE * len(z) * np.eye(design.shape[1])
    weights = np.linalg.solve(gram, weighted @ y)
    for _ in range(N_PASSES):
        target = _target(y, design @ weights, low, high)
        weights = np.linalg.solve(gram, weighted @ target)
    return weights


def _line(z: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return weights[0] + z @ weights[1:]


def _target(y: np.ndarray, line: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return what a line is to reach: itself where it is clipped to what is wanted."""
    is_free = ((y >= high) & (line > high)) | ((y <= low) & (line < low))
    return np.where(is_free, line, y)


def line_formula(columns: Sequence[int], weights: np.ndarray, intercept: float) -> Formula:
    """Return ``w1 x1 + w2 x2 + ... + b`` in prefix order."""
    formula: Formula = []
    for i, weight in zip(columns, weights, strict=True):
        formula += ["add", "mul", float(weight), f"x{i + 1}"]
    return [*formula, intercept]
