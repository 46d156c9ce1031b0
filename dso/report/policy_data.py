"""A policy as data: formulas, source code, actions and returns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dso.errors import UserError
from dso.export.source import used_columns

if TYPE_CHECKING:
    from dso.task.control import SymbolicPolicy
    from dso.task.control.play import Played

SPAN = 3.0
"""Where an observation has no bounds, it is drawn from minus to plus this."""
N_LINE, N_SQUARE = 121, 31
MAX_POINTS = 400
"""Of an action against an observation."""
N_RELATED = 3
"""Observations per action that are shown."""


def read_policy(path: Path) -> dict[str, Any] | None:
    """Return what `describe_policy` says of the policy in a file; None if it cannot be read."""
    if not path.exists():
        return None
    try:
        from dso.task.control import SymbolicPolicy

        return describe_policy(SymbolicPolicy.load(path))
    except (UserError, ImportError):
        return None


def describe_policy(policy: SymbolicPolicy, played: Played | None = None) -> dict[str, Any]:
    """Return what is shown of a policy, and of episodes if there are any.

    Returns
    -------
    dict
        ``env`` and ``equations``; ``sources``: its code by language, empty where an anchor acts;
        ``responses``: for each action of one or two inputs its ``name``, ``inputs``, ``ranges``
        (inputs, 2) and ``values``, (n,) or (n, n) with the first input along the rows.
        With `played`: its ``returns`` (E,), ``anchor_returns`` (E,) or None, and ``points``: per
        action and observation that it goes with ``action``, ``observation``, and ``x``, ``y`` (n,).
    """
    described: dict[str, Any] = {
        "env": policy.env_id,
        "equations": policy.equations,
        "sources": _sources(policy),
        "responses": _responses(policy, _ranges(policy, played)),
    }
    if played is not None:
        described["returns"] = played.returns
        described["anchor_returns"] = played.anchor_returns
        described["points"] = _points(policy, played)
    return described


def episode_returns(path: Path) -> np.ndarray | None:
    """Return the returns (E,) of the test episodes that a run wrote, None without."""
    try:
        returns = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)[:, -1]
    except (OSError, ValueError, IndexError):
        return None
    return returns if len(returns) and np.isfinite(returns).all() else None


def _sources(policy: SymbolicPolicy) -> dict[str, str]:
    try:
        return {"python": policy.python_code(), "c": policy.c_code()}
    except UserError:  # an anchor has no source code
        return {}


def _responses(policy: SymbolicPolicy, ranges: list[tuple[float, float]]) -> list[dict[str, Any]]:
    responses = []
    for k, program in enumerate(policy.programs):
        inputs = [] if program is None else used_columns(program.traversal)
        if not 1 <= len(inputs) <= 2:
            continue
        n = N_LINE if len(inputs) == 1 else N_SQUARE
        axes = [np.linspace(*ranges[i], n) for i in inputs]
        grids = np.meshgrid(*axes, indexing="ij")
        observations = np.zeros((grids[0].size, policy.composition.n_observations))
        for column, grid in zip(inputs, grids, strict=True):
            observations[:, column] = grid.ravel()
        actions = np.asarray(policy.predict(observations)[0], dtype=float)
        values = actions.reshape(len(observations), -1)[:, k]
        responses.append(
            {
                "name": f"a{k + 1}",
                "inputs": [policy.names[i] for i in inputs],
                "ranges": [ranges[i] for i in inputs],
                "values": values.reshape(grids[0].shape),
            }
        )
    return responses


def _ranges(policy: SymbolicPolicy, played: Played | None) -> list[tuple[float, float]]:
    """Return what is drawn of each observation: what was seen, its bounds, or -3 to 3."""
    if played is not None:
        low, high = played.observations.min(axis=0), played.observations.max(axis=0)
    else:
        low, high = _bounds(policy)
    is_range = (low > -1e6) & (high < 1e6) & (low < high)
    pairs = zip(low, high, is_range, strict=True)
    return [(float(a), float(b)) if is_one else (-SPAN, SPAN) for a, b, is_one in pairs]


def _bounds(policy: SymbolicPolicy) -> tuple[np.ndarray, np.ndarray]:
    """Return least and greatest observations (O,); infinite where they are not known."""
    n = policy.composition.n_observations
    try:
        from dso.task.control.environment import Environment

        space: Any = Environment(policy.env_id).env.observation_space
        low, high = np.ravel(space.low), np.ravel(space.high)
    except Exception:  # the environment is not installed here, or needs more than its name
        low = high = np.empty(0)
    return (low, high) if len(low) == n else (np.full(n, -np.inf), np.full(n, np.inf))


def _points(policy: SymbolicPolicy, played: Played) -> list[dict[str, Any]]:
    """Return each action against the observations that it goes with most, thinned out."""
    observations, actions = played.observations, played.actions
    n = len(observations)
    rows = np.unique(np.linspace(0, n - 1, min(MAX_POINTS, n)).astype(int))
    return [
        {
            "action": f"a{k + 1}",
            "observation": policy.names[i],
            "x": observations[rows, i],
            "y": values[rows],
        }
        for k, values in enumerate(actions.T)
        for i in _most_related(observations, values)
    ]


def _most_related(observations: np.ndarray, action: np.ndarray) -> list[int]:
    """Return the columns that an action (N,) goes with most, by correlation."""
    spread = observations.std(axis=0) * action.std()
    products = (observations - observations.mean(axis=0)).T @ (action - action.mean())
    related = np.abs(products) / len(action) / np.where(spread > 0, spread, np.inf)
    return np.argsort(-related, kind="stable")[:N_RELATED].tolist()
