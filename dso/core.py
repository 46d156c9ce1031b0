"""DeepSymbolicOptimizer: from a config to parts, from parts to a result."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dso.build import Run, build, make_stopping
from dso.build.race import Rows, can_race, dataset_of, make_race
from dso.build.units_aside import worth_seeing
from dso.config import Config, load_config, validate
from dso.fitting.least_squares import least_squares
from dso.messages import muted
from dso.program.batch import Batch
from dso.runs.disk import write_text
from dso.task.regression import RegressionTask
from dso.training.stopping import SIGNALLED, Standing, Stopping
from dso.training.trainer import Iteration

if TYPE_CHECKING:
    from dso.library import Library
    from dso.memory import ScoredPrograms
    from dso.program import Program, ProgramBatch
    from dso.reduction import Race, Reduced, RunningSearch
    from dso.runs.folder import RunFolder
    from dso.task.regression import Dataset


def _section(name: str) -> property:
    """Make a section of the config an attribute that can be changed until setup()."""

    def get(self: DeepSymbolicOptimizer) -> dict:
        return self.config[name]

    def put(self: DeepSymbolicOptimizer, section: dict) -> None:
        self.config[name] = section

    return property(get, put, doc=f"The section '{name}' of `config`.")


def _part(name: str) -> property:
    """Make a part of the run an attribute that is there after setup()."""

    def get(self: DeepSymbolicOptimizer) -> Any:
        return getattr(self.run, name)

    return property(get, doc=f"`Run.{name}`.")


MAX_ITERATIONS = 100
"""Of the fit of what searches for smaller problems have found."""


class DeepSymbolicOptimizer:
    """Search for the program that a task rewards most.

    Parameters
    ----------
    config : None, path, or dict
        See `dso.config.load_config`.
    data : Dataset, optional
        Rows to search on in place of what ``task.dataset`` names.

    Attributes
    ----------
    config : dict
        The whole config. It and its sections (`config_task`, `config_training`, ...) may be changed
        until `setup`, which checks them.
    run : Run
        The parts; there after `setup`. `task`, `library`, `prior`, `policy`, `evaluator`,
        `policy_optimizer`, `trainer` and others of them are attributes too.
    save_path : str or None
        The run folder; None where nothing is written.
    output_file : str or None
        The log of iterations in it.
    race : Race or None
        Searches for smaller problems alongside this one, if reductions are wanted.
    last : Iteration or None
        The latest iteration.
    stop_reason : str or None
        Why the run ended; None while it lasts.

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
    config_islands = _section("islands")
    config_checkpoint = _section("checkpoint")

    seed = _part("seed")
    task = _part("task")
    prior = _part("prior")
    policy = _part("policy")
    policy_optimizer = _part("policy_optimizer")
    evaluator = _part("evaluator")
    judge = _part("judge")
    reports = _part("reports")
    stopping = _part("stopping")
    trainer = _part("trainer")
    journal = _part("journal")

    def __init__(
        self,
        config: str | os.PathLike[str] | dict | None = None,
        data: Dataset | None = None,
    ) -> None:
        self._data = data
        self._run: Run | None = None
        self.race: Race | None = None
        self.last: Iteration | None = None
        self.stop_reason: str | None = None
        self._is_loaded = False
        self.set_config(config)

    def __repr__(self) -> str:
        task = self.config["task"]
        what = task.get("dataset") if isinstance(task.get("dataset"), str) else task.get("env")
        if self._run is None:
            return f"<DeepSymbolicOptimizer {what or task['task_type']}: nothing built yet>"
        standing, keeper = self._run.trainer.standing, self._run.trainer.keeper
        state = self.stop_reason or "goes on"
        text = (
            f"{self._run.task.name}, seed {self._run.seed}: {standing.n_samples} samples, {state}"
        )
        best = self._run.reports.expression(keeper.best)
        found = f"; best R {standing.r_best:.6f}: {best}" if best else ""
        return f"<DeepSymbolicOptimizer {text}{found}>"

    def _repr_latex_(self) -> str | None:
        """Return the best program so far as LaTeX, for notebooks."""
        if self._run is None:
            return None
        program = self._run.reports.best(self._run.trainer.keeper.best)
        return None if program is None else program._repr_latex_()

    def set_config(self, config: str | os.PathLike[str] | dict | None) -> None:
        """Replace the config; parts that exist are dropped."""
        self.config = load_config(config)
        self._run = None
        self._is_loaded = False

    @property
    def run(self) -> Run:
        """The parts of the run.

        Raises
        ------
        RuntimeError
            Before `setup`.
        """
        if self._run is None:
            raise RuntimeError("there is no run yet; call train() or setup() first")
        return self._run

    @property
    def library(self) -> Library:
        """The tokens of the task."""
        return self.run.task.library

    @property
    def front(self) -> ScoredPrograms:
        """The Pareto front of reward and complexity so far, the least complex first."""
        front = self.run.trainer.keeper.pareto_front
        if front is None:
            raise RuntimeError("this run keeps no Pareto front: logging.save_pareto_front is false")
        return front.rows

    @property
    def hall_of_fame(self) -> ScoredPrograms:
        """The best programs so far, the best first."""
        hall_of_fame = self.run.trainer.keeper.hall_of_fame
        if hall_of_fame is None:
            raise RuntimeError("this run keeps no hall of fame: logging.hof is 0")
        return hall_of_fame.rows

    @property
    def folder(self) -> RunFolder | None:
        """The files of the run; None before `setup`, and where nothing is written."""
        return None if self._run is None else self._run.journal.folder

    @property
    def save_path(self) -> str | None:
        """The run folder."""
        return None if self.folder is None else str(self.folder.path)

    @property
    def unwritten(self) -> list[str]:
        """What could not be written or shown, and why; empty where nothing is missing."""
        return [] if self._run is None else self._run.journal.guard.missing

    @property
    def output_file(self) -> str | None:
        """The log of iterations in it."""
        return None if self.folder is None else str(self.folder.file(".csv"))

    def setup(
        self,
        callback: Callable[[Standing], object] | None = None,
        within: Stopping | None = None,
    ) -> None:
        """Check the config and build every part.

        Nothing is written to disk before the first iteration is done.

        Parameters
        ----------
        callback : callable, optional
            Called with the `Standing` after each iteration; a true answer ends the run.
        within : Stopping, optional
            Of the search that this one is a part of, and ends with.

        Raises
        ------
        UserError
            If any part cannot be built as the config asks.
        """
        if self._run is not None:
            self._run.journal.close()
        config = validate(self.config)
        self._run = build(config, _seed(config, self.config), callback, self._data)
        self.race = self._make_race(self._run)
        self.last = self.stop_reason = None
        self._is_loaded = False
        self._run.stopping.within = within
        self._run.stopping.cuts_on_signal = self._run.journal.checkpoints is None
        self._run.stopping.start_clock()
        if config.checkpoint.load_path is not None:
            self.load(config.checkpoint.load_path)

    def extend(
        self,
        n_samples: int,
        max_seconds: float | None = None,
        callback: Callable[[Standing], object] | None = None,
    ) -> None:
        """Let a run that has ended continue with all that it has learned.

        Parameters
        ----------
        n_samples : int
            Samples to draw beyond those drawn so far.
        max_seconds : float, optional
            Wall time to spend beyond that spent so far.
        callback : callable, optional
            See `setup`.
        """
        run, training = self.run, self.config_training
        standing = run.trainer.standing
        limit = None if max_seconds is None else standing.seconds + max_seconds
        training.update(n_samples=standing.n_samples + n_samples, max_seconds=limit)
        run.stopping.go_by(make_stopping(validate(self.config), callback))
        run.trainer.pause()
        run.stopping.start_clock(standing.seconds)
        self.stop_reason = None

    def train(self, callback: Callable[[Standing], object] | None = None) -> dict[str, Any]:
        """Set up, search until a rule of `Stopping` ends it, and return the result.

        Ctrl-C finishes the current iteration and returns the result so far. So do SIGTERM and
        SIGHUP, which then take their course. After `load` or `resume` nothing is built again: the
        search goes on.

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
        with self.stopping.on_signals():
            if self.stop_reason is not None:  # it had ended when it was saved
                return self.finish()
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
        self.iterate(override)
        return None if self.stop_reason is None else self.finish()

    def iterate(self, override: Batch | None = None) -> None:
        """Do one iteration and nothing else; see `train_one_step`.

        `stop_reason` then says whether it was the last one.
        """
        if self._run is None:
            self.setup()
        if self.stop_reason is not None:
            raise RuntimeError(f"the run has ended: {self.stop_reason}; call setup() for another")
        try:
            self._one_step(self.run, override)
        except BaseException:
            self.run.journal.close()
            raise

    def _one_step(self, run: Run, override: Batch | None) -> None:
        if self.race is not None and self.race.is_due(run.trainer.standing.iteration):
            self._do_round(run, self.race)
        run.journal.start(run.trainer.standing.iteration + 1)
        self.last = run.trainer.step(override)
        run.journal.update(self.last)
        checkpoints = run.journal.checkpoints
        if checkpoints is not None and checkpoints.is_due(self.last.number):
            self.save()
        self.stop_reason = run.stopping.reason(self.last.standing)

    def _do_round(self, run: Run, race: Race) -> None:
        """Let searches for smaller problems catch up; what they find joins the next iteration."""
        standing, clock = run.trainer.standing, time.perf_counter()

        def is_over(n_evaluations: int) -> bool:
            n_samples = standing.n_samples + n_evaluations
            seconds = standing.seconds + time.perf_counter() - clock
            now = replace(standing, n_samples=n_samples, seconds=seconds)
            return run.stopping.reason(now) is not None

        programs, n_evaluations = race.run(standing.iteration, is_over)
        run.trainer.spend(n_evaluations)
        if self.folder is not None and race.found is not None:
            story = {"why": race.found.why, "steps": race.found.story()}
            with self.folder.guard(path := self.folder.file("_reductions.json")):
                write_text(path, json.dumps(story, indent=1) + "\n")
        programs = programs[programs.lengths <= run.prior.max_length]
        if len(programs):
            data = run.task.fit_data
            assert data is not None
            fitted, losses = least_squares(data, programs, max_iterations=MAX_ITERATIONS)
            assert isinstance(run.task, RegressionTask)
            is_seen = worth_seeing(run.prior, run.task, run.trainer.keeper, fitted, losses)
            run.trainer.suggest(fitted[is_seen & np.isfinite(losses)])

    @property
    def reduced(self) -> Reduced | None:
        """What the data say of the form; None where nobody has asked them."""
        return None if self.race is None else self.race.found

    def _make_race(self, run: Run) -> Race | None:
        """Return the race of a run that reductions are wanted for."""
        data = run.task.fit_data
        if data is None or not can_race(self.config, run.task):
            return None
        rows = data.columns.T, data.y, data.weights

        def start(config: dict[str, Any], rows: Rows) -> RunningSearch:
            inner = DeepSymbolicOptimizer(config, dataset_of(rows))
            with muted():
                inner.setup(within=run.stopping)
            return InnerSearch(inner)

        return make_race(self.config, run, rows, start)

    def save(self, path: str | os.PathLike[str] | None = None) -> str:
        """Write the state of the run to a file, from which `load` continues.

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
        return str(self.run.saved.save(None if path is None else Path(path).expanduser()))

    def load(self, path: str | os.PathLike[str]) -> None:
        """Go on from a checkpoint; `train` and `train_one_step` then do the iterations after it.

        Parameters
        ----------
        path : path
            A file that `save` wrote, or a run folder: the newest checkpoint of this run in it
            that can be read is taken. The logs in this run's own folder are continued; elsewhere
            they begin again.

        Raises
        ------
        UserError
            If it cannot be read, or is of another task, seed, data or library.
        """
        if self._run is None:
            self.setup()
        self.run.saved.load(Path(path).expanduser())
        self._take_over()

    def resume(self, timestamp: str | None = None) -> bool:
        """Set up, and continue from the newest checkpoint in the run folder if there is one.

        Parameters
        ----------
        timestamp : str, optional
            Only from one of the run that started then (`experiment.timestamp`).

        Returns
        -------
        bool
            Whether there was one; without it `train` starts at the beginning.

        Raises
        ------
        Refused
            If another process writes the run, or if there are checkpoints and none can be taken.
        """
        self.setup()
        if self.folder is not None:
            self.folder.claim()  # before looking: its writer may be about to end
        is_there = self.run.saved.has_checkpoint(timestamp)
        if is_there:
            self.run.saved.load_newest()
            self._take_over()
        self._is_loaded = True
        return is_there

    def _take_over(self) -> None:
        self._is_loaded = True
        self.stopping.start_clock(self.trainer.standing.seconds)
        self.stop_reason = self.stopping.reason(self.trainer.standing)

    def finish(self) -> dict[str, Any]:
        """Write the result files and return the result.

        Returns
        -------
        dict
            ``seed``, ``r``, ``r_val`` where rows were set aside, ``r_best`` where
            ``task.model_selection`` chose a row of the front, what `Task.evaluate` says,
            ``expression``, ``traversal``, ``program``,
            ``error_<operator>`` and ``error_node_<category>`` (see `TrainStats.invalid_summary`),
            ``n_samples``, ``n_cached``. Without any valid program ``r`` is -inf and expression,
            traversal and program are None.
        """
        run = self.run
        try:
            may_go_on = self._save_before_end(run)
            run.stopping.start_end()
            run.trainer.finish()
            run.journal.finish(run.trainer.standing)
            result = self._result(run)
            checkpoints = run.journal.checkpoints
            if checkpoints is not None and self.stop_reason is not None and not may_go_on:
                checkpoints.clear()
        finally:
            run.journal.close()
        return result

    def _save_before_end(self, run: Run) -> bool:
        """Keep a checkpoint where the run may yet go on, and return whether it may.

        It is of before the end, when programs are finished for people to read. There is one too
        while the final choice is made, which may take longer than all iterations, so that a run
        that is killed there need only repeat that.
        """
        may_go_on = run.saves_on_done or self.stop_reason in SIGNALLED
        checkpoints, keeper = run.journal.checkpoints, run.trainer.keeper
        is_chosen_later = keeper.candidates is not None and self.stop_reason is not None
        if checkpoints is not None and (may_go_on or (is_chosen_later and checkpoints.are_wanted)):
            self.save()
        return may_go_on

    @staticmethod
    def _result(run: Run) -> dict[str, Any]:
        program, rewards = DeepSymbolicOptimizer._final_program(run)
        evaluation = {} if program is None else run.task.final_evaluation(program)
        folder = run.journal.folder
        if folder is not None and program is not None:
            with folder.guard(folder.path):
                run.task.write_result(program, folder.file)
        return {
            "seed": run.seed,
            **rewards,
            **evaluation,
            "expression": None if program is None else program.expression,
            "traversal": None if program is None else repr(program),
            "program": program,
            **run.trainer.stats.invalid_summary(),
            "n_samples": run.trainer.standing.n_samples,
            "n_cached": run.evaluator.n_cached,
        }

    @staticmethod
    def _final_program(run: Run) -> tuple[Program | None, dict[str, float]]:
        """Return the program that the task chooses, and its rewards.

        These are its reward on the training rows, that on rows set aside if there are any, and the
        greatest reward of any program where a rule of selection chose.
        """
        keeper, reports = run.trainer.keeper, run.reports
        best = keeper.best
        if (chosen := reports.chosen(keeper.pareto_front)) is not None:
            return reports.best(chosen), {**_rewards(chosen), "r_best": keeper.r_best}
        if best is not None and keeper.candidates is not None:
            rows = keeper.candidates.rows
            programs = [reports.program(rows.programs, i) for i in range(len(rows))]
            program = run.task.final_choice(programs, lambda: run.stopping.is_over)
            if repr(program) != repr(reports.best(best)):
                return program, {"r": run.task.reward_function(program)}
        return reports.best(best), _rewards(best)


def _rewards(row: ScoredPrograms | None) -> dict[str, float]:
    """Return the rewards of one program, -inf without one."""
    if row is None:
        return {"r": -math.inf}
    rewards = {"r": float(row.training_rewards[0])}
    return rewards if row.training is None else {**rewards, "r_val": float(row.rewards[0])}


def _seed(config: Config, plain: dict) -> int:
    """Return the run's seed; one that is drawn is stored in the plain config."""
    if config.experiment.seed is not None:
        return config.experiment.seed
    seed = time.time_ns() // 1_000_000 % 1_000_000_000
    plain["experiment"]["seed"] = seed
    return seed


class InnerSearch:
    """A search for a smaller problem; see `dso.reduction.RunningSearch`.

    Parameters
    ----------
    optimizer : DeepSymbolicOptimizer
        Set up.
    undo : callable, optional
        What makes its programs such on the rows that it was given.
    """

    def __init__(
        self,
        optimizer: DeepSymbolicOptimizer,
        undo: Callable[[ProgramBatch], ProgramBatch] | None = None,
    ) -> None:
        self.optimizer = optimizer
        self.undo = undo

    @property
    def library(self) -> Library:
        """See `RunningSearch`."""
        return self.optimizer.library

    @property
    def iteration(self) -> int:
        """See `RunningSearch`."""
        return self.optimizer.trainer.standing.iteration

    @property
    def n_evaluations(self) -> int:
        """See `RunningSearch`."""
        return self.optimizer.trainer.standing.n_samples

    @property
    def is_over(self) -> bool:
        """See `RunningSearch`."""
        return self.optimizer.stop_reason is not None

    @property
    def has_succeeded(self) -> bool:
        """See `RunningSearch`."""
        return self.optimizer.trainer.standing.success

    def step(self) -> None:
        """See `RunningSearch`."""
        with muted():
            self.optimizer.train_one_step()

    def front(self) -> ProgramBatch:
        """See `RunningSearch`."""
        programs = self.optimizer.front.programs
        return programs if self.undo is None else self.undo(programs)
