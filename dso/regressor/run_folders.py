"""The equations of a folder that ``dso run`` has written: regression with any config."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dso.errors import UserError
from dso.fitting.uncertainty import constant_errors
from dso.program import Program, ProgramBatch, from_str_tokens
from dso.regressor.equations import Equations, Found
from dso.report.run_data import rebuilt_task
from dso.runs.results import RunName, RunResults, numbers, refuse_without_runs

if TYPE_CHECKING:
    import pandas as pd

    from dso.task.regression import RegressionTask


def read_run(folder: Path, seed: int | None = None, allow_code: Collection[str] = ()) -> Equations:
    """Return what a run has found so far.

    Parameters
    ----------
    folder : Path
    seed : int, optional
        Of the run; default: the one with the best reward.
    allow_code : collection of str
        Modules of a user's own that the config may have imported.

    Raises
    ------
    UserError
        If the folder has no run, or none with this seed, or its task cannot be made again.
    """
    results = RunResults(folder)
    runs = results.runs()
    if not runs:
        raise _without_model(folder)
    try:
        task = rebuilt_task(results.config(), folder, allow_code)
    except UserError as error:
        raise UserError(f"{folder}: its config.json cannot be used here: {error}") from None
    run = _chosen(folder, results, runs, seed)
    front, hall_of_fame = results.best(run, "_pf"), results.best(run, "_hof")
    if not len(front):
        front = hall_of_fame
    if not len(front):
        raise UserError(f"{folder}: the run with seed {run.seed} has found nothing yet.")
    names = list(task.library.input_names or [])
    found = _on_front(_found(front, task))
    n_rows = len(task.y_train)
    errors = [constant_errors(found.programs, b, task.fit_data, n_rows) for b in range(len(found))]
    return Equations(
        task.library,
        names,
        list(task.dataset.input_names),
        task.protected,
        found,
        _found(hall_of_fame if len(hall_of_fame) else front, task),
        errors,
        quantities=task.quantities,
    )


def _without_model(folder: Path) -> UserError:
    if not folder.is_dir():
        return UserError(f"{folder}: no such folder; expected one that a run or a fit has written.")
    if (folder / "batch.json").exists():
        inner = sorted(path.name for path in folder.iterdir() if path.is_dir())
        names = ", ".join(inner[:10])
        return UserError(f"{folder}: holds a batch of runs; load one of its folders: {names}.")
    refuse_without_runs(folder)
    return UserError(f"{folder}: no run has found anything yet.")


def _chosen(folder: Path, results: RunResults, runs: list[RunName], seed: int | None) -> RunName:
    if seed is None:
        return max(runs, key=lambda run: _best_reward(results.best(run, "_hof")))
    for run in runs:
        if run.seed == seed:
            return run
    known = ", ".join(str(run.seed) for run in runs[:20])
    raise UserError(f"{folder}: no run with seed {seed}; there are {known}.")


def _best_reward(hall_of_fame: pd.DataFrame) -> float:
    column = "r_val" if "r_val" in hall_of_fame else "r"
    rewards = numbers(hall_of_fame, column)
    return float(np.nanmax(rewards)) if np.isfinite(rewards).any() else -np.inf


def _found(table: pd.DataFrame, task: RegressionTask) -> Found:
    """Return the programs of a table with their losses on the data of the task."""
    programs = [from_str_tokens(text, task.library) for text in table["traversal"]]
    batch = _batch(programs)
    rewards = numbers(table, "r")
    losses = task.losses(batch, rewards)
    complexities = numbers(table, "complexity")
    if np.isnan(complexities).any():
        complexities = np.array([program.complexity for program in programs], dtype=float)
    polynomials = np.full(len(batch), None)
    if task.polynomials is not None:
        polynomials[:] = task.polynomials.polynomials(batch, task.n_threads)
    return Found(batch, losses, complexities, polynomials)


def _batch(programs: list[Program]) -> ProgramBatch:
    return ProgramBatch.from_rows(
        [program.tokens.tolist() for program in programs], [p.constants.tolist() for p in programs]
    )


def _on_front(found: Found) -> Found:
    """Return the rows in order of complexity whose loss is less than that of all before them."""
    found = found[np.lexsort((found.losses, found.complexities))]
    before = np.append(np.inf, np.minimum.accumulate(found.losses)[:-1])
    return found[np.flatnonzero(found.losses < before)]
