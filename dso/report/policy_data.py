"""What a page shows of a policy: its source code, what it does, and what its test episodes gave."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dso.errors import UserError
from dso.export.source import used_columns

if TYPE_CHECKING:
    from dso.task.control import SymbolicPolicy

SPAN = 3.0
"""Where an observation has no bounds, it is drawn from minus to plus this."""
N_LINE, N_SQUARE = 121, 31


def describe_policy(path: Path) -> dict[str, Any] | None:
    """Return what is shown of the policy in a file; None where there is none that can be read.

    Returns
    -------
    dict or None
        ``sources``: its code by language; ``responses``: for each action of one or two inputs its
        ``name``, ``inputs``, ``ranges`` (inputs, 2) and ``values``, (n,) or (n, n) with the first
        input along the rows.
    """
    if not path.exists():
        return None
    try:
        from dso.task.control import SymbolicPolicy

        policy = SymbolicPolicy.load(path)
        sources = {"python": policy.python_code(), "c": policy.c_code()}
    except (UserError, ImportError):
        return None
    return {"sources": sources, "responses": _responses(policy)}


def _responses(policy: SymbolicPolicy) -> list[dict[str, Any]]:
    bounds = _bounds(policy)
    responses = []
    for k, program in enumerate(policy.programs):
        inputs = [] if program is None else used_columns(program.traversal)
        if not 1 <= len(inputs) <= 2:
            continue
        n = N_LINE if len(inputs) == 1 else N_SQUARE
        axes = [np.linspace(*bounds[i], n) for i in inputs]
        grids = np.meshgrid(*axes, indexing="ij")
        observations = np.zeros((grids[0].size, policy.composition.n_observations))
        for column, grid in zip(inputs, grids, strict=True):
            observations[:, column] = grid.ravel()
        actions = np.asarray(policy.predict(observations)[0], dtype=float)
        values = actions.reshape(len(observations), -1)[:, k]
        responses.append(
            {
                "name": f"a{k + 1}",
                "inputs": [f"x{i + 1}" for i in inputs],
                "ranges": [bounds[i] for i in inputs],
                "values": values.reshape(grids[0].shape),
            }
        )
    return responses


def _bounds(policy: SymbolicPolicy) -> list[tuple[float, float]]:
    """Return the range of each observation that is drawn: its bounds, or -3 to 3."""
    n = policy.composition.n_observations
    try:
        from dso.task.control.environment import Environment

        space: Any = Environment(policy.env_id).env.observation_space
        low, high = np.ravel(space.low), np.ravel(space.high)
    except Exception:  # the environment is not installed here, or needs more than its name
        low, high = np.full(n, -np.inf), np.full(n, np.inf)
    is_bounded = (low > -1e6) & (high < 1e6) if len(low) == n else np.zeros(n, dtype=bool)
    return [(float(low[i]), float(high[i])) if is_bounded[i] else (-SPAN, SPAN) for i in range(n)]


def episode_returns(path: Path) -> np.ndarray | None:
    """Return the returns (E,) of the test episodes that a run wrote, None without."""
    try:
        returns = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)[:, -1]
    except (OSError, ValueError, IndexError):
        return None
    return returns if len(returns) and np.isfinite(returns).all() else None
