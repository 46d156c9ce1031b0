"""The files of a run, and everything that is informed of its iterations."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dso.config import Config
from dso.data_files import is_table
from dso.evaluation import Evaluator
from dso.prior import JointPrior
from dso.runs.checkpoint import Checkpoints
from dso.runs.display import Display, Progress, make_display
from dso.runs.folder import RunFolder, file_name
from dso.runs.journal import Journal
from dso.runs.recorders import (
    AllSamples,
    CacheDump,
    ConstraintCounts,
    DataFile,
    ParameterReport,
    PositionalEntropy,
    Recorder,
    RunLog,
    TensorBoard,
    TokenCount,
    TopSamples,
)
from dso.runs.resume import Identity
from dso.runs.tables import Reports, ResultFiles
from dso.task import Task
from dso.training.stopping import Stopping
from dso.training.trainer import Trainer

if TYPE_CHECKING:
    from dso.policy import Policy
    from dso.task.regression import Dataset


logger = logging.getLogger("dso")


def make_folder(config: Config, identity: Identity) -> RunFolder | None:
    """Say where files go, which the first iteration makes; None where nothing is written."""
    experiment, name = config.experiment, identity.task
    if experiment.logdir is None:
        logger.info("experiment.logdir is null: no files are written.")
        return None
    timestamp = experiment.timestamp or time.strftime("%Y-%m-%d-%H%M%S")
    folder = experiment.exp_name or file_name(f"{name}_{timestamp}")
    return RunFolder(Path(experiment.logdir, folder), name, identity.seed, identity.config)


def config_text(config: Config, task_name: str, seed: int, data: Dataset | None = None) -> str:
    """Return the config as JSON that can be run again; arrays are named by their shape only."""
    plain = config.to_dict()
    if data is not None:
        plain["task"]["dataset"] = [data.X_train, data.y_train]
    experiment = plain["experiment"]
    experiment["seed"] = experiment.pop("starting_seed", seed)
    experiment["task_name"] = task_name
    # With its timestamp a second run would write into the folder of the first.
    experiment.pop("timestamp", None)
    return as_json(plain, indent=3) + "\n"


def as_json(values: dict[str, Any], indent: int | None = None) -> str:
    def describe(value: Any) -> str:
        return f"{type(value).__name__} {np.shape(value)}"

    return json.dumps(values, indent=indent, default=describe)


def make_journal(
    config: Config,
    folder: RunFolder | None,
    trainer: Trainer,
    reports: Reports,
    stopping: Stopping,
    data: Dataset | None = None,
) -> Journal:
    """Build what is told of each iteration: log, what else is asked for, tables, display.

    Data of the user's own are kept in the folder.
    """
    keeper, save_freq, wanted = trainer.keeper, config.logging.save_freq, config.checkpoint

    def display() -> Display:
        verbose = config.training.verbose
        return make_display(sys.stdout, stopping.n_samples, stopping.max_seconds, verbose=verbose)

    policy, evaluator = trainer.learner.policy, trainer.evaluator

    def expression() -> str:
        return reports.expression(keeper.best)

    recorders = make_recorders(config, folder, policy, policy.prior, evaluator, expression)
    progress = Progress(display, expression)
    if folder is None:
        return Journal([*recorders, progress])
    log = RunLog(folder, save_freq)
    tables = ResultFiles(folder, reports, keeper, save_freq)
    if data is not None:
        recorders.append(DataFile(folder, data))
    checkpoints = Checkpoints(
        folder.path, folder.prefix, folder.guard, wanted.save_freq, wanted.units
    )
    return Journal([log, *recorders, tables, progress], folder, checkpoints)


def given_data(config: Config, task: Task, data: Dataset | None) -> Dataset | None:
    """Return the data of a regression that come from its user: arrays, or a file.

    Those of a benchmark can be drawn again.
    """
    source = config.task.to_dict().get("dataset")
    is_file = isinstance(source, str) and is_table(source)
    is_named = data is None and isinstance(source, str | dict) and not is_file
    return None if is_named else getattr(task, "dataset", None)


def make_recorders(
    config: Config,
    folder: RunFolder | None,
    policy: Policy,
    prior: JointPrior,
    evaluator: Evaluator,
    expression: Callable[[], str],
) -> list[Recorder]:
    """Build what watches the run; an empty list where nothing was asked for."""
    wanted, library = config.logging, prior.library
    recorders: list[Recorder] = []
    if config.training.debug:
        recorders.append(ParameterReport(policy, config.training.debug))
    if config.prior.count_constraints:
        recorders.append(ConstraintCounts(prior, folder))
    if folder is None:
        return recorders
    freq, top = wanted.save_freq, wanted.save_top_samples_per_batch
    if wanted.save_all_iterations:
        recorders.append(AllSamples(folder, freq))
    if top:
        recorders.append(TopSamples(folder, library, top, freq))
    if wanted.save_token_count:
        recorders.append(TokenCount(folder, library, freq))
    if wanted.save_positional_entropy:
        length = policy.max_length
        recorders.append(PositionalEntropy(folder, library.L, length, freq))
    if evaluator.archive is not None:
        recorders.append(CacheDump(folder, evaluator))
    if wanted.save_summary:
        detailed = config.policy_optimizer.summary
        recorders.append(
            TensorBoard(
                folder,
                policy,
                with_parameters=detailed,
                save_freq=freq,
                expression=expression,
                settings=flat_settings(config),
            )
        )
    return recorders


def flat_settings(config: Config) -> dict[str, Any]:
    """Return what runs are compared by: dotted keys of the sections that decide results."""
    plain = config.to_dict()
    sections = ("training", "policy", "policy_optimizer", "gp_meld", "semantic")
    return {f"{name}.{key}": value for name in sections for key, value in plain[name].items()}
