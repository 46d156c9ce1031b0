"""All actions of an environment, one after the other: ``"action_spec": "auto"``.

    the anchor's return -> the order -> for each action: imitate, search, freeze
    -> sweeps, in which an action is searched again among formulas, while that gains
    -> all numbers at once

Each search is a run of its own, in a folder below that of the whole, with its own checkpoints; what
is done stands in ``stages.json``. So a run that was killed goes on at its stage, with the result
that it would have had.
"""

from __future__ import annotations

import copy
import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dso.build import config_text
from dso.config import load_config, validate
from dso.core import DeepSymbolicOptimizer
from dso.errors import UserError
from dso.launch.jobs import Job
from dso.launch.outcome import Outcome
from dso.runs.disk import write_text
from dso.runs.folder import RunFolder
from dso.task import ControlTask, make_task
from dso.task.control.action_spec import AUTO
from dso.task.control.distill import Formula, Lessons, lessons, lines
from dso.task.control.joint import JointOptions, formulas_of, refined_jointly
from dso.training.stopping import INTERRUPT

logger = logging.getLogger("dso")

ANCHOR = "anchor"
DONE = "all actions are formulas"
SCORED = "nothing to learn"
FILE = "stages.json"
FORMAT = "dso stages 1"
AT_THE_END = -1
N_LESSONS = 2000
"""States that a regression on the anchor's actions sees."""
SELECTIONS = ("accuracy", "best", "score")
"""Of that regression: the equations that a search starts from."""
FIRST_LESSON_SEED = 1_200_000_000

Entry = str | Formula
Spec = list[Entry]


@dataclass(frozen=True)
class Stage:
    """A stage that is done.

    Attributes
    ----------
    name : str
    spec : list
        Per action ``"anchor"`` or the formula, afterwards.
    mean_return : float
        Of that policy in the validation episodes.
    n_samples, n_steps : int
        Evaluations and steps of the environment that it took.
    seconds : float
    """

    name: str
    spec: Spec
    mean_return: float
    n_samples: int = 0
    n_steps: int = 0
    seconds: float = 0.0


@dataclass
class Progress:
    """What stands in ``stages.json``.

    Attributes
    ----------
    started : str or None
        When the command was given that the stages belong to.
    anchor : float or None
        Mean return of the anchor in the validation episodes.
    order : list of int
        Of the actions, zero-based.
    losses : dict
        What the policy loses with a line in place of an action of the anchor, by action.
    done : list of Stage
    """

    started: str | None = None
    anchor: float | None = None
    order: list[int] = field(default_factory=list)
    losses: dict[str, float] = field(default_factory=dict)
    done: list[Stage] = field(default_factory=list)

    def text(self) -> str:
        """Return the file."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n"

    @staticmethod
    def read(path: Path) -> Progress:
        """Read the file; where there is none, nothing is done."""
        if not path.exists():
            return Progress()
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            if data.pop("format") != FORMAT:
                raise ValueError("another format")
            stages = [Stage(**stage) for stage in data.pop("done")]
            return Progress(**data, done=stages)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"'{path}' cannot be read: {error!r}.") from None


class StageRun:
    """One run of all stages.

    Parameters
    ----------
    job : Job
        Whose config `is_staged`.
    """

    def __init__(self, job: Job) -> None:
        self.config, self.job = job.config, job
        self.keys: dict[str, Any] = job.config["task"]["stages"]
        self.seed = job.seed
        self.task = _scoring_task(job.config)
        self.n_actions = self.task.environment.n_actions
        if len(self.keys["actions"]) > self.n_actions:
            raise UserError(
                f"task.stages.actions: {len(self.keys['actions'])} entries; "
                f"{self.task.environment.recipe.id!r} has {self.n_actions} actions."
            )
        self.folder = _folder(job.config, self.task, job.seed)
        self.progress = self._known()
        self._clock, self._steps = time.perf_counter(), self.task.rollouts.n_steps

    def run(self) -> tuple[str, dict[str, Any]]:
        """Do all stages that are not done, and return why it ended and the result."""
        spec = self.config["task"]["action_spec"]
        if spec != AUTO:
            return SCORED, self._result([_entry(entry) for entry in spec])
        if self.task.anchor is not None and self.progress.anchor is None:
            self.progress.anchor = self._mean([ANCHOR] * self.n_actions)
            self._save()
        if not self.progress.order:
            self._choose_order()
        if self.progress.anchor is not None:
            logger.info("The anchor gets %.2f.", self.progress.anchor)
        for step in (self._first_searches, self._sweeps, self._numbers):
            if not step():
                return INTERRUPT, self._result(self.spec)
        return DONE, self._result(self.spec)

    def set_up(self) -> int:
        """Set up each action's first search as a check, and return how many there would be."""
        spec = self.config["task"]["action_spec"]
        if spec != AUTO:
            self.task.whole([_entry(entry) for entry in spec])
            return 0
        for action in range(self.n_actions):
            start = self._own(action)["start"] or []
            DeepSymbolicOptimizer(self._search_config(self.spec, action, start)).setup()
        return self.n_actions

    def close(self) -> None:
        """Give back processes and the folder."""
        self.task.rollouts.close()
        if self.folder is not None:
            self.folder.release()

    # ------------------------------------------------------------------------------- stages

    @property
    def spec(self) -> Spec:
        """The policy as it stands."""
        done = self.progress.done
        return list(done[-1].spec) if done else [ANCHOR] * self.n_actions

    def _first_searches(self) -> bool:
        """Search each action once, while the anchor gives those that are not formulas yet."""
        for number, action in enumerate(self.progress.order):
            search = partial(self._search, f"action {action + 1}", action)
            if not self._stage(number, search):
                return False
        return True

    def _sweeps(self) -> bool:
        """Search actions again, until a whole sweep gains nothing."""
        number = self.n_actions
        for sweep in range(1, self.keys["sweeps"] + 1 if self.n_actions > 1 else 1):
            before = self.progress.done[number - 1].mean_return
            for action in self.progress.order:
                search = partial(self._search, f"sweep {sweep}, action {action + 1}", action)
                if not self._stage(number, search):
                    return False
                number += 1
            if self.progress.done[number - 1].mean_return <= before:
                break
        self._n_searched = number
        return True

    def _numbers(self) -> bool:
        """Refine the numbers of all actions together."""
        if self.keys["joint_candidates"] == 0:
            return True
        return self._stage(self._n_searched, self._refine)

    def _stage(self, number: int, do: Callable[[], Stage | None]) -> bool:
        """Do a stage unless it is done; return whether it came to its end."""
        if number < len(self.progress.done):
            return True
        self._clock, self._steps = time.perf_counter(), self.task.rollouts.n_steps
        stage = do()
        if stage is None:
            return False
        self.progress.done.append(stage)
        self._save()
        beside = "" if self.progress.anchor is None else f", the anchor {self.progress.anchor:.2f}"
        logger.info(
            "Stage %d, %s: mean return %.2f%s.", number + 1, stage.name, stage.mean_return, beside
        )
        return True

    def _search(self, name: str, action: int) -> Stage | None:
        """Search one action and keep the better of old and new; None where it was interrupted."""
        before = self.spec
        start = [before[action]] if before[action] != ANCHOR else []
        start += self._own(action)["start"] or []
        start += self._imitations(before, action) if self._imitates else []
        config = self._search_config(before, action, start)
        model = DeepSymbolicOptimizer(config)
        logger.info("%s: %d expressions to start from.", name, len(start))
        with _warnings_alone():
            if self.folder is not None:
                model.resume()
            result = model.train()
        if model.stop_reason == INTERRUPT:
            return None
        assert isinstance(model.task, ControlTask)
        n_steps = model.task.rollouts.n_steps
        after = [*before]
        if result["traversal"] is not None:
            after[action] = _entry(result["traversal"])
        means = [-math.inf, self._mean(after)]
        if before[action] != ANCHOR:  # a formula stays unless the new one is better
            means[0] = self._mean(before)
        spec = after if means[1] > means[0] else before
        return self._done(name, spec, max(means), result["n_samples"], n_steps)

    def _refine(self) -> Stage:
        options = JointOptions(
            self.keys["joint_candidates"], self.keys["joint_episodes"], self.seed
        )
        log = None if self.folder is None else self._below / "numbers.jsonl"
        policy = self.task.whole(self.spec)
        refined, mean = refined_jointly(
            policy, self.task.play, self.task.validation_seeds, options, log
        )
        spec: Spec = [_tokens(formula) for formula in formulas_of(refined)]
        return self._done("numbers of all actions", spec, mean, options.n_candidates)

    def _done(
        self, name: str, spec: Spec, mean: float, n_samples: int = 0, n_steps: int = 0
    ) -> Stage:
        n_steps += self.task.rollouts.n_steps - self._steps
        return Stage(name, spec, mean, n_samples, n_steps, time.perf_counter() - self._clock)

    # ----------------------------------------------------------------------------- imitation

    @property
    def _imitates(self) -> bool:
        return self.keys["distill"] and self.task.anchor is not None

    def _imitations(self, spec: Spec, action: int) -> list[Formula]:
        """Return formulas that do what the anchor does, in the states that `spec` gets into."""
        taught, found = self._lessons(spec, action)
        found = list(found)
        if self.keys["distill_samples"]:
            found += self._regressed(taught, action)
        return found

    def _lessons(self, spec: Spec, action: int) -> tuple[Lessons, list[Formula]]:
        """Gather states and the anchor's actions, and return them with the lines through them."""
        task, n = self.task, self.keys["distill_episodes"]
        assert task.anchor is not None
        bounds = task.environment.low[action], task.environment.high[action]
        taught, found, player = None, [], [*spec]
        player[action] = ANCHOR
        for round_ in range(self.keys["distill_rounds"] + 1):
            first = FIRST_LESSON_SEED + n * round_
            seeds = range(first, first + n)
            more = lessons(task.environment, task.anchor, task.whole(player), seeds)
            taught = more if taught is None else taught.joined(more)
            found = lines(taught, action, *bounds)
            player[action] = found[-1]
        assert taught is not None
        return taught, found

    def _regressed(self, taught: Lessons, action: int) -> list[Formula]:
        """Return the equations that the estimator finds for an action of the anchor."""
        from dso.regressor import DeepSymbolicRegressor

        rows = taught.thinned(N_LESSONS)
        model = DeepSymbolicRegressor(
            n_samples=self.keys["distill_samples"], random_state=self.seed, verbosity=0, n_jobs=1
        )
        weights = rows.weights[:, action]
        is_weighted = (weights != 1.0).any()
        model.fit(rows.observations, rows.actions[:, action], weights if is_weighted else None)
        chosen = [model.set_params(model_selection=name).program_ for name in SELECTIONS]
        return [_tokens(text) for text in dict.fromkeys(map(repr, chosen))]

    def _choose_order(self) -> None:
        """Take the order that is given, or search first what a line can stand in for best."""
        given, n = self.keys["order"], self.n_actions
        if given is not None:
            if sorted(given) != list(range(1, n + 1)):
                raise UserError(
                    f"task.stages.order: {given!r}; allowed: the numbers 1 to {n}, each once."
                )
            self.progress.order = [number - 1 for number in given]
        elif n == 1 or self.task.anchor is None:
            self.progress.order = list(range(n))
        else:
            self._measure_losses()
        self._save()

    def _measure_losses(self) -> None:
        """Find what is lost where a line takes the place of an action of the anchor."""
        assert self.progress.anchor is not None
        losses = []
        for action in range(self.n_actions):
            spec: Spec = [ANCHOR] * self.n_actions
            _, found = self._lessons(spec, action)
            spec[action] = found[-1]
            losses.append(self.progress.anchor - self._mean(spec))
            self.progress.losses[f"action {action + 1}"] = losses[-1]
            logger.info("A line in place of action %d loses %.2f.", action + 1, losses[-1])
        self.progress.order = np.argsort(losses, kind="stable").tolist()

    # --------------------------------------------------------------------------------- parts

    def _own(self, action: int) -> dict[str, Any]:
        """Return what the search of an action differs in."""
        actions = self.keys["actions"]
        nothing = {"function_set": None, "max_length": None, "start": None}
        return {**nothing, **(actions[action] if action < len(actions) else {})}

    def _search_config(self, spec: Spec, action: int, start: Sequence[Entry]) -> dict[str, Any]:
        """Return the config of the search of one action."""
        config, own = copy.deepcopy(self.config), self._own(action)
        number = len(self.progress.done)
        task = config["task"]
        task["action_spec"] = [None if i == action else entry for i, entry in enumerate(spec)]
        task["start"] = list(start) or None
        task["n_episodes_test"] = max(1, task["n_episodes_validation"])
        n_shown = min(config["logging"]["hof"] or 0, task["n_validated"])
        config["logging"].update(hof=n_shown, save_freq=AT_THE_END)
        functions = own["function_set"] or task["function_set"]
        if start and "const" not in functions:
            functions = [*functions, "const"]  # for their numbers
        task["function_set"] = functions
        if own["max_length"] is not None:
            lengths = config["prior"]["length"]
            for one in lengths if isinstance(lengths, list) else [lengths]:
                one.update(on=True, max_=own["max_length"])
        experiment = config["experiment"]
        for key in ("timestamp", "starting_seed", "runs", "cmd"):
            experiment.pop(key, None)
        experiment["seed"] = self.seed
        if self.folder is not None:
            name = f"{number + 1:02d}_action_{action + 1}"
            experiment.update(logdir=str(self._below), exp_name=name)
        return load_config(config)

    def _mean(self, spec: Spec) -> float:
        return float(self.task.play(self.task.whole(spec), self.task.validation_seeds).mean())

    @property
    def _below(self) -> Path:
        """The folder of the stages of this seed."""
        assert self.folder is not None
        return self.folder.path / f"stages_{self.seed}"

    def _known(self) -> Progress:
        """Return what is done already by the same command."""
        started = self.config["experiment"].get("timestamp")
        if self.folder is not None:
            known = Progress.read(self._below / FILE)
            if known.done and (self.job.is_resumed or known.started == started):
                return known
        return Progress(started=started)

    def _save(self) -> None:
        if self.folder is not None:
            self.folder.create()
            self._below.mkdir(parents=True, exist_ok=True)
            with self.folder.guard(self._below / FILE):
                write_text(self._below / FILE, self.progress.text())

    def _result(self, spec: Spec) -> dict[str, Any]:
        """Return the result of the run, whose policy is written too."""
        task = self.task
        policy = task.whole(spec)
        training = task.play(policy, task.fitting_seeds).mean()
        symbolic = task.symbolic(policy)
        if self.folder is not None:
            self.folder.create()
            with self.folder.guard(self.folder.path):
                task.write_policy(symbolic, self.folder.file)
        done = self.progress.done
        anchor = {} if self.progress.anchor is None else {"r_avg_anchor": self.progress.anchor}
        return {
            "seed": self.seed,
            "r": float(task.scaled(training)),
            **task.tested(policy),
            **anchor,
            "expression": "; ".join(symbolic.equations),
            "traversal": json.dumps(spec),
            "n_samples": sum(stage.n_samples for stage in done),
            "n_steps": sum(stage.n_steps for stage in done),
        }


@contextmanager
def _warnings_alone() -> Iterator[None]:
    """Leave out what each search says of its priors."""
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def _scoring_task(config: dict[str, Any]) -> ControlTask:
    """Return the task that plays whole policies, in which all numbers are free."""
    section = copy.deepcopy(config["task"])
    functions = [token for token in section["function_set"] or () if isinstance(token, str)]
    section.update(function_set=[*dict.fromkeys([*functions, "const"])], start=None)
    task = make_task(**section)
    assert isinstance(task, ControlTask)
    if task.environment.kind != "box":
        raise UserError(
            f"task.action_spec: {AUTO!r} is for actions that are numbers; one tree chooses the "
            f"whole action of {task.environment.recipe.id!r}: give [null]."
        )
    from joblib import cpu_count

    training = config["training"]["n_cores_batch"]
    task.n_threads = training if training not in (None, -1) else cpu_count()
    return task


def _folder(config: dict[str, Any], task: ControlTask, seed: int) -> RunFolder | None:
    """Return the folder of the whole run; None where nothing is written."""
    experiment = config["experiment"]
    if experiment["logdir"] is None:
        return None
    experiment["timestamp"] = experiment.get("timestamp") or time.strftime("%Y-%m-%d-%H%M%S")
    name = experiment["exp_name"] or f"{task.name}_{experiment['timestamp']}"
    text = config_text(validate(config), task.name, seed)
    return RunFolder(Path(experiment["logdir"], name), task.name, seed, text)


def _entry(given: str | Sequence[str | float]) -> Entry:
    """Return an entry of a spec as a list of tokens, or ``"anchor"``."""
    return ANCHOR if given == ANCHOR else _tokens(given)


def _tokens(given: str | Sequence[str | float]) -> Formula:
    """Return a formula as a list of tokens, its numbers as numbers."""
    parts = given.split(",") if isinstance(given, str) else given
    return [_number_or_name(part) for part in parts]


def _number_or_name(token: str | float) -> str | float:
    try:
        return float(token)
    except ValueError:
        return str(token).strip()


def run_stages(job: Job) -> Outcome:
    """Do the run of a job that `is_staged`, and add its row to ``summary.csv``."""
    start = time.perf_counter()
    logger.info("Run with seed %d starts.", job.seed)
    run = StageRun(job)
    try:
        reason, result = run.run()
        result["t"] = time.perf_counter() - start
        if run.folder is not None and reason != INTERRUPT:
            run.folder.append_summary(result)
    finally:
        run.close()
    path = None if run.folder is None else str(run.folder.path)
    return Outcome(job.number, job.seed, reason, result, path)
