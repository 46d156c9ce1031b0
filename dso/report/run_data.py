"""The data of a run, rebuilt from its config, and the predictions of its programs."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dso.config import load_config, validate
from dso.errors import UserError
from dso.export import c_source, numpy_source
from dso.library.functions import NAMES, OPERATORS
from dso.plugins import references, refuse_code
from dso.program import Program, from_str_tokens
from dso.runs.folder import DATA_FILE
from dso.task import make_task
from dso.task.regression import RegressionTask
from dso.task.regression.data_archive import read_archive

if TYPE_CHECKING:
    from dso.library import Library

MAX_POINTS = 150
"""Rows shown of each of training and test data."""

_SHAPES = (
    (re.compile(r"x\d+|const|poly|STOP|a_\d+|[-+]?(\d|\.\d|inf|nan).*"), 0),
    (re.compile(r"a\d+_\d+"), 1),
    (re.compile(r"x\d+ < .*"), 2),
)
_BY_SHOWN = {row.shown: row.arity for row in OPERATORS.values()}


@dataclass(frozen=True)
class RunData:
    """Some rows of a regression run's data.

    Attributes
    ----------
    library : Library
    protected : bool
    X : (n, D) float64
        Training rows, then test rows.
    y : (n,) float64
    is_test : (n,) bool
    """

    library: Library
    protected: bool
    X: np.ndarray
    y: np.ndarray
    is_test: np.ndarray

    def predict(self, traversal: str) -> np.ndarray | None:
        """Return the predictions (n,) of a program, None where it cannot be computed."""
        try:
            return _program(traversal, self.library, self.protected).execute(self.X)
        except (UserError, ValueError, RuntimeError):
            return None

    def sources(self, traversal: str) -> dict[str, str]:
        """Return a program as source code by language, empty where it has none."""
        names = list(self.library.input_names or [])
        try:
            tokens = _program(traversal, self.library, self.protected).traversal
            return {"python": numpy_source(tokens, names), "c": c_source(tokens, names)}
        except (UserError, ValueError, LookupError, TypeError):
            return {}


def _program(traversal: str, library: Library, protected: bool) -> Program:
    program = from_str_tokens(traversal, library)
    program.protected = protected
    return program


def load_run_data(config: dict[str, Any], folder: Path | None = None) -> RunData:
    """Rebuild some rows of the data of a run; see `rebuilt_task`."""
    return _some_rows(rebuilt_task(config, folder))


def rebuilt_task(
    config: dict[str, Any], folder: Path | None = None, allow_code: Collection[str] = ()
) -> RegressionTask:
    """Make the task of a run again, with its data.

    Parameters
    ----------
    config : dict
        What its ``config.json`` says.
    folder : Path, optional
        Where data of a user's own are kept.
    allow_code : collection of str
        Modules of a user's own that may be imported; a report allows none, as it may be of a folder
        from somewhere else.

    Raises
    ------
    UserError
        Why that is not possible.
    """
    if not config:
        raise UserError("there is no config.json.")
    section = validate(load_config(config)).task.to_dict()
    if section["task_type"] != "regression":
        raise UserError(f"a task of type {section['task_type']!r} has no table of data.")
    named = list(references({**section, "dataset": None}))
    if named and not allow_code:
        raise UserError(f"the run used code of its own ({named[0]}), which a report does not run.")
    refuse_code(named, allow_code, "config.json", 'load(..., allow_code=["module"])')
    kept = None if folder is None else folder / DATA_FILE
    if isinstance(section["dataset"], dict):
        section["dataset"] = {**section["dataset"], "backup": False}
    elif kept is not None and kept.exists():
        # Rows are set aside in it already, and weights are part of it.
        section |= {"weights": None, "validation_fraction": 0.0}
        section["dataset"] = read_archive(kept)
    elif not isinstance(section["dataset"], str):
        raise UserError("the data were arrays; they are not part of the run folder.")
    task = make_task(**section)
    assert isinstance(task, RegressionTask)
    return task


def _some_rows(task: RegressionTask) -> RunData:
    data = task.dataset
    parts = [(data.X_train, data.y_train)]
    if data.X_test is not data.X_train:
        parts.append((data.X_test, data.y_test))
    rows = [_spread(len(y)) for _, y in parts]
    return RunData(
        task.library,
        task.protected,
        np.concatenate([X[chosen] for (X, _), chosen in zip(parts, rows, strict=True)]),
        np.concatenate([y[chosen] for (_, y), chosen in zip(parts, rows, strict=True)]),
        np.repeat([False, True][: len(parts)], [len(chosen) for chosen in rows]),
    )


def _spread(n_rows: int) -> np.ndarray:
    """Return at most `MAX_POINTS` of the rows, evenly spread."""
    return np.unique(np.linspace(0, n_rows - 1, min(n_rows, MAX_POINTS)).astype(int))


def arities(traversals: Iterable[str], library: Library | None) -> dict[str, int]:
    """Return the number of children of each token that is not a number.

    Tokens of a user's own are known from the library where there is one; otherwise from a program
    in which only one name is unknown, since the children of all tokens number one less than the
    tokens.
    """
    known: dict[str, int] = {}
    if library is not None:
        known = dict(zip(library.names, library.arities.tolist(), strict=True))
    rows = [traversal.split(",") for traversal in traversals]
    for name in {name for row in rows for name in row}:
        if name not in known and (arity := _arity_of(name)) is not None:
            known[name] = arity
    for row in rows:
        unknown = {name for name in row if name not in known}
        if len(unknown) == 1:
            (name,) = unknown
            missing = len(row) - 1 - sum(known[other] for other in row if other != name)
            if missing >= 0 and missing % row.count(name) == 0:
                known[name] = missing // row.count(name)
    return known


def _arity_of(name: str) -> int | None:
    if name in _BY_SHOWN:
        return _BY_SHOWN[name]
    if name.lower() in NAMES:
        return OPERATORS[NAMES[name.lower()]].arity
    return next((arity for shape, arity in _SHAPES if shape.fullmatch(name)), None)
