"""`load`: the model that a run has found, read from its folder."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from dso.errors import UserError
from dso.runs.policies import policy_file, policy_files
from dso.runs.results import RunResults

if TYPE_CHECKING:
    from dso.regressor import DeepSymbolicRegressor
    from dso.task.control import SymbolicPolicy


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
    if policy_files(path):
        from dso.task.control import SymbolicPolicy

        return SymbolicPolicy.load(policy_file(path, seed))
    task = RunResults(path).config().get("task")
    if isinstance(task, dict) and task.get("task_type") == "control":
        raise UserError(f"{path}: no policy yet; a run writes it when it ends.")
    from dso.regressor import DeepSymbolicRegressor

    return DeepSymbolicRegressor.from_file(path, seed=seed, allow_code=allow_code)
