"""From a config to a `Run`: each part is handed its section as plain arguments.

With `core` and `launch` this is where a config is read: the parts themselves take plain arguments.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import adler32

import numpy as np

from dso.config import Config
from dso.config.config import TASK_DEFAULTS
from dso.config.results import deciding_keys
from dso.errors import UserError
from dso.evaluation import Evaluator, ProgramArchive, RowBatches
from dso.finishing import Finisher, is_exact
from dso.fitting import make_fitter
from dso.gp import Breeder, GPController, GPOptions, Probe, SemanticBreeder, tokens_only
from dso.memory import Judge, Keeper, PriorityQueue, ProgramMemory, complexity_measure
from dso.plugins import construct, look_up
from dso.policy_optimizer import Baseline, Learner, RiskFilter
from dso.policy_optimizer import make_policy_optimizer as make_optimizer_of
from dso.pretraining.weights import load_weights
from dso.prior import JointPrior, make_joint_prior
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
    parameter_table,
)
from dso.runs.resume import Identity, SavedState, fingerprint
from dso.runs.tables import Reports, ResultFiles
from dso.semantic import Seeder, SemanticLimits
from dso.task import Fitter, Task
from dso.task import make_task as make_task_of
from dso.task.regression.benchmarks import benchmark_names, find_benchmark
from dso.training.sources import (
    Finishing,
    Given,
    GPMeld,
    PolicySource,
    Pretrained,
    Source,
    ValueSearch,
)
from dso.training.statistics import TrainStats
from dso.training.stopping import DeadEndWatch, Standing, Stopping
from dso.training.trainer import Trainer

if TYPE_CHECKING:
    from dso.policy import Policy
    from dso.pretraining.proposer import Proposer
    from dso.program import FitData, ProgramBatch
    from dso.task.regression import Dataset

logger = logging.getLogger("dso")

EVALUATIONS_PER_PROGRAM = 800
"""Samples that take about as long as finishing one program."""


MAX_TOKENS = 10**9
MAX_WEIGHTS = 10**8


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
        json.loads(_as_json(deciding_keys(config.to_dict()))),
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


def check_sizes(config: Config) -> None:
    """Refuse what would take more memory than machines have, each key being allowed by itself."""
    training, policy = config.training, config.policy
    batches = {
        "training.batch_size": training.batch_size,
        "training.warm_start": training.warm_start if training.use_memory else None,
        "gp_meld.population_size": config.gp_meld.population_size,
    }
    for name, given in batches.items():
        size = given or 0
        if size * policy.max_length > MAX_TOKENS:
            raise UserError(
                f"{name}: {size}; with policy.max_length = {policy.max_length} that is "
                f"{size * policy.max_length:.3g} tokens at once; allowed: {MAX_TOKENS:.3g}."
            )
    units = policy.num_units if isinstance(policy.num_units, list) else None
    units = units or [policy.num_units] * policy.num_layers  # type: ignore[list-item]
    n_weights = sum(4 * n * (n + below) for below, n in zip([0, *units], units, strict=False))
    if n_weights > MAX_WEIGHTS:
        raise UserError(
            f"policy.num_units: {policy.num_units!r} in {len(units)} layer(s) are {n_weights:.3g} "
            f"weights; allowed: {MAX_WEIGHTS:.3g}."
        )


def n_cores(config: Config) -> int:
    """Return the threads, or processes for Python tasks, that one run may use."""
    given = config.training.n_cores_batch
    if config.gp_meld.run_gp_meld and config.gp_meld.parallel_eval:
        given = -1
    return (os.cpu_count() or 1) if given == -1 else given or 1


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
    measure = complexity_measure(kind, library.complexities)
    if kind != "token" or library.poly_token is None:
        return measure

    # Of the rows that the evaluator rewards on, which may be others in each iteration.
    def with_terms(programs: ProgramBatch) -> np.ndarray:
        assert evaluator.task.polynomials is not None
        return measure(programs) + evaluator.task.polynomials.n_more_terms(programs)

    return with_terms


def make_row_batches(
    task: Task, evaluator: Evaluator, judge: Judge | None, seed: int
) -> RowBatches | None:
    """Build what chooses the rows that the search sees, where it does not see all."""
    if judge is None or judge.evaluator is None:
        return None
    batches = RowBatches(evaluator, task, seed)
    logger.info(
        "task.batching: the search sees %d of %d rows at a time; what it keeps is rewarded on all.",
        batches.n_rows,
        judge.task.n_train_rows,
    )
    return batches


def data_ranges(task: Task) -> dict[str, np.ndarray]:
    """Return least and greatest value of each input (D, 2) and of y (2,), if the task has data."""
    if task.fit_data is None:
        return {}
    columns, y = task.fit_data.columns, task.fit_data.y
    return {
        "input_ranges": np.column_stack([columns.min(axis=1), columns.max(axis=1)]),
        "output_range": np.array([y.min(), y.max()]),
    }


def make_prior(config: Config, task: Task) -> JointPrior:
    """Build the priors with what they may know of the data."""
    prior = make_joint_prior(
        config.prior.to_dict(),
        task.library,
        max_length=config.policy.max_length,
        corpus=partial(corpus_of, task),
        **data_ranges(task),
    )
    usual = TASK_DEFAULTS.get(config.task.task_type or "", {}).get("prior", {})
    for line in prior.skipped:
        if line.endswith("Prior disabled."):
            continue
        # Users are not warned of what they did not ask for.
        name = line.split(":", 1)[0]
        as_always = name in usual and config.prior.to_dict()[name] == usual[name]
        logger.log(logging.INFO if as_always else logging.WARNING, "prior.%s", line)
    for line in prior.descriptions:
        logger.info("prior.%s", line)
    return prior


def corpus_of(task: Task, path: str | None) -> list[list[int]]:
    """Return formulas in the task's tokens, without the one that a benchmark asks for."""
    from dso.pretraining.corpus import corpus_rows

    is_known = path is None and task.name in benchmark_names()
    without = find_benchmark(task.name).formula if is_known else None
    return corpus_rows(task.library, path, without)


def make_policy(config: Config, task: Task, prior: JointPrior, seed: int) -> Policy:
    """Build the built-in policy, or a user's own with its own keys."""
    from dso.policy import StateManager  # needs torch, which takes seconds to import

    manager = config.state_manager.to_dict()
    del manager["type"]
    common, own = _plug_in_keys(config.policy)
    made = _policy_class(name := common.pop("policy_type"))
    # These keys are read elsewhere.
    for key in ("max_length", "sample_novel_batch", "max_attempts_at_novel_batch", "debug"):
        del common[key]
    common.update(state_manager=StateManager(**manager), seed=seed, n_threads=n_cores(config))
    return construct(made, f"policy ({name})", task.library, prior, common=common, own=own)


def _plug_in_keys(section: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split a section into the keys that we know and those of a user's own class."""
    own = section.model_extra or {}
    return {key: value for key, value in section.to_dict().items() if key not in own}, own


def _policy_class(name: str) -> type[Policy]:
    from dso.policy import POLICIES, Policy

    where = "policy.policy_type"
    found = look_up(name, POLICIES, "policy", where)
    if not (isinstance(found, type) and issubclass(found, Policy)):
        raise UserError(f"{where}: {name!r} is not a subclass of Policy.")
    return found


def make_policy_optimizer(config: Config, policy: Policy, seed: int) -> Any:
    """Build a built-in policy optimiser, or a user's own with its own keys."""
    common, own = _plug_in_keys(config.policy_optimizer)
    kind = common.pop("policy_optimizer_type")
    return make_optimizer_of(kind, policy, {**common, "seed": seed}, own)


def make_queue(config: Config, policy_optimizer: Any, seed: int) -> PriorityQueue | None:
    """Build the queue for those that want one: an optimiser that does not say so may."""
    if not getattr(policy_optimizer, "uses_queue", True):
        return None
    size, batch_size = config.policy_optimizer.pqt_k, config.training.batch_size
    if size > batch_size:
        raise UserError(
            f"policy_optimizer.pqt_k: {size}; allowed: at most training.batch_size = {batch_size}."
        )
    return PriorityQueue(size, seed)


def make_memory(config: Config, policy: Policy) -> ProgramMemory | None:
    """Build the memory of the risk filter, if one is asked for."""
    training = config.training
    if not training.use_memory:
        return None
    return ProgramMemory(policy, training.memory_capacity, training.memory_threshold)


def max_attempts(config: Config) -> int | None:
    """Return the draws that a novel batch may take, None where batches need not be novel."""
    policy = config.policy
    return policy.max_attempts_at_novel_batch if policy.sample_novel_batch else None


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


def make_learner(
    config: Config, policy: Policy, policy_optimizer: Any, keeper: Keeper, seed: int
) -> Learner:
    """Build what teaches the policy."""
    training = config.training
    baseline = Baseline(training.baseline, alpha=training.alpha, b_jumpstart=training.b_jumpstart)
    return Learner(
        policy,
        policy_optimizer,
        RiskFilter(training.epsilon, make_memory(config, policy)),
        baseline,
        keeper,
        make_queue(config, policy_optimizer, seed),
    )


def make_sources(
    config: Config,
    task: Task,
    evaluator: Evaluator,
    learner: Learner,
    keeper: Keeper,
    stopping: Stopping,
    seed: int,
) -> list[Source]:
    """Build all that proposes programs, in the order in which it is asked."""
    policy = learner.policy
    sources: list[Source] = [Given(evaluator, policy.prior, keeper, task.guesses)]
    if (seeder := make_seeder(config, task, policy.prior, evaluator, seed)) is not None:
        sources.append(ValueSearch(seeder, keeper))
    if config.pretrained.on:
        sources.append(make_pretrained(config, task, policy, evaluator, keeper, seed))
    sources.append(
        PolicySource(
            policy,
            evaluator,
            keeper,
            batch_size=config.training.batch_size,
            seed=seed,
            max_attempts=max_attempts(config),
            memory=learner.risk_filter.memory,
            warm_start=config.training.warm_start,
            is_fallback=config.training.n_samples == 0,
        )
    )
    if is_finished(config, task):
        sources.append(
            Finishing(
                make_finisher(config, task, policy.prior, keeper.complexity, seed),
                evaluator,
                keeper,
                n_per_iteration=n_finished(config),
                snap=config.finishing.snap,
            )
        )
    if (controller := make_gp(config, task, policy.prior, evaluator, seed)) is not None:
        sources.append(GPMeld(controller, keeper, stopping))
    return sources


def is_finished(config: Config, task: Task) -> bool:
    """Tell whether what is on the front is finished, in the course of the run and at its end."""
    is_possible = task.fit_data is not None and task.is_least_squares and not task.stochastic
    return bool(config.finishing.on) and config.logging.save_pareto_front and is_possible


def n_finished(config: Config) -> float:
    """Return how many programs may be finished in an iteration for their share of its time."""
    gp, size = config.gp_meld, config.training.batch_size
    n_offspring = gp.generations * (gp.population_size or size) if gp.run_gp_meld else 0
    return config.finishing.max_share * (size + n_offspring) / EVALUATIONS_PER_PROGRAM


def make_finisher(
    config: Config,
    task: Task,
    prior: JointPrior,
    complexity: Callable[[ProgramBatch], np.ndarray],
    seed: int,
) -> Finisher:
    """Build what finishes programs, on all rows of the data."""
    assert task.fit_data is not None
    params = config.training.const_params if config.training.const_optimizer == "lm" else {}
    return Finisher(
        task.fit_data,
        prior,
        complexity,
        bounds=params.get("bounds"),
        n_threads=n_cores(config),
        seed=seed,
    )


def make_gp(
    config: Config, task: Task, prior: JointPrior, evaluator: Evaluator, seed: int
) -> GPController | None:
    """Build GP-meld, if it is asked for."""
    section = config.gp_meld
    if not section.run_gp_meld:
        return None
    size = section.population_size or config.training.batch_size
    for name in ("train_n", "n_islands"):
        if getattr(section, name) > size:
            raise UserError(
                f"gp_meld.{name}: {getattr(section, name)}; allowed: at most the population, "
                f"which with population_size null is training.batch_size = {size}."
            )
    # One generation would use up a budget that is smaller than the population.
    size = min(size, max(config.training.n_samples, section.train_n, section.n_islands))
    options = GPOptions(
        generations=section.generations,
        population_size=size,
        train_n=section.train_n,
        p_fit=section.p_fit,
        has_archive=section.p_archive > 0,
        keep_population=section.keep_population,
        n_islands=section.n_islands,
        migration_interval=section.migration_interval,
        n_migrants=section.n_migrants,
        restart_after=section.restart_after,
        verbose=section.verbose,
    )
    # Where the front of the run measures nothing, that of the search goes by the usual size.
    complexity = complexity_measure(
        config.training.complexity or "token", task.library.complexities
    )
    values = Probe.of_task(task, section.probe_size).values if section.probe_size else tokens_only
    breeder = make_breeder(config, task, prior, seed)
    return GPController(breeder, evaluator, values, complexity, seed=seed, options=options)


def make_breeder(
    config: Config, task: Task, prior: JointPrior, seed: int
) -> Breeder | SemanticBreeder:
    """Build what breeds, and solves for some of the offspring where that is asked for."""
    section = config.gp_meld
    breeder = Breeder(
        prior,
        p_crossover=section.p_crossover,
        p_mutate=section.p_mutate,
        p_join=section.p_join,
        p_perturb=section.p_perturb,
        p_archive=section.p_archive,
        tournament_size=section.tournament_size,
        mutate_tree_max=section.mutate_tree_max,
        n_attempts=section.n_attempts,
        n_threads=n_cores(config),
    )
    if not section.p_semantic:
        return breeder
    return SemanticBreeder(
        breeder,
        data_of(task, f"gp_meld.p_semantic: {section.p_semantic}", 0),
        p_semantic=section.p_semantic,
        max_entries=section.semantic_entries,
        n_partners=section.semantic_partners,
        seed=seed,
    )


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


def make_seeder(
    config: Config, task: Task, prior: JointPrior, evaluator: Evaluator, seed: int
) -> Seeder | None:
    """Build the search by values, if it is asked for."""
    section = config.semantic
    if not section.on:
        return None
    data_of(task, "semantic.on: true", "false")  # which the seeder asks for
    limits = SemanticLimits(
        max_entries=section.max_entries,
        max_bytes=section.max_bytes,
        max_lookups=section.max_lookups,
        max_vectors=section.max_vectors,
        max_evaluations=int(section.max_share * config.training.n_samples),
        max_seconds=np.inf if section.max_seconds is None else section.max_seconds,
        max_contexts=section.max_contexts,
        max_programs=section.max_programs,
    )
    return Seeder(prior, evaluator, limits, seed)


def make_pretrained(
    config: Config,
    task: Task,
    policy: Policy,
    evaluator: Evaluator,
    keeper: Keeper,
    seed: int,
) -> Pretrained:
    """Build what asks a pre-trained network; it is loaded when it is asked.

    Raises
    ------
    UserError
        If the task has no data, or the weights of a user's own cannot be read.
    """
    from dso.policy_optimizer.imitation import Imitation  # needs torch

    section = config.pretrained
    data_of(task, "pretrained.on: true", "false")  # which the network reads
    if section.weights is not None:
        load_weights(section.weights)

    def make_proposer() -> Proposer:
        from dso.pretraining.proposer import PretrainedModel, Proposer

        return Proposer(
            PretrainedModel.load(section.weights),
            policy.prior,
            evaluator,
            n_candidates=section.n_candidates,
            method=section.method,
            seed=seed,
            n_threads=n_cores(config),
        )

    imitation = Imitation(policy, section.imitation_steps, section.imitation_rate)
    return Pretrained(make_proposer, keeper, imitation)


def make_stopping(config: Config, callback: Callable[[Standing], object] | None) -> Stopping:
    """Build what ends the run."""
    training = config.training
    return Stopping(
        n_samples=training.n_samples,
        max_seconds=training.max_seconds,
        reward_threshold=training.reward_threshold,
        patience=training.patience,
        early_stopping=training.early_stopping,
        callback=callback,
    )


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
    return _as_json(plain, indent=3) + "\n"


def _as_json(values: dict[str, Any], indent: int | None = None) -> str:
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
    is_file = isinstance(source, str) and source.lower().endswith(".csv")
    is_named = data is None and isinstance(source, str | dict) and not is_file
    return None if is_named else getattr(task, "dataset", None)


def flat_settings(config: Config) -> dict[str, Any]:
    """Return what runs are compared by: dotted keys of the sections that decide results."""
    plain = config.to_dict()
    sections = ("training", "policy", "policy_optimizer", "gp_meld", "semantic")
    return {f"{name}.{key}": value for name in sections for key, value in plain[name].items()}


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
