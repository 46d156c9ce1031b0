"""The task, and what scores and keeps its programs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from dso.build.sizes import n_cores
from dso.config import Config
from dso.errors import UserError
from dso.evaluation import Evaluator, ProgramArchive, RowBatches
from dso.finishing import is_exact
from dso.fitting import make_fitter
from dso.memory import OF_EXPONENTIALS, Judge, Keeper, complexity_measure
from dso.runs.tables import Reports
from dso.task import Fitter, Task
from dso.task import make_task as make_task_of

if TYPE_CHECKING:
    from dso.program import FitData, ProgramBatch
    from dso.task.regression import Dataset


logger = logging.getLogger("dso")


def make_task(config: Config, data: Dataset | None = None) -> Task:
    """Build the task, and refuse one whose tokens nothing can fit."""
    given = {} if data is None else {"dataset": data}
    task = make_task_of(**{**config.task.to_dict(), **given})
    task.n_threads = n_cores(config)
    if not task.learns:
        raise UserError(
            "task.action_spec: no entry is null, so that one search has nothing to learn; "
            "python -m dso.run does 'auto', and scores a spec of formulas."
        )
    if task.library.poly_token is not None and task.polynomials is None:
        raise UserError("task.function_set: 'poly' needs data to be fitted to, as regression has.")
    mixture = [] if task.quantities is None else task.quantities.mixture()
    if mixture:
        logger.warning(
            "units: %s are not all of one system; columns are taken as they are, so formulas "
            "contain the factors between them.",
            ", ".join(dict.fromkeys(f"'{unit.text}'" for unit in mixture)),
        )
    return task


def make_evaluator(config: Config, task: Task) -> Evaluator:
    """Build the evaluator with what it is to remember."""
    return Evaluator(
        task,
        task.library,
        n_workers=n_cores(config),
        remember_keys=config.policy.sample_novel_batch,
        archive=make_archive(config, task),
        fitter=fitter_of(config, task),
    )


def fitter_of(config: Config, task: Task) -> Fitter | None:
    """Build what gives `const` its numbers: the task's own way, unless SciPy is asked for."""
    kind, params = config.training.const_optimizer, config.training.const_params
    fitter = make_fitter(task, kind, params)
    own = task.make_fitter() if fitter is not None and kind == "lm" else None
    return own or fitter


def make_judge(config: Config, task: Task) -> Judge | None:
    """Build who rewards what is kept, where the search does not see all rows of data."""
    if task.n_search_rows == task.n_train_rows:
        return Judge(task, None) if task.n_validation_rows else None
    return Judge(task, Evaluator(task, task.library, fitter=fitter_of(config, task)))


def make_archive(config: Config, task: Task) -> ProgramArchive | None:
    """Build the store of programs that the cache dump needs, if one is asked for."""
    if not config.logging.save_cache or config.experiment.logdir is None:
        return None
    if task.stochastic:
        logger.warning("logging.save_cache: rewards with noise are not cached; nothing to save.")
        return None
    return ProgramArchive(config.logging.save_cache_r_min)


def make_complexity(config: Config, evaluator: Evaluator) -> Callable[[ProgramBatch], np.ndarray]:
    """Return the complexity of programs; of tokens, where `poly` counts its fitted terms."""
    kind, library = config.training.complexity, evaluator.library
    measure = complexity_measure(kind, library)
    if kind in (None, "length", OF_EXPONENTIALS + "length") or library.poly_token is None:
        return measure

    # Of the rows that the evaluator rewards on, which may be others in each iteration.
    def with_terms(programs: ProgramBatch) -> np.ndarray:
        assert evaluator.task.polynomials is not None
        return measure(programs) + evaluator.task.polynomials.n_more_terms(programs)

    return with_terms


def make_keeper(
    config: Config, evaluator: Evaluator, judge: Judge | None, reports: Reports
) -> Keeper:
    """Build what keeps the best programs."""
    task = reports.task

    def is_success(programs: ProgramBatch) -> bool:
        program = reports.program(programs)
        if not task.evaluate(program).get("success"):
            return False
        if not is_finished(config, task):
            return True
        assert task.fit_data is not None
        return is_exact(task.fit_data, program.batch, [program.polynomial])

    return Keeper(
        make_complexity(config, evaluator),
        hof=config.logging.hof or 0,
        n_candidates=task.n_candidates,
        save_pareto_front=config.logging.save_pareto_front,
        judge=judge,
        is_success=is_success if config.training.early_stopping else None,
    )


def is_finished(config: Config, task: Task) -> bool:
    """Tell whether what is on the front is finished, in the course of the run and at its end."""
    is_possible = task.fit_data is not None and task.is_least_squares and not task.stochastic
    return bool(config.finishing.on) and config.logging.save_pareto_front and is_possible


def make_row_batches(
    task: Task, evaluator: Evaluator, judge: Judge | None, seed: int
) -> RowBatches | None:
    """Build what chooses the rows that the search sees, where it does not see all."""
    if judge is None or judge.evaluator is None:
        return None
    batches = RowBatches(evaluator, task, seed)
    logger.info(
        "task.batching: the search sees %d of %d rows at a time; programs that it keeps are "
        "rewarded on all rows.",
        batches.n_rows,
        judge.task.n_train_rows,
    )
    return batches


def data_of(task: Task, asked: str, off: Any) -> FitData:
    """Return the rows that a task compares values with.

    Raises
    ------
    UserError
        If it has none, with the key that `asked` for them and its value that does not.
    """
    if task.fit_data is None:
        raise UserError(
            f"{asked}; the task {task.name!r} has no data that values could be compared with, as "
            f"regression has (a task of your own: `fit_data`); allowed: {off}."
        )
    return task.fit_data
