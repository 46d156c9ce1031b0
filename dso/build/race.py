"""The race between a search for y and searches for the smaller problems that the data show."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dso.build.sources import only_hole
from dso.program import FitData
from dso.reduction import Race, RunningSearch
from dso.task.regression import RegressionTask
from dso.task.regression.dataset import from_arrays

if TYPE_CHECKING:
    from dso.build.run import Run
    from dso.program import ProgramBatch
    from dso.task import Task
    from dso.task.regression import Dataset

INNER_SHARE = 0.2
"""Of the budget that a search for a smaller problem may spend."""

Rows = tuple[np.ndarray, np.ndarray, np.ndarray | None]
"""X (N, D), y (N,) and weights (N,), which may be None."""


def can_race(config: dict[str, Any], task: Task) -> bool:
    """Tell whether reductions are wanted, and what comes of them can be put back and judged."""
    return (
        config["reduce"]["on"]
        and isinstance(task, RegressionTask)
        and task.is_least_squares
        and not (task.stochastic or task.protected)
        and not config["task"]["decision_tree_threshold_set"]
        and (task.template is None or only_hole(task) is not None)
    )


@dataclass(frozen=True)
class InnerSearches:
    """Makes searches for smaller problems; see `MakeSearch`.

    Attributes
    ----------
    config : dict
        See `inner_config`.
    start : callable
        Begins a search. A function of a module, so that this can be pickled.
    """

    config: dict[str, Any]
    start: Callable[[dict[str, Any], Rows], RunningSearch]

    def __call__(
        self, Z: np.ndarray, t: np.ndarray, weights: np.ndarray | None, n_samples: int
    ) -> RunningSearch:
        """Begin a search with its share of the budget of the whole one."""
        mine = copy.deepcopy(self.config)
        mine["training"]["n_samples"] = max(1, int(INNER_SHARE * n_samples))
        return self.start(mine, (Z, t, weights))


def make_race(
    config: dict[str, Any],
    run: Run,
    rows: Rows,
    start: Callable[[dict[str, Any], Rows], RunningSearch],
    translate: Callable[[ProgramBatch], ProgramBatch] | None = None,
) -> Race:
    """Build the race of a run; its searches are as the config says, but leave no files.

    Parameters
    ----------
    config : dict
    run : Run
    rows : Rows
        In the units in which reductions are looked for.
    start : callable
        See `InnerSearches`.
    translate : callable, optional
        See `Race`.
    """
    quantities, say = run.task.quantities, translate or (lambda programs: programs)
    if (hole := only_hole(run.task)) is not None:
        # Reductions are of what stands in it, whose units nobody has given.
        X, y, weights = rows
        wanted = hole.wanted(FitData.of_rows(run.task.library, X, y, weights))
        rows, quantities = (X, wanted.y, weights), None
        outer = say

        def say(programs: ProgramBatch) -> ProgramBatch:
            return outer(hole.whole(programs))

    library = run.task.library
    n_inputs = rows[0].shape[1]
    return Race(
        *rows,
        names=library.input_names or [f"x{j + 1}" for j in range(n_inputs)],
        library=library,
        make_search=InnerSearches(inner_config(config, run.task), start),
        first=config["reduce"]["after"],
        n_samples=config["training"]["n_samples"],
        seed=run.seed,
        translate=say,
        quantities=quantities,
        outer=run.stopping,
        are_units_aside=run.task.quantities is not None and run.task.units_penalty is None,
    )


def inner_config(config: dict[str, Any], task: Task) -> dict[str, Any]:
    """Return the config of searches for smaller problems."""
    inner = copy.deepcopy(config)
    inner["reduce"]["on"] = False
    inner["islands"]["n"] = 1
    inner["experiment"].update(logdir=None, exp_name=None)
    inner["training"].update(verbose=False, max_seconds=None)
    inner["checkpoint"].update(load_path=None, save_freq=None, save_on_done=False)
    inner["logging"]["save_pareto_front"] = True
    # Units and knowledge are about the inputs, not about the columns that take their place.
    inner["task"].update(X_units=None, y_units=None, knowledge=[], template=None)
    inner["task"].update(weights=None, validation_fraction=0.0)
    if inner["task"]["function_set"] is None:
        names = [token.name for token in task.library.tokens if token.input_var is None]
        inner["task"]["function_set"] = names
    return inner


def dataset_of(rows: Rows) -> Dataset:
    """Return rows as a task takes them."""
    X, y, weights = rows
    return from_arrays(X, y, weights=weights)
