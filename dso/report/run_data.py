"""The data behind a run, rebuilt from its config, and what its programs predict for them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dso.config import load_config, validate
from dso.errors import UserError
from dso.library.functions import NAMES, OPERATORS
from dso.plugins import is_reference
from dso.program import from_str_tokens
from dso.task import make_task

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
            program = from_str_tokens(traversal, self.library)
            program.protected = self.protected
            return program.execute(self.X)
        except (UserError, ValueError, RuntimeError):
            return None


def load_run_data(config: dict[str, Any]) -> RunData:
    """Rebuild the data of a run from its ``config.json``.

    Raises
    ------
    UserError
        Why that is not possible. Code that a config names is not run: a report may be of a folder
        from somewhere else.
    """
    if not config:
        raise UserError("there is no config.json.")
    section = validate(load_config(config)).task.to_dict()
    if section["task_type"] != "regression":
        raise UserError(f"a task of type {section['task_type']!r} has no table of data.")
    if named := next(_references({**section, "dataset": None}), None):
        raise UserError(f"the run used code of its own ({named}), which a report does not run.")
    if isinstance(section["dataset"], dict):
        section["dataset"] = {**section["dataset"], "backup": False}
    elif not isinstance(section["dataset"], str):
        raise UserError("the data were arrays; they are not part of the run folder.")
    task: Any = make_task(**section)
    return _some_rows(task)


def _some_rows(task: Any) -> RunData:
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


def _references(value: Any) -> Iterator[str]:
    """Yield every text in a value that names code."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from _references(item)
    elif is_reference(value):
        yield value


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
