"""One call of `fit`: a search for each target, their files, and what ended them."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from sklearn.utils import check_random_state

from dso.config.base import relative_name
from dso.errors import UserError
from dso.islands import Engine, island_engine
from dso.processes import deferred
from dso.regressor.equations import Equations
from dso.regressor.noise import Searched, Searches, search_for
from dso.regressor.options import (
    changed_keys,
    guesses_of,
    has_own_loss,
    n_threads,
    search_config,
)
from dso.regressor.rows import CanonicalRows
from dso.regressor.run_files import RunFiles, library_plan, new_run_id
from dso.regressor.search import EarlyStop, Measure, Search, SoFar, constant_equation
from dso.regressor.selected import of_all_inputs
from dso.runs.disk import Guard
from dso.training.stopping import SIGNALLED, Standing
from dso.units import Quantities

logger = logging.getLogger("dso")

SECONDS_BEFORE_PROCESSES = 1.0
"""Of a fit with islands; shorter ones start none."""


MAX_PREPARATION = 0.1
"""Seconds before a search that do not count."""


class Model(Protocol):
    """What a fit asks of the estimator."""

    config: Any
    model_selection: str
    niterations: int | None
    early_stop_condition: EarlyStop
    callback: Callable[[Any], object] | None
    complexity_mapping: Callable[[Any], float] | None
    guesses: Any
    maxsize: int | None
    random_state: Any
    n_jobs: int | None
    output_directory: str | os.PathLike[str] | None
    run_id: str | None
    display_feature_names_in_: np.ndarray
    target_names_: list[str]
    y_units_: list[str | None] | None
    n_features_in_: int
    selection_mask_: np.ndarray | None
    _original_names: list[str]
    _quantities: list[Quantities | None]

    @property
    def _errors_of_y(self) -> str: ...

    def get_params(self, deep: bool = True) -> dict[str, Any]: ...


class Fit:
    """The searches of all targets.

    Parameters
    ----------
    model : Model
        Whose arguments and names it goes by.
    X : (N, D) array
    targets : (N, K) array
    weights : (N,) array or None
    before : list of (Search or None), optional
        Searches to continue, one for each target, if they had the same data and arguments.
    last_random_state
        The argument `random_state` of the fit that they are of.
    started : float, optional
        When the fit began, by `time.monotonic`: what came before the search, as the choice of
        inputs, is time of the search. Default: now.

    Attributes
    ----------
    directory : str or None
        Where the folder of the fit goes.
    is_continued : bool
        Whether it continues `before`.
    targets : list of Equations
    searches : list of (Search or None)
        None where y is constant.
    interrupted : bool
    n_evaluations : int
    unwritten : list of str
    """

    def __init__(
        self,
        model: Model,
        X: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray | None,
        before: list[Search | None] | None = None,
        last_random_state: Any = None,
        started: float | None = None,
    ) -> None:
        started = time.monotonic() if started is None else started
        self._model = model
        self._all_names = model.display_feature_names_in_.tolist()
        mask = model.selection_mask_
        self._selected = np.arange(len(self._all_names)) if mask is None else np.flatnonzero(mask)
        self._names = [self._all_names[i] for i in self._selected]
        self._original_names = [model._original_names[i] for i in self._selected]
        self._config = search_config(model, self._names, mask)
        is_in_order = self._config["task"]["loss_function"] is not None
        rows_of = CanonicalRows.as_given if is_in_order else CanonicalRows.of
        self._rows = [rows_of(X, y, weights) for y in targets.T]
        others = self._others_than(before or [], last_random_state)
        self.is_continued = bool(before) and not others
        if others:
            logger.warning(
                "warm_start: other than in the last fit: %s; the search starts again.",
                ", ".join(others),
            )
        self._before = before if before and self.is_continued else [None] * len(self._rows)
        self._config["experiment"]["seed"] = self._seed()
        directory = model.output_directory
        self.directory = None if directory is None else os.path.expanduser(directory)
        self.targets: list[Equations] = []
        self.searches: list[Search | None] = []
        self._reasons: list[str] = []
        self._signals: list[int] = []
        self.interrupted = False
        self.n_evaluations = 0
        self.unwritten: list[str] = []
        self._take_off(time.monotonic() - started)

    def _take_off(self, seconds: float) -> None:
        """Count what the preparation took as time of the search."""
        training = self._config["training"]
        if training["max_seconds"] is not None and seconds > MAX_PREPARATION:
            training["max_seconds"] = max(MAX_PREPARATION, training["max_seconds"] - seconds)

    @property
    def stop_reason(self) -> str:
        """What ended the searches."""
        return "; ".join(dict.fromkeys(self._reasons))

    def new_run_id(self) -> str:
        """Return the name that the user gives the folder of the fit, or a new one."""
        given = self._model.run_id
        if given is None:
            return new_run_id()
        try:
            relative_name(str(given))
        except ValueError as error:
            raise UserError(f"run_id: {given!r}; {error}.") from None
        return given or new_run_id()

    def run(self, run_id: str) -> None:
        """Search for the equations of each target, and write them to the folder of that name."""
        guard = Guard()
        write = self._writer(run_id, guard)
        with deferred(self._signals.append), self._engine() as engine:
            for k in range(len(self._rows)):
                self._run_target(k, run_id, write, engine)
                if self.interrupted:
                    # The targets that are left get the few equations of one iteration.
                    self._config["training"]["n_samples"] = 1
            if write is not None:
                write(self.targets)
            self._say_what_is_missing(guard)

    def _engine(self) -> AbstractContextManager[Engine]:
        """Return what does the rounds of islands, in processes as far as `n_jobs` allows them."""
        n_processes = min(n_threads(self._model.n_jobs), self._config["islands"]["n"])
        return island_engine(n_processes, patience=SECONDS_BEFORE_PROCESSES)

    def _run_target(
        self,
        k: int,
        run_id: str,
        write: Callable[[list[Equations]], None] | None,
        engine: Engine,
    ) -> None:
        model, rows, search = self._model, self._rows[k], self._before[k]
        if rows.is_constant:
            found = constant_equation(rows, self._all_names, model._original_names)
            found.quantities = model._quantities[k]
            self.targets.append(found)
            self.searches.append(None)
            self._reasons.append("y is constant")
            return
        done = list(self.targets)
        searches = Searches(
            rows,
            self._names,
            self._original_names,
            model.niterations,
            model.early_stop_condition,
            self._callback,
            None if write is None else lambda found: write([*done, self._whole(found)]),
            engine,
            self._measure(),
            self._signals,
        )
        if search is None:
            result = search_for(searches, self._config_of(k, run_id), self._errors_of_y)
        else:
            search.config["training"] = self._config["training"]
            found = searches.run(search, is_continued=True)
            result = Searched(search, found, search.standing.n_samples)
        self._tell_of_units(k, result.found)
        reason = result.search.optimizer.stop_reason
        self.targets.append(self._whole(result.found))
        self.searches.append(result.search)
        self._reasons.append(str(reason))
        self.n_evaluations += result.n_evaluations
        self.interrupted |= reason in SIGNALLED or bool(self._signals)

    def _tell_of_units(self, k: int, found: Equations) -> None:
        """Say so where what fits best has units that are not consistent, against the rule."""
        if self._config["task"]["dimensional_constraint_penalty"] is not None:
            return
        trouble = found.trouble_with_units(found.select(self._model.model_selection))
        if trouble is not None:
            logger.warning("%s: %s.", self._model.target_names_[k], trouble)

    def _whole(self, found: Equations) -> Equations:
        """Return equations of the selected inputs as equations of all."""
        if len(self._selected) == len(self._all_names):
            return found
        plan = found.plan or library_plan(self._config["task"], len(self._names))
        return of_all_inputs(
            found, plan, self._selected, self._all_names, self._model._original_names
        )

    def _measure(self) -> Measure | None:
        """Return the user's measure of complexity, with the greatest one that is shown."""
        measure = self._model.complexity_mapping
        return None if measure is None else Measure(measure, self._model.maxsize or np.inf)

    def _callback(self, search: Search) -> Callable[[Standing], object]:
        """Return what is asked after each iteration.

        The callback of the user is told all that was found so far.
        """
        model = self._model

        def callback(standing: Standing) -> object:
            if model.callback is None:
                return False
            return model.callback(SoFar(standing, search, model.model_selection))

        return callback

    def _others_than(self, before: list[Search | None], last_random_state: Any) -> list[str]:
        """Return by name what keeps this fit from continuing the searches of the last one."""
        model = self._model
        if before and len(before) != len(self._rows):
            return ["the number of targets"]
        for k, (search, rows) in enumerate(zip(before, self._rows, strict=False)):
            if search is None:
                continue
            others = changed_keys(search.config, self._config_without_folder(k))
            if model.random_state != last_random_state:
                others.insert(0, "random_state")
            if not search.given_rows.same_as(rows):
                others.insert(0, "the data")
            if self._errors_of_y not in ("auto", search.errors):
                others.append("loss or target_transform")
            if others:
                return others
        return []

    @property
    def _errors_of_y(self) -> str:
        """What kinds of errors are looked for; another loss says what they are."""
        asked = self._model._errors_of_y
        if not has_own_loss(self._config["task"]):
            return asked
        if asked not in ("auto", "squared"):
            raise UserError(
                f"loss or target_transform: {asked!r} does not go with elementwise_loss or "
                "loss_function, which say what is made small; leave it out, or give weights."
            )
        return "squared"

    def _seed(self) -> int:
        """Return the seed of the searches; that of the config where only it says one."""
        model = self._model
        if model.random_state is None and model.config is not None:
            seed = self._config["experiment"]["seed"]
            if seed is not None:
                return seed
        return int(check_random_state(model.random_state).randint(np.iinfo(np.int32).max))

    def _config_of(self, k: int, run_id: str) -> dict[str, Any]:
        """Return the config of target `k`: each has its own folder below that of the fit."""
        name = run_id if len(self._rows) == 1 else f"{run_id}/output{k + 1}"
        folder = {"logdir": self.directory, "exp_name": name}
        config = self._config_without_folder(k)
        return {**config, "experiment": {**config["experiment"], **folder}}

    def _config_without_folder(self, k: int) -> dict[str, Any]:
        """Return the config with what belongs to target `k`: its guesses and its unit."""
        guesses = guesses_of(self._model.guesses, k, len(self._rows))
        task = {**self._config["task"], "guesses": guesses}
        if self._model.y_units_ is not None:
            task["y_units"] = self._model.y_units_[k]
        return {**self._config, "task": task}

    def _writer(self, run_id: str, guard: Guard) -> Callable[[list[Equations]], None] | None:
        """Return what writes the files of the fit; None if no files are wanted."""
        if self.directory is None:
            return None
        model = self._model
        names = getattr(model, "feature_names_in_", None)
        header = {
            "parameters": _plain_parameters(model.get_params(deep=False)),
            "n_features_in": model.n_features_in_,
            "feature_names_in": None if names is None else list(map(str, names)),
            "original_names": model._original_names,
            "display_feature_names_in": self._all_names,
            "nout": len(self._rows),
            "target_names": model.target_names_,
            "run_id": run_id,
        }
        files = RunFiles(Path(self.directory, run_id), header, len(self._rows))
        files.make_folder()
        plan = library_plan(self._config["task"], model.n_features_in_)

        def write(targets: list[Equations]) -> None:
            with guard(files.folder):
                files.write(targets, [equations.plan or plan for equations in targets])

        return write

    def _say_what_is_missing(self, guard: Guard) -> None:
        searches = [search for search in self.searches if search is not None]
        of_runs = (what for search in searches for what in search.optimizer.unwritten)
        self.unwritten = list(dict.fromkeys([*guard.missing, *of_runs]))
        for what in self.unwritten:
            logger.error("Not written: %s", what)


def _plain_parameters(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters that JSON can hold."""
    plain = {}
    for name, value in parameters.items():
        value = str(value) if isinstance(value, os.PathLike) else value
        try:
            plain[name] = json.loads(json.dumps(value))
        except (TypeError, ValueError):
            continue
    return plain
