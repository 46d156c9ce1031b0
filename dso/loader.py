"""`load`: what a run has found, from its folder."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dso.errors import UserError
from dso.runs.results import RunResults, numbers

if TYPE_CHECKING:
    from dso.regressor import DeepSymbolicRegressor
    from dso.task.control import SymbolicPolicy

POLICY = "_policy.json"


def load(
    folder: str | os.PathLike[str], seed: int | None = None, allow_code: Collection[str] = ()
) -> DeepSymbolicRegressor | SymbolicPolicy:
    """Return the model of a run folder: of ``dso fit``, ``dso run``, or the estimator.

    Parameters
    ----------
    folder : path
        Also while the run goes on; or the file of a policy.
    seed : int, optional
        Which of several runs; default: the one with the best reward.
    allow_code : collection of str
        Modules with code of your own that a model for data may import.

    Returns
    -------
    DeepSymbolicRegressor or SymbolicPolicy
        The former for data, the latter for control.

    Raises
    ------
    UserError
        If there is nothing that can be loaded.
    """
    path = Path(folder)
    if path.is_file():
        from dso.task.control import SymbolicPolicy

        return SymbolicPolicy.load(path)
    policies = sorted(path.glob(f"dso_*{POLICY}")) if path.is_dir() else []
    if policies:
        from dso.task.control import SymbolicPolicy

        return SymbolicPolicy.load(_policy_of(path, policies, seed))
    task = RunResults(path).config().get("task")
    if isinstance(task, dict) and task.get("task_type") == "control":
        raise UserError(f"{path}: there is no policy yet; it is written when the run ends.")
    from dso.regressor import DeepSymbolicRegressor

    return DeepSymbolicRegressor.from_file(path, seed=seed, allow_code=allow_code)


def _policy_of(folder: Path, policies: list[Path], seed: int | None) -> Path:
    """Return the file of the policy with this seed, or with the best result."""
    by_seed = {int(path.name.removesuffix(POLICY).rpartition("_")[2]): path for path in policies}
    if seed is not None:
        if seed not in by_seed:
            known = ", ".join(map(str, sorted(by_seed)))
            raise UserError(f"{folder}: no policy with seed {seed}; there are {known}.")
        return by_seed[seed]
    summary = RunResults(folder).summary()
    column = "r_avg_test" if "r_avg_test" in summary else "r"
    results = dict(
        zip(numbers(summary, "seed").tolist(), numbers(summary, column).tolist(), strict=True)
    )

    def standing(one: int) -> float:
        return float(np.nan_to_num(results.get(one, np.nan), nan=-np.inf))

    return by_seed[max(by_seed, key=standing)]
