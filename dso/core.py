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
from zlib import adler32, crc32

import numpy as np

from dso.build import (
    make_evaluator,
    make_judge,
    make_keeper,
    make_learner,
    make_policy,
    make_policy_optimizer,
    make_prior,
    make_recorders,
    make_row_batches,
    make_sources,
    make_stopping,
    make_task,
)
from dso.config import Config, load_config, validate
from dso.errors import UserError
from dso.program.batch import Batch
from dso.runs.checkpoint import Checkpoints, peek, read_checkpoint, write_checkpoint
from dso.runs.disk import Guard
from dso.runs.display import Display, make_display
from dso.runs.folder import IterationLog, RunFolder
from dso.runs.recorders import Recorder, parameter_table
from dso.runs.tables import Reports, ResultFiles
from dso.training.statistics import TrainStats
from dso.training.stopping import INTERRUPT, DeadEndWatch, Standing
from dso.training.trainer import Iteration, Trainer

if TYPE_CHECKING:
    from dso.program import Program
    from dso.program.program_batch import ProgramBatch
    from dso.task import Task

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
    last : Iteration or None
        The latest iteration.
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
        self.last: Iteration | None = None
        self.display = Display()
        self.log: IterationLog | None = None
        self.recorders: list[Recorder] = []
        self._is_loaded = False
        self.set_config(config)

    def set_config(self, config: str | os.PathLike[str] | dict | None) -> None:
        """Replace the config; parts that exist are dropped."""
        self.config = load_config(config)
        self.trainer = None
        self._is_loaded = False

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
        self.seed = _seed(config, self.config)
        self.task = make_task(config)
        self.library = self.task.library
        # Runs with the same seed on different tasks have nothing in common.
        stream_seed = self.seed + adler32(self.task.name.encode())
        self.prior = make_prior(config, self.task)
        self.policy = make_policy(config, self.task, self.prior, stream_seed)
        self.policy_optimizer = make_policy_optimizer(config, self.policy, stream_seed)
        self.evaluator = make_evaluator(config, self.task)
        self.judge = make_judge(config, self.task)
        self.reports = Reports(self.library, self.task, self.evaluator, self.judge)
        self.stopping = make_stopping(config, callback)
        keeper = make_keeper(config, self.task, self.evaluator, self.judge, self._is_success)
        learner = make_learner(config, self.policy, self.policy_optimizer, keeper, stream_seed)
        self.trainer = Trainer(
            make_sources(
                config, self.task, self.evaluator, learner, keeper, self.stopping, stream_seed
            ),
            self.evaluator,
            learner,
            keeper,
            stats=TrainStats(self.library.names),
            dead_ends=DeadEndWatch(self.prior.masking_report),
            row_batches=make_row_batches(self.task, self.evaluator, self.judge, stream_seed),
        )
        self.stop_reason: str | None = None
        self.display = make_display(
            sys.stdout,
            config.training.n_samples,
            config.training.max_seconds,
            verbose=config.training.verbose,
        )
        self._prepare_files(config)
        self.recorders = make_recorders(
            config, self.folder, self.policy, self.prior, self.evaluator
        )
        if config.policy.debug or config.policy_optimizer.debug:
            print(parameter_table(self.policy))
        self._is_loaded = False
        if config.checkpoint.load_path is not None:
            self.load(config.checkpoint.load_path)

    def extend(
        self,
        n_samples: int,
        max_seconds: float | None = None,
        callback: Callable[[Standing], object] | None = None,
    ) -> None:
        """Let a run that has ended go on with all that it has learned.

        Parameters
        ----------
        n_samples : int
            Samples to draw beyond those drawn so far.
        max_seconds : float, optional
            Wall time to spend beyond that spent so far.
        callback : callable, optional
            See `setup`.
        """
        trainer = self.trainer
        if trainer is None:
            raise RuntimeError("there is no run to extend; call train() or setup() first")
        training, standing = self.config_training, trainer.standing
        limit = None if max_seconds is None else standing.seconds + max_seconds
        training.update(n_samples=standing.n_samples + n_samples, max_seconds=limit)
        config = validate(self.config)
        trainer.pause()
        self.stopping.go_by(make_stopping(config, callback))
        self.stop_reason = None
        verbose = config.training.verbose
        self.display = make_display(sys.stdout, training["n_samples"], limit, verbose=verbose)

    def train(self, callback: Callable[[Standing], object] | None = None) -> dict[str, Any]:
        """Set up, search until a rule of `Stopping` ends it, and return the result.

        Ctrl-C finishes the iteration under way and returns the result so far. After `load` or
        `resume` nothing is set up anew: the search goes on.

        Parameters
        ----------
        callback : callable, optional
            See `setup`.

        Returns
        -------
        dict
            See `finish`.
        """
        if not self._is_loaded:
            self.setup(callback)
        elif callback is not None:
            self.stopping.callback = callback
        self._is_loaded = False
        if self.stop_reason is not None:  # it had come to its end when it was saved
            return self.finish()
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
        assert self.trainer is not None
        if self.stop_reason is not None:
            raise RuntimeError(f"the run has ended: {self.stop_reason}; call setup() for another")
        try:
            self._one_step(self.trainer, override)
        except BaseException:
            self._close()
            raise
        return None if self.stop_reason is None else self.finish()

    def _one_step(self, trainer: Trainer, override: Batch | None) -> None:
        for recorder in self.recorders:
            recorder.start(trainer.standing.iteration + 1)
        iteration = self.last = trainer.step(override)
        if self.folder is not None and trainer.standing.iteration == 1:
            # Not before: a config that cannot do one iteration leaves nothing behind.
            self.folder.create()
            assert self.checkpoints is not None
            self.checkpoints.clear()  # of an earlier run
        if self.log is not None:
            self.log.append(iteration.row)
        for recorder in self.recorders:
            recorder.update(iteration)
        if self.result_files is not None:
            self.result_files.update(trainer)
        self.display.update(trainer.standing, self._expression)
        if self.checkpoints is not None and self.checkpoints.is_due(trainer.standing.iteration):
            self.save()
        self.stop_reason = self.stopping.reason(trainer.standing)

    def save(self, path: str | os.PathLike[str] | None = None) -> str:
        """Write the state of the run to a file, from which `load` goes on.

        Parameters
        ----------
        path : path, optional
            None is the folder ``checkpoint`` of the run folder, where a disk that is full is no
            error.

        Returns
        -------
        str
            Where it is.
        """
        if self.trainer is None:
            raise RuntimeError("there is no run to save; call train() or setup() first")
        state = {
            "trainer": self.trainer.state_dict(),
            "log": None if self.log is None else self.log.state_dict(),
            "recorders": {type(one).__name__: one.state_dict() for one in self.recorders},
        }
        iteration = self.trainer.standing.iteration
        if path is not None:
            write_checkpoint(Path(path), {**self._about(), "iteration": iteration}, state)
            return str(path)
        if self.checkpoints is None:
            raise UserError("save: experiment.logdir is null, so a path is needed.")
        return str(self.checkpoints.save(iteration, self._about(), state))

    def load(self, path: str | os.PathLike[str]) -> None:
        """Go on from a checkpoint; `train` and `train_one_step` then do the iterations after it.

        Parameters
        ----------
        path : path
            A file that `save` wrote, or a run folder, of which the newest checkpoint of this run
            that can be read is taken. From this run's own folder its logs are gone on with; else
            they begin anew.

        Raises
        ------
        UserError
            If it cannot be read, or is of another task, seed, data or library.
        """
        if self.trainer is None:
            self.setup()
        path = Path(path)
        if not path.is_dir():
            self._restore(path, *read_checkpoint(path))
        elif not self._restore_newest(Checkpoints(path, self._prefix, Guard())):
            raise UserError(f"checkpoint.load_path: {str(path)!r} has no checkpoint of this run.")

    def resume(self, timestamp: str | None = None) -> bool:
        """Set up, and go on from the newest checkpoint in the run folder if there is one.

        Parameters
        ----------
        timestamp : str, optional
            Only from one of the run that started then (`experiment.timestamp`).

        Returns
        -------
        bool
            Whether there was one; without it `train` starts at the beginning.
        """
        self.setup()
        if self._has_checkpoint(timestamp):
            assert self.checkpoints is not None
            if self._restore_newest(self.checkpoints):
                return True
            self.setup()  # what could be read did not fit, and may have changed some parts
        self._is_loaded = True
        return False

    def _has_checkpoint(self, timestamp: str | None) -> bool:
        found = [] if self.checkpoints is None else self.checkpoints.found()
        if not found or timestamp is None:
            return bool(found)
        try:
            return peek(found[0]).get("timestamp") == timestamp
        except UserError:
            return False

    def _restore_newest(self, checkpoints: Checkpoints) -> bool:
        for path, about, state in checkpoints.readable():
            try:
                self._restore(path, about, state)
            except UserError as error:
                logger.warning("%s The one before it is taken, if there is one.", error)
            else:
                return True
        return False

    def _restore(self, path: Path, about: dict[str, Any], state: dict[str, Any]) -> None:
        assert self.trainer is not None
        ours = self._about()
        for name in ("task", "seed", "tokens", "data"):
            if about.get(name) != ours[name]:
                raise UserError(
                    f"checkpoint '{path}': its {name} is {about.get(name)!r}, that of this run "
                    f"{ours[name]!r}."
                )
        try:
            self.trainer.load_state_dict(state["trainer"])
            if self.folder is not None and _is_inside(path, self.folder.path):
                if self.log is not None:
                    self.log.load_state_dict(state["log"])
                for recorder in self.recorders:
                    if (known := state["recorders"].get(type(recorder).__name__)) is not None:
                        recorder.load_state_dict(known)
        except (UserError, TypeError, LookupError, AttributeError, ValueError) as error:
            raise UserError(f"checkpoint '{path}' does not fit this run: {error}") from None
        iteration = self.trainer.standing.iteration
        logger.info("Seed %d goes on after iteration %d from '%s'.", self.seed, iteration, path)
        if self.checkpoints is not None:
            self.checkpoints.start(iteration)
        self._is_loaded = True
        self.stop_reason = self.stopping.reason(self.trainer.standing)

    def _about(self) -> dict[str, Any]:
        """Return whose a checkpoint is."""
        return {
            "task": self.task.name,
            "seed": self.seed,
            "tokens": list(self.library.names),
            "data": _fingerprint(self.task),
            "config": self._config_text,
            "timestamp": self.config["experiment"].get("timestamp"),
        }

    def finish(self) -> dict[str, Any]:
        """Write the result files and return the result.

        Returns
        -------
        dict
            ``seed``, ``r``, ``r_val`` where rows were set aside, what `Task.evaluate` says,
            ``expression``, ``traversal``, ``program``,
            ``error_<operator>`` and ``error_node_<category>`` (see `TrainStats.invalid_summary`),
            ``n_samples``, ``n_cached``. Without any valid program ``r`` is -inf and expression,
            traversal and program are None.
        """
        trainer = self.trainer
        if trainer is None:
            raise RuntimeError("there is no run to finish; call train() or setup() first")
        self.display.show(trainer.standing, self._expression)
        may_go_on = self.checkpoints is not None and (
            self._saves_on_done or self.stop_reason == INTERRUPT
        )
        if may_go_on:
            self.save()  # before the files are closed, whose lengths belong to it
        self._close()
        if self.result_files is not None and trainer.standing.iteration > 0:
            self.result_files.write(trainer)
        if self.checkpoints is not None and self.stop_reason is not None and not may_go_on:
            self.checkpoints.clear()
        program, rewards = self._final_program(trainer)
        if self.folder is not None and program is not None:
            with self.folder.guard(self.folder.path):
                self.task.write_result(program, self.folder.file)
        return {
            "seed": self.seed,
            **rewards,
            **({} if program is None else self.task.final_evaluation(program)),
            "expression": None if program is None else program.expression,
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

    def _rewards(self) -> dict[str, float]:
        """Return the reward of the best program on the training rows, and on those set aside."""
        assert self.trainer is not None
        best, r_best = self.trainer.keeper.best, self.trainer.standing.r_best
        if best is None or best.training is None:
            return {"r": r_best}
        return {"r": float(best.training[0]), "r_val": r_best}

    def _best_program(self) -> Program | None:
        assert self.trainer is not None
        best = self.trainer.keeper.best
        return None if best is None else self.reports.program(best.programs)

    def _final_program(self, trainer: Trainer) -> tuple[Program | None, dict[str, float]]:
        """Return the program that the task chooses among the best, and its rewards."""
        best = self._best_program()
        if trainer.keeper.candidates is None or best is None:
            return best, self._rewards()
        rows = trainer.keeper.candidates.rows
        chosen = self.task.final_choice(
            [self.reports.program(rows.programs, i) for i in range(len(rows))]
        )
        if repr(chosen) == repr(best):
            return best, self._rewards()
        return chosen, {"r": self.task.reward_function(chosen)}

    def _expression(self) -> str:
        program = self._best_program()
        return "" if program is None else program.expression

    def _is_success(self, programs: ProgramBatch) -> bool:
        return bool(self.task.evaluate(self.reports.program(programs)).get("success"))

    def _prepare_files(self, config: Config) -> None:
        """Say where files go; the first iteration makes them."""
        self.save_path: str | None = None
        self.output_file: str | None = None
        self.folder: RunFolder | None = None
        self.log = None
        self.result_files: ResultFiles | None = None
        self.checkpoints: Checkpoints | None = None
        self._config_text = _config_text(config, self.task.name, self.seed)
        self._prefix = RunFolder(Path(), self.task.name, self.seed).prefix
        experiment = config.experiment
        if experiment.logdir is None:
            logger.info("experiment.logdir is null: no files are written.")
            return
        timestamp = experiment.timestamp or time.strftime("%Y-%m-%d-%H%M%S")
        name = experiment.exp_name or f"{self.task.name}_{timestamp}".replace("/", "_")
        path = Path(experiment.logdir, name)
        self.folder = RunFolder(path, self.task.name, self.seed, self._config_text)
        self.save_path = str(self.folder.path)
        self.output_file = str(self.folder.file(".csv"))
        self.log = IterationLog(
            self.folder.file(".csv"), config.logging.save_freq, self.folder.guard
        )
        self.result_files = ResultFiles(self.folder, self.reports, config.logging.save_freq)
        wanted = config.checkpoint
        self._saves_on_done = wanted.save_on_done
        self.checkpoints = Checkpoints(
            path, self.folder.prefix, self.folder.guard, wanted.save_freq, wanted.units
        )


def _seed(config: Config, plain: dict) -> int:
    """Return the run's seed; one that is drawn is stored in the plain config."""
    if config.experiment.seed is not None:
        return config.experiment.seed
    seed = time.time_ns() // 1_000_000 % 1_000_000_000
    plain["experiment"]["seed"] = seed
    return seed


def _is_inside(path: Path, folder: Path) -> bool:
    return folder.resolve() in path.resolve().parents


def _fingerprint(task: Task) -> int | None:
    """Return a number that tells the training data apart, None for a task without."""
    if task.fit_data is None:
        return None
    columns, y = task.fit_data.columns, task.fit_data.y
    return crc32(y.tobytes(), crc32(np.ascontiguousarray(columns.T).tobytes()))


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
