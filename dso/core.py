"""DeepSymbolicOptimizer: from a config to parts, from parts to a result."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import adler32

import numpy as np

from dso.batch import Batch
from dso.config import Config, load_config, validate
from dso.config.config import TASK_DEFAULTS
from dso.errors import UserError
from dso.evaluation import Evaluator, ProgramArchive, make_fitter
from dso.memory import PriorityQueue, ProgramMemory, complexity_measure
from dso.policy_optimizer import Baseline, RiskFilter, make_policy_optimizer
from dso.prior import JointPrior, make_joint_prior
from dso.progress import Display, make_display
from dso.recorders import (
    AllSamples,
    CacheDump,
    ConstraintCounts,
    ParameterReport,
    PositionalEntropy,
    Recorder,
    TensorBoard,
    TokenCount,
    TopSamples,
    parameter_table,
)
from dso.registry import construct, import_object, is_reference
from dso.reports import Reports, ResultFiles
from dso.run_folder import IterationLog, RunFolder
from dso.stopping import Standing, Stopping
from dso.task import Task, make_task
from dso.train import Trainer
from dso.unavailable import refuse_unavailable

if TYPE_CHECKING:
    from dso.policy import Policy
    from dso.program import Program
    from dso.program.program_batch import ProgramBatch

logger = logging.getLogger("dso")


def _section(name: str) -> property:
    """Make a section of the config an attribute that can be changed until setup()."""

    def get(self: DeepSymbolicOptimizer) -> dict:
        return self.config[name]

    def put(self: DeepSymbolicOptimizer, section: dict) -> None:
        self.config[name] = section

    return property(get, put, doc=f"The section '{name}' of `config`.")


class DeepSymbolicOptimizer:
    """Search for the program that a task rewards most.

    Parameters
    ----------
    config : None, path, or dict
        See `dso.config.load_config`.

    Attributes
    ----------
    config : dict
        The whole config. It and its sections (`config_task`, `config_training`, ...) may be changed
        until `setup`, which checks them.
    task, library, prior, policy, evaluator, policy_optimizer, trainer
        The parts; there after `setup`.
    save_path : str or None
        The run folder; None where nothing is written.
    output_file : str or None
        The log of iterations in it.
    stop_reason : str or None
        Why the run ended; None while it goes on.

    Examples
    --------
    >>> from dso import DeepSymbolicOptimizer
    >>> result = DeepSymbolicOptimizer("Nguyen-2.json").train()  # doctest: +SKIP
    >>> result["expression"]  # doctest: +SKIP
    'x1**4 + x1**3 + x1**2 + x1'
    """

    config_experiment = _section("experiment")
    config_task = _section("task")
    config_prior = _section("prior")
    config_logger = _section("logging")
    config_training = _section("training")
    config_state_manager = _section("state_manager")
    config_policy = _section("policy")
    config_policy_optimizer = _section("policy_optimizer")
    config_gp_meld = _section("gp_meld")
    config_checkpoint = _section("checkpoint")

    def __init__(self, config: str | os.PathLike[str] | dict | None = None) -> None:
        self.trainer: Trainer | None = None
        self.display = Display()
        self.log: IterationLog | None = None
        self.recorders: list[Recorder] = []
        self.set_config(config)

    def set_config(self, config: str | os.PathLike[str] | dict | None) -> None:
        """Replace the config; parts that exist are dropped."""
        self.config = load_config(config)
        self.trainer = None

    def setup(self, callback: Callable[[Standing], object] | None = None) -> None:
        """Check the config and build every part anew.

        Nothing is written to disk before the first iteration is done.

        Parameters
        ----------
        callback : callable, optional
            Called with the `Standing` after each iteration; a true answer ends the run.

        Raises
        ------
        UserError
            If any part cannot be built as the config asks.
        """
        self._close()
        config = validate(self.config)
        refuse_unavailable(config)
        self.seed = _seed(config, self.config)
        self.task = _make_task(config)
        self.library = self.task.library
        # Runs with the same seed on different tasks have nothing in common.
        stream_seed = self.seed + adler32(self.task.name.encode())
        n_cores = _n_cores(config.training.n_cores_batch)
        self.task.n_threads = n_cores
        self.prior = _make_prior(config, self.task)
        self.policy = _make_policy(config, self.task, self.prior, stream_seed, n_cores)
        self.policy_optimizer = _make_policy_optimizer(config, self.policy, stream_seed)
        self.evaluator = Evaluator(
            self.task,
            self.library,
            n_workers=n_cores,
            remember_keys=config.policy.sample_novel_batch,
            archive=_make_archive(config, self.task),
            fitter=make_fitter(
                self.task, config.training.const_optimizer, config.training.const_params
            ),
        )
        self.reports = Reports(self.library, self.task, self.evaluator)
        self.trainer = Trainer(
            policy=self.policy,
            evaluator=self.evaluator,
            policy_optimizer=self.policy_optimizer,
            risk_filter=RiskFilter(config.training.epsilon, _make_memory(config, self.policy)),
            baseline=Baseline(
                config.training.baseline,
                alpha=config.training.alpha,
                b_jumpstart=config.training.b_jumpstart,
            ),
            library=self.library,
            complexity=complexity_measure(config.training.complexity, self.library.complexities),
            batch_size=config.training.batch_size,
            seed=stream_seed,
            hof=config.logging.hof or 0,
            save_pareto_front=config.logging.save_pareto_front,
            queue=_make_queue(config, self.policy_optimizer, stream_seed),
            max_attempts=_max_attempts(config),
            warm_start=config.training.warm_start,
            is_success=self._is_success if config.training.early_stopping else None,
            masking_report=self.prior.masking_report,
        )
        self.stopping = _make_stopping(config, callback)
        self.stop_reason: str | None = None
        self.display = make_display(
            sys.stdout,
            config.training.n_samples,
            config.training.max_seconds,
            verbose=config.training.verbose,
        )
        self._prepare_files(config)
        self.recorders = self._make_recorders(config)
        if config.policy.debug or config.policy_optimizer.debug:
            print(parameter_table(self.policy))

    def train(self, callback: Callable[[Standing], object] | None = None) -> dict[str, Any]:
        """Set up, search until a rule of `Stopping` ends it, and return the result.

        Ctrl-C finishes the iteration under way and returns the result so far.

        Parameters
        ----------
        callback : callable, optional
            See `setup`.

        Returns
        -------
        dict
            See `finish`.
        """
        self.setup(callback)
        with self.stopping.on_interrupt():
            while (result := self.train_one_step()) is None:
                pass
        return result

    def train_one_step(self, override: Batch | None = None) -> dict[str, Any] | None:
        """Do one iteration, after `setup` if there was none.

        Parameters
        ----------
        override : Batch, optional
            Programs to learn from in place of what the policy would have drawn.

        Returns
        -------
        dict or None
            What `finish` returns if this was the last iteration.
        """
        if self.trainer is None:
            self.setup()
        trainer = self.trainer
        assert trainer is not None
        if self.stop_reason is not None:
            raise RuntimeError(f"the run has ended: {self.stop_reason}; call setup() for another")
        try:
            for recorder in self.recorders:
                recorder.start(trainer.standing.iteration + 1)
            row = trainer.step(override)
        except BaseException:
            self._close()
            raise
        if self.folder is not None and trainer.standing.iteration == 1:
            # Not before: a config that cannot do one iteration leaves nothing behind.
            self.folder.create(self._config_text)
        if self.log is not None:
            self.log.append(row)
        assert trainer.last is not None
        for recorder in self.recorders:
            recorder.update(trainer.last)
        if self.result_files is not None:
            self.result_files.update(trainer)
        self.display.update(trainer.standing, self._expression)
        self.stop_reason = self.stopping.reason(trainer.standing)
        return None if self.stop_reason is None else self.finish()

    def finish(self) -> dict[str, Any]:
        """Write the result files and return the result.

        Returns
        -------
        dict
            ``seed``, ``r``, what `Task.evaluate` says, ``expression``, ``traversal``, ``program``,
            ``error_<operator>`` and ``error_node_<category>`` (see `TrainStats.invalid_summary`),
            ``n_samples``, ``n_cached``. Without any valid program ``r`` is -inf and expression,
            traversal and program are None.
        """
        trainer = self.trainer
        assert trainer is not None
        self.display.show(trainer.standing, self._expression)
        self._close()
        if self.result_files is not None and trainer.standing.iteration > 0:
            self.result_files.write(trainer)
        program = self._best_program()
        return {
            "seed": self.seed,
            "r": trainer.standing.r_best,
            **({} if program is None else self.task.final_evaluation(program)),
            "expression": self._expression() or None,
            "traversal": None if program is None else repr(program),
            "program": program,
            **trainer.stats.invalid_summary(),
            "n_samples": trainer.standing.n_samples,
            "n_cached": self.evaluator.n_cached,
        }

    def _close(self) -> None:
        """Give back terminal and files, if there are any."""
        self.display.close()
        if self.log is not None:
            self.log.close()
        for recorder in self.recorders:
            recorder.close()

    def _best_program(self) -> Program | None:
        assert self.trainer is not None
        best = self.trainer.best
        return None if best is None else self.reports.program(best.programs)

    def _expression(self) -> str:
        program = self._best_program()
        return "" if program is None else str(program.sympy_expr)

    def _is_success(self, programs: ProgramBatch) -> bool:
        return bool(self.task.evaluate(self.reports.program(programs)).get("success"))

    def _prepare_files(self, config: Config) -> None:
        """Say where files go; the first iteration makes them."""
        self.save_path: str | None = None
        self.output_file: str | None = None
        self.folder: RunFolder | None = None
        self.log = None
        self.result_files: ResultFiles | None = None
        experiment = config.experiment
        if experiment.logdir is None:
            logger.warning("experiment.logdir is null: no files are written.")
            return
        timestamp = experiment.timestamp or time.strftime("%Y-%m-%d-%H%M%S")
        name = experiment.exp_name or f"{self.task.name}_{timestamp}".replace("/", "_")
        self.folder = RunFolder(Path(experiment.logdir, name), self.task.name, self.seed)
        self.save_path = str(self.folder.path)
        self.output_file = str(self.folder.file(".csv"))
        self._config_text = _config_text(config, self.task.name, self.seed)
        self.log = IterationLog(self.folder.file(".csv"), config.logging.save_freq)
        self.result_files = ResultFiles(self.folder, self.reports, config.logging.save_freq)

    def _make_recorders(self, config: Config) -> list[Recorder]:
        """Build what watches the run; an empty list where nothing was asked for."""
        wanted, folder, library = config.logging, self.folder, self.library
        recorders: list[Recorder] = []
        if config.training.debug:
            recorders.append(ParameterReport(self.policy, config.training.debug))
        if config.prior.count_constraints:
            recorders.append(ConstraintCounts(self.prior, self.folder))
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
            length = self.policy.max_length
            recorders.append(PositionalEntropy(folder, library.L, length, freq))
        if self.evaluator.archive is not None:
            recorders.append(CacheDump(folder, self.evaluator))
        if wanted.save_summary:
            detailed = config.policy_optimizer.summary
            recorders.append(
                TensorBoard(folder, self.policy, with_parameters=detailed, save_freq=freq)
            )
        return recorders


def _seed(config: Config, plain: dict) -> int:
    """Return the run's seed; one that is drawn is stored in the plain config."""
    if config.experiment.seed is not None:
        return config.experiment.seed
    seed = time.time_ns() // 1_000_000 % 1_000_000_000
    plain["experiment"]["seed"] = seed
    return seed


def _n_cores(given: int | None) -> int:
    return (os.cpu_count() or 1) if given == -1 else given or 1


def _make_task(config: Config) -> Task:
    section = config.task.to_dict()
    if not is_reference(section["task_type"]):
        section.pop("validation_fraction", None)
    task = make_task(**section)
    if task.library.poly_token is not None:
        raise UserError("task.function_set: 'poly' cannot be fitted in this version; leave it out.")
    return task


def _make_archive(config: Config, task: Task) -> ProgramArchive | None:
    if not config.logging.save_cache or config.experiment.logdir is None:
        return None
    if task.stochastic:
        logger.warning("logging.save_cache: rewards with noise are not cached; nothing to save.")
        return None
    return ProgramArchive(config.logging.save_cache_r_min)


def _make_prior(config: Config, task: Task) -> JointPrior:
    """Build the priors with what they may know of the data."""
    facts: dict[str, np.ndarray] = {}
    X, y = getattr(task, "X_train", None), getattr(task, "y_train", None)
    if X is not None and y is not None:
        facts["input_ranges"] = np.column_stack([X.min(axis=0), X.max(axis=0)])  # (D, 2)
        facts["output_range"] = np.array([y.min(), y.max()])
    prior = make_joint_prior(
        config.prior.to_dict(), task.library, max_length=config.policy.max_length, **facts
    )
    usual = TASK_DEFAULTS.get(config.task.task_type or "", {}).get("prior", {})
    for line in prior.skipped:
        if line.endswith("Prior disabled."):
            continue
        # What the user did not ask for is no reason to warn them.
        name = line.split(":", 1)[0]
        as_always = name in usual and config.prior.to_dict()[name] == usual[name]
        logger.log(logging.INFO if as_always else logging.WARNING, "prior.%s", line)
    for line in prior.descriptions:
        logger.info("prior.%s", line)
    return prior


def _make_policy(
    config: Config, task: Task, prior: JointPrior, seed: int, n_threads: int
) -> Policy:
    from dso.policy import StateManager  # needs torch, which takes seconds to import

    manager = config.state_manager.to_dict()
    del manager["type"]
    common, own = _plug_in_keys(config.policy)
    made = _policy_class(name := common.pop("policy_type"))
    # These keys are read elsewhere.
    for key in ("max_length", "sample_novel_batch", "max_attempts_at_novel_batch", "debug"):
        del common[key]
    common.update(state_manager=StateManager(**manager), seed=seed, n_threads=n_threads)
    return construct(made, f"policy ({name})", task.library, prior, common=common, own=own)


def _plug_in_keys(section: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split a section into the keys that we know and those of a user's own class."""
    own = section.model_extra or {}
    return {key: value for key, value in section.to_dict().items() if key not in own}, own


def _policy_class(name: str) -> type[Policy]:
    from dso.policy import POLICIES, Policy

    where = "policy.policy_type"
    found = import_object(name, where) if is_reference(name) else POLICIES[name]
    if not (isinstance(found, type) and issubclass(found, Policy)):
        raise UserError(f"{where}: {name!r} is no subclass of Policy.")
    return found


def _make_policy_optimizer(config: Config, policy: Policy, seed: int) -> Any:
    common, own = _plug_in_keys(config.policy_optimizer)
    kind = common.pop("policy_optimizer_type")
    return make_policy_optimizer(kind, policy, {**common, "seed": seed}, own)


def _make_queue(config: Config, policy_optimizer: Any, seed: int) -> PriorityQueue | None:
    """Build the queue for those that want one: an optimiser that does not say so may."""
    if not getattr(policy_optimizer, "uses_queue", True):
        return None
    size, batch_size = config.policy_optimizer.pqt_k, config.training.batch_size
    if size > batch_size:
        raise UserError(
            f"policy_optimizer.pqt_k: {size}; allowed: at most training.batch_size = {batch_size}."
        )
    return PriorityQueue(size, seed)


def _make_memory(config: Config, policy: Policy) -> ProgramMemory | None:
    training = config.training
    if not training.use_memory:
        return None
    return ProgramMemory(policy, training.memory_capacity, training.memory_threshold)


def _max_attempts(config: Config) -> int | None:
    policy = config.policy
    return policy.max_attempts_at_novel_batch if policy.sample_novel_batch else None


def _make_stopping(config: Config, callback: Callable[[Standing], object] | None) -> Stopping:
    training = config.training
    return Stopping(
        n_samples=training.n_samples,
        max_seconds=training.max_seconds,
        reward_threshold=training.reward_threshold,
        patience=training.patience,
        early_stopping=training.early_stopping,
        callback=callback,
    )


def _config_text(config: Config, task_name: str, seed: int) -> str:
    """Return the config as JSON that can be run again; arrays are named by their shape only."""
    plain = config.to_dict()
    experiment = plain["experiment"]
    experiment["seed"] = experiment.pop("starting_seed", seed)
    experiment["task_name"] = task_name
    # With its timestamp a second run would write into the folder of the first.
    experiment.pop("timestamp", None)

    def describe(value: Any) -> str:
        return f"{type(value).__name__} {np.shape(value)}"

    return json.dumps(plain, indent=3, default=describe) + "\n"
