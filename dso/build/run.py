"""All parts of one run."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import adler32

from dso.build.journal import as_json, config_text, given_data, make_folder, make_journal
from dso.build.policy import make_learner, make_policy, make_policy_optimizer, make_prior
from dso.build.scoring import (
    make_evaluator,
    make_judge,
    make_keeper,
    make_row_batches,
    make_task,
)
from dso.build.sizes import check_sizes
from dso.build.sources import make_sources
from dso.build.stopping import make_stopping
from dso.config import Config
from dso.config.results import deciding_keys
from dso.evaluation import Evaluator
from dso.memory import Judge
from dso.prior import JointPrior
from dso.runs.folder import RunFolder
from dso.runs.journal import Journal
from dso.runs.recorders import (
    parameter_table,
)
from dso.runs.resume import Identity, SavedState, fingerprint
from dso.runs.tables import Reports
from dso.task import Task
from dso.training.statistics import TrainStats
from dso.training.stopping import DeadEndWatch, Standing, Stopping
from dso.training.trainer import Trainer

if TYPE_CHECKING:
    from dso.policy import Policy
    from dso.task.regression import Dataset


@dataclass(frozen=True)
class Run:
    """The parts of one run.

    Attributes
    ----------
    seed : int
    task : Task
    prior : JointPrior
    policy : Policy
    policy_optimizer : PolicyOptimizer
    evaluator : Evaluator
    judge : Judge or None
    reports : Reports
    stopping : Stopping
    trainer : Trainer
    journal : Journal
    saved : SavedState
    saves_on_done : bool
        Whether a run that has ended leaves a checkpoint.
    """

    seed: int
    task: Task
    prior: JointPrior
    policy: Policy
    policy_optimizer: Any
    evaluator: Evaluator
    judge: Judge | None
    reports: Reports
    stopping: Stopping
    trainer: Trainer
    journal: Journal
    saved: SavedState
    saves_on_done: bool


def build(
    config: Config,
    seed: int,
    callback: Callable[[Standing], object] | None = None,
    data: Dataset | None = None,
) -> Run:
    """Build every part of a run; nothing is written to disk.

    Parameters
    ----------
    config : Config
    seed : int
    callback : callable, optional
        See `Stopping`.
    data : Dataset, optional
        In place of what ``task.dataset`` names.

    Raises
    ------
    UserError
        If any part cannot be built as the config asks.
    """
    check_sizes(config)
    task = make_task(config, data)
    # Runs with the same seed on different tasks have nothing in common.
    stream_seed = seed + adler32(task.name.encode())
    prior = make_prior(config, task)
    policy = make_policy(config, task, prior, stream_seed)
    policy_optimizer = make_policy_optimizer(config, policy, stream_seed)
    evaluator, judge = make_evaluator(config, task), make_judge(config, task)
    reports = Reports(task.library, task, evaluator, judge)
    stopping = make_stopping(config, callback)
    keeper = make_keeper(config, evaluator, judge, reports)
    learner = make_learner(config, policy, policy_optimizer, keeper, stream_seed)
    trainer = Trainer(
        make_sources(config, task, evaluator, learner, keeper, stopping, stream_seed),
        evaluator,
        learner,
        keeper,
        stats=TrainStats(task.library.names),
        dead_ends=DeadEndWatch(prior.masking_report),
        row_batches=make_row_batches(task, evaluator, judge, stream_seed),
    )
    identity = Identity(
        task.name,
        seed,
        list(task.library.names),
        fingerprint(task.fit_data),
        json.loads(as_json(deciding_keys(config.to_dict()))),
        config_text(config, task.name, seed, data),
        config.experiment.timestamp,
    )
    folder = make_folder(config, identity)
    journal = make_journal(
        config, folder, trainer, reports, stopping, given_data(config, task, data)
    )
    if config.policy.debug or config.policy_optimizer.debug:
        print(parameter_table(policy))
    prefix = RunFolder(Path(), task.name, seed).prefix
    return Run(
        seed,
        task,
        prior,
        policy,
        policy_optimizer,
        evaluator,
        judge,
        reports,
        stopping,
        trainer,
        journal,
        SavedState(identity, trainer, journal, prefix),
        config.checkpoint.save_on_done,
    )
